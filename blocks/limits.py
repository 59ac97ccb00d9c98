"""The block of what one job may ask for."""

from __future__ import annotations

from pydantic import Field, model_validator

from blocks.appearance import OurBlock
from blocks.flat_documents import nested
from multiblast.settings import QueryLimits


class BlastQueryLimits(OurBlock):
    """How much one job may ask for; 0 means no limit. The defaults suit one's own machine."""

    _block_type_name = "BLAST query limits"
    _block_type_slug = "blast-query-limits"
    _description = "How much one BLAST job may ask for."
    _code_example = """
Open a service to everybody:
```python
from blocks.limits import BlastQueryLimits

BlastQueryLimits.public().save("default", overwrite=True)
```
Look at limits:
```python
from blocks.limits import BlastQueryLimits

limits = BlastQueryLimits.load("BLOCK_NAME").limits
```
"""

    limits: QueryLimits = Field(default=QueryLimits(), description="How much one job may ask for.")

    _read_flat = model_validator(mode="before")(nested("limits", {name: name for name in QueryLimits.model_fields}))

    @classmethod
    def public(cls) -> BlastQueryLimits:
        """Return the limits of a public service."""
        return cls(limits=QueryLimits.public())
