"""Databases that change while they are looked for, are broken, or lie elsewhere: refused by name, with the reason."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from multiblast.errors import InvalidInputError
from multiblast.targets import Targets
from multiblast.targets.content import Content, read_content
from multiblast.targets.makeblastdb import build_database
from tests.support.database_forms import PROTEINS, run


def copied(forms_root: Path, tmp_path: Path) -> Path:
    shutil.copytree(forms_root / "A", tmp_path / "root/A")
    return tmp_path / "root"


def names(root: Path, tmp_path: Path) -> set[str]:
    return {d.name for d in Targets(root, cache=tmp_path / "cache").databases()}


def test_database_behind_a_link_out_of_the_root_is_refused(forms_root: Path, tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    shutil.copytree(forms_root / "A/one", outside)
    (inside / "A").mkdir(parents=True)
    (inside / "A/linked").symlink_to(outside)
    targets = Targets(inside, cache=tmp_path / "cache")
    assert targets.databases() == ()
    assert all("leads outside of the targets root" in problem.message for problem in targets.problems())
    assert "A/linked/blast/plain" in {problem.key for problem in targets.problems()}


def test_database_with_one_file_linked_out_of_the_root_is_refused(forms_root: Path, tmp_path: Path) -> None:
    inside = copied(forms_root, tmp_path)
    sequences = inside / "A/one/blast/plain.psq"
    sequences.rename(tmp_path / "elsewhere.psq")
    sequences.symlink_to(tmp_path / "elsewhere.psq")
    assert names(inside, tmp_path) == {"Genes", "taxa", "v4", "volumes", "dna"}


def test_alias_of_a_database_outside_of_the_root_is_refused(forms_root: Path, tmp_path: Path) -> None:
    inside = copied(forms_root, tmp_path)
    (inside / "A/one/blast/stray.pal").write_text(f"TITLE stray\nDBLIST {forms_root / 'A/one/blast/plain'}\n")
    targets = Targets(inside, cache=tmp_path / "cache")
    (problem,) = targets.problems()
    assert problem.key == "A/one/blast/stray"
    assert "leads outside" in problem.message


def test_links_that_stay_within_the_root_are_followed(forms_root: Path, tmp_path: Path) -> None:
    inside = copied(forms_root, tmp_path)
    (inside / "A/linked").symlink_to(inside / "A/one")
    assert Targets(inside, cache=tmp_path / "cache").resolve("A", "linked", "plain").sequences == 12


def test_damaged_databases_are_told_and_left_out(forms_root: Path, tmp_path: Path) -> None:
    inside = copied(forms_root, tmp_path)
    blast = inside / "A/one/blast"
    (blast / "plain.pin").write_bytes(b"damaged")
    (blast / "v4.psq").unlink()
    (blast / "loop.pal").write_text("TITLE loop\nDBLIST loop\n")
    (blast / "void.pal").write_text("TITLE void\n")
    targets = Targets(inside, cache=tmp_path / "cache")
    messages = {problem.key.rpartition("/")[2]: problem.message for problem in targets.problems()}
    assert set(messages) == {"plain", "v4", "loop", "void", "both"}
    assert "is missing" in messages["v4"]
    assert "does an alias name itself" in messages["loop"]
    assert "names no database in DBLIST" in messages["void"]
    assert [d.name for d in targets.databases() if d.target == "one"] == ["Genes", "Genes", "taxa", "volumes"]


def test_targets_are_shared_by_threads_while_a_database_is_rebuilt(forms_root: Path, tmp_path: Path) -> None:
    inside = copied(forms_root, tmp_path)
    targets = Targets(inside, cache=tmp_path / "cache")
    index = inside / "A/one/blast/plain.pin"
    done = threading.Event()

    def search() -> int:
        asked = 0
        while not done.is_set():
            assert [d.name for d in targets.resolve_all("A", [("one", "plain"), ("one", "volumes")])] == [
                "plain",
                "volumes",
            ]
            assert targets.problems() == ()
            assert len(targets.databases()) == 8
            asked += 1
        return asked

    def rescan() -> int:
        while not done.is_set():
            targets.rescan()
        return 1

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(act) for act in (search, search, search, rescan)]
            for _ in range(100):
                index.touch()
                time.sleep(0.01)
            done.set()
            assert all(one.result() for one in asking)
    finally:
        done.set()
        sys.setswitchinterval(interval)


def test_rescan_is_not_lost_to_a_scan_that_began_before(
    forms_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else's scan has gone past the directory in which a database is built."""
    inside = copied(forms_root, tmp_path)
    targets = Targets(inside, cache=tmp_path / "cache")
    begun, built = threading.Event(), threading.Event()

    def slow(path: Path, kind: str, under: Path) -> Content:
        begun.set()
        built.wait()
        return read_content(path, kind, under)

    monkeypatch.setattr("multiblast.targets.directories.read_content", slow)
    with ThreadPoolExecutor(2) as pool:
        scanning = pool.submit(targets.databases)
        begun.wait()
        build_database(PROTEINS, inside / "A/one/blast", "new", molecule="protein")
        rescanned = pool.submit(lambda: (targets.rescan(), targets.resolve("A", "one", "new")))
        built.set()
        assert "new" not in [d.name for d in scanning.result()]
        assert rescanned.result()[1].name == "new"


def broken(inside: Path, tmp_path: Path, name: str) -> str:
    """Return why a database cannot be searched; it must be reported, and be no target."""
    targets = Targets(inside, cache=tmp_path / "cache")
    assert name not in {database.name for database in targets.databases()}
    with pytest.raises(InvalidInputError, match=f"A/one/{name} cannot be searched: ") as caught:
        targets.resolve_all("A", [("one", name)])
    (problem,) = [problem for problem in targets.problems() if problem.key == f"A/one/blast/{name}"]
    assert problem.message in str(caught.value)
    return problem.message


@pytest.mark.parametrize("missing", ["volumes.01.psq", "volumes.01.pin", "volumes.01.phr"])
def test_database_with_a_volume_missing_is_refused_and_its_volumes_are_no_targets(
    missing: str, forms_root: Path, tmp_path: Path
) -> None:
    inside = copied(forms_root, tmp_path)
    (inside / "A/one/blast" / missing).unlink()
    assert missing in broken(inside, tmp_path, "volumes")
    assert missing in broken(inside, tmp_path, "both")
    assert not {name for name in names(inside, tmp_path) if name.startswith("volumes")}


def test_alias_with_a_member_missing_is_refused(forms_root: Path, tmp_path: Path) -> None:
    inside = copied(forms_root, tmp_path)
    for path in (inside / "A/one/blast").glob("plain.p*"):
        path.unlink()
    assert "plain.pin" in broken(inside, tmp_path, "both")


@pytest.mark.parametrize(("name", "kind"), [("plain", "p"), ("Genes", "n"), ("v4", "p")])
@pytest.mark.parametrize("extension", ["sq", "hr"])
def test_database_shorter_than_its_index_says_is_refused(
    name: str, kind: str, extension: str, forms_root: Path, tmp_path: Path
) -> None:
    inside = copied(forms_root, tmp_path)
    if name == "Genes":
        for path in (inside / "A/one/blast").glob("Genes.p*"):
            path.unlink()
    file = inside / f"A/one/blast/{name}.{kind}{extension}"
    size = file.stat().st_size
    os.truncate(file, size - 1)
    assert f"has {size - 1:,} bytes of {size:,}: copy the database again" in broken(inside, tmp_path, name)


def test_renamed_files_of_a_version_5_database_are_refused(forms_root: Path, tmp_path: Path) -> None:
    """BLAST+ cannot open it either."""
    inside = copied(forms_root, tmp_path)
    for path in (inside / "A/one/blast").glob("plain.p*"):
        path.rename(path.with_name(f"other{path.suffix}"))
    assert "needs 'plain.pdb' beside it" in broken(inside, tmp_path, "other")
    command = ["blastdbcmd", "-db", inside / "A/one/blast/other", "-info"]
    assert subprocess.run(command, capture_output=True, check=False).returncode


def test_alias_file_with_tabs_is_read_as_blast_reads_it(forms_root: Path, tmp_path: Path) -> None:
    inside = copied(forms_root, tmp_path)
    blast = inside / "A/one/blast"
    (blast / "tabs.pal").write_text('TITLE\tWith  tabs\t\n\nDBLIST\t"plain"\tGenes \n')
    database = Targets(inside, cache=tmp_path / "cache").resolve("A", "one", "tabs")
    assert f"Database: {database.title}\n" in run("blastdbcmd", "-db", blast / "tabs", "-dbtype", "prot", "-info")
    assert f"{database.sequences:,} sequences" in run("blastdbcmd", "-db", blast / "tabs", "-dbtype", "prot", "-info")
    assert [path.name for path in database.volumes] == ["Genes", "plain"]


@pytest.mark.parametrize(
    ("pair", "reason"),
    [(("plain", "v4"), "of version 4 and 5 together"), (("plain", "taxa"), "built with and without -parse_seqids")],
)
def test_databases_that_blast_cannot_search_together_are_refused(
    pair: tuple[str, str], reason: str, forms_root: Path, tmp_path: Path
) -> None:
    """Neither as two targets nor in one alias; BLAST+ itself fails with them."""
    targets = Targets(forms_root, cache=tmp_path / "cache")
    with pytest.raises(InvalidInputError, match=f"targets: BLAST\\+ cannot .*{reason}"):
        targets.resolve_all("A", [("one", name) for name in pair])
    inside = copied(forms_root, tmp_path)
    (inside / "A/one/blast/mixed.pal").write_text(f"TITLE mixed\nDBLIST {' '.join(pair)}\n")
    assert reason in broken(inside, tmp_path, "mixed")
    command = ["blastp", "-query", PROTEINS, "-db", inside / "A/one/blast/mixed", "-outfmt", "6"]
    assert subprocess.run(command, capture_output=True, check=False).returncode


def test_a_database_at_a_wrong_depth_is_named_with_where_it_belongs(forms_root: Path, tmp_path: Path) -> None:
    """In the list of what cannot be used, and where it is asked for; once it is moved there, it is found."""
    wrong = {".": "SITE/TARGET", "x": "x/TARGET", "x/y": "x/y", "x/y/blast/z": "x/y"}
    for place in wrong:
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        for file in (forms_root / "A/one/blast").glob("plain.*"):
            shutil.copy(file, tmp_path / place)
    targets = Targets(tmp_path)
    found = {one.key: one.message for one in targets.misplaced()}
    assert {key: text.rpartition(" ")[2] for key, text in found.items()} == {
        str(Path(place) / "plain"): f"{right}/blast/plain.*" for place, right in wrong.items()
    }
    assert targets.databases() == ()
    with pytest.raises(InvalidInputError, match=r"x/y/plain: it lies where .* x/y/blast/plain\.\*"):
        targets.resolve_all("x", [("y", "plain")])
    for file in tmp_path.glob("x/y/plain.*"):
        file.rename(file.parent / "blast" / file.name)
    assert [one.name for one in targets.resolve_all("x", [("y", "plain")])] == ["plain"]
    assert len(targets.misplaced()) == 3
    assert Targets(forms_root).misplaced() == ()
