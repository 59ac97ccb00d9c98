"""A query is checked as a whole, and every problem is told with its record and line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from multiblast.errors import InvalidInputError, Problem
from multiblast.molecules import Molecule
from multiblast.sequences import Query, check_query
from multiblast.settings import QueryLimits

PUBLIC = QueryLimits.public()
PROTEIN = b"MKVLAAGIVGLCAKAYWQERTYHGFDSAPL"


def check(source: bytes | str | Path, molecule: Molecule = "protein", limits: QueryLimits = PUBLIC) -> Query:
    return check_query(source, molecule=molecule, limits=limits)


def problems(source: bytes, molecule: Molecule = "protein", limits: QueryLimits = PUBLIC) -> tuple[Problem, ...]:
    with pytest.raises(InvalidInputError) as refusal:
        check(source, molecule, limits)
    return refusal.value.problems


BAD_QUERIES: dict[str, tuple[bytes, Molecule, QueryLimits, str]] = {
    "empty": (b"", "protein", PUBLIC, "the query is empty: send at least one sequence, as FASTA text"),
    "blank": (b" \n\n", "protein", PUBLIC, "the query is empty: send at least one sequence, as FASTA text"),
    "binary": (
        b"\x7fELF\0\0",
        "protein",
        PUBLIC,
        "this is a binary file (it has NUL bytes): FASTA text is needed, plain or gzipped",
    ),
    "protein for blastn": (
        b">a\nACGT\n>b t\nACG\nMKVL\n",
        "nucleotide",
        PUBLIC,
        (
            "record 2, line 5: 'b' has 'L': a nucleotide sequence has only ACGTU, N (any base) and the codes "
            "RYSWKMBDHV; for a protein query use blastp or tblastn"
        ),
    ),
    "stray characters in a protein": (
        b">a\nMK.V\n",
        "protein",
        PUBLIC,
        "record 1, line 2: 'a' has '.': a protein sequence has only letters and '*'",
    ),
    "a title without its mark": (
        b">a\nMKV\nsp|P1|X title\nMKV\n",
        "protein",
        PUBLIC,
        (
            "record 1, line 3: 'a' has '|': a protein sequence has only letters and '*'; "
            "if this line is a title, put '>' before it"
        ),
    ),
    "what Word pastes and nobody sees": (
        ">a\nMK\u00a0V\u200b\n".encode(),
        "protein",
        PUBLIC,
        (
            "record 1, line 2: 'a' has no-break space (U+00A0), which cannot be seen, zero width space (U+200B), which "
            "cannot be seen: a protein sequence has only letters and '*'; paste it again as plain text"
        ),
    ),
    "no residues": (
        b">a\n>b\nM\n",
        "protein",
        PUBLIC,
        "record 1, line 1: 'a' has no residues: add its sequence or remove its defline",
    ),
    "only hyphens": (
        b">a\n---\n",
        "protein",
        PUBLIC,
        "record 1, line 1: 'a' has no residues: add its sequence or remove its defline",
    ),
    "too long a protein": (
        b">a\n" + b"M" * 102_401,
        "protein",
        PUBLIC,
        (
            "record 1, line 1: 'a' has 102,401 letters, over the limit of 102,400 for one protein sequence: "
            "cut it into pieces"
        ),
    ),
    "too long a nucleotide": (
        b">a\n" + b"A" * 1_048_577,
        "nucleotide",
        PUBLIC,
        (
            "record 1, line 1: 'a' has 1,048,577 letters, over the limit of 1,048,576 for one nucleotide sequence: "
            "cut it into pieces"
        ),
    ),
    "too many": (
        b">a\nM\n" * 101,
        "protein",
        PUBLIC,
        "the query has 101 sequences, over the limit of 100 a job: send it in several jobs",
    ),
    "too many bytes": (
        b">a\nMKVL\n",
        "protein",
        QueryLimits(query_bytes=7),
        "the query is over the limit of 7 bytes: send it in several jobs",
    ),
    "too many bytes once unpacked": (
        gzip.compress(b">a\n" + b"M" * 4_000_000, mtime=0),
        "protein",
        PUBLIC,
        "the query is over the limit of 3,145,728 bytes: send it in several jobs",
    ),
}


@pytest.mark.parametrize("name", BAD_QUERIES)
def test_check_query_refuses(name: str) -> None:
    source, molecule, limits, message = BAD_QUERIES[name]
    assert [str(problem) for problem in problems(source, molecule, limits)] == [message]


def test_check_query_collects_all_problems_in_order() -> None:
    found = problems(b">a\nM.\n>b\n>?c\nM\n>d\nM\nM+\n")
    assert [(p.record, p.line) for p in found] == [(1, 2), (2, 3), (3, 4), (4, 8)]


def test_check_query_tells_the_first_hundred_problems_and_counts_the_rest() -> None:
    found = problems(b">a\n" * 1101, limits=QueryLimits())
    assert len(found) == 101
    assert found[-1].message == "and 1,001 more problems like these"


def test_check_query_limits_results_and_says_what_would_fit() -> None:
    with pytest.raises(InvalidInputError) as refusal:
        check_query(b">a\nM\n" * 49, molecule="protein", limits=PUBLIC, max_target_seqs=500)
    (problem,) = refusal.value.problems
    assert problem.key == "max_target_seqs"
    assert "could give 25,000 results, over the limit of 10,000: set max_target_seqs to 200 or less" in problem.message


def test_check_query_allows_results_up_to_the_limit() -> None:
    query = check_query(b">a\nM\n" * 49, molecule="protein", limits=PUBLIC, max_target_seqs=200)
    assert query.sequences == 49


@pytest.mark.parametrize("residues", [b"ACGTUNRYSWKMBDHV", b"acgtunryswkmbdhv", b"ACG-TAC 12"])
def test_check_query_accepts_nucleotide_codes(residues: bytes) -> None:
    assert check(b">a\n" + residues, "nucleotide").sequences == 1


def test_check_query_accepts_all_letters_and_star_for_proteins() -> None:
    assert check(b">a\nABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz*\n").letters == 53


@pytest.mark.parametrize(
    ("residues", "warning"),
    [
        (b"MK-V12", "digits and hyphens are dropped, as BLAST+ does"),
        (b"MKuV", "U (selenocysteine) is scored as C, as BLAST+ does"),
        (b"MKOV", "O (pyrrolysine) is scored as X, as BLAST+ does"),
        (b"ACGTACGTACGTACGTACGT", "this looks like a nucleotide sequence; is blastx or blastn meant?"),
    ],
)
def test_check_query_warns_of_legal_oddities(residues: bytes, warning: str) -> None:
    assert check(b">a\n" + residues).warnings == (Problem(f"'a': {warning}", record=1, line=1),)


def test_check_query_collapses_warnings_of_one_kind() -> None:
    (warning,) = check(b">first\nMKV\n" + b"".join(b">s%d\nMU\n" % n for n in range(9))).warnings
    assert warning.message.startswith("'s0', 's1', 's2', 's3', 's4' and 4 more: U (selenocysteine)")
    assert (warning.record, warning.line) == (2, 3)


def test_check_query_warns_of_duplicate_names() -> None:
    (warning,) = check(b">a x\nMK\n>b\nMK\n>a y\nMV\n").warnings
    assert warning == Problem(
        "'a': an earlier sequence has the same name, so that a report cannot distinguish them", record=3, line=5
    )


def test_check_query_has_nothing_to_say_of_a_plain_query() -> None:
    assert check(b">a t\n" + PROTEIN + b"\n>b\nMKV*\n>\nMKL\n").warnings == ()


def test_query_can_be_read_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "q.fasta.gz"
    path.write_bytes(gzip.compress(b">a\nMK-V\n>b\nML\n"))
    query = check(path)
    first, second = (b"".join(s.canonical for s in query) for _ in range(2))
    assert first == second == b">a\nMKV\n>b\nML\n"


def test_query_counts_sequences_and_letters() -> None:
    query = check(b">a\nMK-V\n>b\nML\n")
    assert (query.sequences, query.letters) == (2, 5)


def test_no_limit_holds_when_limits_are_zero() -> None:
    limits = QueryLimits(sequences=0, query_bytes=0, longest_nucleotide=0, longest_protein=0, results=0)
    query = check_query(
        b">a\n" + b"M" * 2_000_000 + b"\n>b\nM" * 10_100, molecule="protein", limits=limits, max_target_seqs=1000
    )
    assert (query.sequences, query.letters) == (10_101, 2_010_100)


@pytest.mark.parametrize(
    ("text", "is_suspected"),
    [
        (b">a\nMKV\nb second protein\nMKV\n", True),
        (b"b second protein\nMKV\n", True),
        (b">a\nMKVLAAGIVG LCAKAYWQER\nLCAKAYWQER LCA\n", False),
        (b">a\n 1 MKVLAAGIVG LCAKAYWQER 20\n21 LCAK\n", False),
    ],
)
def test_residues_that_look_like_a_title_are_a_warning(text: bytes, is_suspected: bool) -> None:
    warned = [str(warning) for warning in check(text).warnings if "is a '>' missing?" in str(warning)]
    assert bool(warned) == is_suspected
    assert all(f"line {text.count(b'>') * 2 + 1}: " in one for one in warned)
