"""What plugins of Qiita push: whole files in the form of 2025, chunks of one in that of 2026."""

from __future__ import annotations

from multiblast.errors import InvalidInputError, Problem
from multiblast.gateway.qiita import Chunk, QiitaVisit
from web.gateway.parts import FilePart, FormReader

_CHUNK = "file"  # the name of the part; in the form of 2025 that is a directory's path
_MOST_DIGITS = 9


class Push:
    """One request that pushes."""

    def __init__(self, visit: QiitaVisit, content_type: str, announced_bytes: int = 0) -> None:
        self._visit, self._kept = visit, list[str]()
        grant, spool = visit.visit.grant, visit.visit.gateway.spool
        self._chunk: FilePart | None = None
        self.reader = FormReader(
            content_type, spool, grant.max_bytes, self._begin, self._end, announced_bytes=announced_bytes
        )

    def finish(self) -> list[str]:
        """Return the paths of what was pushed.

        Raises:
            InvalidInputError: there was nothing, or not all is said that is needed.
        """
        self.reader.finish()
        if self._chunk is not None:
            return [self._take_chunk(self._chunk)]
        if not self._kept:
            raise InvalidInputError(Problem("No files to upload defined", _CHUNK))
        return self._kept

    def close(self) -> None:
        """Record a file of which the end did not come, and let go of all."""
        part = self.reader.part
        if part is not None and part.key and part.size:
            self._visit.visit.broke_off(part.key, part.size)
        self.reader.close()

    def _begin(self, part: FilePart) -> None:
        if part.name == _CHUNK:
            return
        if "/" in part.filename or not part.filename:
            raise InvalidInputError(Problem(f"{part.filename[:200]!r} is no name of a file", part.name[:200]))
        part.key = self._visit.may_push(f"{part.name}/{part.filename}")

    def _end(self, part: FilePart) -> None:
        if part.name == _CHUNK:
            self._chunk = part
            return
        self._visit.push(part.key, part.file, part.size, part.sha256)
        part.file.close()
        self._kept.append(self._visit.path_of(part.key))

    def _take_chunk(self, part: FilePart) -> str:
        fields = self.reader.fields
        for name in ("target_filepath", "current_chunk", "total_chunks"):
            if not fields.get(name):
                raise InvalidInputError(Problem(f"No {name} defined", name))
        number, total = (self._number(name) for name in ("current_chunk", "total_chunks"))
        is_directory = fields.get("is_directory", "").lower() == "true"
        # A client that counts no chunks of an empty file still sends one.
        chunk = Chunk(max(number, 1), max(total, 1), is_directory, part.size, part.sha256)
        return self._visit.path_of(self._visit.push_chunk(fields["target_filepath"], chunk, part.file))

    def _number(self, name: str) -> int:
        text = self.reader.fields[name]
        if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS):
            raise InvalidInputError(Problem(f"{name} is to be a number", name))
        return int(text)
