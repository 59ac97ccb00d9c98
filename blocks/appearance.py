"""What our blocks share: how they look among others in Prefect's catalogue, and how they are loaded."""

from __future__ import annotations

from typing import Self

from prefect.blocks.core import Block
from pydantic import HttpUrl


class OurBlock(Block):
    """What all blocks of ours share."""

    # Of Prefect's own block for files: a logo must be on the web, and not all who run this are.
    _logo_url = HttpUrl(
        "https://raw.githubusercontent.com/PrefectHQ/prefect/420d0d6a78bb6df1fc18bcf188fdad43c1d22ea9"
        "/assets/block-logos/filesystem.png"
    )
    _documentation_url = HttpUrl("https://docs.prefect.io/v3/concepts/blocks")

    @classmethod
    def named(cls, name: str) -> Self:
        """Return the block of this name, or raise a `ValueError`."""
        return cls.load(name, _sync=True)  # type: ignore[call-arg, return-value]  # added by Prefect's decorator
