"""What a plan warns of though nothing is wrong."""

from __future__ import annotations

import pytest

from multiblast.options import parse_options
from multiblast.search.advice import advice


@pytest.mark.parametrize(
    ("program", "option", "said"),
    [
        ("blastp", "use_sw_tback", "use_sw_tback takes"),
        ("blastp", "threshold=6", "threshold 6 takes"),
        ("blastn", "word_size=4", "word_size 4 is extremely slow"),
        ("psiblast", "num_iterations=0", "until nothing new is found"),
        ("blastp", "max_target_seqs=1", "does not mean the best 1"),
    ],
)
def test_advice_warns_of_an_option_and_not_of_its_usual_value(program: str, option: str, said: str) -> None:
    assert [said in text for text in advice(parse_options(program, [option]), [500])] == [True]
    assert list(advice(parse_options(program), [500])) == []


def test_advice_warns_of_short_sequences_without_the_short_task() -> None:
    assert len(list(advice(parse_options("blastn"), [20, 500]))) == 1
    assert list(advice(parse_options("blastn", ["task=blastn-short"]), [20, 500])) == []


@pytest.mark.parametrize("option", ["word_size=7", "word_size=11"])
def test_advice_does_not_warn_of_words_that_are_long_enough(option: str) -> None:
    assert list(advice(parse_options("blastn", ["task=blastn", option]), [500])) == []
