"""Profiles (PSSMs), and searching again with them."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from pydantic import Field

from multiblast.options.declarations.shared import INDEPENDENT, Count, Number
from multiblast.options.option import NOWHERE, Form, Option, flag

_ITERATED = {"psiblast", "deltablast"}
_kept = partial(
    Option,
    kind=bool,
    default=False,
    programs=_ITERATED,
    independent_in=NOWHERE,
    form=Form.NAMED,
    needs_own_process=True,
)
_Threshold = Annotated[Number, Field(ge=0)]

OPTIONS = (
    Option(
        "rpsdb",
        "domainDatabase",
        "Registered database of conserved domains from which the first profile is made: DATABASE or "
        "SITE/TARGET/DATABASE.",
        Annotated[
            str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}(/[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}){0,2}$")
        ],
        default="cdd_delta",
        programs={"deltablast"},
        independent_in=NOWHERE,
        form=Form.NAMED,
    ),
    Option(
        "domain_inclusion_ethresh",
        "domainInclusionEThreshold",
        "Conserved domains up to this E-value go into the first profile.",
        _Threshold,
        default=0.05,
        programs={"deltablast"},
        independent_in=NOWHERE,
    ),
    Option(
        "num_iterations",
        "numIterations",
        "Rounds of searching, each with the profile of the hits before. 0: until nothing new is found.",
        Annotated[int, Field(ge=0, le=1000)],
        default=1,
        programs=_ITERATED,
        independent_in=INDEPENDENT,
    ),
    Option(
        "inclusion_ethresh",
        "inclusionEThreshold",
        "Hits up to this E-value go into the profile for the next round.",
        _Threshold,
        default=0.002,
        programs=_ITERATED,
        independent_in=INDEPENDENT,
    ),
    _kept("out_pssm", "outPSSM", "Keep the profile (PSSM) as a file from which a search can go on."),
    _kept("out_ascii_pssm", "outASCIIPSSM", "Keep the profile (PSSM) as a readable table."),
    flag(
        "save_pssm_after_last_round",
        "savePSSMAfterLastRound",
        "Make the kept profile from the hits of the last round too.",
        programs=_ITERATED,
        independent_in=NOWHERE,
    ),
    Option(
        "pseudocount",
        "pseudocount",
        "Weight of expected against observed residues in the profile. 0: chosen by the program.",
        Count,
        default=0,
        programs=_ITERATED,
        independent_in=INDEPENDENT,
    ),
    Option(
        "gap_trigger",
        "gapTrigger",
        "Bits that an ungapped alignment must score before gaps are tried.",
        Number,
        default=22.0,
        programs=_ITERATED,
        independent_in=INDEPENDENT,
    ),
    Option(
        "in_pssm",
        "inPSSM",
        "A profile (PSSM) to search with, in place of a query: the text of a file kept with out_pssm, store:KEY, or "
        "the id it has in an earlier job; where files are taken, its path. Empty: search with the query.",
        Annotated[str, Field(pattern=r"^([0-9a-f]{32}|store:[\w./\-]+|\s*PssmWithParameters\s*::=\s*\{[\s\S]*)?$")],
        default="",
        programs={"psiblast"},
        independent_in=NOWHERE,
        form=Form.NAMED,
        needs_own_process=True,
        excludes=("query_loc",),
    ),
)
