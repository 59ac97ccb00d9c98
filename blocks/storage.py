"""The block of the place where queries, results and reports are kept."""

from __future__ import annotations

from pathlib import Path

from prefect.blocks.core import Block
from pydantic import Field

from multiblast.settings import home
from multiblast.stores import LocalStore, Store

__all__ = ["ResultStorage"]


class ResultStorage(Block):
    """Where queries, results and reports are kept."""

    _block_type_name = "BLAST result storage"
    _block_type_slug = "blast-result-storage"
    _description = "Where multiblast keeps queries, results and reports."
    _code_example = 'from blocks.storage import ResultStorage\n\nResultStorage.load("default").store()'

    directory: str = Field(default="", description="A local directory. Empty: `store` in multiblast's home.")

    def store(self) -> Store:
        """Return the store."""
        return LocalStore(Path(self.directory) if self.directory else home() / "store")
