"""Parts of grown databases give what the whole gives, and what cannot is refused."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from multiblast.errors import InvalidInputError
from multiblast.grown import KnownResult, OidSet, partial_search
from multiblast.grown.alias import write_alias
from multiblast.options import parse_options
from multiblast.search.context import SearchContext
from tests.exactness.grown_databases import (
    Draw,
    States,
    build_states,
    compare,
    pool,
    queries_of,
    run,
    search,
    write_states,
)

SEED = "short"


def states_of(directory: Path, growth: str, form: str, program: str = "blastp") -> tuple[States, list[bytes]]:
    """Return two states of a small database, and queries."""
    rng = random.Random(SEED)
    kind = "proteins" if program == "blastp" else "nucleotides"
    sequences = rng.sample(pool(kind, rng)[0], 300)
    states = build_states(Draw(SEED, program, "", growth, form), sequences, kind, directory, rng)
    return states, queries_of((sequences, []), program, 30, rng)


@pytest.mark.parametrize(
    ("program", "growth", "form"),
    [("blastp", "1 %", "volumes ids"), ("blastp", "changed", "plain"), ("blastn", "second", "ids")],
)
def test_part_gives_what_the_whole_gives(tmp_path: Path, program: str, growth: str, form: str) -> None:
    states, queries = states_of(tmp_path, growth, form, program)
    found = compare(parse_options(program, {}), states, queries, tmp_path)
    assert found.different == []
    assert found.same > len(queries) / 2


def test_alias_of_several_volumes_and_databases_numbers_as_the_whole(tmp_path: Path) -> None:
    """A mask over volumes is silently taken for the first one's."""
    states, queries = states_of(tmp_path, "second", "volumes")
    context = SearchContext("", "", parse_options("blastp", {}), states.later)
    assert all(len(database.volumes) > 1 for database in states.later)
    everything = OidSet(states.difference.sequences)
    everything.add(range(everything.size))
    alias = write_alias(states.later, context.database_size, everything, tmp_path, "all")
    assert search(context, queries[:8], tmp_path, str(alias)) == search(context, queries[:8], tmp_path)


def test_alias_of_other_databases_than_were_compared_is_refused(tmp_path: Path) -> None:
    states, _ = states_of(tmp_path, "1 %", "plain")
    with pytest.raises(InvalidInputError, match="have 300 sequences, but 7 were compared"):
        write_alias(states.later, states.difference.size, OidSet(7), tmp_path, "part")


def test_selection_of_a_database_is_searched_whole(tmp_path: Path) -> None:
    """An alias that selects sequences has other statistics than its volumes."""
    states, _ = states_of(tmp_path, "1 %", "plain")
    (later,) = states.later
    selection = replace(later, path=later.path.with_name("some"))
    selection.path.with_name("some.pal").write_text(f"TITLE some\nDBLIST {later.name}\nOIDLIST some.msk\n")
    selection.path.with_name("some.msk").write_bytes(bytes(64))
    with pytest.raises(InvalidInputError, match="search it whole"):
        write_alias([selection], states.difference.size, states.difference.added, tmp_path, "part")


@pytest.mark.parametrize(
    ("program", "given", "reason"),
    [
        ("blastp", {"culling_limit": "1"}, "not in the table"),
        ("deltablast", {}, "not in the table"),
        ("psiblast", {"num_iterations": "2"}, "not in the table"),
    ],
)
def test_what_was_not_shown_to_be_exact_is_refused(
    tmp_path: Path, program: str, given: dict[str, str], reason: str
) -> None:
    states, queries = states_of(tmp_path, "1 %", "plain")
    known = [KnownResult("key", queries[0], b"")]
    found = partial_search(parse_options(program, given), states.later, states.difference, known, tmp_path, run)
    assert (found.way, found.parts) == (None, [])
    assert reason in found.refused["key"]


def test_databases_that_shrank_are_searched_whole(tmp_path: Path) -> None:
    """A smaller space makes hits of what was none: those are not known."""
    states, queries = states_of(tmp_path, "shrunk", "ids")
    found = compare(parse_options("blastp", {}), states, queries, tmp_path)
    assert (found.same, found.different) == (0, [])
    assert any("shrunk" in reason for reason in found.refused)


def records_like(base: str, count: int, title: str, rng: random.Random, rate: float = 0.1) -> list[tuple[str, str]]:
    """Return mutated copies of a sequence; the title is given their numbers."""
    letters = "".join(sorted(set(base)))
    mutated = ("".join(rng.choice(letters) if rng.random() < rate else one for one in base) for _ in range(count))
    return [(title.format(number=number), one) for number, one in enumerate(mutated)]


@pytest.mark.parametrize("title", ["seq{number} of Homo", "Homo sapiens seq{number}"])
def test_query_with_a_full_list_is_searched_whole_whatever_subjects_are_called(tmp_path: Path, title: str) -> None:
    """Short subjects fell from the list of candidates when long ones were added, and these are no hits at all."""
    rng = random.Random(SEED)
    base, *others = ("".join(rng.choices("ACGT", k=600)) for _ in range(401))
    long, new = (
        records_like(base, 480, title, rng, 0.12),
        records_like(base, 60, title.replace("seq", "new"), rng, 0.12),
    )
    short = [
        (title.format(number=480 + at), f"{one[:300]}{base[100 : 160 + at]}") for at, one in enumerate(others[:35])
    ]
    unlike = [(title.format(number=600 + at), one) for at, one in enumerate(others[35:])]
    earlier = [*long, *short, *unlike]
    later = [*earlier, *new]
    states = write_states(tmp_path, {"a": earlier, "later": later}, later, "nucleotides", "plain")
    options = parse_options("blastn", {"task": "blastn", "perc_identity": "97"})
    found = compare(options, states, [base.encode()], tmp_path)
    assert found.different == []
    assert "BLAST+ may drop some" in next(iter(found.refused))


@pytest.mark.parametrize(
    ("title", "is_refused"),
    [
        ("gi|{number}|gb|AAA{number:05d}.1| old", False),
        ("gi|{number} alone", False),
        ("pdb|A{number:03d}|a chain", False),
        ("{number} local", False),
        ("pir||S{number:05d} name", True),
        ("prf||{number}A name", True),
        ("gnl|BL_ORD_ID|{number} of another database", True),
    ],
)
def test_hits_are_found_again_whatever_kind_their_ids_are(tmp_path: Path, title: str, is_refused: bool) -> None:
    """Numbers of another database are no places, and not by all ids a database finds its sequences."""
    rng = random.Random(SEED)
    base = "".join(rng.choices("ACDEFGHIKLMNPQRSTVWY", k=200))
    later = records_like(base, 200, title, rng, 0.3)
    states = write_states(tmp_path, {"a": later[2:], "later": later}, later, "proteins", "ids")
    found = compare(parse_options("blastp", {}), states, [base.encode()], tmp_path)
    assert found.different == []
    assert (found.same, found.refused.total()) == ((0, 1) if is_refused else (1, 0))


@pytest.mark.parametrize(("removed", "in_part"), [(100, 4), (250, 4), (300, 3)])
def test_query_whose_earlier_list_was_full_is_searched_whole(tmp_path: Path, removed: int, in_part: int) -> None:
    """Short subjects had no place on it, and have one when long ones are gone.

    Of every other query it is known what a sample of the earlier state showed; the others are searched whole where
    more is gone than would tell.
    """
    rng = random.Random(SEED)
    bases = ["".join(rng.choices("ACGT", k=600)) for _ in range(2200)]
    long = records_like(bases[0], 560, "long{number}", rng, 0.12)
    short = [(f"short{at}", f"{one[:300]}{bases[0][100 : 160 + at]}") for at, one in enumerate(bases[100:135])]
    others = [(f"other{at}", one) for at, one in enumerate(bases[200:])]
    new = [(f"new{at}", one + one[:40]) for at, one in enumerate(bases[1 : removed + 6])]
    rest = [*short, *others, *records_like(bases[199], 5, "few{number}", rng, 0.02)]
    earlier, later = [*long, *rest], [*long[removed:], *rest, *new]
    states = write_states(tmp_path, {"a": earlier, "later": later}, later, "nucleotides", "plain")
    few = [bases[199][at:].encode() for at in range(4)]
    options = parse_options("blastn", {"task": "blastn", "perc_identity": "97"})
    found = compare(options, states, [few[0], bases[0].encode(), *few[1:]], tmp_path)
    assert found.different == []
    assert found.same == in_part
