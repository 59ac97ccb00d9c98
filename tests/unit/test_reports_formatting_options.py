"""What a report can be asked for."""

from __future__ import annotations

from typing import Any

import pytest

from multiblast.errors import InvalidInputError
from multiblast.reports import Formatting
from multiblast.reports.formats import FORMATS


def test_formats_of_blast_are_called_as_outfmt_has_them() -> None:
    assert [row.name for row in FORMATS.values() if row.write is None] == [str(number) for number in range(19)]
    assert {name: row.name for name, row in FORMATS.items()} == {name: name for name in FORMATS}


@pytest.mark.parametrize("given", [6, "6", "6 tabular", " 6"])
def test_format_is_known_by_number_text_and_choice(given: object) -> None:
    assert Formatting.read(given).format == "6"


@pytest.mark.parametrize(
    ("format", "options", "keys"),
    [
        (19, {}, {"formatType"}),
        (-1, {}, {"formatType"}),
        ("", {}, {"formatType"}),
        (5, {"formatFields": "std"}, {"formatFields"}),
        (6, {"formatFields": "std nosuch"}, {"formatFields"}),
        (17, {"formatFields": ["std"]}, {"formatFields"}),
        (17, {"delimiter": ","}, {"delimiter"}),
        (6, {"delimiter": " "}, {"delimiter"}),
        (6, {"numDescriptions": 3, "lineLength": 9, "sortHits": 1}, {"numDescriptions", "lineLength", "sortHits"}),
        (1, {"sortHSPs": 1}, {"sortHSPs"}),
        (0, {"numDescriptions": 3, "numAlignments": 3, "maxTargetSequences": 3}, {"numDescriptions", "numAlignments"}),
        (0, {"numAlignments": -1, "lineLength": 0, "sortHits": 5, "sortHSPs": 7},
         {"numAlignments", "lineLength", "sortHits", "sortHSPs"}),
        (0, {"maxTargetSequences": 0}, {"maxTargetSequences"}),
        (0, {"maxTargetSequences": "1" * 10}, {"maxTargetSequences"}),
        (0, {"numDescriptions": "five", "html": "maybe", "out": "/etc/passwd"}, {"numDescriptions", "html", "out"}),
        (0, {"lineLength": True, "sortHits": False}, {"lineLength", "sortHits"}),
        (0, {"num_descriptions": 3}, {"num_descriptions"}),
        ("html", {"formatFields": "std", "html": "true"}, {"formatFields", "html"}),
    ],
)  # fmt: skip
def test_formatting_refuses_what_does_not_fit(
    format: object,  # noqa: A002 - BLAST+'s own word for it
    options: dict[str, Any],
    keys: set[str],
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Formatting.read(format, options=options)
    assert set(caught.value.by_key) == keys


def test_formatting_becomes_options_of_the_formatter() -> None:
    options = {"formatFields": ["qseqid", "std"], "delimiter": "@", "showGIs": "", "numAlignments": "3"}
    formatting = Formatting.read(7, options=options)
    assert formatting.arguments() == ["-outfmt", "7 delim=@ qseqid std", "-show_gis", "-num_alignments", "3"]


@pytest.mark.parametrize(
    "text", ["10", "6 std stitle", "6 delim=@", "7 delim=;; qseqid std", "10 delim== qseqid", "17 SQ"]
)
def test_formatting_is_read_as_outfmt_has_it_and_written_so(text: str) -> None:
    formatting = Formatting.read_outfmt(text)
    assert formatting.outfmt == text
    assert Formatting.read_outfmt(f" {text.replace(' ', '  ')} ") == formatting


@pytest.mark.parametrize("text", ["5 delim=@", "6 delim=é std", "6 std delim=@"])
def test_outfmt_with_a_delimiter_that_does_not_fit_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        Formatting.read_outfmt(text)


def test_formatting_counts_for_ids_by_what_is_not_default() -> None:
    options = {"html": "FALSE", "numAlignments": "3", "sortHSPs": None}
    assert Formatting.read("0 pairwise text", options=options).changed() == {"formatType": "0", "numAlignments": 3}
    assert Formatting.read(6, fields=" qseqid  std").changed() == {
        "formatType": "6",
        "formatFields": ["qseqid", "std"],
    }


@pytest.mark.parametrize(
    ("formatting", "key"),
    [
        (Formatting(format="17"), "formatType"),
        (Formatting(format="6", fields=("qcovus",)), "formatFields"),
    ],
)
def test_report_of_blastn_is_refused_to_other_programs(formatting: Formatting, key: str) -> None:
    formatting.check_program("blastn")
    with pytest.raises(InvalidInputError) as caught:
        formatting.check_program("blastp")
    assert set(caught.value.by_key) == {key}
