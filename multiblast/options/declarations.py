"""Every option, declared once: its type, range or choices, explanation, spelling and relations.

The default is not here: programs differ in it, so it stands where a group or a
program takes the option up.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from multiblast.options.declaration import Form, MayBeUnset, Option
from multiblast.options.values import (
    composition_mode,
    dust_text,
    integer,
    location_text,
    lower_choice,
    seg_text,
    switch_text,
    taxids_text,
    upper,
)

__all__ = [
    "BestHitOverhang",
    "BestHitScoreEdge",
    "BlastnTask",
    "BlastpTask",
    "BlastxTask",
    "CompBasedStats",
    "CullingLimit",
    "DbGencode",
    "DbHardMask",
    "DbSoftMask",
    "Dbsize",
    "DomainInclusionEthresh",
    "Dust",
    "Evalue",
    "GapTrigger",
    "Gapextend",
    "Gapopen",
    "GeneticCode",
    "InPssm",
    "InclusionEthresh",
    "IndexName",
    "LcaseMasking",
    "Matrix",
    "MatrixOrIdentity",
    "MaxHsps",
    "MaxIntronLength",
    "MaxTargetSeqs",
    "MinRawGappedScore",
    "NegativeTaxids",
    "NoGreedy",
    "NucleotideWordSize",
    "NumIterations",
    "OffDiagonalRange",
    "OutAsciiPssm",
    "OutPssm",
    "ParseDeflines",
    "Penalty",
    "PercIdentity",
    "ProfileCompBasedStats",
    "Pseudocount",
    "QcovHspPerc",
    "QueryGencode",
    "QueryLoc",
    "Reward",
    "Rpsdb",
    "SavePssmAfterLastRound",
    "Searchsp",
    "Seg",
    "ShortWordSize",
    "SoftMasking",
    "Strand",
    "SubjectBesthit",
    "SumStats",
    "Taxids",
    "TblastnTask",
    "TemplateLength",
    "TemplateType",
    "Threshold",
    "Ungapped",
    "UseIndex",
    "UseSwTback",
    "WindowSize",
    "WordSize",
    "XdropGap",
    "XdropGapFinal",
    "XdropUngap",
]

_INT8_MAX = 2**63 - 1
_Finite = Field(allow_inf_nan=False)

# --- what every search has -------------------------------------------------------------------------------------------

Evalue = Annotated[
    float,
    _Finite,
    Field(
        gt=0,
        description="Keep hits up to this expectation value: how many such hits chance alone would give. "
        "Smaller is stricter.",
    ),
    Option("eValue"),
]
MaxTargetSeqs = Annotated[
    int,
    Field(
        ge=1,
        le=2**31 - 1,
        description="How many aligned database sequences to keep a query. It also steers the search: with a small "
        "number, the ones kept are not always the best; 5 or more is recommended.",
    ),
    Option("maxTargetSequences"),
]
MaxHsps = Annotated[
    int | None,
    MayBeUnset(),
    Field(
        ge=1,
        le=2**31 - 1,
        description="How many alignments (HSPs) to keep for each pair of query and database sequence. Empty: all.",
    ),
    Option("maxHSPs"),
]
QcovHspPerc = Annotated[
    float,
    _Finite,
    Field(ge=0, le=100, description="Keep only alignments that cover at least this percentage of the query."),
    Option("queryCoverageHSPPercent"),
]
QueryLoc = Annotated[
    str,
    Field(
        pattern=r"^([0-9]+-[0-9]+)?$",
        description="Search only this part of each query: start-stop, counted from 1, for example 10-250. "
        "Empty: all of it.",
    ),
    BeforeValidator(location_text),
    Option("queryLocation"),
]
SoftMasking = Annotated[
    bool,
    Field(
        description="Use masked regions (low complexity, lower case) only when looking for words to start from; "
        "alignments may run through them."
    ),
    Option("softMasking"),
]
LcaseMasking = Annotated[
    bool,
    Field(description="Treat lower-case letters of the query as masked."),
    Option("lowercaseMasking", Form.FLAG),
]
Dbsize = Annotated[
    int,
    Field(
        ge=0, le=_INT8_MAX, description="Calculate E-values as if the database had this many letters. 0: its real size."
    ),
    Option("dbSize"),
]
Searchsp = Annotated[
    int,
    Field(ge=0, le=_INT8_MAX, description="Calculate E-values with this effective search space. 0: the real one."),
    Option("searchSpace"),
]
XdropUngap = Annotated[
    float | None,
    MayBeUnset(),
    _Finite,
    Field(description="Stop extending without gaps once the score has dropped by this many bits."),
    Option("xDropoffUngapped"),
]
WindowSize = Annotated[
    int | None,
    MayBeUnset(),
    Field(
        ge=0,
        le=2**31 - 1,
        description="Two word hits must lie this close together to start an extension. 0: one hit is enough.",
    ),
    Option("windowSize"),
]
ParseDeflines = Annotated[
    bool,
    Field(
        description="Read identifiers such as sp|P12345|NAME from the query's titles. Does not change what is found."
    ),
    Option("parseDefLines", Form.FLAG, decides=False),
]

# --- words, gaps, scores ---------------------------------------------------------------------------------------------

WordSize = Annotated[
    int | None,
    MayBeUnset(),
    Field(
        ge=2,
        le=7,
        description="Length of the word that query and subject must share to be looked at. "
        "Shorter finds more, longer is faster.",
    ),
    Option("wordSize"),
]
ShortWordSize = Annotated[
    int | None,
    MayBeUnset(),
    Field(
        ge=2,
        le=5,
        description="Length of the word that query and subject must share to be looked at. "
        "Shorter finds more, longer is faster.",
    ),
    Option("wordSize"),
]
NucleotideWordSize = Annotated[
    int | None,
    MayBeUnset(),
    Field(
        ge=4,
        le=2**31 - 1,
        description="Length of the exact match that query and subject must share to be looked at. "
        "Shorter finds more, longer is faster.",
    ),
    Option("wordSize"),
]
Gapopen = Annotated[
    int | None,
    MayBeUnset(),
    Field(ge=0, le=32767, description="Cost of opening a gap."),
    Option("gapOpen"),
]
Gapextend = Annotated[
    int | None,
    MayBeUnset(),
    Field(ge=0, le=32767, description="Cost of each further position of a gap."),
    Option("gapExtend"),
]
Penalty = Annotated[
    int | None,
    MayBeUnset(),
    Field(
        ge=-32767,
        le=0,
        description="Score of a mismatch, zero or negative. Only some pairs with the reward are possible.",
    ),
    Option("penalty"),
]
Reward = Annotated[
    int | None,
    MayBeUnset(),
    Field(ge=0, le=32767, description="Score of a match. Only some pairs with the penalty are possible."),
    Option("reward"),
]
Matrix = Annotated[
    Literal["BLOSUM45", "BLOSUM50", "BLOSUM62", "BLOSUM80", "BLOSUM90", "PAM30", "PAM70", "PAM250"] | None,
    MayBeUnset(),
    Field(
        description="Scores of amino acid pairs. High BLOSUM and low PAM numbers suit close relatives and short "
        "queries. Each matrix allows only certain gap costs."
    ),
    BeforeValidator(upper),
    Option("matrix"),
]
MatrixOrIdentity = Annotated[
    Literal["BLOSUM45", "BLOSUM50", "BLOSUM62", "BLOSUM80", "BLOSUM90", "PAM30", "PAM70", "PAM250", "IDENTITY"] | None,
    MayBeUnset(),
    Field(
        description="Scores of amino acid pairs. High BLOSUM and low PAM numbers suit close relatives and short "
        "queries. Each matrix allows only certain gap costs."
    ),
    BeforeValidator(upper),
    Option("matrix"),
]
Threshold = Annotated[
    float | None,
    MayBeUnset(),
    _Finite,
    Field(
        gt=0,
        description="Lowest score of a word that counts as similar to a word of the query. Lower finds more, slower.",
    ),
    Option("threshold"),
]
CompBasedStats = Annotated[
    Literal["0", "1", "2", "3"],
    Field(
        description="Correct scores for unusual amino acid composition. 0: no; 1: statistics (Schäffer 2001); "
        "2: adjusted scores where needed (Yu and Altschul 2005); 3: adjusted scores always."
    ),
    BeforeValidator(composition_mode(default="2", true="2")),
    Option("compBasedStats"),
]
ProfileCompBasedStats = Annotated[
    Literal["0", "1"],
    Field(
        description="Correct scores for unusual amino acid composition. 0: no (rpsblast: the simplified way of 1999); "
        "1: statistics (Schäffer 2001)."
    ),
    BeforeValidator(composition_mode(default="1", true="1")),
    Option("compBasedStats"),
]
Ungapped = Annotated[
    bool,
    Field(description="Look for alignments without gaps only. Protein searches then need comp_based_stats 0."),
    Option("ungappedOnly", Form.FLAG),
]
UseSwTback = Annotated[
    bool,
    Field(description="Calculate the final alignments exactly (Smith-Waterman). Slower."),
    Option("useSWTraceback", Form.FLAG),
]
SumStats = Annotated[
    Literal["true", "false"] | None,
    MayBeUnset(),
    Field(description="Judge several alignments with the same database sequence together (sum statistics)."),
    BeforeValidator(switch_text),
    Option("sumStats"),
]
MaxIntronLength = Annotated[
    int,
    Field(
        ge=0,
        le=2**31 - 1,
        description="Largest intron, in nucleotides, across which alignments are linked. 0: link across none.",
    ),
    Option("maxIntronLength"),
]
XdropGap = Annotated[
    float | None,
    MayBeUnset(),
    _Finite,
    Field(description="Stop the first extension with gaps once the score has dropped by this many bits."),
    Option("xDropoffPrelimGapped"),
]
XdropGapFinal = Annotated[
    float | None,
    MayBeUnset(),
    _Finite,
    Field(description="Stop the final extension with gaps once the score has dropped by this many bits."),
    Option("xDropoffFinalGapped"),
]
GapTrigger = Annotated[
    float,
    _Finite,
    Field(description="Bits that an ungapped alignment must score before gaps are tried."),
    Option("gapTrigger"),
]

# --- filters of the query and of the database ------------------------------------------------------------------------

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

# --- translation and strands -----------------------------------------------------------------------------------------

Strand = Annotated[
    Literal["both", "plus", "minus"],
    Field(description="Which strand of the query to search with."),
    Option("strand"),
]
_GENETIC_CODES = (
    "Number of NCBI's genetic code for translating {}: 1 standard, 2 vertebrate mitochondria, 3 yeast mitochondria, "
    "4 moulds, protozoa and Mycoplasma, 5 invertebrate mitochondria, 6 ciliates, 11 bacteria and plastids, "
    "12 alternative yeasts; the others at ncbi.nlm.nih.gov/Taxonomy/Utils/wprintgc.cgi."
)
GeneticCode = Literal[
    1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 14, 15, 16, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 33
]  # fmt: skip
QueryGencode = Annotated[
    GeneticCode,
    Field(description=_GENETIC_CODES.format("the query")),
    BeforeValidator(integer),
    Option("queryGenCode"),
]
DbGencode = Annotated[
    GeneticCode,
    Field(description=_GENETIC_CODES.format("the database")),
    BeforeValidator(integer),
    Option("dbGenCode"),
]

# --- nucleotide searches only ----------------------------------------------------------------------------------------

UseIndex = Annotated[
    bool,
    Field(description="Use the database's MegaBLAST index, which must have been made beforehand."),
    Option("useIndex"),
]
IndexName = Annotated[
    str,
    Field(
        pattern=r"^([A-Za-z0-9_][A-Za-z0-9_.\-]{0,127})?$",
        description="Name of an old-style MegaBLAST index. Empty: that of the database.",
    ),
    Option("indexName", Form.NAMED, requires=("use_index",)),
]
TemplateType = Annotated[
    Literal["coding", "optimal", "coding_and_optimal"] | None,
    MayBeUnset(),
    Field(description="Which positions of a word must match in discontiguous MegaBLAST; goes with template_length."),
    BeforeValidator(lower_choice),
    Option("templateType", requires=("template_length",)),
]
TemplateLength = Annotated[
    Literal[16, 18, 21] | None,
    MayBeUnset(),
    Field(description="Length of the word pattern of discontiguous MegaBLAST; goes with template_type."),
    BeforeValidator(integer),
    Option("templateLength", requires=("template_type",)),
]
NoGreedy = Annotated[
    bool,
    Field(description="Extend with full dynamic programming in place of the greedy way."),
    Option("nonGreedy", Form.FLAG),
]
MinRawGappedScore = Annotated[
    int | None,
    MayBeUnset(),
    Field(ge=-(2**31), le=2**31 - 1, description="Drop alignments with gaps whose raw score is lower than this."),
    Option("minRawGappedScore"),
]
OffDiagonalRange = Annotated[
    int,
    Field(ge=0, le=2**31 - 1, description="How many diagonals away the second word hit may lie. 0: on the same one."),
    Option("offDiagonalRange"),
]

# --- profiles --------------------------------------------------------------------------------------------------------

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

# --- presets ---------------------------------------------------------------------------------------------------------

BlastnTask = Annotated[
    Literal["megablast", "dc-megablast", "blastn", "blastn-short", "rmblastn"],
    Field(
        description="Preset. megablast: near-identical sequences, fast; dc-megablast: other species; blastn: distant "
        "relatives; blastn-short: queries under 50 letters; rmblastn: repeats."
    ),
    Option("task"),
]
BlastpTask = Annotated[
    Literal["blastp", "blastp-fast", "blastp-short"],
    Field(
        description="Preset. blastp: the usual; blastp-fast: longer words, misses some distant hits; "
        "blastp-short: queries under 30 residues."
    ),
    Option("task"),
]
BlastxTask = Annotated[
    Literal["blastx", "blastx-fast"],
    Field(description="Preset. blastx: the usual; blastx-fast: longer words, misses some distant hits."),
    Option("task"),
]
TblastnTask = Annotated[
    Literal["tblastn", "tblastn-fast"],
    Field(description="Preset. tblastn: the usual; tblastn-fast: longer words, misses some distant hits."),
    Option("task"),
]
