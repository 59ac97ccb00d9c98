"""The options of the nine programs, each put together from groups."""

from __future__ import annotations

from typing import Literal

from multiblast.options import declarations as d
from multiblast.options import groups as g

__all__ = [
    "BlastnOptions",
    "BlastpOptions",
    "BlastxOptions",
    "DeltablastOptions",
    "PsiblastOptions",
    "RpsblastOptions",
    "RpstblastnOptions",
    "TblastnOptions",
    "TblastxOptions",
]

_SEG_ON = "12 2.2 2.5"


class BlastnOptions(
    g.Expert,
    g.XDropoffs,
    g.SumStatistics,
    g.BestHits,
    g.UngappedOnly,
    g.DatabaseMasks,
    g.Taxonomy,
    g.Gaps,
    g.StrandChoice,
    g.Search,
    g.Task,
):
    """Search nucleotide queries in a nucleotide database."""

    program: Literal["blastn"] = "blastn"
    task: d.BlastnTask = "megablast"
    word_size: d.NucleotideWordSize = None
    reward: d.Reward = None
    penalty: d.Penalty = None
    perc_identity: d.PercIdentity = 0.0
    dust: d.Dust = "20 64 1"
    soft_masking: d.SoftMasking = True
    lcase_masking: d.LcaseMasking = False
    template_type: d.TemplateType = None
    template_length: d.TemplateLength = None
    no_greedy: d.NoGreedy = False
    min_raw_gapped_score: d.MinRawGappedScore = None
    off_diagonal_range: d.OffDiagonalRange = 0
    use_index: d.UseIndex = False
    index_name: d.IndexName = ""


class BlastpOptions(
    g.Expert,
    g.XDropoffs,
    g.SmithWaterman,
    g.UngappedOnly,
    g.BestHits,
    g.DatabaseMasks,
    g.Taxonomy,
    g.QueryFilters,
    g.Composition,
    g.Gaps,
    g.ScoreMatrixOrIdentity,
    g.ProteinWords,
    g.Search,
    g.Task,
):
    """Search protein queries in a protein database."""

    program: Literal["blastp"] = "blastp"
    task: d.BlastpTask = "blastp"


class BlastxOptions(
    g.Expert,
    g.XDropoffs,
    g.SmithWaterman,
    g.UngappedOnly,
    g.SumStatistics,
    g.Introns,
    g.BestHits,
    g.DatabaseMasks,
    g.Taxonomy,
    g.QueryFilters,
    g.Composition,
    g.Gaps,
    g.ScoreMatrix,
    g.ProteinWords,
    g.QueryTranslation,
    g.StrandChoice,
    g.Search,
    g.Task,
):
    """Search translated nucleotide queries in a protein database."""

    program: Literal["blastx"] = "blastx"
    task: d.BlastxTask = "blastx"
    seg: d.Seg = _SEG_ON


class TblastnOptions(
    g.Expert,
    g.XDropoffs,
    g.SmithWaterman,
    g.UngappedOnly,
    g.SumStatistics,
    g.Introns,
    g.BestHits,
    g.DatabaseMasks,
    g.Taxonomy,
    g.QueryFilters,
    g.Composition,
    g.Gaps,
    g.ScoreMatrixOrIdentity,
    g.ProteinWords,
    g.DatabaseTranslation,
    g.Search,
    g.Task,
):
    """Search protein queries in a translated nucleotide database."""

    program: Literal["tblastn"] = "tblastn"
    task: d.TblastnTask = "tblastn"
    seg: d.Seg = _SEG_ON
    in_pssm: d.InPssm = ""


class TblastxOptions(
    g.Expert,
    g.SumStatistics,
    g.Introns,
    g.BestHits,
    g.DatabaseMasks,
    g.Taxonomy,
    g.QueryFilters,
    g.ScoreMatrix,
    g.ProteinWords,
    g.DatabaseTranslation,
    g.QueryTranslation,
    g.StrandChoice,
    g.Search,
):
    """Search translated nucleotide queries in a translated nucleotide database."""

    program: Literal["tblastx"] = "tblastx"
    word_size: d.ShortWordSize = None
    seg: d.Seg = _SEG_ON


class PsiblastOptions(
    g.Expert,
    g.XDropoffs,
    g.SmithWaterman,
    g.SumStatistics,
    g.BestHits,
    g.Taxonomy,
    g.QueryFilters,
    g.Composition,
    g.Gaps,
    g.ScoreMatrix,
    g.ProteinWords,
    g.Iterations,
    g.Search,
):
    """Search protein queries in a protein database, several times, each with the profile of what was found."""

    program: Literal["psiblast"] = "psiblast"
    word_size: d.ShortWordSize = None
    in_pssm: d.InPssm = ""


class DeltablastOptions(
    g.Expert,
    g.XDropoffs,
    g.SmithWaterman,
    g.SumStatistics,
    g.BestHits,
    g.Taxonomy,
    g.QueryFilters,
    g.ProfileComposition,
    g.Gaps,
    g.ScoreMatrix,
    g.ProteinWords,
    g.Iterations,
    g.Search,
):
    """Search protein queries in a protein database with profiles made from conserved domains."""

    program: Literal["deltablast"] = "deltablast"
    word_size: d.ShortWordSize = None
    rpsdb: d.Rpsdb = "cdd_delta"
    domain_inclusion_ethresh: d.DomainInclusionEthresh = 0.05


class RpsblastOptions(
    g.Expert,
    g.XDropoffs,
    g.SmithWaterman,
    g.SumStatistics,
    g.BestHits,
    g.QueryFilters,
    g.ProfileComposition,
    g.Search,
):
    """Search protein queries in a database of profiles."""

    program: Literal["rpsblast"] = "rpsblast"


class RpstblastnOptions(
    g.Expert,
    g.XDropoffs,
    g.SmithWaterman,
    g.UngappedOnly,
    g.SumStatistics,
    g.QueryFilters,
    g.ProfileComposition,
    g.QueryTranslation,
    g.StrandChoice,
    g.Search,
):
    """Search translated nucleotide queries in a database of profiles."""

    program: Literal["rpstblastn"] = "rpstblastn"
