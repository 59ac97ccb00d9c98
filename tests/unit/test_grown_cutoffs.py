"""E-values with the correction for finite sizes, against those that BLAST+ 2.12.0 printed."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import comb

import pytest

from multiblast.archive.gap_costs import PROTEIN
from multiblast.grown.candidates import Counted, preliminary_list, samples
from multiblast.grown.cutoffs import finite_size_evalue
from multiblast.grown.oids import OidSet
from multiblast.options import parse_options

UNGAPPED = PROTEIN["BLOSUM62"][0]
USUAL = next(row for row in PROTEIN["BLOSUM62"] if (row.open, row.extend) == (11, 1))
LETTERS = 93_191


@pytest.mark.parametrize(
    ("query", "subject", "score", "evalue"),
    [
        (361, 537, 44, "8.26328214768929"),
        (361, 871, 44, "8.61561959247288"),
        (361, 234, 43, "9.3856325521176"),
        (635, 549, 51, "2.30547644822539"),
    ],
)
def test_evalue_of_a_protein_alignment_is_that_of_blast(query: int, subject: int, score: int, evalue: str) -> None:
    assert f"{finite_size_evalue(score, USUAL, UNGAPPED, (query, subject), LETTERS):.15g}" == evalue


def test_evalue_is_proportional_to_the_letters() -> None:
    one, three = (finite_size_evalue(60, USUAL, UNGAPPED, (300, 300), LETTERS * times) for times in (1, 3))
    assert three == pytest.approx(3 * one)


@pytest.mark.parametrize(
    ("program", "given", "expected"),
    [
        ("blastp", {}, 1050),
        ("blastp", {"max_target_seqs": "1000"}, 2050),
        ("blastp", {"comp_based_stats": "0"}, 550),
        ("blastn", {"max_target_seqs": "3"}, 10),
        ("tblastx", {}, 550),
    ],
)
def test_preliminary_list_is_that_of_blast(program: str, given: dict[str, str], expected: int) -> None:
    assert preliminary_list(parse_options(program, given)) == expected


def test_samples_of_a_state_are_random_and_always_the_same() -> None:
    found = samples(parse_options("blastp", {}), 100_003)
    again = samples(parse_options("blastp", {}), 100_003)
    added = [sample.drawn("state", without=smaller) for smaller, sample in pairwise([None, *found])]
    assert found[2].drawn("state").bits == again[2].drawn("state").bits
    for share, one in zip((1 / 32, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2), added, strict=True):
        assert one.count() == pytest.approx(100_003 * share, rel=0.05)
    assert sum(one.count() for one in added) == len(set().union(*added)) == 100_003


def test_samples_of_two_states_are_independent() -> None:
    first, second = (set(samples(parse_options("blastp", {}), 100_003)[0].drawn(state)) for state in ("a", "b"))
    assert len(first & second) == pytest.approx(100_003 / 32**2, rel=0.3)


def test_sample_of_what_is_new_is_the_part_of_the_sample_that_is_new() -> None:
    new = OidSet(100_003)
    new.add(range(90_000, 100_003))
    sample = samples(parse_options("blastp", {}), 100_003)[1]
    whole = sample.drawn("state")
    assert list(sample.drawn("state", among=new)) == [oid for oid in whole if oid >= 90_000]


def test_hits_of_a_larger_sample_are_thinned_to_those_of_a_smaller_one() -> None:
    smallest, *_, half, whole = samples(parse_options("blastp", {}), 100_003)
    drawn = [smallest.thinned(320, whole, f"key {number}") for number in range(1000)]
    assert sum(drawn) / 1000 == pytest.approx(320 / 32, rel=0.05)
    assert drawn[0] == smallest.thinned(320, whole, "key 0")
    assert half.thinned(320, half, "key") == 320
    assert smallest.thinned(half.full, half, "key") == half.full


def test_what_a_sample_showed_is_kept_as_one_number() -> None:
    found = samples(parse_options("blastp", {"max_target_seqs": "20000"}), 10**6)
    for counted in (Counted(sample.full, sample.halvings) for sample in found):
        assert Counted.of(counted.number) == counted


def test_samples_take_a_full_list_for_one_with_room_in_one_of_a_million_cases() -> None:
    found = samples(parse_options("blastp", {}), 100_003)
    assert [(sample.most_hits, sample.full) for sample in found] == [
        *((7, 33), (28, 66), (78, 132), (191, 263), (440, 525), (998, 999))
    ]
    likely = 0.0
    for sample in found[:-1]:
        exact = Fraction(1, 2**sample.halvings)
        terms = (comb(1050, hits) * exact**hits * (1 - exact) ** (1050 - hits) for hits in range(sample.most_hits + 1))
        likely += float(sum(terms))
    tries = 2
    assert 1e-7 < tries * likely < 1e-6


def test_sample_of_a_long_list_has_a_bound() -> None:
    """The chance that no subject of a full list is in the sample is less than the smallest number."""
    *_, quarter, _, _ = samples(parse_options("blastp", {"max_target_seqs": "20000"}), 10**6)
    assert quarter.most_hits == pytest.approx(40_050 / 4, rel=0.1)


@pytest.mark.parametrize(("targets", "sequences"), [("50", 10**6), ("1000", 1000)])
def test_sample_is_not_searched_where_it_is_large_or_not_needed(targets: str, sequences: int) -> None:
    options = parse_options("blastp", {"comp_based_stats": "0", "max_target_seqs": targets})
    assert samples(options, sequences) == []


def test_sample_is_searched_without_what_leaves_hits_out() -> None:
    given = {"qcov_hsp_perc": "40", "evalue": "0.001", "seg": "yes", "lcase_masking": "true", "max_target_seqs": "900"}
    arguments = samples(parse_options("blastp", given), 10**6)[0].arguments(0.001)
    assert "-qcov_hsp_perc" not in arguments
    assert {"-seg", "-lcase_masking"} <= set(arguments)
    assert arguments[arguments.index("-evalue") + 1] == "0.005"
    assert arguments[arguments.index("-comp_based_stats") + 1] == "0"
