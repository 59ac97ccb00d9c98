"""The block of a machine's programs and databases."""

from __future__ import annotations

from pathlib import Path

from prefect.blocks.core import Block
from pydantic import Field

from blocks import appearance
from multiblast.installation import Installation
from multiblast.settings import home
from multiblast.targets import DEFAULT_LAYOUT, Targets

__all__ = ["BlastInstallation"]


class BlastInstallation(Block):
    """Where BLAST+ and its databases are on the machines that search, and how much of a machine they may use."""

    _block_type_name = "BLAST+ installation"
    _block_type_slug = "blast-installation"
    _description = "Where BLAST+ and its databases are on the machines that search."
    _logo_url = appearance.LOGO
    _documentation_url = appearance.DOCUMENTATION
    _code_example = """
List the databases that this machine can search:
```python
from blocks.installation import BlastInstallation

installation = BlastInstallation.load("BLOCK_NAME")
tree = installation.targets().tree()
```
"""

    programs: str = Field(default="", description="Directory of the BLAST+ programs. Empty: looked up on the path.")
    targets_root: str = Field(
        default="", description="Directory that holds the databases. Empty: `targets` in multiblast's home."
    )
    layout: str = Field(
        default=DEFAULT_LAYOUT, description="Where under the root each database is, by site, target and database."
    )
    cores: int = Field(default=0, ge=0, description="Processor cores that searches may use. 0: all there are.")
    time_limit_s: int = Field(default=0, ge=0, description="Time limit of one BLAST+ process in seconds. 0: none.")

    def installation(self) -> Installation:
        """Return the programs."""
        return Installation(Path(self.programs) if self.programs else None, self.cores, self.time_limit_s)

    def targets(self) -> Targets:
        """Return the databases."""
        if self.targets_root:
            return Targets(Path(self.targets_root), self.layout)
        own = home() / "targets"
        own.mkdir(parents=True, exist_ok=True)
        return Targets(own, self.layout)
