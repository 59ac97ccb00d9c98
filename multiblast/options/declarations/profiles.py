"""Profiles, and searching again with them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from multiblast.options.declaration import Form, Option

__all__ = [
    "DomainInclusionEthresh",
    "InPssm",
    "InclusionEthresh",
    "NumIterations",
    "OutAsciiPssm",
    "OutPssm",
    "Pseudocount",
    "Rpsdb",
    "SavePssmAfterLastRound",
]

_Finite = Field(allow_inf_nan=False)

NumIterations = Annotated[
    int,
    Field(
        ge=0,
        le=1000,
        description="Rounds of searching, each with the profile of the hits before. 0: until nothing new is found.",
    ),
    Option("numIterations"),
]
InclusionEthresh = Annotated[
    float,
    _Finite,
    Field(ge=0, description="Hits up to this E-value go into the profile for the next round."),
    Option("inclusionEThreshold"),
]
DomainInclusionEthresh = Annotated[
    float,
    _Finite,
    Field(ge=0, description="Conserved domains up to this E-value go into the first profile."),
    Option("domainInclusionEThreshold"),
]
Pseudocount = Annotated[
    int,
    Field(
        ge=0,
        le=2**31 - 1,
        description="Weight of expected against observed residues in the profile. 0: chosen by the program.",
    ),
    Option("pseudocount"),
]
InPssm = Annotated[
    str,
    Field(
        pattern=r"^([0-9a-f]{32}|store:[\w./\-]+|\s*PssmWithParameters\s*::=\s*\{[\s\S]*)?$",
        description="A profile (PSSM) to search with, in place of a query: the text of a file kept with out_pssm, "
        "store:KEY, or the id it has in an earlier job; where files are taken, its path. Empty: search with the query.",
    ),
    Option("inPSSM", Form.NAMED, excludes=("query_loc",)),
]
OutPssm = Annotated[
    bool,
    Field(description="Keep the profile (PSSM) as a file from which a search can go on."),
    Option("outPSSM", Form.NAMED),
]
OutAsciiPssm = Annotated[
    bool,
    Field(description="Keep the profile (PSSM) as a readable table."),
    Option("outASCIIPSSM", Form.NAMED),
]
SavePssmAfterLastRound = Annotated[
    bool,
    Field(description="Make the kept profile from the hits of the last round too."),
    Option("savePSSMAfterLastRound", Form.FLAG),
]
Rpsdb = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}(/[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}){0,2}$",
        description="Registered database of conserved domains from which the first profile is made: "
        "DATABASE or SITE/TARGET/DATABASE.",
    ),
    Option("domainDatabase", Form.NAMED),
]
