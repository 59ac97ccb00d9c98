"""Filters of the query, of the database and of what is found."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from pydantic import BeforeValidator, Field

from multiblast.options.declarations.shared import ALL, INDEPENDENT, LONG_NUCLEOTIDE_TASKS, Count, Number, Percentage
from multiblast.options.option import Option, flag
from multiblast.options.values import dust_text, seg_text, taxids_text

_SEG_ON = "12 2.2 2.5"
_NOT_IN_RPSBLAST = {"rpsblast": "2.16.0"}

_mask = partial(
    Option,
    kind=Annotated[str, Field(pattern=r"^([0-9]{1,9})?$")],
    default="",
    programs={"blastn", "blastp", "blastx", "tblastn", "tblastx"},
    independent_in=INDEPENDENT,
)
_taxids = partial(
    Option,
    kind=Annotated[str, Field(pattern=r"^([0-9]+(,[0-9]+)*)?$"), BeforeValidator(taxids_text)],
    default="",
    programs=ALL - {"rpsblast", "rpstblastn"},
    independent_in=INDEPENDENT,
    changes_size=True,
)
_best_hit = partial(
    Option,
    kind=Annotated[Number, Field(gt=0, lt=0.5)],
    programs=ALL - {"rpstblastn"},
    independent_in=INDEPENDENT,
    needs_one_thread=True,
    excludes=("culling_limit",),
    until=_NOT_IN_RPSBLAST,
)

OPTIONS = (
    Option(
        "perc_identity",
        "percentIdentity",
        "Keep only alignments with at least this percentage of identical positions.",
        Percentage,
        default=0.0,
        programs={"blastn"},
        independent_in=INDEPENDENT,
    ),
    Option(
        "dust",
        "dust",
        "Mask regions of low complexity in the query: 'no', 'yes', or DUST's level, window and linker, "
        "for example 20 64 1.",
        Annotated[str, Field(pattern=r"^(no|yes|[0-9]+ [0-9]+ [0-9]+)$"), BeforeValidator(dust_text)],
        by_task=dict.fromkeys(LONG_NUCLEOTIDE_TASKS, "20 64 1"),  # short queries: not masked since 2.16.0
        programs={"blastn"},
        independent_in=INDEPENDENT,
    ),
    Option(
        "seg",
        "seg",
        "Mask regions of low complexity in the query: 'no', 'yes', or SEG's window, locut and hicut, "
        "for example 12 2.2 2.5.",
        Annotated[str, Field(pattern=r"^(no|yes|[0-9.]+ [0-9.]+ [0-9.]+)$"), BeforeValidator(seg_text)],
        default="no",
        by_program=dict.fromkeys(("blastx", "tblastn", "tblastx"), _SEG_ON),
        programs=ALL - {"blastn"},
        independent_in=INDEPENDENT | {"tblastx"},
    ),
    Option(
        "soft_masking",
        "softMasking",
        "Use masked regions (low complexity, lower case) only when looking for words to start from; "
        "alignments may run through them.",
        bool,
        default=False,
        by_program={"blastn": True},
        programs=ALL,
        independent_in=INDEPENDENT,
    ),
    flag(
        "lcase_masking",
        "lowercaseMasking",
        "Treat lower-case letters of the query as masked.",
        programs=ALL,
        independent_in=INDEPENDENT,
    ),
    _taxids(
        "taxids",
        "taxIds",
        "Search only database sequences with these taxonomy ids, for example 562,9606 (since BLAST+ 2.16.0, also those "
        "below them). Empty: all.",
        excludes=("negative_taxids",),
    ),
    _taxids(
        "negative_taxids",
        "negativeTaxIds",
        "Leave out database sequences with these taxonomy ids, for example 562,9606. Empty: none.",
        excludes=("taxids",),
    ),
    flag(
        "no_taxid_expansion",
        "noTaxIdExpansion",
        "Take the ids of taxids and negative_taxids alone, without those below them.",
        programs=ALL - {"rpsblast", "rpstblastn"},
        independent_in=INDEPENDENT,
        since="2.16.0",
    ),
    _mask(
        "db_soft_mask",
        "dbSoftMask",
        "Number of a mask stored with the database, used when looking for words. Empty: none.",
        excludes=("db_hard_mask",),
    ),
    _mask(
        "db_hard_mask",
        "dbHardMask",
        "Number of a mask stored with the database; what it covers is not aligned at all. Empty: none.",
        excludes=("db_soft_mask",),
    ),
    Option(
        "culling_limit",
        "cullingLimit",
        "Drop a hit whose part of the query lies within that of this many better hits. 0: keep all.",
        Count,
        default=0,
        programs=ALL - {"rpstblastn"},
        independent_in=INDEPENDENT,
        needs_one_thread=True,
        excludes=("best_hit_overhang", "best_hit_score_edge"),
        until=_NOT_IN_RPSBLAST,
    ),
    _best_hit(
        "best_hit_overhang",
        "bestHitOverhang",
        "Best-hit filter: how far a better hit may fall short at the ends. 0.1 is recommended.",
    ),
    _best_hit(
        "best_hit_score_edge",
        "bestHitScoreEdge",
        "Best-hit filter: how much better, relatively, a hit must score; 0.1 is recommended.",
    ),
    flag(
        "subject_besthit",
        "subjectBestHit",
        "Keep only the best of overlapping alignments with the same database sequence.",
        programs=ALL - {"rpstblastn"},
        independent_in=INDEPENDENT,
        until=_NOT_IN_RPSBLAST,
    ),
)
