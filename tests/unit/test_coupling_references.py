"""References are read in each form, and what is none is refused with the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from multiblast.coupling import Reference
from multiblast.errors import InvalidInputError


@pytest.mark.parametrize(
    ("text", "url", "name"),
    [
        ("store:queries/1f/a.fasta", "store:queries/1f/a.fasta", "a.fasta"),
        ("store:one", "store:one", "one"),
        ("file:/data/a%20b.fasta", "file:///data/a%20b.fasta", "a b.fasta"),
        ("file:///data/ä.fasta", "file:///data/%C3%A4.fasta", "ä.fasta"),
        ("file://localhost/data/x", "file:///data/x", "x"),
        ("/data/a b#c.fasta", "file:///data/a%20b%23c.fasta", "a b#c.fasta"),
        ("/data/a:b.fasta", "file:///data/a%3Ab.fasta", "a:b.fasta"),
        ("s3://bucket/some/key.fasta", "s3://bucket/some/key.fasta", "key.fasta"),
        ("sftp://me@host:22/home/me/x", "sftp://me@host:22/home/me/x", "x"),
        ("https://example.org/a%20b.fasta?x=1", "https://example.org/a%20b.fasta?x=1", "a b.fasta"),
        ("data:,MKV", "data:,MKV", "data"),
    ],
)
def test_reference_is_read(text: str, url: str, name: str) -> None:
    found = Reference.parse(text)
    assert (found.url, found.name) == (url, name)


def test_relative_path_is_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Reference.parse("a b.fasta").path == tmp_path / "a b.fasta"
    assert Reference.parse("a:b.fasta").path == tmp_path / "a:b.fasta"


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("data:,MKV%0A", b"MKV\n"),
        ("data:text/plain;base64,TUtW", b"MKV"),
        ("data:text/x,", b""),
        ("data:;base64,", b""),
    ],
)
def test_data_is_read(text: str, data: bytes) -> None:
    found = Reference.parse(text)
    assert (found.data, found.size_bytes) == (data, len(data))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "write a path or a URL"),
        ("  ", "write a path or a URL"),
        ("a\0b", "write a path or a URL"),
        ("x" * 3000, "at most 2000 characters"),
        ("store:", "write store:KEY"),
        ("store:../etc/passwd", "write store:KEY"),
        ("store:a b", "write store:KEY"),
        ("file://elsewhere/data", "write file:///PATH"),
        ("file:data", "write file:///PATH"),
        ("file:///data?x", "write file:///PATH, with %23"),
        ("data:MKV", "write data:,TEXT"),
        ("data:;base64,M", "write data:,TEXT"),
        ("s3:///key", "write SCHEME://PLACE/KEY"),
        ("s3://bucket", "no key of an object"),
        ("s3://bucket/a/../b", "no key of an object"),
        ("s3://bucket/a%2fb", "no key of an object"),
        ("https://example.org/a b", "quoted as URLs are"),
        ("https://example.org:port/a", "Port could not be cast"),
        ("https://example.org/a#b", "write SCHEME://PLACE/KEY"),
    ],
)
def test_what_is_no_reference_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message) as refusal:
        Reference.parse(text, "query_file")
    assert refusal.value.problems[0].key == "query_file"


def test_password_is_refused_and_not_shown() -> None:
    with pytest.raises(InvalidInputError, match="leave the password out") as refusal:
        Reference.parse("sftp://me:not-a-secret@host/x")
    assert "not-a-secret" not in str(refusal.value)


def test_digest_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="not 64 hexadecimal digits"):
        Reference("store:x", sha256="../../x")


@pytest.mark.parametrize("name", ["../../etc/passwd", ".hidden", "a/b", "", "-rf\n", "x" * 500])
def test_file_name_is_safe_in_any_directory(name: str, tmp_path: Path) -> None:
    made = tmp_path / Reference("store:x", name=name).file_name
    made.write_text("x")
    assert [path.name for path in tmp_path.iterdir()] == [made.name]
    assert not made.name.startswith(".")
