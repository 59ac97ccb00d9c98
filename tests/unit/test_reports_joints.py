"""Documents of some queries each, put together as BLAST+ prints one of all."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest

from multiblast.errors import ArchiveError
from multiblast.reports.joints import JSON, XML, Joint, join_documents


def joined(directory: Path, documents: list[bytes], joint: Joint) -> bytes:
    paths = [directory / f"{number}.part" for number in range(len(documents))]
    for path, document in zip(paths, documents, strict=True):
        path.write_bytes(document)
    output = BytesIO()
    join_documents(iter(paths), output, joint)
    assert not any(path.exists() for path in paths)
    return output.getvalue()


def xml(*numbers: int, filling: bytes = b"") -> bytes:
    iterations = b"".join(
        b"<Iteration>\n<Iteration_iter-num>%d</Iteration_iter-num>\n%s</Iteration>\n" % (number, filling)
        for number in numbers
    )
    return b"<?xml?>\n<BlastOutput_iterations>\n%s</BlastOutput_iterations>\n</BlastOutput>\n\n" % iterations


@pytest.mark.parametrize("filling", [b"", b"<x/>\n" * 40_000], ids=["short", "long"])
def test_numbers_of_queries_go_on_from_one_document_to_the_next(tmp_path: Path, filling: bytes) -> None:
    documents = [xml(1, 2, filling=filling), xml(1, filling=filling), xml(1, 2, filling=filling)]
    assert joined(tmp_path, documents, XML) == xml(1, 2, 3, 4, 5, filling=filling)


def test_reports_of_json_are_separated_as_in_one_document(tmp_path: Path) -> None:
    documents = [b'{\n"BlastOutput2": [\n{ "report": %d }\n]\n}\n' % number for number in (1, 2)]
    assert joined(tmp_path, documents, JSON) == b'{\n"BlastOutput2": [\n{ "report": 1 }\n,\n{ "report": 2 }\n]\n}\n'


def test_document_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="does not begin or end as it should"):
        joined(tmp_path, [xml(1), xml(1)[:40]], XML)
