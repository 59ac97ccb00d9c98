"""Options: one meaning, one canonical form, one argument list."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiblast.errors import InvalidInputError
from multiblast.options import PROGRAMS, Options, options_for, parse_options

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "evalue": st.floats(1e-180, 1e6),
    "max_target_seqs": st.integers(1, 10_000),
    "max_hsps": st.integers(1, 100),
    "qcov_hsp_perc": st.floats(0, 100),
    "query_loc": st.tuples(st.integers(1, 99), st.integers(1, 99)).map(lambda pair: f"{pair[0]}-{sum(pair)}"),
    "dbsize": st.integers(0, 2**63 - 1),
    "seg": st.sampled_from(["yes", "no", "12 2.2 2.5", "10 1.8 2.1"]),
    "soft_masking": st.booleans(),
    "lcase_masking": st.booleans(),
    "taxids": st.lists(st.integers(1, 10**9), max_size=4),
    "subject_besthit": st.booleans(),
    "culling_limit": st.integers(0, 9),
    "comp_based_stats": st.sampled_from(["0", "1"]),
    "xdrop_gap": st.floats(1, 100),
    "word_size": st.integers(4, 5),
    "strand": st.sampled_from(["both", "plus", "minus"]),
    "query_gencode": st.sampled_from([1, 2, 11, 33]),
    "parse_deflines": st.booleans(),
}


@st.composite
def searches(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Draw a program and some of its options."""
    program = draw(st.sampled_from(PROGRAMS))
    names = [name for name in VALUES if name in options_for(program).declared]
    return program, {name: draw(VALUES[name]) for name in draw(st.lists(st.sampled_from(names), unique=True))}


@given(searches(), st.randoms(use_true_random=False))
def test_options_order_of_giving_changes_nothing(search: tuple[str, dict[str, Any]], chance: random.Random) -> None:
    program, values = search
    shuffled = list(values.items())
    chance.shuffle(shuffled)
    one, other = parse_options(program, values), parse_options(program, dict(shuffled))
    assert list(one.changed().items()) == list(other.changed().items())
    assert one.arguments({"rpsdb": "p"}) == other.arguments({"rpsdb": "p"})


@pytest.mark.parametrize(
    ("program", "task"), [(program, task) for program in PROGRAMS for task in options_for(program).task_names()]
)
def test_options_with_every_default_said_mean_the_same(program: str, task: str) -> None:
    given = {"task": task} if "task" in options_for(program).declared else {}
    options = parse_options(program, given)
    assert parse_options(program, options.explicit()).changed() == options.changed()
    # For short queries, versions of BLAST+ differ in it: what is given then always counts.
    assert options.explicit().get("evalue") == (None if task.endswith("-short") else 10)


@given(searches())
def test_options_are_said_in_full_in_one_way(search: tuple[str, dict[str, Any]]) -> None:
    options = parse_options(*search)
    again = parse_options(options.program, options.explicit())
    assert (again.changed(), again.explicit()) == (options.changed(), options.explicit())


@given(searches())
def test_options_read_back_from_their_canonical_form(search: tuple[str, dict[str, Any]]) -> None:
    options = parse_options(*search)
    assert parse_options(options.program, options.changed()).changed() == options.changed()


@given(searches())
def test_options_read_back_from_text(search: tuple[str, dict[str, Any]]) -> None:
    options = parse_options(*search)
    texts = [f"{name}={value!s}" for name, value in options.changed().items()]
    assert parse_options(options.program, texts).changed() == options.changed()


@given(searches())
def test_options_survive_json(search: tuple[str, dict[str, Any]]) -> None:
    options = parse_options(*search)
    assert type(options).model_validate_json(options.model_dump_json()) == options


@given(searches(), searches())
def test_options_arguments_and_deciding_options_differ_together(
    one: tuple[str, dict[str, Any]], other: tuple[str, dict[str, Any]]
) -> None:
    first, second = parse_options(*one), parse_options(one[0], _fitting(one[0], other[1]))
    same = first.deciding() == second.deciding()
    assert same == (first.arguments({"rpsdb": "p"}) == second.arguments({"rpsdb": "p"}))


def _fitting(program: str, values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in options_for(program).declared}


@pytest.mark.parametrize("text", ["10", 10, 10.0, "1e1", "10.0", "1E+1"])
def test_options_spellings_of_a_number_mean_the_same(text: object) -> None:
    assert parse_options("blastp", {"evalue": text}).changed() == {}


@pytest.mark.parametrize(
    ("program", "one", "other"),
    [
        ("blastp", {"taxids": "9606, 562,9606"}, {"taxids": [562, 9606]}),
        ("blastp", {"seg": "yes"}, {"seg": "12 2.20 2.5"}),
        ("blastn", {"dust": "yes"}, {}),
        ("blastp", {"comp_based_stats": "F"}, {"comp_based_stats": 0}),
        ("rpsblast", {"comp_based_stats": "t"}, {}),
        ("blastp", {"matrix": "blosum62"}, {}),
        ("blastp", {"query_loc": "007-20"}, {"query_loc": {"start": 7, "stop": 20}}),
        ("blastn", {"sum_stats": True}, {"sum_stats": "true"}),
        ("blastn", {"word_size": 28}, {}),
        ("blastn", {"task": "blastn", "word_size": 11, "gapopen": 5}, {"task": "blastn"}),
        ("blastp", {"task": "blastp-short", "matrix": "PAM30", "gapopen": 9}, {"task": "blastp-short"}),
        ("blastx", {"query_gencode": "1"}, {}),
    ],
)
def test_options_equal_meaning_has_equal_form(program: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    assert parse_options(program, one).changed() == parse_options(program, other).changed()


@pytest.mark.parametrize(
    ("program", "options", "kept"),
    [
        ("blastn", {"task": "blastn", "word_size": 28}, "word_size"),
        ("blastp", {"matrix": "PAM30", "gapopen": 9}, "gapopen"),
        ("blastp", {"matrix": "PAM70", "threshold": 11}, "threshold"),
        ("blastp", {"task": "blastp-short", "matrix": "BLOSUM62"}, "matrix"),
        ("blastp", {"task": "blastp-short", "evalue": 10}, "evalue"),
        ("blastn", {"task": "blastn-short", "evalue": 10}, "evalue"),
        ("blastn", {"task": "blastn-short", "dust": "yes"}, "dust"),
        ("blastx", {"seg": "no"}, "seg"),
        ("blastn", {"soft_masking": False}, "soft_masking"),
    ],
)
def test_options_what_is_default_elsewhere_is_kept(program: str, options: dict[str, Any], kept: str) -> None:
    assert kept in parse_options(program, options).changed()


@pytest.mark.parametrize("template", [("coding", 21), ("optimal", 18)])
def test_options_that_another_one_needs_are_kept_at_their_default(template: tuple[str, int]) -> None:
    given = {"task": "dc-megablast", "template_type": template[0], "template_length": template[1]}
    options = parse_options("blastn", given)
    assert options.changed() == given
    assert parse_options("blastn", options.changed()) == options
    assert options.arguments()[2:] == ["-template_type", template[0], "-template_length", str(template[1])]


def test_options_argument_list_is_as_blast_reads_it() -> None:
    options = parse_options("blastp", ["ungapped", "evalue=1e-5", "comp_based_stats=0", "soft_masking=true"])
    assert options.arguments() == ["-evalue", "1e-05", "-comp_based_stats", "0", "-soft_masking", "true", "-ungapped"]


def test_options_that_decide_nothing_count_for_the_job_but_not_for_the_search() -> None:
    options = options_for("blastp")(parse_deflines=True)
    assert (options.changed(), options.deciding(), options.arguments()) == ({"parse_deflines": True}, {}, [])


def test_options_named_things_get_their_path_from_the_caller() -> None:
    options = parse_options("deltablast", {"rpsdb": "site/domains/cdd"})
    assert options.named() == {"rpsdb": "site/domains/cdd"}
    assert options.arguments({"rpsdb": "/db/cdd"}) == ["-rpsdb", "/db/cdd"]
    with pytest.raises(KeyError):
        options.arguments()


def test_options_profile_is_written_where_the_caller_says() -> None:
    options = parse_options("psiblast", ["num_iterations=2", "out_pssm"])
    assert options.changed() == {"num_iterations": 2, "out_pssm": True}
    assert options.arguments({"out_pssm": "x.asn"}) == ["-num_iterations", "2", "-out_pssm", "x.asn"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_options_explicit_defaults_of_every_task_are_dropped(program: str) -> None:
    model = options_for(program)
    for task in model.task_names():
        chosen = {"task": task} if "task" in model.model_fields else {}
        given = parse_options(program, {**model.defaults(task), **chosen}).changed()
        assert given == ({} if task == model.task_names()[0] else chosen)


@pytest.mark.parametrize("program", PROGRAMS)
def test_options_form_shows_plain_inputs_in_order(program: str) -> None:
    model: type[Options] = options_for(program)
    fields = model.model_json_schema()["properties"]
    assert list(fields) == ["program", *model.declared]
    for position, (name, field) in enumerate(fields.items()):
        assert field["title"] == name
        assert field["position"] == position
        assert "anyOf" not in field
        assert field.get("default", "") is not None
        assert field["description"].endswith(".")


def test_options_form_says_what_an_empty_input_means() -> None:
    fields = options_for("blastn").model_json_schema()["properties"]
    assert "Empty: 28 for megablast; 11 for dc-megablast, blastn;" in fields["word_size"]["description"]


def test_options_are_immutable() -> None:
    with pytest.raises(ValueError, match="frozen"):
        options_for("blastp")().evalue = 1.0  # type: ignore[misc]  # that it must not be possible is the point


def test_options_contradictions_are_refused_when_built_directly() -> None:
    with pytest.raises(ValueError, match="cannot stand together") as caught:
        options_for("blastp")(db_soft_mask="10", db_hard_mask="11")
    assert not isinstance(caught.value, InvalidInputError)
