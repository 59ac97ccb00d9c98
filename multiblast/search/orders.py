"""Orders: a search, or a report of one, as one value that any machine can do which has the databases; and doing it."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Annotated, Any, BinaryIO, Literal, Self, cast

import zstandard
from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from multiblast.archive.text import encode_string
from multiblast.coupling import Reference, StoreCoupling
from multiblast.errors import (
    ConflictError,
    FailureClass,
    MultiblastError,
    ProgramError,
    StoreAwayError,
    StoreError,
)
from multiblast.files import working_space
from multiblast.ids import digest
from multiblast.installation import Installation
from multiblast.jobs import TargetName
from multiblast.object_kinds import ObjectKind
from multiblast.options import parse_options
from multiblast.programs import BLAST_ENVIRONMENT, FORMATTER_ENVIRONMENT, ONE_BY_ONE, Program
from multiblast.search.context import SearchContext
from multiblast.search.profiles import OUTPUTS
from multiblast.search.resolver import Resolver
from multiblast.stores import Store
from multiblast.stores.base import CHUNK_BYTES
from multiblast.targets import database_argument

STDOUT: Literal["stdout.zst"] = "stdout.zst"
DONE, ALIVE = "done.json", "alive.json"
ARCHIVE_FILE = "archive.asn1"
ALIVE_EVERY_S = 5.0
_LEVEL = 3
_OF_THE_MACHINE = {  # others may well do it
    FailureClass.CANCELLED,
    FailureClass.KILLED,
    FailureClass.MISSING_PROGRAM,
    FailureClass.OUTPUT,
    FailureClass.DATABASE,
}
_FORMATTER_OPTIONS = {  # those that name no file
    *("-outfmt", "-num_descriptions", "-num_alignments", "-max_target_seqs", "-line_length", "-html", "-show_gis"),
    *("-sorthits", "-sorthsps", "-parse_deflines"),
}


@dataclass(frozen=True, slots=True)
class Order:
    """A search that is to be done, here or elsewhere, or the formatting of an archive of it.

    Attributes:
        search_key: Digest of program, version, options and databases: a machine where it is another one cannot do it.
        options: As they were given.
        inputs: SHA-256 of each file that is read, by name.
        one_by_one: Whether BLAST+ is to treat each sequence as if it were its only one.
        formatter: Arguments of ``blast_formatter``, if an archive is to be formatted.
        database: What its report is to name as the databases, as the archive does.
        time_limit_s: Of the BLAST+ process; 0 is none.
    """

    job_id: str
    search_key: str
    program: str
    options: Mapping[str, Any]
    site: str
    targets: tuple[tuple[str, str], ...]
    inputs: Mapping[str, str]
    one_by_one: bool = False
    formatter: tuple[str, ...] = ()
    database: str = ""
    time_limit_s: float = 0

    @property
    def id(self) -> str:
        """Digest of all that decides what comes of it: the same order is done once."""
        return digest(
            "order/1", [self.search_key, dict(self.inputs), self.one_by_one, list(self.formatter), self.database]
        )

    @property
    def prefix(self) -> str:
        """Where its files are in the store."""
        return ObjectKind.ORDER.spread_key(self.id, "/")

    @property
    def reads(self) -> list[str]:
        """The keys of the files that it needs."""
        return [f"{self.prefix}{name}" for name in self.inputs]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ConflictError: it is not so.
        """
        try:
            targets = tuple((str(display), str(file)) for display, file in facts["targets"])
            formatter = tuple(str(word) for word in facts["formatter"])
            made = cls(**{**facts, "targets": targets, "formatter": formatter})
        except (KeyError, TypeError, ValueError) as error:
            raise ConflictError(f"this is no order: {error}") from error
        if unknown := {word for word in formatter if word.startswith("-")} - _FORMATTER_OPTIONS:
            raise ConflictError(f"this is no order: the formatter is not to be given {', '.join(sorted(unknown))}")
        return made


Sha256 = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
OutputName = Literal["stdout.zst", "pssm.asn1", "pssm.txt"]


@checked_dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid"))
class Done:
    """What came of an order.

    Attributes:
        host: Which machine did it.
        outputs: SHA-256 of each file that the search wrote, by name; empty where it was not read to be handed over.
        failure: What kind of failure it was; empty if it went well.
    """

    host: Annotated[str, Field(max_length=255)]
    seconds: Annotated[float, Field(ge=0)]
    stderr: Annotated[str, Field(max_length=1 << 17)]
    exit_code: int = 0
    failure: FailureClass | Literal[""] = ""
    outputs: Mapping[OutputName, Sha256] = field(default_factory=dict)


def perform(order: Order, resolver: Resolver, coupling: StoreCoupling, host: str) -> Done:
    """Do an order on this machine, and hand over what comes of it, last of all that it is done.

    A search that fails is done as well: with its failure.

    Raises:
        ProgramError: it failed for a reason that lies in this machine.
        InvalidInputError: this machine does not have the databases.
        ConflictError: it has others of their names, or another version of BLAST+; or an input is not what it was.
        StoreError: the store is away, or the order is wanted no more.
    """
    options = parse_options(order.program, order.options)
    targets = tuple(TargetName(*target) for target in order.targets)
    context = resolver.resolve(order.site, targets, options, order.job_id)
    if context.plugin is not None:
        raise ConflictError(f"{order.program} searches where its job is, not for others")
    if context.search_key != order.search_key:
        raise ConflictError(f"{host} has another version of BLAST+, or of a database, than the job is searched with")
    with TemporaryDirectory(prefix="multiblast-") as name, working_space():
        directory = Path(name)
        with showing_life(coupling.store, order) as is_unwanted:  # from the first transfer to the last
            for file, sha256 in order.inputs.items():
                _bring(coupling, order, file, sha256, directory)
            done = _run(order, context, resolver.installation, directory, is_unwanted)
            resolver.check_unchanged(context)
            done = replace(done, host=host)
            paths = _outputs(directory, done)
            outputs = {cast("OutputName", path.name): _handed_over(coupling, order, path) for path in paths}
    done = replace(done, outputs=outputs)
    coupling.store.put(f"{order.prefix}{DONE}", json.dumps(asdict(done)).encode())
    return done


def _run(
    order: Order, context: SearchContext, installation: Installation, directory: Path, cancelled: Callable[[], bool]
) -> Done:
    here = database_argument(context.databases)
    if order.formatter:
        _substitute(directory / ARCHIVE_FILE, _database_line(order.database), _database_line(here))
        command = [installation.program("blast_formatter"), *order.formatter]
        command += ["-archive", str(directory / ARCHIVE_FILE)]
        environment = FORMATTER_ENVIRONMENT
    else:
        command = context.command(installation.program(order.program), directory, installation.workers)
        environment = ONE_BY_ONE if order.one_by_one else BLAST_ENVIRONMENT
    stdout = directory / "stdout"
    program = Program(
        command, stdout=stdout, environment=environment, timeout_s=order.time_limit_s, cancelled=cancelled
    )
    try:
        completed = program.run()
    except ProgramError as error:
        if error.failure_class in _OF_THE_MACHINE:
            raise
        return Done("", 0, error.stderr, error.exit_code, error.failure_class)
    if order.formatter:
        _substitute(stdout, here.encode(), order.database.encode())
    return Done("", completed.seconds, completed.stderr)


def _database_line(database: str) -> bytes:
    return b"subject database " + encode_string(database)


def _substitute(path: Path, old: bytes, new: bytes) -> None:
    """Replace some bytes wherever they are in a file, a piece at a time; by a copy, for the file may be a link."""
    beside, held = path.with_name(f".{path.name}.new"), b""
    with path.open("rb") as source, beside.open("wb") as target:
        while data := source.read(CHUNK_BYTES):
            *whole, last = (held + data).split(old)
            keep = min(len(old) - 1, len(last))  # it may go on in the next piece
            held = last[len(last) - keep :]
            target.write(new.join([*whole, last[: len(last) - keep]]))
        target.write(held)
    beside.replace(path)


def _outputs(directory: Path, done: Done) -> Iterator[Path]:
    """Yield the files that were written and are wanted, standard output compressed; none where it failed."""
    if done.failure:
        return
    packed = directory / STDOUT
    with (directory / "stdout").open("rb") as source, packed.open("wb") as target:
        zstandard.ZstdCompressor(level=_LEVEL).copy_stream(source, target)
    (directory / "stdout").unlink()
    yield packed
    yield from (path for file in OUTPUTS.values() if (path := directory / file).is_file())


@contextmanager
def showing_life(store: Store, order: Order) -> Iterator[Callable[[], bool]]:
    """Say every few seconds that the order is being done; give what says whether it is wanted no more."""
    ended, unwanted = Event(), Event()

    def report() -> None:
        while True:
            try:
                store.put(f"{order.prefix}{ALIVE}", json.dumps({"at": time.time()}).encode())  # never the same twice
            except StoreError:
                pass  # it may be back the next time
            except MultiblastError:  # the grant is for this no more: the job has ended
                unwanted.set()
            if ended.wait(ALIVE_EVERY_S):
                return

    reporter = Thread(target=report, name="order-alive", daemon=True)
    reporter.start()
    try:
        yield unwanted.is_set
    finally:
        ended.set()
        reporter.join()


def _handed_over(coupling: StoreCoupling, order: Order, path: Path) -> str:
    return coupling.push(path, f"{order.prefix}{path.name}").sha256


def _bring(coupling: StoreCoupling, order: Order, file: str, sha256: str, directory: Path) -> None:
    """Have an input in the directory, under its name; where nothing needs to be copied, a link to it."""
    reference = Reference(f"store:{order.prefix}{file}", sha256, name=file)
    try:
        path = coupling.fetch(reference, directory)
    except StoreError as error:
        if isinstance(error, StoreAwayError):
            raise
        raise ConflictError(f"{file} of the order cannot be had: {error}") from error
    if path != directory / file:
        (directory / file).symlink_to(path)


def _fetch(store: Store, key: str, path: Path, sha256: str) -> None:
    found = hashlib.sha256()
    with store.open(key) as source, path.open("wb") as target:
        while data := source.read(CHUNK_BYTES):
            found.update(data)
            target.write(data)
    if sha256 and found.hexdigest() != sha256:  # what was handed over by a link was not read
        raise ConflictError(f"{key} is not what it was when the order was done")


def fetch_output(store: Store, order: Order, done: Done, name: OutputName, path: Path) -> None:
    """Bring a file that came of an order here; standard output as BLAST+ wrote it.

    Raises:
        ConflictError: it is not what was said of it.
        ObjectMissingError: it has gone.
    """
    packed = path.with_name(f".{path.name}.fetched")
    _fetch(store, f"{order.prefix}{name}", packed, done.outputs[name])
    if name != STDOUT:
        packed.replace(path)
        return
    with packed.open("rb") as source, path.open("wb") as target:
        _unpack(source, target)
    packed.unlink()


def _unpack(source: BinaryIO, target: BinaryIO) -> None:
    try:
        shutil.copyfileobj(zstandard.ZstdDecompressor().stream_reader(source), target, CHUNK_BYTES)
    except zstandard.ZstdError as error:
        raise ConflictError(f"what came of the order cannot be read: {error}") from error


def is_done(store: Store, order: Order) -> Done | None:
    """Return what came of an order, if it is done; what a machine elsewhere says of it is checked."""
    try:
        facts = json.loads(store.read(f"{order.prefix}{DONE}"))
    except (StoreError, ValueError):
        return None
    try:
        return Done(**facts)
    except (ValidationError, TypeError):
        return None
