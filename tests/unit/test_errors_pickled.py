"""Errors cross process boundaries whole, and say what to do."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime

import pytest

from multiblast.errors import (
    ArchiveError,
    ConflictError,
    DamagedResultError,
    FailureClass,
    InvalidInputError,
    JobFailedError,
    LimitError,
    MultiblastError,
    NotAllowedError,
    NotFoundError,
    ObjectMissingError,
    Problem,
    ProgramError,
    StoreAwayError,
    StoreError,
    UnderivableError,
)

_ERRORS = [
    MultiblastError("something is wrong"),
    InvalidInputError([Problem("too long", "query", record=3, line=7), Problem("general")]),
    InvalidInputError("one general problem"),
    NotFoundError("job", "x", "submit it first"),
    NotAllowedError("not yours"),
    ConflictError("not complete"),
    JobFailedError("a" * 32, "failed", "out of memory"),
    LimitError("sequences a day", "wait until tomorrow", datetime(2026, 1, 1, tzinfo=UTC)),
    StoreError("cannot write 'x'"),
    StoreAwayError("no server answers"),
    DamagedResultError("3f", "packs/1f", "wrong SHA-256"),
    ObjectMissingError("packs/1f"),
    ArchiveError("no archive"),
    UnderivableError("run the batch alone"),
    ProgramError(["/usr/bin/blastp", "-query", "q"], 4, "Error: bad_alloc\n", FailureClass.OUT_OF_MEMORY),
]


@pytest.mark.parametrize("error", _ERRORS, ids=lambda error: type(error).__name__)
def test_error_survives_pickle(error: MultiblastError) -> None:
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(copied) is type(error)
    assert str(copied) == str(error)
    assert vars(copied) == vars(error)
    assert copied.args == error.args


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (InvalidInputError("x"), ValueError),
        (NotFoundError("job", "x"), LookupError),
        (NotAllowedError("x"), PermissionError),
        (StoreError("x"), OSError),
        (ObjectMissingError("x"), KeyError),
        (ArchiveError("x"), ValueError),
    ],
)
def test_error_is_the_builtin_that_one_expects(error: MultiblastError, builtin: type[Exception]) -> None:
    assert isinstance(error, builtin)


def test_problem_tells_its_place() -> None:
    assert str(Problem("too long", "query", record=3, line=7)) == "query, record 3, line 7: too long"
    assert str(Problem("too long")) == "too long"


def test_problems_are_grouped_by_field() -> None:
    error = InvalidInputError(
        [Problem("one", "query"), Problem("two", "query"), Problem("three"), Problem("four", "site")]
    )
    assert error.by_key == {"query": ["one", "two"], "site": ["four"]}
    assert error.general == ["three"]


def test_not_found_names_thing_and_remedy() -> None:
    assert str(NotFoundError("target", "a/b", "rescan the targets")) == "no target 'a/b'; rescan the targets"
    assert str(NotFoundError("target", "a/b")) == "no target 'a/b'"


def test_missing_object_reads_plainly() -> None:
    assert str(ObjectMissingError("packs/1f")) == "no object 'packs/1f' in the store"


def test_program_error_tells_class_code_and_last_words() -> None:
    error = ProgramError(["/usr/bin/blastp"], 4, "Warning: x\nError: bad_alloc\n\n", FailureClass.OUT_OF_MEMORY)
    assert str(error) == "blastp failed, out of memory (exit 4): Error: bad_alloc"
