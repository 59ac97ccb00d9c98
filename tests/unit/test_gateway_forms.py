"""Forms and zips that come in any pieces are what they would be whole."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import BinaryIO, cast
from zipfile import ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiblast.coupling.zips import Entry, ZipStream
from multiblast.errors import MultiblastError
from multiblast.gateway.qiita.zips import ClientZip
from web.gateway.parts import FilePart, FormReader

KIND = 'multipart/form-data; boundary="xx"'
# Of what boundaries are made, so that files look like them.
DATA = st.text("\r\n-x:a", max_size=60).map(str.encode)
NAMES = st.text("abü .", min_size=1, max_size=8).filter(lambda name: name.strip(".") and name == name.strip())


def form(files: list[tuple[str, bytes]]) -> bytes:
    head = b'--xx\r\nContent-Disposition: form-data; name="/d"; filename="%s"\r\nContent-Type: a/b\r\n\r\n%s\r\n'
    field = b'--xx\r\nContent-Disposition: form-data; name="said"\r\n\r\nthis\r\n'
    return field + b"".join(head % (name.encode(), data) for name, data in files) + b"--xx--\r\n"


def read(pieces: list[bytes]) -> tuple[dict[str, str], list[tuple[str, bytes]]]:
    come: list[tuple[str, bytes]] = []

    def end(part: FilePart) -> None:
        come.append((part.filename, part.file.read()))

    with tempfile.TemporaryDirectory() as spool:
        reader = FormReader(KIND, Path(spool), 1000, lambda _part: None, end)
        for piece in pieces:
            reader.feed(piece)
        try:
            reader.finish()
        finally:
            reader.close()
    return reader.fields, come


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.just("f"), DATA.filter(lambda data: b"\r\n--xx" not in data)), max_size=3), st.data())
def test_form_is_the_same_in_any_pieces(files: list[tuple[str, bytes]], data: st.DataObject) -> None:
    whole = form(files)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert read(pieces) == ({"said": "this"}, files)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 160), st.binary(max_size=4))
def test_form_that_is_cut_or_changed_is_whole_or_refused(at: int, instead: bytes) -> None:
    whole = form([("f", b"0123456789")])
    try:
        read([whole[:at] + instead])
    except MultiblastError:
        return
    assert whole[:at].endswith(b"--xx--\r\n") or b"--xx--" in whole[:at] + instead


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(NAMES, st.binary(max_size=300), max_size=4), st.integers(1, 400))
def test_directory_as_a_zip_comes_back_as_it_was(files: dict[str, bytes], size: int) -> None:
    def entry(name: str, data: bytes) -> Entry:
        return Entry(name, len(data), lambda: io.BytesIO(data), is_executable=len(data) > 100)

    stream = ZipStream([*(entry(name, data) for name, data in files.items()), Entry("nothing/")])
    made = bytearray()
    while piece := stream.next_piece(size):
        assert len(piece) <= size
        made += piece
    with ZipFile(io.BytesIO(made)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {**files, "nothing/": b""}
    tree = ClientZip(io.BytesIO(made), 10_000).tree()
    assert {file.path: (file.size_bytes, file.is_executable) for file in tree.files} == {
        name: (len(data), len(data) > 100) for name, data in files.items()
    }
    assert tree.directories == ("nothing",)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 400), st.binary(min_size=1, max_size=3))
def test_zip_that_was_changed_is_whole_or_refused(at: int, instead: bytes) -> None:
    made = bytearray(ZipStream([Entry("a", 40, lambda: io.BytesIO(b"0123456789" * 4)), Entry("b/")]).read())
    made[at : at + len(instead)] = instead
    with tempfile.TemporaryFile() as kept:  # seeks otherwise than one in memory
        kept.write(made)
        try:
            archive = ClientZip(cast("BinaryIO", kept), 1000)
            tree = archive.tree()
        except MultiblastError:
            return
        for file in tree.files:
            with archive.open(file.path) as stream:
                assert len(stream.read()) == file.size_bytes
    assert sum(file.size_bytes for file in tree.files) <= 40


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "text/plain",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        f"multipart/form-data; boundary={'x' * 71}",
    ],
)
def test_what_is_no_form_is_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(MultiblastError, match="No files to upload defined"):
        FormReader(kind, tmp_path, 10, lambda _part: None, lambda _part: None)
