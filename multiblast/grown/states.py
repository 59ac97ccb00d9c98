"""Which contents databases had under their names, and how one differs from another, sequence by sequence.

What is compared is kept in the result storage: the digests of a state's sequences, made once, and for two states of a
database the runs of sequences that both have, found once.
"""

from __future__ import annotations

import logging
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

import numpy as np
from sqlmodel import Session, col, select

from multiblast.archive import DatabaseSize
from multiblast.database import Database, DatabaseState, upsert, utc_now
from multiblast.errors import ConflictError, InvalidInputError
from multiblast.files import save
from multiblast.grown.alias import volumes_of
from multiblast.grown.difference import Difference, Runs
from multiblast.grown.matching import opened_runs, write_runs
from multiblast.grown.oids import OidSet
from multiblast.ids import digest
from multiblast.object_kinds import ObjectKind
from multiblast.stores import Store
from multiblast.targets import BlastDatabase, mixture
from multiblast.targets.digests import sequence_digests

_log = logging.getLogger(__name__)

_SEEN_AGAIN = timedelta(hours=1)
_STATES = 3  # earlier ones of a database that are looked at, the newest
_COMBINATIONS = 6  # of states of several databases


@dataclass(frozen=True, slots=True)
class EarlierState:
    """What databases that are searched together were, or some of them.

    Attributes:
        fingerprints: One for each of the databases, in their order; empty for one that was not searched with them.
        size: Their letters and sequences.
    """

    fingerprints: tuple[str, ...]
    size: DatabaseSize

    @property
    def searched(self) -> list[str]:
        """The fingerprints of those that were searched."""
        return list(filter(None, self.fingerprints))


class States:
    """States of databases, and their differences."""

    def __init__(self, database: Database, store: Store, most: int) -> None:
        """Keep them there; databases of more than ``most`` sequences are left out, but none if that is 0."""
        self._database, self._store, self._most = database, store, most

    def keep(self, databases: Sequence[BlastDatabase]) -> int:
        """Note what databases are now, so that later states can be compared; return for how many that was new.

        Those that cannot be compared are passed over (see `volumes_of`), and what is being replaced waits for later.
        """
        count = 0
        for database in databases:
            try:
                count += self._is_comparable(database) and self._keep(database)
            except (ConflictError, InvalidInputError) as error:
                _log.warning("the state of %s is not kept: %s", database.display, error)
        return count

    def earlier(self, databases: Sequence[BlastDatabase]) -> list[EarlierState]:
        """Return the states that are known of databases beside the present one, the most alike first.

        Of several, some may be missing in an earlier state: all of their sequences are then new. Of those whose volumes
        are not searched one database after the other nothing is known.
        """
        if mixture(databases):
            return []
        choices: list[list[tuple[str, int, int]]] = []
        with self._database.read() as session:
            for database in databases:
                is_now = (database.fingerprint, database.letters, database.sequences)
                then = self._earlier_of(session, database) if self._is_comparable(database) else []
                choices.append([is_now, *then, *([("", 0, 0)] if len(databases) > 1 else [])])
        now = tuple(some[0][0] for some in choices)
        found = []
        for parts in product(*choices):
            fingerprints = tuple(fingerprint for fingerprint, _, _ in parts)
            if any(fingerprints) and fingerprints != now:
                size = DatabaseSize(sum(letters for _, letters, _ in parts), sum(count for _, _, count in parts))
                found.append(EarlierState(fingerprints, size))
        found.sort(key=lambda state: (state.fingerprints.count(""), sum(map(str.__ne__, state.fingerprints, now))))
        return found[:_COMBINATIONS]

    def is_compared(self, state: EarlierState, databases: Sequence[BlastDatabase], most: int) -> bool:
        """Whether it is known how databases differ from an earlier state, or soon found since they are so small."""
        return all(
            fingerprint in {"", database.fingerprint}
            or database.sequences <= most
            or self._store.exists(_difference_key(fingerprint, database))
            for fingerprint, database in zip(state.fingerprints, databases, strict=True)
        )

    @contextmanager
    def difference(self, state: EarlierState, databases: Sequence[BlastDatabase]) -> Iterator[Difference]:
        """Give how databases differ from an earlier state; what is needed for that is made and kept.

        Raises:
            ConflictError: nothing is known of that state any more, or of the present one.
        """
        with TemporaryDirectory(prefix="multiblast-") as directory:
            path = Path(directory) / "runs"
            if len(databases) > 1:
                yield _difference(state, databases, self._joined_runs(state, databases, path))
                return
            self._bring_runs(state.fingerprints[0], databases[0], path)
            with opened_runs(path) as runs:
                yield _difference(state, databases, runs)

    def _joined_runs(self, state: EarlierState, databases: Sequence[BlastDatabase], path: Path) -> Runs:
        """Return the runs of several databases as those of one, in their order."""
        joined, then, now = (array("I"), array("I"), array("I")), 0, 0
        for fingerprint, database in zip(state.fingerprints, databases, strict=True):
            if fingerprint == database.fingerprint:
                _join(joined, Runs([0], [0], [database.sequences]), then, now)
                then += database.sequences
            elif fingerprint:
                self._bring_runs(fingerprint, database, path)
                with opened_runs(path) as runs:
                    _join(joined, runs, then, now)
                then += self._known(fingerprint).sequences
            now += database.sequences
        return Runs(*joined)

    def _is_comparable(self, database: BlastDatabase) -> bool:
        if self._most and database.sequences > self._most:
            return False
        with suppress(InvalidInputError):
            # An alias may state another size than its volumes'; these may have been replaced since they were scanned.
            volumes = list(volumes_of([database]))
            sizes = sum(volume.sequences for volume in volumes), sum(volume.letters for volume in volumes)
            return sizes == (database.sequences, database.letters)
        return False

    def _earlier_of(self, session: Session, database: BlastDatabase) -> list[tuple[str, int, int]]:
        statement = select(DatabaseState).where(
            DatabaseState.site == database.site,
            DatabaseState.target == database.target,
            DatabaseState.name == database.name,
            DatabaseState.molecule == str(database.molecule),
            DatabaseState.fingerprint != database.fingerprint,
        )
        rows = session.exec(statement.order_by(col(DatabaseState.seen_at).desc()).limit(_STATES))
        return [(row.fingerprint, row.letters, row.sequences) for row in rows]

    def _known(self, fingerprint: str) -> DatabaseState:
        with self._database.read() as session:
            row = session.exec(select(DatabaseState).where(DatabaseState.fingerprint == fingerprint)).first()
        if row is None:
            raise ConflictError(f"the state {fingerprint} of a database is not known any more")
        return row

    def _keep(self, database: BlastDatabase) -> bool:
        fingerprint, now = database.fingerprint, utc_now()
        key = (database.site, database.target, database.name, str(database.molecule), fingerprint)
        with self._database.read() as session:
            row = session.get(DatabaseState, key)
        if row is not None and now - row.seen_at < _SEEN_AGAIN:
            return False
        is_new = not self._store.exists(_digests_key(fingerprint))
        if is_new:
            self._put_digests(database, fingerprint)
        names = dict(zip(("site", "target", "name", "molecule", "fingerprint"), key, strict=True))
        sizes = {"sequences": database.sequences, "letters": database.letters}
        with self._database.write() as session:
            values = [{**names, **sizes, "first_at": now, "seen_at": now}]
            upsert(session, DatabaseState, values, lambda new: {"seen_at": new.seen_at})
        return is_new

    def _put_digests(self, database: BlastDatabase, fingerprint: str) -> None:
        with TemporaryFile() as file:
            for volume in volumes_of([database]):
                file.writelines(sequence_digests(volume))
            if database.fingerprint != fingerprint:
                raise ConflictError(f"{database.display} was replaced while it was read: try again")
            file.seek(0)
            self._store.put(_digests_key(fingerprint), file)

    def _bring_runs(self, earlier: str, database: BlastDatabase, path: Path) -> None:
        """Write into a file which sequences of an earlier state a database has, from the storage or found now."""
        key = _difference_key(earlier, database)
        if not self._store.exists(key):
            self._keep(database)
            if not all(self._store.exists(_digests_key(one)) for one in (earlier, database.fingerprint)):
                raise ConflictError(f"the state {earlier} of {database.display} is not known any more")
            old, new = path.with_suffix(".old"), path.with_suffix(".new")
            for fingerprint, copy in ((earlier, old), (database.fingerprint, new)):
                save(self._store.open(_digests_key(fingerprint)), copy)
            with TemporaryFile() as file:
                write_runs(old, new, file)
                file.seek(0)
                self._store.put(key, file)
            old.unlink()
            new.unlink()
        save(self._store.open(key), path)


def _digests_key(fingerprint: str) -> str:
    """Return where digests are kept; another way to make them needs another suffix, and tag of differences."""
    return ObjectKind.DIGESTS.spread_key(fingerprint, ".1")


def _difference_key(earlier: str, database: BlastDatabase) -> str:
    return ObjectKind.DIFFERENCE.key(digest("difference/1", [earlier, database.fingerprint]))


def _join(joined: tuple[array[int], array[int], array[int]], runs: Runs, then: int, now: int) -> None:
    """Add the runs of one database to those of the ones before it, which have so many sequences then and now."""
    joined[0].extend(first + then for first in runs.earlier)
    joined[1].extend(first + now for first in runs.later)
    joined[2].extend(runs.lengths)


def _difference(state: EarlierState, databases: Sequence[BlastDatabase], runs: Runs) -> Difference:
    size = DatabaseSize(sum(one.letters for one in databases), sum(one.sequences for one in databases))
    first, lengths = np.array(runs.later, np.int64), np.array(runs.lengths, np.int64)
    # One more where a run begins, one less where it ends: the sums are 1 for what is kept. Runs do not overlap.
    steps = np.zeros(size.sequences + 1, np.int8)
    np.add.at(steps, first, 1)
    np.subtract.at(steps, first + lengths, 1)
    is_kept = np.cumsum(steps[:-1], dtype=np.int8)
    added = OidSet(size.sequences, bytearray(np.packbits(is_kept == 0).tobytes()))
    return Difference(size, state.size, added, state.size.sequences - int(lengths.sum()), runs)
