"""What is declared about options holds together, whatever BLAST+ is installed."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import pytest

from multiblast.options import EXCLUDED, PROGRAMS, options_for, parse_options
from multiblast.options.declarations import OPTIONS
from multiblast.options.declarations.shared import ALL
from multiblast.options.option import NOWHERE, Option

TASKS = {task for program in PROGRAMS for task in options_for(program).task_names()}


def test_options_are_declared_once_for_each_program() -> None:
    pairs = [(option.name, program) for option in OPTIONS for program in option.programs]
    assert len(pairs) == len(set(pairs))
    assert set(PROGRAMS) == ALL


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: f"{option.name}-{min(option.programs)}")
def test_options_name_only_programs_tasks_and_options_that_exist(option: Option) -> None:
    names = {other.name for other in OPTIONS}
    assert option.name not in EXCLUDED
    assert option.programs
    assert {*option.programs, *option.independent_in, *option.by_program} <= ALL
    assert option.by_task.keys() <= TASKS
    assert {*option.excludes, *option.requires} <= names - {option.name}


def test_options_cannot_be_declared_without_a_word_on_independence() -> None:
    with pytest.raises(TypeError, match="independent_in"):
        Option("new", "new", "Text.", int, default=0, programs=ALL)  # type: ignore[call-arg]  # that is the point


def test_options_that_need_their_own_process_are_never_independent() -> None:
    assert {option.name for option in OPTIONS if option.needs_own_process and option.independent_in != NOWHERE} == set()


@pytest.mark.parametrize(
    ("since", "until", "version", "there"),
    [
        ("", {}, "2.12.0+", True),
        ("2.15.0", {}, "2.12.0+", False),
        ("2.15.0", {}, "2.15.0+", True),
        ("2.9.0", {}, "2.12.0+", True),  # numbers, not text
        ("", {"blastn": "2.13.0"}, "2.12.0+", True),
        ("", {"blastn": "2.13.0"}, "2.13.0+", False),
        ("", {"blastx": "2.13.0"}, "2.13.0+", True),
    ],
)
def test_options_are_there_from_one_version_until_another(
    since: str, until: dict[str, str], version: str, *, there: bool
) -> None:
    assert replace(OPTIONS[0], since=since, until=until).is_in("blastn", version) == there


def test_options_that_the_installed_version_lacks_are_refused_by_key() -> None:
    taxa, sums = parse_options("blastn", {"no_taxid_expansion": True}), parse_options("blastn", {"sum_stats": "true"})
    assert [str(problem) for problem in taxa.missing_in("2.12.0+")] == [
        "no_taxid_expansion: blastn has it only since BLAST+ 2.16.0; 2.12.0+ is installed: leave it out"
    ]
    assert [str(problem) for problem in sums.missing_in("2.17.0+")] == [
        "sum_stats: blastn has it only before BLAST+ 2.16.0; 2.17.0+ is installed: leave it out"
    ]
    assert not [*taxa.missing_in("2.16.0+"), *sums.missing_in("2.12.0+")]
    assert not list(parse_options("blastx", {"sum_stats": "true"}).missing_in("2.17.0+"))
    versions = {version: options_for("blastn").declared_in(version) for version in ("", "2.12.0+", "2.17.0+")}
    assert [("sum_stats" in there, "no_taxid_expansion" in there) for there in versions.values()] == [
        (True, True),
        (True, False),
        (False, True),
    ]


@pytest.mark.parametrize(
    ("program", "given", "fact", "value"),
    [
        ("blastp", {}, "profile", ""),
        ("psiblast", {"in_pssm": "0" * 32}, "profile", "0" * 32),
        ("blastn", {"lcase_masking": True}, "keeps_case", True),
        ("blastn", {}, "keeps_case", False),
        ("rpsblast", {"parse_deflines": True}, "reads_titles", True),
        ("tblastx", {"max_target_seqs": 7}, "most_targets", 7),
        ("tblastx", {}, "most_targets", 500),
        ("blastn", {}, "megablast_index", None),
        ("blastn", {"use_index": True}, "megablast_index", ""),
        ("blastn", {"use_index": True, "index_name": "old"}, "megablast_index", "old"),
        ("blastp", {"use_sw_tback": True}, "megablast_index", None),
        ("blastx", {}, "chosen_task", "blastx"),
        ("tblastx", {}, "chosen_task", ""),
    ],
)
def test_options_are_read_by_what_they_mean(program: str, given: dict[str, Any], fact: str, value: object) -> None:
    assert getattr(parse_options(program, given), fact) == value


@pytest.mark.parametrize("program", PROGRAMS)
def test_options_survive_pickle(program: str) -> None:
    options = parse_options(program, {"evalue": 1})
    assert pickle.loads(pickle.dumps(options)) == options  # noqa: S301  # our own bytes
