"""What the plugin of a run does with its grant: paths become keys, and all else is the gateway's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import PurePosixPath
from typing import Any, BinaryIO, cast

from multiblast.coupling.trees import MANIFEST, Tree
from multiblast.coupling.zips import Entry, ZipStream
from multiblast.database import QiitaJob
from multiblast.errors import InvalidInputError, NotFoundError, ObjectMissingError, Problem, StoreError
from multiblast.gateway.gateway import Visit
from multiblast.gateway.grants import ALL
from multiblast.gateway.qiita.chunks import Chunk, Chunks
from multiblast.gateway.qiita.jobs import QiitaJobs
from multiblast.gateway.qiita.zips import ClientZip
from multiblast.gateway.uploads import BrokenPieceError
from multiblast.stores import Store, StoredObject
from multiblast.stores.base import is_key

_PLAIN = {  # what Qiita says of artifacts besides, of one that is shown to nobody
    "visibility": "sandbox",
    "data_type": None,
    "can_be_submitted_to_ebi": False,
    "can_be_submitted_to_vamps": False,
    "is_submitted_to_vamps": False,
}


class QiitaVisit:
    """What a plugin may do, one request at a time; see `multiblast.gateway.Visit` for what is refused.

    A plugin names absolute paths below the base directory of its run; what follows that is a key. Of a grant that is
    of no run, the base is ``/``.
    """

    def __init__(self, visit: Visit) -> None:
        self.visit = visit
        self.jobs = QiitaJobs(visit.gateway.database)
        self.job = self.jobs.find(visit.grant.ticket)
        self._chunks = Chunks(visit.gateway.spool)
        self._base = self.job.base.rstrip("/") if self.job else ""

    def key_of(self, path: str) -> str:
        """Return the key that a path means.

        Raises:
            NotAllowedError: it leads out of the base directory.
            InvalidInputError: it does not, but can be no key.
        """
        words = [word for word in path.split("/") if word not in {"", "."}]
        whole = f"/{'/'.join(words)}"
        if not path.startswith("/") or ".." in words or "\0" in path or not whole.startswith(f"{self._base}/"):
            self.visit.refuse(path)
        key = whole.removeprefix(f"{self._base}/")
        if not is_key(key):
            wanted = "name files with letters, digits and '._-', none beginning with one of these"
            wanted += "; or send the directory as one zip, in which names are free"
            raise InvalidInputError(Problem(f"{key[:200]!r} cannot be kept under this name: {wanted}", "path"))
        return key

    def path_of(self, key: str) -> str:
        """Return the path under which the plugin sees a key."""
        return f"{self._base}/{key}"

    def find(self, path: str) -> tuple[str, bool]:
        """Return the key of something that may be fetched, and whether it is a directory.

        Raises:
            NotFoundError: there is nothing.
        """
        key = self.key_of(path)
        self.settle(key)
        if self._is_directory(key):
            return key, True
        self.visit.stat(key)
        return key, False

    def directory(self, key: str) -> BinaryIO:
        """Return a directory as a zip, made while it is read."""
        return cast("BinaryIO", ZipStream(self._entries(key)))

    def may_push(self, path: str) -> str:
        """Return the key of something that may be pushed, before its bytes come."""
        key = self.key_of(path)
        self.visit.expect(key)
        return key

    def push(self, key: str, data: BinaryIO, size: int, sha256: str) -> None:
        """Keep a file that came whole.

        Raises:
            BrokenPieceError: it is empty, and what came before under its key broke off.
        """
        # The client repeats a request with a file that it has read already, and so sends nothing.
        if not size and self.visit.gateway.tickets.has_broken_off(self.visit.grant.ticket, key):
            raise BrokenPieceError(f"no bytes came for {key!r}, after a push of it that broke off: push it again")
        self.visit.keep(key, data, size, sha256)

    def push_chunk(self, path: str, chunk: Chunk, data: BinaryIO) -> str:
        """Take a chunk of a file, or of the zip of a directory; with the last one it is kept; return its key."""
        key = self.key_of(path)
        self.visit.expect(f"{key}/{MANIFEST}" if chunk.is_directory else key)
        grant = self.visit.grant
        if self._chunks.add(grant.ticket, key, chunk, data, grant.max_bytes):
            self._keep(key, is_directory=chunk.is_directory)
        return key

    def settle(self, key: str = "") -> None:
        """Keep the uploads in chunks of which nobody said that they are whole: of a key, or by default all."""
        for one, is_directory in self._chunks.waiting(self.visit.grant.ticket):
            if not key or one == key or one.startswith(f"{key}/"):
                self._keep(one, is_directory=is_directory)

    def check_there(self, path: str) -> str:
        """Return the key of a file or directory that the plugin says it pushed.

        Raises:
            InvalidInputError: it did not.
        """
        try:
            return self.find(path)[0]
        except NotFoundError:
            raise InvalidInputError(Problem(f"{path[:200]!r} was not pushed: push it first", "filepaths")) from None

    def artifact(self, number: str) -> dict[str, Any]:
        """Return what Qiita says of an artifact, with paths and sizes of its files in bytes."""
        found = self._numbered("artifact", number, "artifacts")
        files = {
            kind: [{"filepath": self.path_of(key), "size": self._size(key)} for key in keys]
            for kind, keys in found["files"].items()
        }
        unused = dict.fromkeys(("timestamp", "study", "analysis", "processing_parameters", "ebi_run_accessions"))
        return {**unused, **_PLAIN, "name": found["name"] or number, "type": found["type"], "files": files} | {
            "prep_information": [found["preparation"]]
        }

    def preparation(self, number: str) -> dict[str, str]:
        """Return the paths of the files of a preparation."""
        found = self._numbered("preparation", number, "preparations")
        return {name: self.path_of(key) for name, key in found.items()}

    def summarize(self, number: str, value: str) -> None:
        """Note the summary of an artifact: a path, or JSON with paths as ``html`` and ``dir``."""
        self._numbered("artifact", number, "artifacts")
        try:
            said = json.loads(value)
            paths = [said[name] for name in ("html", "dir") if said.get(name)]
        except (ValueError, AttributeError, TypeError):
            paths = [value]
        keys = [self.check_there(str(path)) for path in paths]
        self.jobs.summarize(self.visit.grant.ticket, int(number), keys)

    def check_job(self, job_id: str) -> QiitaJob:
        """Return the job of this run.

        Raises:
            NotAllowedError: it is another one's.
        """
        if job_id != self.visit.grant.ticket:
            self.visit.refuse(f"job {job_id}")
        return self.jobs.get(job_id)

    def check_registers(self) -> None:
        """Make sure that a plugin may register itself: by a grant that an administrator signed, not by that of a run.

        Raises:
            NotAllowedError: it is one of a run, or of a site.
        """
        if self.job is not None or self.visit.grant.job or self.visit.grant.site:
            self.visit.refuse("register")

    def complete(self, said: dict[str, Any]) -> None:
        """Note how the job ended, by what the plugin says; with success only if all its outputs are here.

        Raises:
            InvalidInputError: it says something else, or an output is missing.
        """
        if said.get("success") is not True:
            self.jobs.end(self.visit.grant.ticket, str(said.get("error") or "the plugin gave no reason"), {})
            return
        self.settle()
        outputs = {}
        for name, artifact in (said.get("artifacts") or {}).items():
            kind, files = _read_artifact(str(name), artifact)
            outputs[str(name)] = {"type": kind, "files": [[self.check_there(path), type_] for path, type_ in files]}
        self.jobs.end(self.visit.grant.ticket, None, outputs)

    def _keep(self, key: str, *, is_directory: bool) -> None:
        with self._chunks.complete(self.visit.grant.ticket, key) as (file, size, sha256):
            if is_directory:
                self._unpack(key, ClientZip(file, self.visit.grant.max_bytes))
            else:
                self.visit.keep(key, file, size, sha256)

    def _unpack(self, key: str, archive: ClientZip) -> None:
        """Keep what is in a zip as a directory, its manifest last: see `multiblast.coupling.trees`."""
        tree = archive.tree()
        manifest, digest = tree.to_json(), tree.sha256
        if self.visit.holds(f"{key}/{MANIFEST}", len(manifest), digest):
            return
        for number, file in tree.numbered(key):
            with archive.open(file.path) as data:
                self.visit.keep(number, data, file.size_bytes, file.sha256)
        self.visit.keep(f"{key}/{MANIFEST}", manifest, len(manifest), digest)

    def _numbered(self, kind: str, number: str, field: str) -> dict[str, Any]:
        found = getattr(self.jobs.get(self.visit.grant.ticket), field).get(number)
        if found is None:
            raise NotFoundError(kind, number[:40], "this run has none of this number")
        return cast("dict[str, Any]", found)

    def _size(self, key: str) -> int:
        return 0 if self._is_directory(key) else self.visit.stat(key)[0].size_bytes

    def _is_directory(self, key: str) -> bool:
        """Return whether something is below a key, of what the grant names; a file at the key itself comes first."""
        visit, store = self.visit, self.visit.gateway.store
        if visit.grant.may_read(key) and store.exists(key):
            return False
        if visit.grant.may_read(f"{key}/{MANIFEST}") and store.exists(f"{key}/{MANIFEST}"):
            return True
        named, prefix = (*visit.grant.reads, *visit.grant.writes), f"{key}/"
        if not any(one == ALL or one.startswith(prefix) or prefix.startswith(f"{one.rstrip('/')}/") for one in named):
            return False  # a stranger's prefix is not even looked at
        return any(visit.grant.may_read(found.key) for found in store.list(prefix))

    def _entries(self, key: str) -> Iterator[Entry]:
        tree = self._tree(key)
        if tree is None:
            for one in sorted(self.visit.list(f"{key}/"), key=lambda one: one.key):
                yield self._entry(one.key, one.key.removeprefix(f"{key}/"), one)
            return
        for name in tree.directories:
            yield Entry(f"{name}/")
        for number, file in tree.numbered(key):
            yield self._entry(number, file.path, self.visit.stat(number)[0], is_executable=file.is_executable)

    def _tree(self, key: str) -> Tree | None:
        """Return what a directory that was pushed whole consists of; None of keys that only begin alike."""
        may_read = self.visit.grant.may_read(f"{key}/{MANIFEST}")
        return tree_at(self.visit.gateway.store, key) if may_read else None

    def _entry(self, key: str, name: str, found: StoredObject, *, is_executable: bool = False) -> Entry:
        return Entry(PurePosixPath(name).as_posix(), found.size_bytes, partial(self._open, key, found), is_executable)

    def _open(self, key: str, found: StoredObject) -> BinaryIO:
        stream = self.visit.gateway.store.open(key)
        self.visit.fetched(key, 0, found.size_bytes, "in a zip")
        return stream


def tree_at(store: Store, key: str) -> Tree | None:
    """Return what a directory that was pushed whole consists of; None if only files are below its key."""
    # Plugins may call a file of theirs as a manifest is called.
    with suppress(ObjectMissingError, StoreError):
        return Tree.read(store, key)[0]
    return None


def _read_artifact(name: str, said: Any) -> tuple[str, list[tuple[str, str]]]:
    """Return the type of an artifact that a plugin made, and paths with types of files."""
    try:
        return str(said["artifact_type"]), [(str(path), str(kind)) for path, kind in said["filepaths"]]
    except (KeyError, TypeError, ValueError):
        problem = "an artifact has artifact_type, and filepaths: pairs of a path and a type"
        raise InvalidInputError(Problem(problem, name[:200])) from None
