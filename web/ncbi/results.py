"""Results as NCBI's server sends them: the report's bytes, between tags of a page, or in a zip of the search's own."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from functools import partial
from io import BufferedReader, RawIOBase
from tempfile import TemporaryFile
from typing import Any, BinaryIO, cast

from multiblast.accounts import Requester
from multiblast.actions import Reports
from multiblast.actions.stored_file import StoredFile
from web.files import StreamAnswer
from web.ncbi import pages
from web.ncbi.formats import Wanted

_ZIP = "report.zip"
_INDEXED = re.compile(rb"report(\.json|\.xml)?_")  # how the first file, an index, names the others


def result(reports: Reports, who: Requester, report_id: str, request_id: str, wanted: Wanted) -> StreamAnswer:
    """Return the answer with a finished report; its first piece is long enough for clients that look at it first."""
    files = reports.stored_files(who, report_id)
    if wanted.is_zip:
        spool = _zipped([file for file in files if file.name != _ZIP], request_id)
        length = spool.seek(0, 2)
        spool.seek(0)
        return StreamAnswer(lambda: spool, length, 200, {"Content-Type": "application/zip"})
    file = files[0]
    start, end = b"", b""
    if wanted.is_text:
        start, end = pages.TEXT_START.encode(), pages.TEXT_END.encode()
    elif wanted.type == "HTML":
        start = pages.HTML_START.encode()
    headers = {"Content-Type": "text/plain; charset=utf-8" if wanted.is_text else file.media_type}
    length = len(start) + file.size + len(end)
    return StreamAnswer(lambda: _framed(file, start, end), length, 200, headers)


def _zipped(files: list[StoredFile], request_id: str) -> BinaryIO:
    """Write files into a zip, named, and naming each other, after the request rather than ``report``."""
    spool = cast("BinaryIO", TemporaryFile())  # noqa: SIM115 - closed by the answer
    with zipfile.ZipFile(spool, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, file in enumerate(files):
            with file.open() as stream, archive.open(_renamed(file.name, request_id), "w", force_zip64=True) as member:
                # Names stand within lines of the index, and may stand across the ends of pieces.
                read = stream.readline if number == 0 else partial(stream.read, 1 << 20)
                while piece := read():
                    member.write(_INDEXED.sub(b"%s_" % request_id.encode(), piece) if number == 0 else piece)
    return spool


def _renamed(name: str, request_id: str) -> str:
    return name.replace("report", request_id, 1)


def _framed(file: StoredFile, start: bytes, end: bytes) -> BinaryIO:
    return cast("BinaryIO", BufferedReader(_Framed(file.open(), start, end)))


class _Framed(RawIOBase):
    """A stream with something before and after it."""

    def __init__(self, stream: BinaryIO, start: bytes, end: bytes) -> None:
        self._stream = stream
        self._pieces = self._read(start, end)
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes."""
        if not self._left:
            self._left = memoryview(next(self._pieces, b""))
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    def close(self) -> None:
        """Close the file too."""
        self._stream.close()
        super().close()

    def _read(self, start: bytes, end: bytes) -> Iterator[bytes]:
        if start:
            yield start
        while piece := self._stream.read(1 << 18):
            yield piece
        if end:
            yield end
