"""What a report can be asked for."""

from __future__ import annotations

from typing import Any

import pytest

from multiblast.errors import InvalidInputError
from multiblast.reports.formats import FORMATS, Formatting


def test_formats_stand_at_their_numbers() -> None:
    assert [one.number for one in FORMATS] == list(range(19))


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        ({"format_type": 19}, {"formatType"}),
        ({"format_type": -1}, {"formatType"}),
        ({"format_type": 5, "fields": ("std",)}, {"formatFields"}),
        ({"format_type": 6, "fields": ("std", "nosuch")}, {"formatFields"}),
        ({"format_type": 17, "fields": ("std",)}, {"formatFields"}),
        ({"format_type": 17, "delimiter": ","}, {"delimiter"}),
        ({"format_type": 6, "delimiter": " "}, {"delimiter"}),
        ({"format_type": 6, "num_descriptions": 3, "line_length": 9, "sort_hits": 1},
         {"numDescriptions", "lineLength", "sortHits"}),
        ({"format_type": 1, "sort_hsps": 1}, {"sortHSPs"}),
        ({"num_descriptions": 3, "num_alignments": 3, "max_target_sequences": 3}, {"numDescriptions", "numAlignments"}),
        ({"num_alignments": -1, "line_length": 0, "sort_hits": 5, "sort_hsps": 7},
         {"numAlignments", "lineLength", "sortHits", "sortHSPs"}),
        ({"max_target_sequences": 0}, {"maxTargetSequences"}),
    ],
)  # fmt: skip
def test_formatting_refuses_what_does_not_fit(options: dict[str, Any], keys: set[str]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Formatting(**options)
    assert set(caught.value.by_key) == keys


def test_formatting_becomes_options_of_the_formatter() -> None:
    formatting = Formatting(7, ("qseqid", "std"), "@", show_gis=True, num_alignments=3)
    assert formatting.arguments() == ["-outfmt", "7 delim=@ qseqid std", "-show_gis", "-num_alignments", "3"]


@pytest.mark.parametrize(
    ("formatting", "key"), [(Formatting(17), "formatType"), (Formatting(6, ("qcovus",)), "formatFields")]
)
def test_report_of_blastn_is_refused_to_other_programs(formatting: Formatting, key: str) -> None:
    formatting.check_program("blastn")
    with pytest.raises(InvalidInputError) as caught:
        formatting.check_program("blastp")
    assert set(caught.value.by_key) == {key}
