"""Groups of options that several programs share, each declared once.

A program is put together from groups; the fields of the base class named last
come first, so that a form shows what is used most at the top.
"""

from __future__ import annotations

from multiblast.options import declarations as d
from multiblast.options.base import Options

__all__ = [
    "BestHits",
    "Composition",
    "DatabaseMasks",
    "DatabaseTranslation",
    "Discontiguous",
    "Domains",
    "Expert",
    "Gaps",
    "Introns",
    "Iterations",
    "NucleotideExpert",
    "NucleotideFilters",
    "NucleotideWords",
    "ProfileComposition",
    "ProteinWords",
    "QueryFilters",
    "QueryTranslation",
    "ScoreMatrix",
    "ScoreMatrixOrIdentity",
    "Search",
    "SmithWaterman",
    "StoredProfile",
    "StrandChoice",
    "SumStatistics",
    "Task",
    "Taxonomy",
    "UngappedOnly",
    "XDropoffs",
]


class Search(Options):
    """What every program has, as far as it is often used."""

    evalue: d.Evalue = 10.0
    max_target_seqs: d.MaxTargetSeqs = 500
    max_hsps: d.MaxHsps = None
    qcov_hsp_perc: d.QcovHspPerc = 0.0
    query_loc: d.QueryLoc = ""


class Expert(Options):
    """What every program has and few people change."""

    dbsize: d.Dbsize = 0
    searchsp: d.Searchsp = 0
    xdrop_ungap: d.XdropUngap = None
    window_size: d.WindowSize = None
    parse_deflines: d.ParseDeflines = False


class Task(Options):
    """Programs with presets."""

    task: str


class Taxonomy(Options):
    """Filters by taxonomy ids."""

    taxids: d.Taxids = ""
    negative_taxids: d.NegativeTaxids = ""


class QueryFilters(Options):
    """Masking of the query, for protein searches."""

    seg: d.Seg = "no"
    soft_masking: d.SoftMasking = False
    lcase_masking: d.LcaseMasking = False


class DatabaseMasks(Options):
    """Masks stored with the database."""

    db_soft_mask: d.DbSoftMask = ""
    db_hard_mask: d.DbHardMask = ""


class BestHits(Options):
    """Dropping hits in the shadow of better ones."""

    culling_limit: d.CullingLimit = 0
    best_hit_overhang: d.BestHitOverhang = None
    best_hit_score_edge: d.BestHitScoreEdge = None
    subject_besthit: d.SubjectBesthit = False


class Gaps(Options):
    """Gap costs."""

    gapopen: d.Gapopen = None
    gapextend: d.Gapextend = None


class XDropoffs(Options):
    """Where extensions with gaps stop."""

    xdrop_gap: d.XdropGap = None
    xdrop_gap_final: d.XdropGapFinal = None


class ProteinWords(Options):
    """Words and their scores."""

    word_size: d.WordSize = None
    threshold: d.Threshold = None


class ScoreMatrix(Options):
    """Score matrices."""

    matrix: d.Matrix = None


class ScoreMatrixOrIdentity(Options):
    """Score matrices, and that of identity."""

    matrix: d.MatrixOrIdentity = None


class Composition(Options):
    """Corrections for composition, all four."""

    comp_based_stats: d.CompBasedStats = "2"


class ProfileComposition(Options):
    """Corrections for composition, as profile searches have them."""

    comp_based_stats: d.ProfileCompBasedStats = "1"


class UngappedOnly(Options):
    """Searching without gaps."""

    ungapped: d.Ungapped = False


class SmithWaterman(Options):
    """Exact final alignments."""

    use_sw_tback: d.UseSwTback = False


class SumStatistics(Options):
    """Several alignments judged together."""

    sum_stats: d.SumStats = None


class Introns(Options):
    """Linking across introns."""

    max_intron_length: d.MaxIntronLength = 0


class StrandChoice(Options):
    """Programs with nucleotide queries."""

    strand: d.Strand = "both"


class QueryTranslation(Options):
    """Programs that translate the query."""

    query_gencode: d.QueryGencode = 1


class DatabaseTranslation(Options):
    """Programs that translate the database."""

    db_gencode: d.DbGencode = 1


class Iterations(Options):
    """Searching again with the profile of what was found."""

    num_iterations: d.NumIterations = 1
    inclusion_ethresh: d.InclusionEthresh = 0.002
    out_pssm: d.OutPssm = False
    out_ascii_pssm: d.OutAsciiPssm = False
    save_pssm_after_last_round: d.SavePssmAfterLastRound = False
    pseudocount: d.Pseudocount = 0
    gap_trigger: d.GapTrigger = 22.0


class StoredProfile(Options):
    """Starting from a profile in place of a query."""

    in_pssm: d.InPssm = ""


class Domains(Options):
    """The conserved domains from which the first profile is made."""

    rpsdb: d.Rpsdb = "cdd_delta"
    domain_inclusion_ethresh: d.DomainInclusionEthresh = 0.05


class NucleotideWords(Options):
    """Words and scores of nucleotide searches."""

    word_size: d.NucleotideWordSize = None
    reward: d.Reward = None
    penalty: d.Penalty = None


class NucleotideFilters(Options):
    """Masking of the query, for nucleotide searches, and what to keep."""

    perc_identity: d.PercIdentity = 0.0
    dust: d.Dust = "20 64 1"
    soft_masking: d.SoftMasking = True
    lcase_masking: d.LcaseMasking = False


class Discontiguous(Options):
    """Word patterns of discontiguous MegaBLAST."""

    template_type: d.TemplateType = None
    template_length: d.TemplateLength = None


class NucleotideExpert(Options):
    """What few people change in nucleotide searches."""

    no_greedy: d.NoGreedy = False
    min_raw_gapped_score: d.MinRawGappedScore = None
    off_diagonal_range: d.OffDiagonalRange = 0
    use_index: d.UseIndex = False
    index_name: d.IndexName = ""
