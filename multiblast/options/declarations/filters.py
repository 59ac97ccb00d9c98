"""Filters of the query, of the database and of what is found."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from multiblast.options.declarations.shared import ALL, INDEPENDENT, Count, Number, Percentage
from multiblast.options.option import Form, Option
from multiblast.options.values import dust_text, seg_text, taxids_text

_SEG_ON = "12 2.2 2.5"
_WITH_MASKS = {"blastn", "blastp", "blastx", "tblastn", "tblastx"}
_Mask = Annotated[str, Field(pattern=r"^([0-9]{1,9})?$")]
_Taxids = Annotated[str, Field(pattern=r"^([0-9]+(,[0-9]+)*)?$"), BeforeValidator(taxids_text)]
_Half = Annotated[Number, Field(gt=0, lt=0.5)]

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
        default="20 64 1",
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
    Option(
        "lcase_masking",
        "lowercaseMasking",
        "Treat lower-case letters of the query as masked.",
        bool,
        default=False,
        programs=ALL,
        independent_in=INDEPENDENT,
        form=Form.FLAG,
    ),
    Option(
        "taxids",
        "taxIds",
        "Search only database sequences with these taxonomy ids, for example 562,9606. Empty: all.",
        _Taxids,
        default="",
        programs=ALL - {"rpsblast", "rpstblastn"},
        independent_in=INDEPENDENT,
        excludes=("negative_taxids",),
    ),
    Option(
        "negative_taxids",
        "negativeTaxIds",
        "Leave out database sequences with these taxonomy ids, for example 562,9606. Empty: none.",
        _Taxids,
        default="",
        programs=ALL - {"rpsblast", "rpstblastn"},
        independent_in=INDEPENDENT,
        excludes=("taxids",),
    ),
    Option(
        "db_soft_mask",
        "dbSoftMask",
        "Number of a mask stored with the database, used when looking for words. Empty: none.",
        _Mask,
        default="",
        programs=_WITH_MASKS,
        independent_in=INDEPENDENT,
        excludes=("db_hard_mask",),
    ),
    Option(
        "db_hard_mask",
        "dbHardMask",
        "Number of a mask stored with the database; what it covers is not aligned at all. Empty: none.",
        _Mask,
        default="",
        programs=_WITH_MASKS,
        independent_in=INDEPENDENT,
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
        excludes=("best_hit_overhang", "best_hit_score_edge"),
    ),
    Option(
        "best_hit_overhang",
        "bestHitOverhang",
        "Best-hit filter: how far a better hit may fall short at the ends. 0.1 is recommended.",
        _Half,
        default=None,
        programs=ALL - {"rpstblastn"},
        independent_in=INDEPENDENT,
        excludes=("culling_limit",),
    ),
    Option(
        "best_hit_score_edge",
        "bestHitScoreEdge",
        "Best-hit filter: how much better, relatively, a hit must score; 0.1 is recommended.",
        _Half,
        default=None,
        programs=ALL - {"rpstblastn"},
        independent_in=INDEPENDENT,
        excludes=("culling_limit",),
    ),
    Option(
        "subject_besthit",
        "subjectBestHit",
        "Keep only the best of overlapping alignments with the same database sequence.",
        bool,
        default=False,
        programs=ALL - {"rpstblastn"},
        independent_in=INDEPENDENT,
        form=Form.FLAG,
    ),
)
