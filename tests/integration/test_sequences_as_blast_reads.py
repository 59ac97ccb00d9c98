"""Names and residues are those that the real programs take from the same file."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from multiblast.sequences import read_fasta

SUBJECT = b">s\nMKVLAAGIVGLCAKAYWQERTYHGFDSAPLKMNVCWQE\n"
QUERIES = {
    "plain": b">a t\nMKVLAAGIVG\n>b\nLCAKAYWQ\n",
    "crlf": b">a\r\nMKVLA\r\nAGIVG\r\n",
    "cr": b">a\rMKVLA\rAGIVG\r",
    "untitled": b"\nMKVLAAGIVG\nLCAK\n",
    "untitled first": b"MKVLAAGIVG\n>b\nLCAKAYWQ\n",
    "blanks around the name": b">  a   t  \nMKVLAAGIVG\n",
    "empty name": b"> \nMKVLAAGIVG\n",
    "control characters": b">a t\x01b u\nMKVLAAGIVG\n>c\tt\nMKVLAAGIVG\n",
    "blanks and tabs before the name": b">\ta t\nMKVLAAGIVG\n> \x0bb\nLCAKAYWQ\n",
    "a question mark after a blank": b">a t\nMKVLAAGIVG\n> ?b y\nLCAKAYWQ\n",
    "angle brackets": b">>a> t\nMKVLAAGIVG\n",
    "comments": b";x\n>a\n#x\nMKVLAA\n!x\nGIVG\n",
    "digits, blanks and hyphens": b">a\nMKVLAAGIVGLC 10\n2 AK-AYWQ\x0bER\n",
    "odd letters": b">a\nMKVJOUBZX*AAGIVG\n",
    "non-ascii titles": b">\xe9 t\nMKVLAAGIVG\n>\xc3\xa9 t\nMKVLAAGIVG\n",
}


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("subject") / "subject.fasta"
    path.write_bytes(SUBJECT)
    return path


@pytest.mark.parametrize("name", QUERIES)
def test_titles_and_lengths_are_those_of_blastp(name: str, subject: Path, tmp_path: Path) -> None:
    query = tmp_path / "query.fasta"
    query.write_bytes(QUERIES[name])
    command = ["blastp", "-query", str(query), "-subject", str(subject), "-outfmt", "0"]
    report = subprocess.run(command, capture_output=True, check=True).stdout
    seen = re.findall(rb"^Query= ?(.*)\n+Length=(\d+)", report, re.MULTILINE)
    assert [(s.defline, b"%d" % s.length) for s in read_fasta(QUERIES[name])] == seen


@pytest.mark.parametrize("name", QUERIES)
def test_canonical_query_gives_the_same_report(name: str, subject: Path, tmp_path: Path) -> None:
    canonical = b"".join(s.canonical for s in read_fasta(QUERIES[name]))
    reports = []
    for text in (QUERIES[name], canonical):
        query = tmp_path / "query.fasta"
        query.write_bytes(text)
        command = ["blastp", "-query", str(query), "-subject", str(subject), "-outfmt", "0", "-evalue", "1000"]
        reports.append(subprocess.run(command, capture_output=True, check=True).stdout)
    assert reports[0] == reports[1]
