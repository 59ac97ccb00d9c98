"""Every error multiblast raises, under one root.

An error carries its facts as attributes, names the offending value and the
remedy in its message, and survives ``pickle`` so that it can cross a process
boundary.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any


class MultiblastError(Exception):
    """The root of all errors raised on purpose by this package.

    Attributes:
        job_id: The job whose run it ended; empty if it ended none.
    """

    job_id: str = ""

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild from the attributes, whatever the constructor takes."""
        return (_rebuild, (type(self), self.args, self.__dict__))


def _rebuild(cls: type[MultiblastError], args: tuple[Any, ...], state: dict[str, Any]) -> MultiblastError:
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    return error


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with what a user sent.

    Attributes:
        message: What is wrong and what to do about it.
        key: The field at fault, as in ``jobConfig.targets[0]``; empty for general problems.
        record: 1-based number of the FASTA record at fault; 0 if none.
        line: 1-based line of the input at fault; 0 if none.
    """

    message: str
    key: str = ""
    record: int = 0
    line: int = 0

    def __str__(self) -> str:
        """Return the message with its place before it."""
        places = [self.key] if self.key else []
        if self.record:
            places.append(f"record {self.record}")
        if self.line:
            places.append(f"line {self.line}")
        return f"{', '.join(places)}: {self.message}" if places else self.message


class InvalidInputError(MultiblastError, ValueError):
    """What a user sent cannot be accepted; nothing was stored or run.

    Attributes:
        problems: Every problem found, in the order of the input.
    """

    def __init__(self, problems: Iterable[Problem] | Problem | str) -> None:
        """Collect problems; a bare string is one general problem."""
        if isinstance(problems, str):
            problems = Problem(problems)
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    @property
    def by_key(self) -> dict[str, list[str]]:
        """Messages, with the place in the input, by the field they belong to, without the general ones."""
        grouped: dict[str, list[str]] = {}
        for problem in self.problems:
            if problem.key:
                grouped.setdefault(problem.key, []).append(str(replace(problem, key="")))
        return grouped

    @property
    def general(self) -> list[str]:
        """Messages that belong to no field."""
        return [str(problem) for problem in self.problems if not problem.key]


def under(key: str, problems: Iterable[Problem]) -> list[Problem]:
    """Return problems of a part of an input, with the key of the part before theirs."""
    return [replace(problem, key=f"{key}.{problem.key}" if problem.key else key) for problem in problems]


@contextmanager
def collecting(problems: list[Problem], key: str = "") -> Iterator[None]:
    """Add what the block finds wrong with an input to ``problems``, so that all of it can be reported at once.

    ``key`` is the field to which any other error of the block belongs; empty lets it pass.
    """
    try:
        yield
    except InvalidInputError as error:
        problems.extend(error.problems)
    except MultiblastError as error:
        if not key:
            raise
        problems.append(Problem(str(error), key))


class NotFoundError(MultiblastError, LookupError):
    """Something wanted by name or id does not exist."""

    def __init__(self, kind: str, name: str, remedy: str = "") -> None:
        """Name what was looked for (``kind``), under which name, and what to do."""
        self.kind, self.name, self.remedy = kind, name, remedy
        super().__init__(f"no {kind} {name!r}" + (f"; {remedy}" if remedy else ""))


class NotAllowedError(MultiblastError, PermissionError):
    """The requester may not do this to that job."""


class ConflictError(MultiblastError):
    """The action does not fit the present state, e.g. a report of an unfinished job."""


class JobFailedError(MultiblastError):
    """A job came to its end, failed or cancelled, without a whole result; what was found is kept."""

    def __init__(self, job_id: str, status: str, reason: str) -> None:
        """Name the job and why it failed."""
        self.job_id, self.status, self.reason = job_id, status, reason
        super().__init__(f"job {job_id} {status}: {reason}")


class LimitError(MultiblastError):
    """A user has as much as they may have for now.

    Attributes:
        limit: Which limit it is, a field of `multiblast.settings.UserLimits`.
        retry_at: When it is worth trying again, in UTC.
    """

    def __init__(self, limit: str, message: str, retry_at: datetime) -> None:
        """Name the limit and when to come back."""
        self.limit, self.retry_at = limit, retry_at
        super().__init__(f"{message}; try again after {retry_at:%Y-%m-%d %H:%M} UTC")


class StoreError(MultiblastError, OSError):
    """A store could not do what it was asked; the cause is chained."""


class StoreAwayError(StoreError):
    """A store's server is away, overloaded or in trouble: trying again later may help."""


class WrongStoreError(StoreAwayError):
    """Another store, or none, is where the one with the results was: its disk may not be mounted."""


class ObjectMissingError(StoreError, KeyError):
    """A store has no object under this key."""

    def __init__(self, key: str, remedy: str = "") -> None:
        """Name the missing key, and what can be done, if something can."""
        self.key = key
        super().__init__(f"no object {key!r} in the store" + (f": {remedy}" if remedy else ""))


class DamagedResultError(StoreError):
    """A result in the store is not as it was written."""

    def __init__(self, key: str, pack: str, reason: str) -> None:
        """Name the result's key, its pack's, and what shows it."""
        self.key, self.pack, self.reason = key, pack, reason
        remedy = "multiblast verify --contents --repair forgets what is damaged, so that it is searched again"
        super().__init__(f"result {key} in {pack} is damaged: {reason}; {remedy}")


class ArchiveError(MultiblastError, ValueError):
    """A BLAST+ archive is not as BLAST+ writes it."""


class UnderivableError(ArchiveError):
    """An archive of several queries does not give each query's statistics; search one query per batch."""


class FailureClass(StrEnum):
    """Why a program failed, in words that can be shown to a person."""

    BAD_QUERY_OR_OPTIONS = "bad query or options"
    DATABASE = "database not usable"
    ENGINE = "error in the BLAST+ engine"
    OUT_OF_MEMORY = "out of memory"
    NETWORK = "network error"
    OUTPUT = "output could not be written"
    TIME_LIMIT = "time limit reached"
    KILLED = "killed"
    CRASHED = "crashed"
    CANCELLED = "cancelled"
    MISSING_PROGRAM = "program not installed"
    UNKNOWN = "unknown error"


class ProgramError(MultiblastError):
    """A program ended in failure.

    Attributes:
        exit_code: The exit code; negative is the number of the signal that ended it.
        stderr: What it wrote to standard error (its end, if long).
    """

    def __init__(self, command: Iterable[str], exit_code: int, stderr: str, failure_class: FailureClass) -> None:
        """Keep the facts; the message is the class and the last line of stderr."""
        self.command = tuple(command)
        self.exit_code = exit_code
        self.stderr = stderr
        self.failure_class = failure_class
        lines = [line for line in stderr.splitlines() if line.strip()]
        reason = f": {lines[-1].strip()}" if lines else ""
        super().__init__(f"{self.command[0].rsplit('/', 1)[-1]} failed, {failure_class} (exit {exit_code}){reason}")
