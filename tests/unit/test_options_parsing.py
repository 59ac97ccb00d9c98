"""Options as people write them: all problems at once, by the key they used."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from multiblast.errors import InvalidInputError, NotFoundError
from multiblast.options import EXCLUDED, PROGRAMS, options_for, options_from_config, parse_options


def refused(program: str, options: Any) -> dict[str, list[str]]:
    """Return what is wrong with options, by key."""
    with pytest.raises(InvalidInputError) as caught:
        parse_options(program, options)
    assert not caught.value.general
    return caught.value.by_key


def test_options_all_problems_are_reported_at_once() -> None:
    problems = refused("blastp", ["evalue=abc", "word_sise=3", "culling_limit=2", "best_hit_overhang=0.1", "seg=1 2"])
    assert set(problems) == {"evalue", "word_sise", "best_hit_overhang", "seg"}


def test_options_problem_names_the_value_and_what_is_possible() -> None:
    assert "'abc' is not possible" in refused("blastp", ["evalue=abc"])["evalue"][0]
    assert "'blastp-fast'" in refused("blastp", ["task=foo"])["task"][0]


@pytest.mark.parametrize(
    ("written", "meant"), [("eVlaue", "evalue"), ("max_target_seq", "max_target_seqs"), ("wordsize", "word_size")]
)
def test_options_unknown_name_gets_close_ones_suggested(written: str, meant: str) -> None:
    assert f"did you mean {meant}" in refused("blastp", {written: 1})[written][0]


def test_options_of_another_program_are_unknown() -> None:
    assert "blastp has no option 'dust'" in refused("blastp", {"dust": "no"})["dust"][0]


@pytest.mark.parametrize("name", sorted(EXCLUDED))
def test_options_left_out_on_purpose_are_refused_with_the_reason(name: str) -> None:
    assert EXCLUDED[name] in refused("blastp", {name: "x"})[name][0]


def test_options_left_out_of_one_program_are_refused_with_the_reason() -> None:
    assert "tblastn 2.12.0 crashes" in refused("tblastn", {"in_pssm": "x"})["in_pssm"][0]


def test_options_given_twice_are_refused() -> None:
    assert "as evalue before" in refused("blastp", ["evalue=1", "eValue=2"])["eValue"][0]


@pytest.mark.parametrize(
    ("program", "name"),
    [
        *(("blastp", name) for name in ("evalue", "max_target_seqs", "gapopen", "dbsize", "comp_based_stats")),
        *(("blastx", name) for name in ("query_gencode", "qcov_hsp_perc", "max_intron_length")),
        *(("blastn", name) for name in ("penalty", "template_length", "min_raw_gapped_score")),
    ],
)
def test_options_of_numbers_are_refused_without_a_value(program: str, name: str) -> None:
    """They would count as 1: a search that nobody wanted, and no word of it."""
    assert set(refused(program, [name])) == {name}
    assert set(refused(program, {name: True})) == {name}


def test_options_without_a_value_switch_on_what_can_be_on() -> None:
    assert parse_options("blastp", ["lcase_masking", "seg"]).changed() == {"lcase_masking": True, "seg": "12 2.2 2.5"}
    assert parse_options("blastn", ["-sum_stats"]).changed() == {"sum_stats": "true"}


def test_options_unknown_program_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="blastq"):
        parse_options("blastq")


@pytest.mark.parametrize(
    ("program", "options", "key"),
    [
        ("blastp", {"db_soft_mask": "1", "db_hard_mask": "2"}, "db_hard_mask"),
        ("blastp", {"culling_limit": 1, "best_hit_score_edge": 0.1}, "best_hit_score_edge"),
        ("blastp", {"taxids": "1", "negative_taxids": "2"}, "negative_taxids"),
        ("blastn", {"template_type": "coding", "word_size": 11}, "template_type"),
        ("blastn", {"template_length": 18}, "template_length"),
        (
            "blastn",
            {"task": "blastn", "template_type": "coding", "template_length": 18, "word_size": 11},
            "template_type",
        ),
        ("blastn", {"task": "rmblastn", "gapopen": 0, "gapextend": 0}, "gapopen"),
        ("tblastx", {"xdrop_ungap": 0}, "xdrop_ungap"),
        ("tblastx", {"xdrop_ungap": -1}, "xdrop_ungap"),
        ("tblastx", {"max_intron_length": 100}, "max_intron_length"),
        ("deltablast", {"domain_inclusion_ethresh": 0}, "domain_inclusion_ethresh"),
        ("blastp", {"query_loc": "9-9"}, "query_loc"),
        ("blastp", {"query_loc": f"9-{2**31}"}, "query_loc"),
        ("blastp", {"taxids": str(2**31)}, "taxids"),
        ("blastn", {"index_name": "x"}, "index_name"),
        ("blastn", {"task": "dc-megablast", "word_size": 28}, "word_size"),
        ("blastn", {"gapopen": 5}, "gapopen"),
        ("blastn", {"reward": 3, "penalty": -5}, "reward"),
        ("blastp", {"gapopen": 3, "gapextend": 3}, "gapopen"),
        ("blastp", {"gapextend": 3}, "gapextend"),
        ("blastp", {"matrix": "PAM30", "gapopen": 11}, "gapopen"),
        ("blastp", {"ungapped": True}, "ungapped"),
        ("blastp", {"query_loc": "9-3"}, "query_loc"),
        ("blastp", {"query_loc": "0-3"}, "query_loc"),
        ("psiblast", {"save_pssm_after_last_round": True}, "save_pssm_after_last_round"),
        ("psiblast", {"in_pssm": "0" * 32, "query_loc": "1-9"}, "in_pssm"),
        ("psiblast", {"matrix": "IDENTITY"}, "matrix"),
        ("blastp", {"word_size": 8}, "word_size"),
        ("blastp", {"evalue": 0}, "evalue"),
        ("blastp", {"evalue": "nan"}, "evalue"),
        ("blastp", {"threshold": 0}, "threshold"),
        ("blastp", {"max_target_seqs": 0}, "max_target_seqs"),
        ("blastp", {"qcov_hsp_perc": 100.1}, "qcov_hsp_perc"),
        ("blastp", {"best_hit_overhang": 0.5}, "best_hit_overhang"),
        ("blastn", {"penalty": 1}, "penalty"),
        ("blastn", {"template_length": 17, "template_type": "coding"}, "template_length"),
        ("blastx", {"query_gencode": 7}, "query_gencode"),
        ("blastn", {"dust": "20 64.5 1"}, "dust"),
        ("blastp", {"seg": {"enabled": True, "width": 3}}, "seg"),
    ],
)
def test_options_contradictions_and_values_out_of_range_are_refused(
    program: str, options: dict[str, Any], key: str
) -> None:
    assert set(refused(program, options)) == {key}


@pytest.mark.parametrize(
    "text", ["-remote", "a;b", "$(x)", "../x", "1-2 -remote", "1,2 -db x", "10\n-out x", "/etc/passwd"]
)
@pytest.mark.parametrize(
    ("program", "name"),
    [
        ("blastp", "query_loc"),
        ("blastp", "taxids"),
        ("blastp", "negative_taxids"),
        ("blastp", "db_soft_mask"),
        ("blastp", "seg"),
        ("blastn", "dust"),
        ("blastn", "index_name"),
        ("deltablast", "rpsdb"),
        ("psiblast", "in_pssm"),
        ("blastp", "matrix"),
        ("blastp", "comp_based_stats"),
    ],
)
def test_options_text_never_becomes_another_option_or_a_path(program: str, name: str, text: str) -> None:
    assert set(refused(program, {name: text})) == {name}


def test_options_errors_survive_pickle() -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_options("blastp", ["evalue=abc"])
    assert pickle.loads(pickle.dumps(caught.value)).problems == caught.value.problems  # noqa: S301  # our own bytes


@pytest.mark.parametrize("program", PROGRAMS)
def test_options_every_multiblast_spelling_is_distinct(program: str) -> None:
    model = options_for(program)
    spellings = [model.declared[name].config for name in model.declared]
    assert all(spellings)
    assert len(set(spellings)) == len(spellings)


def test_options_config_of_multiblast_is_understood() -> None:
    options = options_from_config(
        {
            "tool": "blastn",
            "eValue": "1e-5",
            "queryLocation": {"start": 1, "stop": 90},
            "lowercaseMasking": True,
            "maxTargetSequences": 50,
            "queryCoverageHSPPercent": None,
            "wordSize": 11,
            "dust": {"enabled": True, "level": 21},
            "templateType": "coding-and-optimal",
            "templateLength": 18,
            "searchSpace": 4_000_000_000,
            "softMasking": False,
        }
    )
    assert options.changed() == {
        "evalue": 1e-5,
        "max_target_seqs": 50,
        "query_loc": "1-90",
        "word_size": 11,
        "dust": "21 64 1",
        "soft_masking": False,
        "lcase_masking": True,
        "template_type": "coding_and_optimal",
        "template_length": 18,
        "searchsp": 4_000_000_000,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("none", "0"),
        ("comp-based-stats", "1"),
        ("comp-based-score-adjustment-conditional", "2"),
        ("comp-based-score-adjustment-unconditional", "3"),
    ],
)
def test_options_config_names_of_composition_statistics(name: str, value: str) -> None:
    options = options_from_config({"tool": "blastp", "compBasedStats": name})
    assert options.model_dump()["comp_based_stats"] == value


def test_options_config_seg_switched_off() -> None:
    assert options_from_config({"tool": "blastx", "seg": {"enabled": False}}).changed() == {"seg": "no"}


def test_options_config_problems_have_the_key_as_written() -> None:
    with pytest.raises(InvalidInputError) as caught:
        options_from_config({"tool": "blastp", "eValue": "abc", "dbSoftMask": "1", "dbHardMask": "2", "sege": 1})
    assert set(caught.value.by_key) == {"blastConfig.eValue", "blastConfig.dbHardMask", "blastConfig.sege"}


@pytest.mark.parametrize("config", [{}, {"tool": "blast"}, {"tool": None}, {"tool": ["blastp"]}])
def test_options_config_needs_a_program(config: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        options_from_config(config)
    assert set(caught.value.by_key) == {"blastConfig.tool"}
