"""What a database was before, and which of its sequences are new, changed or gone."""

from __future__ import annotations

import gzip
import subprocess
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from multiblast.database import Database, StoreIdentity, utc_now
from multiblast.errors import ConflictError
from multiblast.grown import Difference
from multiblast.grown.states import States
from multiblast.molecules import DatabaseKind
from multiblast.object_kinds import ObjectKind
from multiblast.stores import MemoryStore
from multiblast.targets import BlastDatabase, Targets
from multiblast.upkeep import StorageUpkeep
from tests.support.places import EXAMPLES

MOST = 1_000_000

Make = Callable[..., BlastDatabase]


def records(name: str) -> list[str]:
    with gzip.open(EXAMPLES / f"{name}.fasta.gz", "rt") as file:
        return [f">{one}" for one in file.read().split(">")[1:]]


@pytest.fixture(scope="module")
def some() -> list[str]:
    """Twenty proteins."""
    return records("proteins")[:20]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """``make(records, *options, name="db", kind="prot")``: build it in place of what had its name."""

    def build(some: Sequence[str], *options: str | Path, name: str = "db", kind: str = "prot") -> BlastDatabase:
        (tmp_path / "in.fasta").write_text("".join(some))
        place = tmp_path / "root" / "s" / "t" / "blast"
        place.mkdir(parents=True, exist_ok=True)
        command = ["makeblastdb", "-in", tmp_path / "in.fasta", "-dbtype", kind, "-out", place / name, "-title", "t"]
        subprocess.run([*command, *options], check=True, capture_output=True)
        return Targets(tmp_path / "root", cache=tmp_path / "cache").resolve("s", "t", name)

    return build


@pytest.fixture
def states(tmp_path: Path) -> States:
    return States(Database(f"sqlite:///{tmp_path / 'jobs.sqlite'}"), MemoryStore(), MOST)


def difference(states: States, old: Sequence[BlastDatabase], make_new: Callable[[], Sequence[BlastDatabase]]) -> Facts:
    """Return what is new and gone, and where the others are, after databases were replaced."""
    states.keep(old)
    new = make_new()
    [state, *_] = states.earlier(new)
    with states.difference(state, new) as found:
        return facts(found)


Facts = tuple[list[int], int, list[int | None]]


def facts(found: Difference) -> Facts:
    return list(found.added), found.removed, [found.new_oid(oid) for oid in range(found.earlier_sequences)]


OPTIONS = {
    "numbered": [],
    "with ids": ["-parse_seqids"],
    "version 4": ["-blastdb_version", "4"],
    "several volumes": ["-max_file_sz", "8KB"],
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_new_and_changed_and_missing_sequences_are_found(
    states: States, make: Make, some: list[str], options: list[str]
) -> None:
    """Also where sequences are only numbered, and those after a missing one have other numbers."""
    changed = some[7].rstrip()[:-1] + ("A" if some[7].rstrip()[-1] != "A" else "G") + "\n"
    new = [*some[:3], *some[4:7], changed, *some[8:15]]
    expected = [0, 1, 2, None, 3, 4, 5, None, *range(7, 14)]
    old = make(some[:15], *options)
    found = difference(states, [old], lambda: [make(new + some[15:], *options)])
    assert found == ([6, *range(14, 19)], 2, expected)


def test_changed_title_is_another_sequence(states: States, make: Make, some: list[str]) -> None:
    head, _, residues = some[2].partition("\n")
    retitled = f"{head} renamed\n{residues}"
    found = difference(states, [make(some)], lambda: [make([*some[:2], retitled, *some[3:]])])
    assert found[:2] == ([2], 1)


def test_changed_mask_is_another_sequence(states: States, make: Make, some: list[str], tmp_path: Path) -> None:
    """A mask counts, since searches may leave out what is masked in the database."""
    plain, masks = make(some, "-parse_seqids"), tmp_path / "masks"
    segments = ["segmasker", "-infmt", "blastdb", "-parse_seqids", "-outfmt", "maskinfo_asn1_bin"]
    subprocess.run([*segments, "-in", plain.path, "-out", masks], check=True)
    masked = ["-parse_seqids", "-mask_data", masks]
    found = difference(states, [make(some, *masked)], lambda: [make([*some, ">other\nMKVLAAG\n"], *masked)])
    assert found[0] == [20]
    assert difference(states, [make(some, "-parse_seqids")], lambda: [make(some, *masked)])[0] == list(range(20))


def test_changed_letter_of_nucleotides_is_another_sequence(states: States, make: Make) -> None:
    """Also one that is ambiguous, for which the packed sequence has any letter, and the last one."""
    some = records("nucleotides")[:6]
    ambiguous = ["".join(("N" if n == 1 else line[0]) + line[1:] for n, line in enumerate(some[1].splitlines(True)))]
    longer = [some[4].rstrip() + "A\n"]
    new = [some[0], *ambiguous, *some[2:4], *longer, some[5]]
    found = difference(states, [make(some, kind="nucl")], lambda: [make(new, kind="nucl")])
    assert found[:2] == ([1, 4], 2)


def test_second_database_is_all_new_where_the_first_alone_is_known(states: States, make: Make, some: list[str]) -> None:
    """``X`` was searched, now ``X`` and ``Y`` are; with ``X`` as it was no digests are needed."""
    first, second = make(some[:8], name="a"), make(some[8:], name="b")
    found = states.earlier([first, second])
    assert [state.searched for state in found] == [[first.fingerprint], [second.fingerprint]]
    assert found[0].size.sequences == 8
    with states.difference(found[0], [first, second]) as between:
        assert facts(between) == (list(range(8, 20)), 0, list(range(8)))
    with states.difference(found[1], [first, second]) as between:
        assert facts(between) == (list(range(8)), 0, list(range(8, 20)))


def test_two_databases_are_compared_one_after_the_other(states: States, make: Make, some: list[str]) -> None:
    old = [make(some[:5], name="a"), make(some[10:15], name="b")]
    fingerprints = [database.fingerprint for database in old]
    states.keep(old)
    new = [make(some[:6], name="a"), make(some[11:16], name="b")]
    found = next(one for one in states.earlier(new) if one.searched == fingerprints)
    with states.difference(found, new) as between:
        assert facts(between) == ([5, 10], 1, [*range(5), None, *range(6, 10)])
        assert between.size.letters == sum(database.letters for database in new)
        assert between.earlier_size.letters == sum(database.letters for database in old)


def test_digests_and_differences_are_made_once(states: States, make: Make, some: list[str]) -> None:
    old = make(some[:10])
    assert states.keep([old]) == 1
    assert states.keep([old]) == 0
    new = make(some)
    [state] = states.earlier([new])
    for _ in range(2):
        with states.difference(state, [new]) as found:
            assert found.added.count() == 10
    kept = [key.split("/")[0] for key in states._store._objects]  # type: ignore[attr-defined]  # it is in memory
    assert sorted(kept) == [ObjectKind.DIFFERENCE, ObjectKind.DIGESTS, ObjectKind.DIGESTS]


def test_large_databases_are_left_out(states: States, make: Make, some: list[str]) -> None:
    states._most = 10
    assert states.keep([make(some[:11])]) == 0
    states._most = 20
    assert states.earlier([make(some)]) == []


def test_selections_of_sequences_are_left_out(states: States, make: Make, some: list[str]) -> None:
    """What BLAST+ searches of them is not what their volumes hold."""
    make(some, name="whole")
    database = make(some, name="db")
    (database.path.parent / "db.gi").write_text("1\n")
    alias = database.path.parent / "part.pal"
    alias.write_text("TITLE part\nDBLIST whole\nGILIST db.gi\n")
    part = Targets(database.root).resolve("s", "t", "part", DatabaseKind.PROTEIN)
    assert states.keep([part]) == 0


def test_difference_from_a_forgotten_state_is_refused(states: States, make: Make, some: list[str]) -> None:
    old = [make(some[:5], name="a"), make(some[10:15], name="b")]
    fingerprints = [database.fingerprint for database in old]
    states.keep(old)
    new = [make(some[:6], name="a"), make(some[11:16], name="b")]
    state = next(one for one in states.earlier(new) if one.searched == fingerprints)
    states._store.delete([ObjectKind.DIGESTS.spread_key(fingerprint, ".1") for fingerprint in fingerprints])
    with pytest.raises(ConflictError, match="not known any more"), states.difference(state, new):
        pass


def test_states_are_forgotten_once_they_were_not_seen_for_as_long_as_results_are_kept(
    states: States, make: Make, some: list[str]
) -> None:
    with states._database.write() as session:  # what a store had before its database is left alone
        session.add(StoreIdentity(mark="known"))
    states.keep([make(some[:10])])
    upkeep = StorageUpkeep(states._database, states._store, keep_days=30)
    upkeep.sweep(utc_now() + timedelta(days=29))
    assert states.earlier([make(some)])
    assert upkeep.sweep(utc_now() + timedelta(days=31)).unknown == 1
    assert not states.earlier([make(some)])
