"""Statistics against numbers that BLAST+ 2.12.0 printed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiblast.archive.karlin import KarlinAltschul, nucleotide_parameters, protein_parameters
from multiblast.archive.residues import has_low_complexity, masked, reverse_complement, translate
from multiblast.archive.statistics import (
    DatabaseSize,
    QueryStatistics,
    length_adjustment,
    read_statistics,
    write_statistics,
)

BLOSUM62 = KarlinAltschul(0.267, 0.041, 0.14)
SMALL = DatabaseSize(283_480, 600)
PEPTIDE = "VCIHTENQNQVSFYPFVLHEISVLIELTLGHLRYRLTDVPPQPNSQPDSATNYVWML"


@pytest.mark.parametrize(("length", "adjustment"), [(57, 30), (635, 80), (31, 6), (1489, 86), (3, 0), (112, 63)])
def test_length_adjustment_is_that_of_blast(length: int, adjustment: int) -> None:
    assert length_adjustment(BLOSUM62, (1.9, -30.0), length, SMALL) == adjustment


def test_ungapped_parameters_of_a_protein_are_those_of_blast() -> None:
    (found,) = protein_parameters([PEPTIDE], "BLOSUM62")
    assert found is not None
    assert [f"{number:.15g}" for number in found] == ["0.321691745510438", "0.136626642132486", "0.431865357046914"]


def test_ungapped_parameters_do_not_depend_on_company() -> None:
    together = protein_parameters([PEPTIDE, PEPTIDE[:30], "X" * 9, PEPTIDE[::2] * 3], "PAM30")
    assert together == [
        one
        for protein in (PEPTIDE, PEPTIDE[:30], "X" * 9, PEPTIDE[::2] * 3)
        for one in protein_parameters([protein], "PAM30")
    ]


def test_nucleotides_have_parameters_of_their_match_and_mismatch() -> None:
    (found,) = nucleotide_parameters(["ACGTACGGATTCAGGACTTAGC"], 1, -2)
    assert found is not None
    assert [f"{number:.6f}" for number in found] == ["1.332706", "0.620991", "1.124092"]


@pytest.mark.parametrize("residues", ["", "X" * 40])
def test_masked_query_has_no_parameters(residues: str) -> None:
    assert protein_parameters([residues], "BLOSUM62") == [None]


def test_statistics_are_written_as_blast_writes_them() -> None:
    text = write_statistics(QueryStatistics(None, KarlinAltschul(0.267, 0.041, 0.14), 7167960, 30))
    assert b"lambda { 267, 10, -3 },\n        k { 41, 10, -3 },\n        h { 14, 10, -2 },\n        gapped TRUE" in text
    assert b"lambda { -1, 10, 0 }" in text


@given(
    st.builds(KarlinAltschul, *[st.floats(1e-4, 1e4).map(lambda number: float(f"{number:.14e}"))] * 3),
    st.integers(0, 10**18),
    st.integers(0, 10**6),
)
def test_statistics_survive_being_written_and_read(parameters: KarlinAltschul, space: int, adjustment: int) -> None:
    statistics = QueryStatistics(parameters, None, space, adjustment)
    assert read_statistics(write_statistics(statistics)) == statistics


@pytest.mark.parametrize(("frame", "protein"), [(1, "MA*"), (2, "WP"), (3, "GL"), (-1, "LGH"), (-2, "*A"), (-3, "RP")])
def test_frames_are_those_of_blast(frame: int, protein: str) -> None:
    assert translate("ATGGCCTAA", frame, 1, b"") == protein


@given(st.text("ACGTRYMKWSBDHVN"))
def test_strand_turned_twice_is_the_same(strand: str) -> None:
    assert reverse_complement(reverse_complement(strand)) == strand


def test_masks_cover_both_their_ends() -> None:
    assert masked("ABCDEF", b"from 1,\n to 2,", "X") == "AXXDEF"


@pytest.mark.parametrize(("residues", "found"), [("Q" * 30, True), (PEPTIDE, False), ("QQQ", False)])
def test_low_complexity_is_seen(residues: str, found: bool) -> None:
    assert has_low_complexity(residues, 12, 2.2) is found
