"""The options of the nine programs, each put together from groups."""

from __future__ import annotations

from typing import Literal

from multiblast.molecules import DatabaseKind, Molecule
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
    g.NucleotideExpert,
    g.XDropoffs,
    g.SumStatistics,
    g.UngappedOnly,
    g.Discontiguous,
    g.BestHits,
    g.DatabaseMasks,
    g.Taxonomy,
    g.NucleotideFilters,
    g.Gaps,
    g.NucleotideWords,
    g.StrandChoice,
    g.Search,
    g.Task,
):
    """Search nucleotide queries in a nucleotide database."""

    query_molecule = Molecule.NUCLEOTIDE
    database_kind = DatabaseKind.NUCLEOTIDE
    program: Literal["blastn"] = "blastn"
    task: d.BlastnTask = "megablast"


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

    query_molecule = Molecule.PROTEIN
    database_kind = DatabaseKind.PROTEIN
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

    query_molecule = Molecule.NUCLEOTIDE
    database_kind = DatabaseKind.PROTEIN
    program: Literal["blastx"] = "blastx"
    task: d.BlastxTask = "blastx"
    seg: d.Seg = _SEG_ON


class TblastnOptions(
    g.Expert,
    g.StoredProfile,
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

    query_molecule = Molecule.PROTEIN
    database_kind = DatabaseKind.NUCLEOTIDE
    program: Literal["tblastn"] = "tblastn"
    task: d.TblastnTask = "tblastn"
    seg: d.Seg = _SEG_ON


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

    query_molecule = Molecule.NUCLEOTIDE
    database_kind = DatabaseKind.NUCLEOTIDE
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
    g.StoredProfile,
    g.Iterations,
    g.Search,
):
    """Search protein queries in a protein database, several times, each with the profile of what was found."""

    query_molecule = Molecule.PROTEIN
    database_kind = DatabaseKind.PROTEIN
    program: Literal["psiblast"] = "psiblast"
    word_size: d.ShortWordSize = None


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
    g.Domains,
    g.Search,
):
    """Search protein queries in a protein database with profiles made from conserved domains."""

    query_molecule = Molecule.PROTEIN
    database_kind = DatabaseKind.PROTEIN
    program: Literal["deltablast"] = "deltablast"
    word_size: d.ShortWordSize = None


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

    query_molecule = Molecule.PROTEIN
    database_kind = DatabaseKind.PROFILE
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

    query_molecule = Molecule.NUCLEOTIDE
    database_kind = DatabaseKind.PROFILE
    program: Literal["rpstblastn"] = "rpstblastn"
