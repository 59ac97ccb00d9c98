"""FASTA is read as BLAST+ reads it, whatever it looks like."""

from __future__ import annotations

import gzip
import io
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiblast.errors import InvalidInputError
from multiblast.sequences import Sequence, read_fasta
from multiblast.sequences.fasta import scan

READINGS = {
    "plain": (b">a t\nMKV\n", [(b"a t", b"MKV", 1)]),
    "no last line end": (b">a\nMKV", [(b"a", b"MKV", 1)]),
    "crlf": (b">a\r\nMK\r\nV\r\n>b\r\nL\r\n", [(b"a", b"MKV", 1), (b"b", b"L", 4)]),
    "cr": (b">a\rMK\rV\r>b\rL\r", [(b"a", b"MKV", 1), (b"b", b"L", 4)]),
    "blank lines": (b"\n\n>a\n\nMK\n\nV\n\n>b\nL", [(b"a", b"MKV", 3), (b"b", b"L", 9)]),
    "lower case": (b">a\nmkV\n", [(b"a", b"mkV", 1)]),
    "no defline": (b"\nMK\nV\n", [(b"", b"MKV", 2)]),
    "no first defline": (b"MKV\n>b\nL\n", [(b"", b"MKV", 1), (b"b", b"L", 2)]),
    "blank before the name": (b">  a   t  \nMKV\n", [(b"a   t", b"MKV", 1)]),
    "no name": (b">\nMKV\n> \nL\n", [(b"", b"MKV", 1), (b"", b"L", 3)]),
    "the same name twice": (b">a\nM\n>a\nM\n", [(b"a", b"M", 1), (b"a", b"M", 3)]),
    "no residues": (b">a\n>b\nM\n", [(b"a", b"", 1), (b"b", b"M", 2)]),
    "comments": (b";x\n>a\n#x\nMK\n!x\nV\n>b\nL\n", [(b"a", b"MKV", 2), (b"b", b"L", 7)]),
    "a comment mark within a title": (b">a;b #c !d\nM\n", [(b"a;b #c !d", b"M", 1)]),
    "byte order mark": (b"\xef\xbb\xbf>a\nM\n", [(b"a", b"M", 1)]),
    "numbers and blanks": (b">a\n 1 MKV lag\t10\n11 WW\x0bW\n", [(b"a", b"MKVlagWWW", 1)]),
    "hyphens and stars": (b">a\nMK--V*\n", [(b"a", b"MKV*", 1)]),
    "latin-1 title": (b">\xe9 t\nM\n", [(b"\xe9 t", b"M", 1)]),
    "utf-8 title": (">\u03b1\nM".encode(), [("\u03b1".encode(), b"M", 1)]),
    "two deflines in one": (b">a t\x01b u\nM\n", [(b"a t", b"M", 1)]),
    "a tab in the defline": (b">a\tt\nM\n", [(b"a", b"M", 1)]),
    "a tab before the name": (b">\tb c\nM\n", [(b"b c", b"M", 1)]),
    "a question mark after a blank": (b"> ?b y\nM\n", [(b"?b y", b"M", 1)]),
    "two angle brackets": (b">>a>\nM\n", [(b">a>", b"M", 1)]),
    "nothing": (b"", []),
    "blank": (b" \n\r\n", []),
}


def parts(sequences: Iterator[Sequence]) -> list[tuple[bytes, bytes, int]]:
    return [(s.defline, s.residues, s.line) for s in sequences]


@pytest.mark.parametrize("name", READINGS)
def test_read_fasta_reads(name: str) -> None:
    text, expected = READINGS[name]
    assert parts(read_fasta(text)) == expected


@pytest.mark.parametrize("name", READINGS)
def test_read_fasta_reads_the_same_in_blocks_of_any_size(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, expected = READINGS[name]
    for size in (3, 5, 7):
        monkeypatch.setattr("multiblast.sequences.fasta._BLOCK_BYTES", size)
        assert parts(read_fasta(text)) == expected


def test_read_fasta_numbers_sequences_from_one() -> None:
    assert [s.number for s in read_fasta(">a\nM\n>b\nM\n")] == [1, 2]


def test_read_fasta_takes_text_bytes_path_and_file(tmp_path: Path) -> None:
    path = tmp_path / "query.fasta"
    path.write_bytes(b">a\nMKV\n")
    sources = [">a\nMKV\n", b">a\nMKV\n", path, io.BytesIO(b">a\nMKV\n")]
    assert [parts(read_fasta(source)) for source in sources] == [[(b"a", b"MKV", 1)]] * 4


def test_read_fasta_leaves_the_callers_file_open() -> None:
    stream = io.BytesIO(b">a\nMKV\n")
    list(read_fasta(stream))
    assert not stream.closed


def test_read_fasta_unpacks_gzip_of_several_members(tmp_path: Path) -> None:
    path = tmp_path / "query.fasta"
    path.write_bytes(gzip.compress(b">a\nMK", mtime=0) + gzip.compress(b"V\n>b\nL\n"))
    assert parts(read_fasta(path)) == [(b"a", b"MKV", 1), (b"b", b"L", 3)]


@pytest.mark.parametrize("name", READINGS)
def test_read_fasta_reads_the_same_from_gzip(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, expected = READINGS[name]
    monkeypatch.setattr("multiblast.sequences.fasta._BLOCK_BYTES", 9)
    assert parts(read_fasta(gzip.compress(text, mtime=0))) == expected


@pytest.mark.parametrize(
    ("text", "defline"),
    [
        (b">a\tthe title\nM\n", b"a the title"),
        (b">\ta \t b\tc\nM\n", b"a b"),
        (b">a  the\x01title\nM\n", b"a  the"),
        (b">lcl|a\vx\nM\n", b"lcl|a x"),
    ],
)
def test_scan_reads_ids_in_titles_as_blast_does(text: bytes, defline: bytes) -> None:
    (record,) = scan(text, reads_ids=True)
    assert (record.defline, record.flaw) == (defline, "")


@pytest.mark.parametrize("text", [b">a\x01b\nM\n", b">a \x02\nM\n", b">\x03\nM\n"])
def test_scan_refuses_a_control_character_where_a_title_begins_after_its_id(text: bytes) -> None:
    (record,) = scan(text, reads_ids=True)
    assert "cannot begin with a control character" in record.flaw


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (gzip.compress(b">a\nMKV\n", mtime=0)[:-9], "ends too early"),
        (gzip.compress(b">a\nMKV\n" * 99, mtime=0)[:20] + b"damaged", "damaged"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "PNG image"),
        (b"PK\x03\x04\x14\0", "zip archive"),
        (b"%PDF-1.7\n", "PDF"),
        (">a\nMKV\n".encode("utf-16"), "UTF-16"),
        (b"BZh91AY&SY", "bzip2"),
        (b">a\nMK\0V\n", "binary file"),
        (b">?12\nMKV\n", "cannot begin with '>\\?'"),
        (b">" + b"a" * 70_000 + b"\nMKV\n", "longer than 65,536 bytes"),
        (b">\x01b\nMKV\n", "cannot begin with a control character \\(code 1\\)"),
        (b"@read1\nACGT\n+\nIIII\n", "this is FASTQ, not FASTA: convert it"),
        (b"\nLOCUS       AB000001 450 bp\n", "this is a GenBank record"),
        (b"ID   P12345; SV 1\n", "this is an EMBL or UniProt record"),
        (b"CLUSTAL W\n", "this is a Clustal alignment"),
        (b"# STOCKHOLM 1.0\n", "this is a Stockholm alignment"),
        (b"<!DOCTYPE html>\n", "this is HTML"),
        (b"P12345\n", "'P12345' looks like an accession"),
        (b" NM_001301717.2 \n", "'NM_001301717.2' looks like an accession"),
        (Path("no/such/file"), "cannot read 'no/such/file': No such file"),
    ],
)
def test_read_fasta_refuses(source: bytes | Path, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        list(read_fasta(source))


@pytest.mark.parametrize(
    ("text", "line", "shown"),
    [
        (b">a\nMKV\nM.K.?\n", 3, "'.', '?'"),
        (b"\n>a\nMKV\n >b\nL\n", 4, "'>'"),
        (b">a\nM\xe9V\n", 2, "'\N{REPLACEMENT CHARACTER}'"),
    ],
)
def test_read_fasta_tells_stray_characters_with_their_line(text: bytes, line: int, shown: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        list(read_fasta(text))
    (problem,) = refusal.value.problems
    assert (problem.record, problem.line) == (1, line)
    assert f"'a' has {shown}: " in problem.message


def test_sequence_shows_a_title_of_any_encoding() -> None:
    assert [Sequence(d, b"M").title for d in ("\u00e9".encode(), b"\xe9")] == ["\u00e9", "\u00e9"]


def test_sequence_name_is_the_first_word_of_its_title() -> None:
    assert Sequence(b"sp|P1|X the title", b"M").name == "sp|P1|X"


def test_sequence_length_counts_letters() -> None:
    assert Sequence(b"a", b"MKV").length == 3


def test_scan_keeps_no_more_than_the_longest_but_counts_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiblast.sequences.fasta._BLOCK_BYTES", 100)
    (record,) = scan(b">a\n" + b"MKVL\n" * 1000, longest=50)
    assert record.length == 4000
    assert sum(map(len, record.pieces)) < 250


def test_scan_memory_does_not_grow_with_the_input(tmp_path: Path) -> None:
    """One line of 64 MiB, of which a limited number of residues is kept."""
    path = tmp_path / "long.fasta"
    with path.open("wb") as stream:
        stream.write(b">a\n")
        for _ in range(64):
            stream.write(b"MKVL" * (1 << 18))
    tracemalloc.start()
    (record,) = scan(path, longest=1 << 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert record.length == 64 << 20
    assert peak < 16 << 20


deflines = st.text(
    st.characters(min_codepoint=32, max_codepoint=1000, exclude_categories=("Cs", "Cc")), max_size=30
).map(lambda t: t.strip(" ").encode())
residues = st.text("ACDEFGHIKLMNPQRSTVWYBZXJOUacgt*", min_size=1, max_size=80).map(str.encode)
queries = st.lists(st.builds(Sequence, deflines, residues), max_size=6)


@given(queries)
def test_canonical_fasta_read_back_is_the_identity(sequences: list[Sequence]) -> None:
    canonical = b"".join(s.canonical for s in sequences)
    assert b"".join(s.canonical for s in read_fasta(canonical)) == canonical


@given(
    queries,
    st.integers(1, 90),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.sampled_from([(b">", b"", b""), (b"> ", b"\n", b"\n"), (b">", b"\n \n", b"\n\n")]),
)
def test_layout_of_the_file_does_not_change_the_sequences(
    sequences: list[Sequence], width: int, line_end: bytes, marks: tuple[bytes, bytes, bytes]
) -> None:
    opening, blank, ending = marks
    lines = []
    for s in sequences:
        mark = b"> " if s.defline.startswith(b"?") else opening
        lines += [mark + s.defline, *(s.residues[i : i + width] for i in range(0, s.length, width)), blank]
    text = b"\n".join(lines).rstrip(b"\n") + ending
    assert [s.canonical for s in read_fasta(text.replace(b"\n", line_end))] == [s.canonical for s in sequences]
