"""What plugins take in: texts that name it, and the files that these stand for, by the rights of who names them.

========================  =============================================================================================
``job:ID``                a query job: its hits as a table, its query, or the sequences of its subjects, by the port
``report:ID/FILE``        a file of a report
``plugin:ID/PORT``        an output of a plugin job; without a port, the first that fits
``product:NS:NAME@V``     a data product of the registry
``store:KEY``             an object of the storage, below ``uploads/`` unless an administrator names it
``https://…``, ``data:``  what the policy lets us fetch
``upload:SHA256/NAME``    a file that was sent to the pages: see `PluginInputs.upload`
a path                    a file of this machine, from a script or the command line
========================  =============================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, BinaryIO

from multiblast.accounts import Access, Requester
from multiblast.actions.queries import Queries
from multiblast.actions.reports import Reports
from multiblast.coupling import Reference, brought, is_url
from multiblast.coupling.trees import MANIFEST, Tree
from multiblast.database import JobKind, JobStatus
from multiblast.errors import ConflictError, InvalidInputError, NotAllowedError, Problem, collecting
from multiblast.files import save, sha256_of
from multiblast.jobs import Jobs
from multiblast.molecules import Molecule
from multiblast.object_kinds import ObjectKind
from multiblast.plugins.chains import Made
from multiblast.plugins.description import Description, Input
from multiblast.plugins.kinds import DIRECTORY, UNKNOWN, content_of
from multiblast.reports import Formatting
from multiblast.reports.run import is_long_ago
from multiblast.search import options_of
from multiblast.sequences.recognition import recognise
from multiblast.stores import Store
from multiblast.stores.base import is_key

if TYPE_CHECKING:
    from multiblast.registry.local.registry import Registry

NOWHERE = Path("/nonexistent")
"""Below which there is no path that somebody could name."""

_UPLOADS = "uploads/"
_LONGEST_DATA = 16 << 20
_LONGEST_NAME = 100  # of a file that was sent
_UPLOADED = re.compile(r"([0-9a-f]{64})/([A-Za-z0-9_][A-Za-z0-9._-]{0,100})")
PARQUET, FASTA, TABLE = "application/vnd.apache.parquet", "text/x-fasta", "text/tab-separated-values"


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
    """What a text can stand for: what it means and how it is written; `take` gets it."""

    data: str
    content: str
    take: Callable[[], Taken]

    def fits(self, port: Input) -> bool:
        """Return whether a port takes it."""
        return port.takes(self.data, self.content)


@dataclass
class PluginInputs:
    """Finds what texts stand for.

    Attributes:
        references: Places from which files may be fetched that somebody names by a URL.
        registry: Opens the registry of data products.
        limit_bytes: How large a file may be that is fetched; 0 is no limit.
    """

    jobs: Jobs
    access: Access
    queries: Queries
    reports: Reports
    store: Store
    references: Sequence[str]
    registry: Callable[[], Registry]
    limit_bytes: int = 0

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
        if kind in {"job", "report", "plugin"}:
            job_id, _, part = rest.partition("/")
            job_id = self.access.whole_id(requester, job_id)
            find = {"job": self._of_query, "report": self._of_report, "plugin": self._of_plugin}[kind]
            return find(requester, job_id, part, text, key)
        if kind == "product":
            return [self._of_product(requester, rest, text, key)]
        if kind == "store":
            return [self._of_key(requester, rest, text, key)]
        if kind in {"data", "upload"}:
            return [self._of_data(text, key) if kind == "data" else self._of_upload(rest, text, key)]
        if is_url(text) and kind != "file":
            return [self._of_url(text, key)]
        return [self._of_path(_path(text, key, files_under), text)]

    def upload(self, path: Path, name: str) -> str:
        """Keep a file that was sent, and return the text by which whoever has its SHA-256 can name it as an input.

        Args:
            path: Where it lies now.
            name: What its sender calls it.
        """
        digest = self._kept(path, "", name, "*", UNKNOWN).sha256
        plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name.replace("\\", "/").rpartition("/")[2])[-_LONGEST_NAME:]
        return f"upload:{digest}/{plain.lstrip('.-') or 'file'}"

    def beginning(self, requester: Requester, text: str) -> tuple[list[Made], list[Made]]:
        """Return what a chain from a text begins with, and what there is besides: see `multiblast.plugins.chains`.

        Of a query job it begins with the hits; its query and subjects are there besides.
        """
        made = [Made(offer.data, offer.content) for offer in self.offers(requester, text, "source")]
        hits = [one for one in made if one.data.startswith("hits/")]
        return (hits, [one for one in made if one not in hits]) if hits else (made, [])

    def resolve(
        self,
        requester: Requester,
        description: Description,
        inputs: Mapping[str, Sequence[str]] | Sequence[str],
        *,
        files_under: Path | None = None,
    ) -> tuple[list[dict[str, Any]], dict[str, list[str]]]:
        """Get what a plugin is to take in.

        Args:
            requester: Who names it.
            description: The plugin's table.
            inputs: Texts by port; or texts alone, each of which goes to every port that it fits.
            files_under: The only directory that paths may lead into; None allows any path.

        Returns:
            The rows of a job's inputs, in the order of the ports, and the texts by port.

        Raises:
            InvalidInputError: with every problem, by port.
        """
        problems: list[Problem] = []
        named = self._by_port(requester, description, inputs, problems, files_under)
        if problems and not isinstance(inputs, Mapping):  # what is missing then is what was wrong
            raise InvalidInputError(problems)
        rows: list[dict[str, Any]] = []
        for port, declared in description.inputs.items():
            texts = named.get(port, [])
            if not texts and declared.required:
                problems.append(Problem(f"this is needed: {_wanted(declared)}", f"inputs.{port}"))
            if len(texts) > 1 and not declared.many:
                problems.append(Problem(f"one is needed here, and {len(texts)} are given", f"inputs.{port}"))
                continue
            for text in texts:
                with collecting(problems):
                    rows.append(self._take(requester, text, port, declared, files_under).at(port))
        if problems:
            raise InvalidInputError(problems)
        return rows, {port: texts for port, texts in named.items() if texts}

    def _by_port(
        self,
        requester: Requester,
        description: Description,
        inputs: Mapping[str, Sequence[str]] | Sequence[str],
        problems: list[Problem],
        files_under: Path | None,
    ) -> dict[str, list[str]]:
        if isinstance(inputs, Mapping):
            for port in inputs:
                if port not in description.inputs:
                    there = ", ".join(description.inputs) or "none"
                    problems.append(Problem(f"{description.name} has no such input; it has {there}", f"inputs.{port}"))
            return {port: [text for text in texts if text.strip()] for port, texts in inputs.items()}
        named: dict[str, list[str]] = {}
        for text in inputs:
            with collecting(problems):
                offers = self.offers(requester, text, files_under=files_under)
                fitting = [name for name, port in description.inputs.items() if any(one.fits(port) for one in offers)]
                if not fitting:
                    taken = (
                        "; ".join(f"{name}: {_wanted(port)}" for name, port in description.inputs.items()) or "nothing"
                    )
                    reason = f"{text!r} is {_found(offers)}, which {description.name} does not take: it takes {taken}"
                    raise InvalidInputError(Problem(reason, "inputs"))
                free = [name for name in fitting if description.inputs[name].many or not named.get(name)]
                if not free:
                    reason = f"{text!r} is one too many: {description.name} takes one as {' and '.join(fitting)}"
                    raise InvalidInputError(Problem(reason, "inputs"))
                for name in free:
                    named.setdefault(name, []).append(text)
        return named

    def _take(self, requester: Requester, text: str, port: str, declared: Input, files_under: Path | None) -> Taken:
        offers = self.offers(requester, text, f"inputs.{port}", files_under=files_under)
        for offer in offers:
            if offer.fits(declared):
                return offer.take()
        raise InvalidInputError(
            Problem(f"{text!r} is {_found(offers)}, and here goes {_wanted(declared)}", f"inputs.{port}")
        )

    def _of_query(self, requester: Requester, job_id: str, part: str, text: str, key: str) -> list[Offer]:
        self.access.check_read(requester, job_id, JobKind.QUERY)
        job = self.jobs.query(job_id)
        options = options_of(job)
        query = "nucleotide" if options.query_molecule is Molecule.NUCLEOTIDE else "protein"
        subject = "nucleotide" if options.database_kind.value == Molecule.NUCLEOTIDE.value else "protein"
        hits = f"hits/{job.program if '-' in job.program else 'blast'}"
        offers = {
            "hits": [
                Offer(hits, PARQUET, lambda: self._report(requester, job_id, Formatting(format="parquet"), hits, text)),
                Offer(hits, TABLE, lambda: self._report(requester, job_id, Formatting(format="6"), hits, text)),
            ],
            "query": [
                Offer(
                    f"sequences/{query}",
                    FASTA,
                    lambda: self._stored(
                        self.queries.query(requester, job_id), text, "query.fasta", f"sequences/{query}", job_id
                    ),
                )
            ],
            "subjects": [
                Offer(
                    f"subjects/{subject}",
                    FASTA,
                    lambda: self._stored(
                        self.reports.all_subjects(requester, job_id),
                        text,
                        "subjects.fasta",
                        f"subjects/{subject}",
                        job_id,
                    ),
                )
            ],
        }
        if part and part not in offers:
            raise InvalidInputError(Problem(f"a query job has no {part!r}: it has {', '.join(offers)}", key))
        if job.status != JobStatus.COMPLETE and part != "query":
            raise ConflictError(f"query job {job_id} is {job.status}: wait until it is complete, or restart it")
        return offers[part] if part else [one for some in offers.values() for one in some]

    def _report(self, requester: Requester, job_id: str, formatting: Formatting, data: str, text: str) -> Taken:
        report_id = self.reports.submit(requester, job_id, formatting, add_to_collection=False)
        file = self.reports.run(report_id).execute().files[0]
        digest, content = self.store.sha256(file.key), content_of(file.name)
        if content == UNKNOWN:
            content = TABLE
        return Taken(text, f"store:{file.key}", digest, file.size, file.name, data, content, job=job_id)

    def _of_report(self, requester: Requester, job_id: str, part: str, text: str, key: str) -> list[Offer]:
        files = self.reports.files(requester, job_id)
        names = [file.name for file in files if part in {"", file.name}]
        if not names:
            there = ", ".join(file.name for file in files)
            raise InvalidInputError(Problem(f"report {job_id} has no file {part!r}; it has {there}", key))
        kind = self.jobs.report(job_id).formatting.get("formatType")
        data = "hits/blast" if kind in {"parquet", "6", "7", "10"} else "report/blast"

        def take(name: str) -> Taken:
            with self.reports.stored_file(requester, job_id, name).open() as stream:
                return self._stored(stream, text, name, data, job_id)

        return [Offer(data, content_of(name), lambda name=name: take(name)) for name in names]  # type: ignore[misc]

    def _of_plugin(self, requester: Requester, job_id: str, part: str, text: str, key: str) -> list[Offer]:
        self.access.check_read(requester, job_id, JobKind.PLUGIN)
        job = self.jobs.plugin(job_id)
        if job.status != JobStatus.COMPLETE:
            raise ConflictError(f"plugin job {job_id} is {job.status}: wait until it is complete, or restart it")
        port, _, name = part.partition("/")
        found = [one for one in job.outputs if port in {"", one["port"]} and name in {"", one["name"]}]
        if not found:
            there = ", ".join(dict.fromkeys(one["port"] for one in job.outputs))
            raise InvalidInputError(Problem(f"plugin job {job_id} has no output {part!r}; it has {there}", key))

        def take(one: dict[str, Any]) -> Taken:
            if is_long_ago(job.used_at):  # what a job takes in is kept for as long
                self.jobs.touch([job_id])
            url = f"store:{one['key']}"
            return Taken(
                text,
                url,
                one["sha256"],
                one["size"],
                one["name"],
                one["data"],
                one["content"],
                one["directory"],
                job_id,
            )

        return [Offer(one["data"], one["content"], lambda one=one: take(one)) for one in found]  # type: ignore[misc]

    def _of_key(self, requester: Requester, object_key: str, text: str, key: str) -> Offer:
        if not is_key(object_key):
            raise InvalidInputError(Problem(f"{object_key!r} is no key of the storage", key))
        if not (requester.administrator or object_key.startswith(_UPLOADS)):
            raise NotAllowedError(f"{requester} may name what is below {_UPLOADS} in the storage, not {object_key!r}")
        is_directory = self.store.exists(f"{object_key}/{MANIFEST}")
        if not is_directory and not self.store.exists(object_key):
            raise InvalidInputError(Problem(f"there is nothing at {object_key!r} in the storage", key))
        name = object_key.rpartition("/")[2]
        content = DIRECTORY if is_directory else content_of(name)

        def take() -> Taken:
            if is_directory:
                tree, manifest = Tree.read(self.store, object_key)
                digest, size = sha256(manifest).hexdigest(), tree.size_bytes
            else:
                digest, size = self.store.sha256(object_key), self.store.stat(object_key).size_bytes
            return Taken(text, text, digest, size, name, "*", content, is_directory)

        return Offer("*", content, take)

    def _of_product(self, requester: Requester, name: str, text: str, key: str) -> Offer:
        from multiblast.actions.registered_products import product_file

        hidden = not requester.administrator
        with product_file(self.registry, name, key, only_public=hidden) as (_, file_name):
            content = content_of(file_name)

        def take() -> Taken:
            with product_file(self.registry, name, key, only_public=hidden) as (stream, _):
                return self._stored(stream, text, file_name, "*", "")

        return Offer("*", content, take)

    def _of_data(self, text: str, key: str) -> Offer:
        reference = Reference.parse(text, key)
        media = re.match(r"data:([a-z]+/[a-z0-9.+-]+)", text)
        content = media[1] if media else "text/plain"
        if reference.size_bytes > _LONGEST_DATA:
            raise InvalidInputError(Problem(f"more than {_LONGEST_DATA:,} bytes of data: name a file", key))

        def take() -> Taken:
            with TemporaryDirectory(prefix="multiblast-") as name:
                path = Path(name) / "data"
                path.write_bytes(reference.data)
                shown = text if len(text) <= 200 else f"{text[:200]}…"  # noqa: PLR2004 - as messages
                return self._kept(path, shown, "data", "*", content)

        return Offer("*", content, take)

    def _of_upload(self, rest: str, text: str, key: str) -> Offer:
        found = _UPLOADED.fullmatch(rest)
        if found is None:
            raise InvalidInputError(Problem(f"{text[:200]!r} names no file that was sent: choose the file", key))
        digest, name = found.groups()
        kept = ObjectKind.PLUGIN_INPUT.spread_key(digest)
        if not self.store.exists(kept):
            raise InvalidInputError(Problem(f"the file {name} is not kept any more: choose it again", key))

        def take() -> Taken:
            with self.store.open(kept) as stream:
                return self._stored(stream, text, name, "*", "")

        return Offer("*", content_of(name), take)

    def _of_url(self, text: str, key: str) -> Offer:
        reference = Reference.parse(text, key)
        content = content_of(reference.name)

        def take() -> Taken:
            with brought(reference, self.references, self.limit_bytes, key) as path:
                return self._kept(path, text, reference.file_name, "*", content)

        return Offer("*", content, take)

    def _of_path(self, path: Path, text: str) -> Offer:
        content = DIRECTORY if path.is_dir() else content_of(path.name)
        return Offer("*", content, lambda: self._kept(path, text, path.name, "*", content))

    def _stored(self, stream: BinaryIO, text: str, name: str, data: str, job: str) -> Taken:
        with TemporaryDirectory(prefix="multiblast-") as directory:
            path = Path(directory) / "file"
            save(stream, path)
            return self._kept(path, text, name, data, content_of(name), job)

    def _kept(self, path: Path, text: str, name: str, data: str, content: str, job: str = "") -> Taken:  # noqa: PLR0913, PLR0917 - the facts of a file
        """Keep a file by its digest, for the job that takes it in and any other that takes in the same."""
        if path.is_dir():
            raise InvalidInputError(
                Problem("push a directory first, with `multiblast push`, and name it store:KEY", "inputs")
            )
        digest = sha256_of(path)
        if data == "*" and content == FASTA:
            with suppress(InvalidInputError):
                data = f"sequences/{recognise(path)}"
        key = ObjectKind.PLUGIN_INPUT.spread_key(digest)
        if not self.store.exists(key):
            with path.open("rb") as file:
                self.store.put_resumably(key, file)
        return Taken(text, f"store:{key}", digest, path.stat().st_size, name, data, content, job=job)


def _path(text: str, key: str, files_under: Path | None) -> Path:
    path = Reference.parse(text, key).path.resolve()
    if files_under == NOWHERE:
        forms = "job:ID, plugin:ID/PORT, report:ID/FILE, product:NAMESPACE:NAME@VERSION, store:KEY, data:… or a URL"
        raise InvalidInputError(Problem(f"{text[:200]!r} is no input: write {forms}", key))
    if files_under is not None and not path.is_relative_to(files_under.resolve()):
        raise InvalidInputError(Problem(f"only files below {files_under} can be named here: upload it first", key))
    if not path.exists():
        raise InvalidInputError(Problem(f"there is no file {str(path)!r}", key))
    return path


def _found(offers: Sequence[Offer]) -> str:
    """Return in words what a text can stand for; of a file of which only the form is known, that."""
    return ", ".join(dict.fromkeys(one.content if one.data == "*" else f"{one.data} ({one.content})" for one in offers))


def _wanted(port: Input) -> str:
    content = " or ".join(port.content)
    return f"{port.data} ({content})" if content != "*" else port.data
