"""Which sequences of one state of a database another one has, too, and where, by digests in two files.

What both begin and end with is compared as it lies there. The sequences between are sorted, some millions at a time,
and those of the same digest are taken in pairs, the first with the first. So memory is bounded, and a database that
only grew at the end costs no more than the reading of its digests.
"""

from __future__ import annotations

import mmap
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from multiblast.grown.difference import Runs

_Digests = NDArray[np.uint64]
_Numbers = NDArray[np.int64]

_AT_A_TIME = 1 << 20
_SORTED_AT_A_TIME = 4 << 20  # of both states together: some 250 MB
_GONE = -2  # no number follows it
_HEAD_BYTES, _NUMBER_BYTES = 8, 4


def write_runs(earlier: Path, later: Path, output: BinaryIO, sorted_at_a_time: int = _SORTED_AT_A_TIME) -> None:
    """Find the runs of sequences that are in both states, and write them for `opened_runs`.

    Args:
        earlier: The digests of its sequences, one after the other.
        later: Those of the new state.
        output: Where they go.
        sorted_at_a_time: About how many sequences' digests are sorted in memory.
    """
    old, new = _read(earlier), _read(later)
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    with TemporaryFile() as place, ExitStack() as files:
        columns = [files.enter_context(TemporaryFile()) for _ in range(3)]
        middle = _matched(old[head : len(old) - tail], new[head : len(new) - tail], place, sorted_at_a_time)
        _add(columns, [[0, 0, head]])
        for runs in _runs(middle):
            _add(columns, runs + np.array([head, head, 0]))
        _add(columns, [[len(old) - tail, len(new) - tail, tail]])
        output.write((columns[0].tell() // _NUMBER_BYTES).to_bytes(_HEAD_BYTES, "little"))
        for column in columns:
            column.seek(0)
            shutil.copyfileobj(column, output)


def _add(columns: Sequence[BinaryIO], runs: ArrayLike) -> None:
    """Write runs, but for empty ones, each of their three numbers into a file of its own."""
    rows = np.asarray(runs, np.uint32)
    for column, numbers in zip(columns, rows[rows[:, 2] > 0].T, strict=True):
        column.write(numbers.astype("<u4").tobytes())


@contextmanager
def opened_runs(path: Path) -> Iterator[Runs]:
    """Give the runs that `write_runs` wrote into a file; what of them is looked at is in memory."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        count = int.from_bytes(data[:_HEAD_BYTES], "little")
        with memoryview(data) as whole, whole[_HEAD_BYTES:] as rest, rest.cast("I") as numbers, ExitStack() as parts:
            yield Runs(*(parts.enter_context(numbers[part * count :][:count]) for part in range(3)))


def _read(path: Path) -> _Digests:
    """Return digests as rows of two numbers; of a file, that is read as it is needed."""
    if not path.stat().st_size:
        return np.empty((0, 2), np.uint64)
    return np.memmap(path, np.uint64, "r").reshape(-1, 2)


def _common(first: _Digests, second: _Digests) -> int:
    """Return how many digests both begin with."""
    most = min(len(first), len(second))
    for start in range(0, most, _AT_A_TIME):
        end = min(start + _AT_A_TIME, most)
        differs = (first[start:end] != second[start:end]).any(axis=1)
        if differs.any():
            return start + int(differs.argmax())
    return most


def _matched(old: _Digests, new: _Digests, place: BinaryIO, sorted_at_a_time: int) -> _Numbers:
    """Return where in the new state each sequence is, or `_GONE`; in a file, since there may be very many."""
    if not len(old):
        return np.empty(0, np.int64)
    place.truncate(8 * len(old))
    found: _Numbers = np.memmap(place, np.int64, "r+", shape=(len(old),))
    buckets = -(-(len(old) + len(new)) // sorted_at_a_time)
    for start in range(0, len(old), _AT_A_TIME):
        found[start : start + _AT_A_TIME] = _GONE
    for bucket in range(buckets) if len(new) else ():
        _match(_bucket(old, bucket, buckets), _bucket(new, bucket, buckets), found)
    return found


def _bucket(digests: _Digests, bucket: int, buckets: int) -> tuple[_Digests, _Numbers]:
    """Return those digests that fall into a bucket, and their places, sorted by the first half of the digest."""
    rows, places = [], []
    for start in range(0, len(digests), _AT_A_TIME):
        some = digests[start : start + _AT_A_TIME]
        mine = np.flatnonzero(some[:, 0] % np.uint64(buckets) == bucket)
        rows.append(some[mine])
        places.append(mine + start)
    whole, numbers = np.concatenate(rows), np.concatenate(places)
    order = np.argsort(whole[:, 0], kind="stable")  # equal ones stay in their order
    return whole[order], numbers[order]


def _match(old: tuple[_Digests, _Numbers], new: tuple[_Digests, _Numbers], found: _Numbers) -> None:
    """Note of some sequences where they are in the new state, the first of several equal ones with the first."""
    (old_rows, old_places), (new_rows, new_places) = old, new
    keys, others = old_rows[:, 0], new_rows[:, 0]
    rank = np.arange(len(keys)) - np.searchsorted(keys, keys)
    at = np.searchsorted(others, keys) + rank
    fits = np.flatnonzero(at < len(others))
    # Also the second halves: where they differ, the sequences count as changed.
    fits = fits[(new_rows[at[fits]] == old_rows[fits]).all(axis=1)]
    found[old_places[fits]] = new_places[at[fits]]


def _runs(found: _Numbers) -> Iterator[_Numbers]:
    """Yield the runs of some millions of sequences at a time, as rows: place, place in the new state, length.

    A run ends where the next sequence is not the next one in the new state.
    """
    for start in range(0, len(found), _AT_A_TIME):
        places = np.asarray(found[start : start + _AT_A_TIME])
        begins = np.flatnonzero(np.diff(places, prepend=_GONE - 2) != 1) if len(places) else np.empty(0, np.int64)
        lengths = np.diff(begins, append=len(places))
        kept = places[begins] != _GONE
        yield np.stack([begins + start, places[begins], lengths], axis=1)[kept]
