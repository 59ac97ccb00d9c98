"""Forms with files of any size: read as they come, one file at a time in the spool, so that memory stays flat."""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, BinaryIO, cast

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from multiblast.errors import ConflictError, MultiblastError
from multiblast.files import make_private
from multiblast.gateway import NoSpaceError
from web.errors import HttpError

_MOST_PARTS = 1000
_LONGEST_FIELD, _LONGEST_HEADER, _LONGEST_BOUNDARY = 64 << 10, 16 << 10, 70  # the last by RFC 2046
_SPARE_BYTES = 64 << 20


@dataclass
class FilePart:
    """A file of a form; it is gone once the request is answered."""

    name: str
    filename: str
    file: BinaryIO
    size: int = 0
    key: str = ""
    _hash: Any = field(default_factory=hashlib.sha256)

    @property
    def sha256(self) -> str:
        """Its digest."""
        digest: str = self._hash.hexdigest()
        return digest

    def write(self, data: bytes) -> None:
        """Take some more of it."""
        self.size += len(data)
        self._hash.update(data)
        self.file.write(data)


class FormReader:
    """Reads a form; what waits for disks is done where it is fed.

    What is wrong is raised by `finish`, after all of the form has come: a client that is answered before it has sent
    everything takes that for a broken connection, and tries again.

    Args:
        content_type: The header of the request.
        spool: Where files are while they come.
        most_bytes: How large a file may be.
        begin: Gets each file before its first byte, and raises what is wrong with it.
        end: Gets each file when it is whole.
        announced_bytes: How large all of it is, if that was said.
    """

    def __init__(  # noqa: PLR0913 - what a form is read by
        self,
        content_type: str,
        spool: Path,
        most_bytes: int,
        begin: Callable[[FilePart], None],
        end: Callable[[FilePart], None],
        *,
        announced_bytes: int = 0,
    ) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not 0 < len(boundary) <= _LONGEST_BOUNDARY:
            raise HttpError("bad-request", "No files to upload defined: send multipart/form-data")
        self.fields: dict[str, str] = {}
        self.part: FilePart | None = None
        self._spool, self._most_bytes, self._begin, self._end = spool, most_bytes, begin, end
        self._error: MultiblastError | None = None
        self._opened: list[IO[bytes]] = []
        self._parts, self._is_whole = 0, False
        self._header, self._value, self._said, self._field = b"", b"", b"", ("", bytearray())
        make_private(spool)
        if shutil.disk_usage(spool).free < announced_bytes + _SPARE_BYTES:
            self._error = _no_space()
        callbacks = {name[1:]: getattr(self, name) for name in dir(self) if name.startswith("_on_")}
        self._parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type]  # all that are there

    def feed(self, data: bytes) -> None:
        """Take some more of the form."""
        if self._error is not None:
            return
        try:
            self._parser.write(data)
        except MultiblastError as error:
            self._error = error
        except (FormParserError, ValueError) as error:
            self._error = HttpError("bad-request", f"the form is broken: {str(error)[:200]}")
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            self._error = _no_space()

    def finish(self) -> None:
        """See that all is there.

        Raises:
            MultiblastError: what was wrong first.
        """
        if self._error is not None:
            raise self._error
        if not self._is_whole:
            raise HttpError("bad-request", "the form ends before its end")

    def close(self) -> None:
        """Let go of its files."""
        for file in self._opened:
            file.close()

    def _on_part_begin(self) -> None:
        self._parts += 1
        self._said = b""
        if self._parts > _MOST_PARTS:
            raise HttpError("bad-request", f"a form has at most {_MOST_PARTS} parts")

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        if len(self._value) > _LONGEST_HEADER:
            raise HttpError("bad-request", "a header in the form is too long")

    def _on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._said = self._value
        self._header = self._value = b""

    def _on_headers_finished(self) -> None:
        if b"*=" in self._said:  # RFC 5987's form, in which some clients write what is beyond ASCII
            raise HttpError("bad-request", "a name beyond ASCII cannot be kept: use letters, digits and '._-'")
        _, options = parse_options_header(self._said)
        name = options.get(b"name", b"").decode(errors="replace")
        if b"filename" not in options:
            self._field = name, bytearray()
            return
        file = TemporaryFile(dir=self._spool)  # noqa: SIM115 - closed by `close`
        self._opened.append(file)
        self.part = FilePart(name, options[b"filename"].decode(errors="replace"), cast("BinaryIO", file))
        self._begin(self.part)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self.part is None:
            self._field[1].extend(data[start:end])
            if len(self._field[1]) > _LONGEST_FIELD:
                raise HttpError("bad-request", "a field of the form is too long")
            return
        self.part.write(data[start:end])
        if self.part.size > self._most_bytes:
            raise ConflictError(f"this is more than the {self._most_bytes:,} bytes that may be pushed in all")

    def _on_part_end(self) -> None:
        if self.part is None:
            self.fields[self._field[0]] = self._field[1].decode(errors="replace")
            return
        part, self.part = self.part, None
        part.file.seek(0)
        self._end(part)

    def _on_end(self) -> None:
        self._is_whole = True


def _no_space() -> NoSpaceError:
    return NoSpaceError("there is no room here for what comes: ask the administrator to free some")
