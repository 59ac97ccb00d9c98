"""The block of what one job may ask for."""

from __future__ import annotations

from prefect.blocks.core import Block
from pydantic import Field

from blocks import appearance
from multiblast import settings

__all__ = ["QueryLimits"]

_OWN = settings.QueryLimits()


class QueryLimits(Block):
    """How much one job may ask for; 0 means no limit. The defaults suit one's own machine."""

    _block_type_name = "BLAST query limits"
    _block_type_slug = "blast-query-limits"
    _description = "How much one BLAST job may ask for."
    _logo_url = appearance.LOGO
    _documentation_url = appearance.DOCUMENTATION
    _code_example = """
Open a service to everybody:
```python
from blocks.limits import QueryLimits

QueryLimits.public().save("default", overwrite=True)
```
Look at limits:
```python
from blocks.limits import QueryLimits

limits = QueryLimits.load("BLOCK_NAME").limits()
```
"""

    sequences: int = Field(default=_OWN.sequences, ge=0, description="Sequences in one job.")
    query_bytes: int = Field(default=_OWN.query_bytes, ge=0, description="Bytes of one query, unpacked.")
    longest_nucleotide: int = Field(
        default=_OWN.longest_nucleotide, ge=0, description="Letters of one nucleotide sequence."
    )
    longest_protein: int = Field(default=_OWN.longest_protein, ge=0, description="Letters of one protein sequence.")
    results: int = Field(default=_OWN.results, ge=0, description="(sequences + 1) x max_target_seqs of one job.")

    @classmethod
    def public(cls) -> QueryLimits:
        """Return the limits of a public service."""
        return cls(**settings.QueryLimits.public().model_dump())

    def limits(self) -> settings.QueryLimits:
        """Return the limits."""
        return settings.QueryLimits.model_validate(
            {name: getattr(self, name) for name in settings.QueryLimits.model_fields}
        )
