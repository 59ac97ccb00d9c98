"""The block of a machine's programs and databases."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from blocks.appearance import OurBlock
from blocks.flat_documents import nested
from multiblast.installation import Installation
from multiblast.settings import home
from multiblast.targets import DEFAULT_LAYOUT, Targets

_FLAT = {"programs": "directory", "cores": "cores", "time_limit_s": "time_limit_s"}


class BlastInstallation(OurBlock):
    """Where BLAST+ and its databases are on the machines that search, and how much of a machine they may use."""

    _block_type_name = "BLAST+ installation"
    _block_type_slug = "blast-installation"
    _description = "Where BLAST+ and its databases are on the machines that search."
    _code_example = """
List the databases that this machine can search:
```python
from blocks.installation import BlastInstallation

installation = BlastInstallation.load("BLOCK_NAME")
tree = installation.targets().tree()
```
"""

    installation: Installation = Field(
        default=Installation(), description="The BLAST+ programs, and how much of a machine they may use."
    )
    targets_root: str = Field(
        default="", description="Directory that holds the databases. Empty: `targets` in multiblast's home."
    )
    layout: str = Field(
        default=DEFAULT_LAYOUT,
        description="Where each database is below that directory, by the names of its site, target and database.",
    )

    _read_flat = model_validator(mode="before")(nested("installation", _FLAT))

    def targets(self) -> Targets:
        """Return the databases."""
        root = Path(self.targets_root or home() / "targets")
        if not self.targets_root:
            root.mkdir(parents=True, exist_ok=True)
        return Targets(root, self.layout)
