"""What texts stand for that name inputs of plugins, by the rights of who names it.

========================  =============================================================================================
``job:ID``                a query job: its hits as a table, its query, or the sequences of its subjects, by the port
``report:ID/FILE``        a file of a report
``plugin:ID/PORT``        an output of a plugin job; without a port, the first that fits
``product:NS:NAME@V``     a data product of the registry
``store:KEY``             an object of the storage, below ``uploads/`` unless an administrator names it
``https://…``, ``data:``  what the policy lets us fetch
``upload:SHA256/NAME``    a file that was sent to the pages: see `PluginSources.upload`
a path                    a file of this machine, from a script or the command line
========================  =============================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, BinaryIO

from multiblast.accounts import Access, Requester
from multiblast.actions.job_door import check_complete
from multiblast.actions.queries import Queries
from multiblast.actions.reports import Reports
from multiblast.coupling import Reference, brought, is_url
from multiblast.coupling.trees import MANIFEST, Tree
from multiblast.database import JobKind
from multiblast.errors import InvalidInputError, NotAllowedError, Problem
from multiblast.files import save, sha256_of
from multiblast.jobs import Jobs
from multiblast.molecules import DatabaseKind
from multiblast.object_kinds import ObjectKind
from multiblast.plugins.contents import wrong_fasta
from multiblast.plugins.kinds import DIRECTORY, UNKNOWN, content_of
from multiblast.plugins.ports import Input
from multiblast.reports import Formatting
from multiblast.reports.run import is_long_ago
from multiblast.search import options_of
from multiblast.sequences.recognition import may_be_aligned, recognise
from multiblast.stores import Store
from multiblast.stores.base import is_key

if TYPE_CHECKING:
    from multiblast.registry.local.registry import Registry

NOWHERE = Path("/nonexistent")
"""Below which there is no path that somebody could name."""

_UPLOADS = "uploads/"
_LONGEST_DATA = 16 << 20
_LONGEST_NAME = 100  # of a file that was sent
_LONGEST_TEXT = 200  # as messages
_ID = re.compile(r"[0-9a-f]{6,32}")
_UPLOADED = re.compile(r"([0-9a-f]{64})/([A-Za-z0-9_][A-Za-z0-9._-]{0,100})")
PARQUET, FASTA, TABLE = "application/vnd.apache.parquet", "text/x-fasta", "text/tab-separated-values"
ANY = "*"
"""What something means of which only the form is known."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A file or directory that a plugin takes in at a port, as it lies in the storage."""

    text: str
    url: str
    sha256: str
    size: int
    name: str
    data: str
    content: str
    directory: bool = False
    job: str = ""

    def at(self, port: str) -> dict[str, Any]:
        """Return it as a job's row has it."""
        return {"port": port, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Offer:
    """What a text can stand for: what it means and how it is written; `take` gets it, `open` looks into it."""

    data: str
    content: str
    take: Callable[[], Taken]
    open: Callable[[], BinaryIO] | None = None

    def fits(self, port: Input) -> bool:
        """Return whether a port takes it."""
        return port.takes(self.data, self.content)

    def likely(self) -> str:
        """Return what it means in all likelihood: FASTA whose rows differ in length is sequences, no alignment."""
        if self.data != ANY or self.content != FASTA or self.open is None:
            return self.data
        with suppress(InvalidInputError):
            with self.open() as stream:
                if may_be_aligned(stream):
                    return ANY
            with self.open() as stream:
                return f"sequences/{recognise(stream)}"
        return ANY


@dataclass(frozen=True, slots=True)
class _Named:
    """What somebody names in a field: a text, what follows its first colon, and the job and its part, if it is one."""

    requester: Requester
    text: str
    key: str
    rest: str
    job: str = ""
    part: str = ""

    def refused(self, reason: str) -> InvalidInputError:
        return InvalidInputError(Problem(reason, self.key))


@dataclass
class PluginSources:
    """Finds what texts stand for, and brings it into the storage.

    Attributes:
        references: Places from which files may be fetched that somebody names by a URL.
        limit_bytes: How large a file may be that somebody names by a URL; 0 is no limit.
        registry: Opens the registry of data products.
    """

    jobs: Jobs
    access: Access
    queries: Queries
    reports: Reports
    store: Store
    references: Sequence[str]
    limit_bytes: int
    registry: Callable[[], Registry]

    def offers(
        self, requester: Requester, text: str, key: str = "inputs", *, files_under: Path | None = None
    ) -> list[Offer]:
        """Return what a text can stand for, the likeliest first.

        Args:
            requester: Who names it.
            text: See the table above.
            key: The field at fault.
            files_under: The only directory that paths may lead into; None allows any path.

        Raises:
            InvalidInputError: it stands for nothing.
            NotFoundError, NotAllowedError: there is no such job, or they may not read it.
        """
        kind, _, rest = text.partition(":")
        named = _Named(requester, text, key, rest)
        if of_job := {"job": self._of_query, "report": self._of_report, "plugin": self._of_plugin}.get(kind):
            job_id, _, part = rest.partition("/")
            return of_job(replace(named, job=self.access.whole_id(requester, job_id), part=part))
        others = {"product": self._of_product, "store": self._of_key, "data": self._of_data, "upload": self._of_upload}
        if find := others.get(kind):
            return [find(named)]
        if is_url(text) and kind != "file":
            return [self._of_url(named)]
        return [self._of_path(named, files_under)]

    def upload(self, path: Path, name: str) -> str:
        """Keep a file that was sent, and return a text that names it as an input, of use with its SHA-256 only.

        Args:
            path: Where it lies now.
            name: What its sender calls it.
        """
        digest = self._kept(path, "", name, UNKNOWN).sha256
        plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name.replace("\\", "/").rpartition("/")[2])[-_LONGEST_NAME:]
        return f"upload:{digest}/{plain.lstrip('.-') or 'file'}"

    def _of_query(self, named: _Named) -> list[Offer]:
        self.access.check_read(named.requester, named.job, JobKind.QUERY)
        job = self.jobs.query(named.job)
        options = options_of(job)
        hits = f"hits/{job.program if '-' in job.program else 'blast'}"
        query = f"sequences/{options.query_molecule.value}"
        subjects = f"subjects/{'nucleotide' if options.database_kind is DatabaseKind.NUCLEOTIDE else 'protein'}"
        parts = {
            "hits": [
                Offer(hits, PARQUET, partial(self._report, named, "parquet", hits)),
                Offer(hits, TABLE, partial(self._report, named, "6", hits)),
            ],
            "query": [Offer(query, FASTA, lambda: self._opened(self.queries.query, named, "query.fasta", query))],
            "subjects": [
                Offer(
                    subjects, FASTA, lambda: self._opened(self.reports.all_subjects, named, "subjects.fasta", subjects)
                )
            ],
        }
        if named.part and named.part not in parts:
            raise named.refused(f"a query job has no {named.part!r}: it has {', '.join(parts)}")
        if named.part != "query":
            check_complete(JobKind.QUERY, job)
        return parts[named.part] if named.part else [one for some in parts.values() for one in some]

    def _report(self, named: _Named, format_: str, data: str) -> Taken:
        file = self.reports.made(named.requester, named.job, Formatting(format=format_))
        digest, content = self.store.sha256(file.key), content_of(file.name)
        if content == UNKNOWN:
            content = TABLE
        return Taken(named.text, f"store:{file.key}", digest, file.size, file.name, data, content, job=named.job)

    def _opened(self, read: Callable[[Requester, str], BinaryIO], named: _Named, name: str, data: str) -> Taken:
        return self._stored(read(named.requester, named.job), named, name, data)

    def _of_report(self, named: _Named) -> list[Offer]:
        files = self.reports.files(named.requester, named.job)
        names = [file.name for file in files if named.part in {"", file.name}]
        if not names:
            there = ", ".join(file.name for file in files)
            raise named.refused(f"report {named.job} has no file {named.part!r}; it has {there}")
        kind = self.jobs.report(named.job).formatting.get("formatType")
        data = "hits/blast" if kind in {"parquet", "6", "7", "10"} else "report/blast"

        def take(name: str) -> Taken:
            with self.reports.stored_file(named.requester, named.job, name).open() as stream:
                return self._stored(stream, named, name, data)

        return [Offer(data, content_of(name), partial(take, name)) for name in names]

    def _of_plugin(self, named: _Named) -> list[Offer]:
        self.access.check_read(named.requester, named.job, JobKind.PLUGIN)
        job = self.jobs.plugin(named.job)
        check_complete(JobKind.PLUGIN, job)
        port, _, name = named.part.partition("/")
        found = [one for one in job.outputs if port in {"", one["port"]} and name in {"", one["name"]}]
        if not found:
            there = ", ".join(dict.fromkeys(one["port"] for one in job.outputs))
            raise named.refused(f"plugin job {job.id} has no output {named.part!r}; it has {there}")

        def take(one: dict[str, Any]) -> Taken:
            if is_long_ago(job.used_at):  # what a job takes in is kept for as long
                self.jobs.touch([job.id])
            digest, size, name, data, content = (one[fact] for fact in ("sha256", "size", "name", "data", "content"))
            url, is_directory = f"store:{one['key']}", one["directory"]
            return Taken(named.text, url, digest, size, name, data, content, is_directory, job.id)

        return [Offer(one["data"], one["content"], partial(take, one)) for one in found]

    def _of_key(self, named: _Named) -> Offer:
        key = named.rest
        if not is_key(key):
            raise named.refused(f"{key!r} is no key of the storage")
        if not (named.requester.administrator or key.startswith(_UPLOADS)):
            raise NotAllowedError(f"{named.requester} may name what is below {_UPLOADS} in the storage, not {key!r}")
        is_directory = self.store.exists(f"{key}/{MANIFEST}")
        if not is_directory and not self.store.exists(key):
            raise named.refused(f"there is nothing at {key!r} in the storage")
        name = key.rpartition("/")[2]
        content = DIRECTORY if is_directory else content_of(name)

        def take() -> Taken:
            if is_directory:
                tree, manifest = Tree.read(self.store, key)
                digest, size = sha256(manifest).hexdigest(), tree.size_bytes
            else:
                digest, size = self.store.sha256(key), self.store.stat(key).size_bytes
            return Taken(named.text, named.text, digest, size, name, ANY, content, is_directory)

        return Offer(ANY, content, take, partial(self.store.open, key))

    def _of_product(self, named: _Named) -> Offer:
        from multiblast.actions.registered_products import product_file

        hidden = not named.requester.administrator
        open_file = partial(product_file, self.registry, named.rest, named.key, only_public=hidden)
        with open_file() as (_, name):
            content = content_of(name)

        def take() -> Taken:
            with open_file() as (stream, _):
                return self._stored(stream, named, name)

        return Offer(ANY, content, take)

    def _of_data(self, named: _Named) -> Offer:
        reference = Reference.parse(named.text, named.key)
        media = re.match(r"data:([a-z]+/[a-z0-9.+-]+)", named.text)
        content = media[1] if media else "text/plain"
        if reference.size_bytes > _LONGEST_DATA:
            raise named.refused(f"more than {_LONGEST_DATA:,} bytes of data: name a file")
        text = named.text if len(named.text) <= _LONGEST_TEXT else f"{named.text[:_LONGEST_TEXT]}…"

        def take() -> Taken:
            with TemporaryDirectory(prefix="multiblast-") as name:
                path = Path(name) / "data"
                path.write_bytes(reference.data)
                return self._kept(path, text, "data", content)

        return Offer(ANY, content, take)

    def _of_upload(self, named: _Named) -> Offer:
        found = _UPLOADED.fullmatch(named.rest)
        if found is None:
            raise named.refused(f"{named.text[:_LONGEST_TEXT]!r} names no file that was sent: choose the file")
        digest, name = found.groups()
        kept = ObjectKind.PLUGIN_INPUT.spread_key(digest)
        if not self.store.exists(kept):
            raise named.refused(f"the file {name} is not kept any more: choose it again")

        def take() -> Taken:
            with self.store.open(kept) as stream:
                return self._stored(stream, named, name)

        return Offer(ANY, content_of(name), take)

    def _of_url(self, named: _Named) -> Offer:
        reference = Reference.parse(named.text, named.key)
        content = content_of(reference.name)

        def take() -> Taken:
            with brought(reference, self.references, self.limit_bytes, named.key) as path:
                return self._kept(path, named.text, reference.file_name, content)

        return Offer(ANY, content, take)

    def _of_path(self, named: _Named, files_under: Path | None) -> Offer:
        path = _path(named, files_under)
        content = DIRECTORY if path.is_dir() else content_of(path.name)
        return Offer(ANY, content, lambda: self._kept(path, named.text, path.name, content), lambda: path.open("rb"))

    def _stored(self, stream: BinaryIO, named: _Named, name: str, data: str = ANY) -> Taken:
        with TemporaryDirectory(prefix="multiblast-") as directory:
            path = Path(directory) / "file"
            save(stream, path)
            return replace(self._kept(path, named.text, name, content_of(name), data), job=named.job)

    def _kept(self, path: Path, text: str, name: str, content: str, data: str = ANY) -> Taken:
        """Keep a file by its digest, for the job that takes it in and any other that takes in the same."""
        if path.is_dir():
            reason = "push a directory first, with `multiblast push`, and name it store:KEY"
            raise InvalidInputError(Problem(reason, "inputs"))
        digest = sha256_of(path)
        if data == ANY and content == FASTA:
            if wrong := wrong_fasta(path):
                raise InvalidInputError(Problem(f"{name!r} {wrong}", "inputs"))
            with suppress(InvalidInputError):
                data = f"sequences/{recognise(path)}"
        key = ObjectKind.PLUGIN_INPUT.spread_key(digest)
        if not self.store.exists(key):
            with path.open("rb") as file:
                self.store.put_resumably(key, file)
        return Taken(text, f"store:{key}", digest, path.stat().st_size, name, data, content)


def _path(named: _Named, files_under: Path | None) -> Path:
    path = Reference.parse(named.text, named.key).path.resolve()
    if files_under == NOWHERE:
        forms = "job:ID, plugin:ID/PORT, report:ID/FILE, product:NAMESPACE:NAME@VERSION, store:KEY, data:… or a URL"
        raise named.refused(f"{named.text[:_LONGEST_TEXT]!r} is no input: write {forms}")
    if files_under is not None and not path.is_relative_to(files_under.resolve()):
        raise named.refused(f"only files below {files_under} can be named here: upload it first")
    if not path.exists():
        job = f"; a job is written with what it is, as job:{named.text}" if _ID.fullmatch(named.text) else ""
        raise named.refused(f"there is no file {str(path)!r}{job}")
    return path
