"""Filters of the query, of the database and of what is found."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from multiblast.options.declaration import Form, MayBeUnset, Option
from multiblast.options.values import (
    dust_text,
    seg_text,
    taxids_text,
)

__all__ = [
    "BestHitOverhang",
    "BestHitScoreEdge",
    "CullingLimit",
    "DbHardMask",
    "DbSoftMask",
    "Dust",
    "NegativeTaxids",
    "PercIdentity",
    "Seg",
    "SubjectBesthit",
    "Taxids",
]

_Finite = Field(allow_inf_nan=False)

Seg = Annotated[
    str,
    Field(
        pattern=r"^(no|yes|[0-9.]+ [0-9.]+ [0-9.]+)$",
        description="Mask regions of low complexity in the query: 'no', 'yes', or SEG's window, locut and hicut, "
        "for example 12 2.2 2.5.",
    ),
    BeforeValidator(seg_text),
    Option("seg"),
]
Dust = Annotated[
    str,
    Field(
        pattern=r"^(no|yes|[0-9]+ [0-9]+ [0-9]+)$",
        description="Mask regions of low complexity in the query: 'no', 'yes', or DUST's level, window and linker, "
        "for example 20 64 1.",
    ),
    BeforeValidator(dust_text),
    Option("dust"),
]
DbSoftMask = Annotated[
    str,
    Field(
        pattern=r"^([0-9]{1,9})?$",
        description="Number of a mask stored with the database, used when looking for words. Empty: none.",
    ),
    Option("dbSoftMask", excludes=("db_hard_mask",)),
]
DbHardMask = Annotated[
    str,
    Field(
        pattern=r"^([0-9]{1,9})?$",
        description="Number of a mask stored with the database; what it covers is not aligned at all. Empty: none.",
    ),
    Option("dbHardMask", excludes=("db_soft_mask",)),
]
Taxids = Annotated[
    str,
    Field(
        pattern=r"^([0-9]+(,[0-9]+)*)?$",
        description="Search only database sequences with these taxonomy ids, for example 562,9606. Empty: all.",
    ),
    BeforeValidator(taxids_text),
    Option("taxIds", excludes=("negative_taxids",)),
]
NegativeTaxids = Annotated[
    str,
    Field(
        pattern=r"^([0-9]+(,[0-9]+)*)?$",
        description="Leave out database sequences with these taxonomy ids, for example 562,9606. Empty: none.",
    ),
    BeforeValidator(taxids_text),
    Option("negativeTaxIds", excludes=("taxids",)),
]
PercIdentity = Annotated[
    float,
    _Finite,
    Field(ge=0, le=100, description="Keep only alignments with at least this percentage of identical positions."),
    Option("percentIdentity"),
]
CullingLimit = Annotated[
    int,
    Field(
        ge=0,
        le=2**31 - 1,
        description="Drop a hit whose part of the query lies within that of this many better hits. 0: keep all.",
    ),
    Option("cullingLimit", excludes=("best_hit_overhang", "best_hit_score_edge")),
]
BestHitOverhang = Annotated[
    float | None,
    MayBeUnset(),
    _Finite,
    Field(
        gt=0,
        lt=0.5,
        description="Best-hit filter: how far a better hit may fall short at the ends. 0.1 is recommended.",
    ),
    Option("bestHitOverhang", excludes=("culling_limit",)),
]
BestHitScoreEdge = Annotated[
    float | None,
    MayBeUnset(),
    _Finite,
    Field(
        gt=0, lt=0.5, description="Best-hit filter: how much better, relatively, a hit must score; 0.1 is recommended."
    ),
    Option("bestHitScoreEdge", excludes=("culling_limit",)),
]
SubjectBesthit = Annotated[
    bool,
    Field(description="Keep only the best of overlapping alignments with the same database sequence."),
    Option("subjectBestHit", Form.FLAG),
]
