"""The databases under a root, by site, target and name."""

from __future__ import annotations

import difflib
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import NoReturn

from multiblast.errors import InvalidInputError, NotFoundError, Problem
from multiblast.ids import digest
from multiblast.molecules import DatabaseKind
from multiblast.settings import home
from multiblast.targets.content import Alias, read_alias
from multiblast.targets.database import BlastDatabase, in_canonical_order
from multiblast.targets.directories import Directories, Found
from multiblast.targets.layout import DEFAULT_LAYOUT, Layout, Place, closed_directories
from multiblast.targets.volume import check_together, read_volume

_ENTRY = re.compile(r"(.+)\.([pn])(?:al|in)")
_CLOSED_NAMED = 3
_GROUPS = {
    DatabaseKind.NUCLEOTIDE: "naTargets",
    DatabaseKind.PROTEIN: "aaTargets",
    DatabaseKind.PROFILE: "profileTargets",
}

_Key = tuple[str, str, str, DatabaseKind]


@dataclass(frozen=True, slots=True)
class _Scan:
    """What one scan found, in the order of keys."""

    databases: Mapping[_Key, BlastDatabase]
    stamps: Mapping[BlastDatabase, tuple[int, ...]]  # when the index files of each were last written
    problems: tuple[Problem, ...]
    broken: Mapping[tuple[str, str, str], str]  # what is wrong with one, by site, target and name


class Targets:
    """What is below ``root``: scanned at first use, and again by `resolve_all` if what it looks for changed.

    Names are looked up here, never joined into paths, and a database counts only if all its files really lie
    below the root. May be shared by threads: each question is answered from one scan, whole.
    """

    def __init__(self, root: Path, layout: str = DEFAULT_LAYOUT, cache: Path | None = None) -> None:
        """Look below the directory ``root``, which must be there; ``cache`` is where fingerprints are remembered."""
        self.root = Path(root).absolute()
        self.layout = Layout(layout)
        self.cache = cache or home() / "cache" / "fingerprints"
        if not self.root.is_dir():
            raise NotFoundError("targets root", str(root), "give the directory that has the sites' databases in it")
        remembered = f"{digest('scan/1', [str(self.root), layout])}.json"
        self._directories = Directories(self.root, self.cache.with_name("scans") / remembered)
        self._lock = Lock()
        self._last: _Scan | None = None

    @classmethod
    def own(cls) -> Targets:
        """Return what is below ``targets`` in multiblast's home, which is made if need be."""
        root = home() / "targets"
        root.mkdir(parents=True, exist_ok=True)
        return cls(root)

    def rescan(self) -> None:
        """Forget what was found, so that the next question looks again."""
        with self._lock:  # a scan that is under way may have passed what its caller has just written
            self._last = None

    def renew(self) -> None:
        """Look again now; until that is done, questions are answered from what was found before."""
        with self._lock:
            self._last = self._scanned()

    def keep_renewing(self, every_s: float) -> NoReturn:
        """Look again and again, so that no request waits for that; for a thread of a service."""
        while True:
            with suppress(OSError):  # of a disk that is away for a while
                self.renew()
            time.sleep(every_s)

    def databases(self) -> tuple[BlastDatabase, ...]:
        """Return all databases, ordered by site, target and name."""
        return tuple(self._scan().databases.values())

    def problems(self) -> tuple[Problem, ...]:
        """Return what was found but cannot be used, and why; the key is its path below the root."""
        return self._scan().problems

    def misplaced(self) -> tuple[Problem, ...]:
        """Return which databases lie where none is looked for, with where each belongs; keys as of `problems`."""
        found = {
            directory / name: fits.replace("{database}", name)
            for directory, fits in self.layout.misplaced(self.root)
            for name, _ in _database_names(directory)
        }
        reason = "it lies where no database is looked for: move its files, so that they are "
        return tuple(Problem(f"{reason}{fits}.*", str(path.relative_to(self.root))) for path, fits in found.items())

    def closed(self) -> tuple[Problem, ...]:
        """Return which directories may have databases and cannot be read; keys as of `problems`."""
        remedy = "let the user that this runs as read and search it"
        closed = closed_directories(self.root)
        return tuple(Problem(f"{reason}: {remedy}", str(path.relative_to(self.root))) for path, reason in closed)

    def unusable(self) -> tuple[Problem, ...]:
        """Return all that keeps databases from being found or used: see `problems`, `misplaced` and `closed`."""
        return (*self.problems(), *self.misplaced(), *self.closed())

    def tree(self) -> dict[str, dict[str, dict[str, list[str]]]]:
        """Return ``{site: {target: {naTargets: […], aaTargets: […], profileTargets: […]}}}``, without empty lists."""
        return _tree(self.databases())

    def resolve(self, site: str, target: str, database: str, molecule: DatabaseKind | None = None) -> BlastDatabase:
        """Return the database registered under these names; what it holds is needed where two share a name.

        Raises:
            NotFoundError: no such database; the remedy names those that look alike.
            InvalidInputError: it holds something else; the message names those of the target that fit.
        """
        return _resolve(self._scan(), site, target, database, molecule)

    def resolve_all(
        self, site: str, names: Sequence[tuple[str, str]], molecule: DatabaseKind | None = None
    ) -> tuple[BlastDatabase, ...]:
        """Return the databases registered under ``site`` and these (target, database) names, in canonical order.

        A database that is new, or was rebuilt since the last scan, is seen as it is now.

        Raises:
            InvalidInputError: with a problem for each that does not resolve, under the key ``targets[0]`` and so on.
        """
        scan = self._scan()
        wanted = [database for key, database in scan.databases.items() if key[0] == site and key[1:3] in set(names)]
        if len(wanted) < len(set(names)) or any(_stamp(database) != scan.stamps[database] for database in wanted):
            self.rescan()
            scan = self._scan()
        databases, problems = [], []
        for number, (target, database) in enumerate(names):
            try:
                databases.append(_resolve(scan, site, target, database, molecule))
            except (NotFoundError, InvalidInputError) as error:
                near = [one for one in self.misplaced() if Path(one.key).name == database]
                why = [error, *near, *self.closed()[:_CLOSED_NAMED]]
                problems.append(Problem("; ".join(map(str, why)), key=f"targets[{number}]"))
        if not names:
            problems.append(Problem("no target is chosen: choose at least one", key="targets"))
        try:
            check_together(read_volume(path, one.molecule.letter) for one in databases for path in one.volumes)
        except InvalidInputError as error:
            problems.append(Problem(str(error), key="targets"))
        if problems:
            raise InvalidInputError(problems)
        return in_canonical_order(databases)

    def at(self, path: Path, site: str, target: str, molecule: DatabaseKind) -> BlastDatabase:
        """Return the whole database at ``path`` (without extension) below the root as if it were registered."""
        found = Found.read(path.parent, path.name, molecule.letter, self.root)
        if found.problem:
            raise InvalidInputError(found.problem)
        return self._database(Place(site, target, (), path.parent), found)

    def note(self, database: BlastDatabase) -> Path:
        """Return the file that records that a database was copied here, if it was: see `multiblast.transfer`."""
        names = [database.site, database.target, database.name, database.molecule]
        return self.root / ".synced" / f"{digest('note/1', names)}.json"

    def note_use(self, databases: Iterable[BlastDatabase]) -> None:
        """Note that databases are searched now, so that others are removed first where room is needed."""
        for database in databases:
            with suppress(OSError):  # most were not copied here
                os.utime(self.note(database))

    def _scan(self) -> _Scan:
        """Return the last scan, after making it if there is none."""
        last = self._last
        if last is None:
            with self._lock:
                last = self._last = self._last or self._scanned()
        return last

    def _scanned(self) -> _Scan:
        found: dict[_Key, tuple[Place, BlastDatabase]] = {}
        problems: list[Problem] = []
        broken: dict[tuple[str, str, str], str] = {}
        # The newest build comes last and so replaces the others.
        places = sorted(self.layout.places(self.root), key=lambda place: (place.build, place.directory))
        lying = self._directories.look((place.directory for place in places), _database_names)
        for place in places:
            for one in lying[place.directory]:
                if one.problem:
                    problems.append(self._problem(place.directory / one.name, one.problem))
                    broken[place.site, place.target, one.name] = one.problem
                    continue
                database = self._database(place, one)
                key = (database.site, database.target, database.name, database.molecule)
                earlier = found.get(key)
                if earlier and earlier[0].build == place.build:
                    reason = f"it has the same name as {str(database.path)!r}, which is used"
                    problems.append(self._problem(earlier[1].path, reason))
                found[key] = (place, database)
        databases = {key: database for key, (_, database) in sorted(found.items())}
        stamps = {database: _stamp(database) for database in databases.values()}
        return _Scan(databases, stamps, tuple(problems), broken)

    def _problem(self, path: Path, message: str) -> Problem:
        return Problem(message, key=str(path.relative_to(self.root)))

    def _database(self, place: Place, found: Found) -> BlastDatabase:
        return BlastDatabase(
            site=place.site,
            target=place.target,
            name=found.name,
            title=found.title,
            molecule=DatabaseKind(found.molecule),
            sequences=found.sequences,
            letters=found.letters,
            date=datetime.fromisoformat(found.date),
            path=place.directory / found.name,
            volumes=tuple(place.directory / volume for volume in found.volumes),
            root=self.root,
            cache=self.cache,
        )


def _tree(databases: Iterable[BlastDatabase]) -> dict[str, dict[str, dict[str, list[str]]]]:
    tree: dict[str, dict[str, dict[str, list[str]]]] = {}
    for database in databases:
        groups = tree.setdefault(database.site, {}).setdefault(database.target, {})
        groups.setdefault(_GROUPS[database.molecule], []).append(database.name)
    return tree


def _resolve(scan: _Scan, site: str, target: str, name: str, molecule: DatabaseKind | None) -> BlastDatabase:
    found = scan.databases
    kinds = [kind for kind in _GROUPS if (site, target, name, kind) in found]
    if not kinds and (reason := scan.broken.get((site, target, name))):
        raise InvalidInputError(f"{site}/{target}/{name} cannot be searched: {reason}")
    if not kinds:
        raise _not_found(_tree(found.values()), site, target, name)
    full_name = f"{site}/{target}/{name}"
    if molecule is None and len(kinds) > 1:
        raise InvalidInputError(f"{full_name} is the name of several databases: {' and '.join(kinds)}")
    if molecule in {None, *kinds}:
        return found[site, target, name, molecule or kinds[0]]
    fitting = [other for s, t, other, kind in found if (s, t, kind) == (site, target, molecule)]
    remedy = f"choose {_listed(fitting)}" if fitting else f"{site}/{target} has no {molecule} database"
    raise InvalidInputError(
        f"{full_name} is a {kinds[0]} database, and this program searches {molecule} databases: {remedy}"
    )


def _not_found(
    tree: Mapping[str, Mapping[str, Mapping[str, Sequence[str]]]], site: str, target: str, name: str
) -> NotFoundError:
    """Describe what is missing, at the level where it is missing."""
    if site not in tree:
        return NotFoundError("site", site, _alike(site, tree))
    if target not in tree[site]:
        return NotFoundError(f"target of {site}", target, _alike(target, tree[site]))
    names = {other for group in tree[site][target].values() for other in group}
    return NotFoundError(f"database of {site}/{target}", name, _alike(name, names))


def _stamp(database: BlastDatabase) -> tuple[int, ...]:
    """When the index files of a database were last written; no numbers if they are gone."""
    extension = f".{database.molecule.letter}in"
    try:
        return tuple(path.with_name(path.name + extension).stat().st_mtime_ns for path in database.volumes)
    except OSError:
        return ()


def _database_names(directory: Path) -> Iterator[tuple[str, str]]:
    """Yield the (name, kind) of each database in a directory: without the volumes that aliases put together.

    These are hidden also where their alias has a member that is missing.
    """
    entries = _entries(directory)
    aliases: list[Alias] = []
    for name, kind in entries:
        with suppress(InvalidInputError, OSError):
            aliases.append(read_alias(directory / f"{name}.{kind}al"))
    for name, kind in entries:
        if not any(alias.hides(name) for alias in aliases):
            yield name, kind


def _entries(directory: Path) -> list[tuple[str, str]]:
    """Return the (name, kind) of each database or volume in a directory."""
    try:
        names = [path.name for path in directory.iterdir()]
    except OSError:
        return []  # not ours to read, or gone meanwhile
    return sorted({(match[1], match[2]) for name in names if (match := _ENTRY.fullmatch(name))})


def _alike(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"did you mean {_listed(close)}?" if close else f"there is {_listed(sorted(names)[:5])}"


def _listed(names: Sequence[str]) -> str:
    return " or ".join(map(repr, names)) or "none"
