"""Databases that BLAST+ built are found, described as BLAST+ describes them, and resolved by name only."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from multiblast.errors import InvalidInputError, NotFoundError
from multiblast.targets import BlastDatabase, Targets, database_argument, in_canonical_order
from multiblast.targets.content import Content, read_content
from multiblast.targets.makeblastdb import build_database
from multiblast.targets.volume import read_volume

DATA = Path(__file__).parents[2] / "examples" / "data"
PROTEINS = DATA / "protein_query.fasta"
NUCLEOTIDES = DATA / "nucleotide_query.fasta"
PROFILE = """PssmWithParameters ::= { pssm { isProtein TRUE, numRows 28, numColumns 3, byRow FALSE,
  query seq { id { local str "p1" }, inst { repr raw, mol aa, length 3, seq-data ncbieaa "MKV" } },
  intermediateData { freqRatios { %s } },
  finalData { scores { %s }, lambda { 267, 10, -3 }, kappa { 41, 10, -3 }, h { 14, 10, -2 }, scalingFactor 1 } } }"""


def run(*command: str | Path) -> str:
    return subprocess.run(list(map(str, command)), capture_output=True, check=True, text=True).stdout


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with one database of every form."""
    root = tmp_path_factory.mktemp("targets")
    proteins, nucleotides = root / "A/one/blast", root / "A/two words/blast"
    build_database(PROTEINS, proteins, "plain", molecule="protein", title="Twelve proteins")
    build_database(NUCLEOTIDES, proteins, "Genes", molecule="nucleotide")
    build_database(PROTEINS, proteins, "Genes", molecule="protein")
    build_database(NUCLEOTIDES, nucleotides, "dna", molecule="nucleotide", title="Twelve DNAs")
    many = ["-in", DATA / "proteins.fasta.gz", "-dbtype", "prot", "-logfile", "/dev/null"]
    unpacked = root / "proteins.fasta"
    unpacked.write_bytes(b"".join(s.encode() for s in run("zcat", DATA / "proteins.fasta.gz")))
    many[1] = unpacked
    run("makeblastdb", *many, "-title", "Many", "-max_file_sz", "500000", "-out", proteins / "volumes")
    run("makeblastdb", *many, "-title", "Old", "-blastdb_version", "4", "-out", proteins / "v4")
    names = [line[1:].split()[0] for line in PROTEINS.read_text().splitlines() if line.startswith(">")]
    (root / "taxids").write_text("".join(f"{name} 9606\n" for name in names[:3]))
    build_database(PROTEINS, proteins, "taxa", molecule="protein", taxids=root / "taxids")
    alias = ["blastdb_aliastool", "-dbtype", "prot", "-out", "both", "-title", "Both together"]
    subprocess.run([*alias, "-dblist", "plain volumes"], cwd=proteins, check=True, capture_output=True)
    return root


@pytest.fixture
def targets(root: Path, tmp_path: Path) -> Targets:
    return Targets(root, cache=tmp_path / "cache")


def test_tree_lists_databases_by_site_and_target(targets: Targets) -> None:
    assert targets.tree() == {
        "A": {
            "one": {"naTargets": ["Genes"], "aaTargets": ["Genes", "both", "plain", "taxa", "v4", "volumes"]},
            "two words": {"naTargets": ["dna"]},
        }
    }
    assert targets.problems() == ()


def test_databases_are_described_as_blastdbcmd_describes_them(targets: Targets, root: Path) -> None:
    listed = set()
    for directory in ("A/one/blast", "A/two words/blast"):
        listed |= set(run("blastdbcmd", "-list", root / directory, "-list_outfmt", "%f|%t|%p|%n|%l|%d").splitlines())
    described = {
        f"{d.path}|{d.title}|{d.molecule.capitalize()}|{d.sequences}|{d.letters}|{_date(d.date)}"
        for d in targets.databases()
    }
    # -list shows the volumes of a database beside it
    assert described == {line for line in listed if not line.split("|")[0].rpartition(".")[2].isdigit()}


def _date(date: datetime) -> str:
    return f"{date:%b} {date.day}, {date.year}  {date.hour % 12 or 12}:{date:%M %p}"


def test_longest_sequence_is_that_of_blastdbcmd(targets: Targets) -> None:
    database = targets.resolve("A", "one", "both")
    longest = max(read_volume(path, "p").longest for path in database.volumes)
    assert f"Longest sequence: {longest:,} residues" in run("blastdbcmd", "-db", database.path, "-info")


def test_volumes_of_a_database_are_seen_as_one(targets: Targets) -> None:
    database = targets.resolve("A", "one", "volumes")
    assert [path.name for path in database.volumes] == ["volumes.00", "volumes.01", "volumes.02"]
    assert database.sequences == 2139


def test_alias_has_the_volumes_of_its_members(targets: Targets) -> None:
    database = targets.resolve("A", "one", "both")
    assert [path.name for path in database.volumes] == ["plain", "volumes.00", "volumes.01", "volumes.02"]
    assert (database.title, database.sequences) == ("Both together", 2151)


def test_resolve_needs_the_molecule_only_for_a_name_of_two_databases(targets: Targets) -> None:
    with pytest.raises(InvalidInputError, match="several databases: nucleotide and protein"):
        targets.resolve("A", "one", "Genes")
    assert targets.resolve("A", "one", "Genes", "nucleotide").molecule == "nucleotide"
    assert targets.resolve("A", "one", "plain").molecule == "protein"


def test_resolve_refuses_the_wrong_molecule_and_names_what_fits(targets: Targets) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        targets.resolve("A", "one", "plain", "nucleotide")
    assert str(refusal.value) == (
        "A/one/plain is a protein database, and this program searches nucleotide databases: choose 'Genes'"
    )


def test_resolve_says_when_nothing_fits(targets: Targets) -> None:
    with pytest.raises(InvalidInputError, match="A/two words has no protein database"):
        targets.resolve("A", "two words", "dna", "protein")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("B", "one", "plain"), "no site 'B'; there is 'A'"),
        (("A", "onn", "plain"), "no target of A 'onn'; did you mean 'one'?"),
        (("A", "one", "plane"), "no database of A/one 'plane'; did you mean 'plain'?"),
        (("A", "one", "volumes.00"), "no database of A/one 'volumes.00'; did you mean 'volumes'?"),
    ],
)
def test_resolve_names_close_matches(targets: Targets, names: tuple[str, str, str], message: str) -> None:
    with pytest.raises(NotFoundError) as refusal:
        targets.resolve(*names)
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    "name", ["../blast/plain", "../../one/blast/plain", "", ".", "..", "plain\0", "plain.pin", "pl*"]
)
def test_resolve_never_joins_names_into_paths(targets: Targets, name: str) -> None:
    with pytest.raises(NotFoundError):
        targets.resolve("A", "one", name)
    with pytest.raises(NotFoundError):
        targets.resolve("A", name, "plain")
    with pytest.raises(NotFoundError):
        targets.resolve(name, "one", "plain")


def test_resolve_refuses_absolute_names(targets: Targets, root: Path) -> None:
    with pytest.raises(NotFoundError):
        targets.resolve("A", "one", str(root / "A/one/blast/plain"))


def test_resolve_all_collects_every_problem_by_key(targets: Targets) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        targets.resolve_all("A", [("one", "plain"), ("one", "no"), ("two words", "dna")], "protein")
    assert list(refusal.value.by_key) == ["targets[1]", "targets[2]"]


def test_resolve_all_wants_a_target(targets: Targets) -> None:
    with pytest.raises(InvalidInputError, match="choose at least one"):
        targets.resolve_all("A", [])


def test_resolve_all_gives_one_order_whatever_was_asked(targets: Targets) -> None:
    names = [("one", "volumes"), ("one", "plain"), ("one", "volumes")]
    expected = ["plain", "volumes"]
    assert [d.name for d in targets.resolve_all("A", names)] == expected
    assert [d.name for d in targets.resolve_all("A", names[::-1])] == expected


def test_blast_opens_what_the_database_argument_says(targets: Targets) -> None:
    """The path of one has a blank in it."""
    databases = [targets.resolve("A", "two words", "dna"), targets.resolve("A", "one", "Genes", "nucleotide")]
    assert [d.name for d in in_canonical_order(databases)] == ["Genes", "dna"]
    info = run("blastdbcmd", "-db", database_argument(databases), "-dbtype", "nucl", "-info")
    assert "24 sequences" in info


def test_database_survives_pickle(targets: Targets) -> None:
    database = targets.resolve("A", "one", "both")
    copy: BlastDatabase = pickle.loads(pickle.dumps(database))  # noqa: S301 - our own
    assert (copy, copy.fingerprint) == (database, database.fingerprint)


def copied(root: Path, tmp_path: Path) -> Path:
    shutil.copytree(root / "A", tmp_path / "root/A")
    return tmp_path / "root"


def names(root: Path, tmp_path: Path) -> set[str]:
    return {d.name for d in Targets(root, cache=tmp_path / "cache").databases()}


def test_database_behind_a_link_out_of_the_root_is_refused(root: Path, tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    shutil.copytree(root / "A/one", outside)
    (inside / "A").mkdir(parents=True)
    (inside / "A/linked").symlink_to(outside)
    targets = Targets(inside, cache=tmp_path / "cache")
    assert targets.databases() == ()
    assert all("leads outside of the targets root" in problem.message for problem in targets.problems())
    assert "A/linked/blast/plain" in {problem.key for problem in targets.problems()}


def test_database_with_one_file_linked_out_of_the_root_is_refused(root: Path, tmp_path: Path) -> None:
    inside = copied(root, tmp_path)
    sequences = inside / "A/one/blast/plain.psq"
    sequences.rename(tmp_path / "elsewhere.psq")
    sequences.symlink_to(tmp_path / "elsewhere.psq")
    assert names(inside, tmp_path) == {"Genes", "taxa", "v4", "volumes", "dna"}


def test_alias_of_a_database_outside_of_the_root_is_refused(root: Path, tmp_path: Path) -> None:
    inside = copied(root, tmp_path)
    (inside / "A/one/blast/stray.pal").write_text(f"TITLE stray\nDBLIST {root / 'A/one/blast/plain'}\n")
    targets = Targets(inside, cache=tmp_path / "cache")
    (problem,) = targets.problems()
    assert problem.key == "A/one/blast/stray"
    assert "leads outside" in problem.message


def test_links_that_stay_within_the_root_are_followed(root: Path, tmp_path: Path) -> None:
    inside = copied(root, tmp_path)
    (inside / "A/linked").symlink_to(inside / "A/one")
    assert Targets(inside, cache=tmp_path / "cache").resolve("A", "linked", "plain").sequences == 12


def test_damaged_databases_are_told_and_left_out(root: Path, tmp_path: Path) -> None:
    inside = copied(root, tmp_path)
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


def test_newest_build_of_a_database_counts(root: Path, tmp_path: Path) -> None:
    for build in ("9", "10"):
        shutil.copytree(root / "A/two words/blast", tmp_path / f"root/A/build-{build}/t/nested/blast")
    layout = "{site}/build-{build}/{target}/**/blast/{database}"
    targets = Targets(tmp_path / "root", layout, cache=tmp_path / "cache")
    (database,) = targets.databases()
    assert database.path == tmp_path / "root/A/build-10/t/nested/blast/dna"
    assert targets.problems() == ()


def test_databases_of_the_same_name_are_told(root: Path, tmp_path: Path) -> None:
    for directory in ("x", "y"):
        shutil.copytree(root / "A/two words/blast", tmp_path / f"root/A/t/{directory}")
    targets = Targets(tmp_path / "root", "{site}/{target}/**/{database}", cache=tmp_path / "cache")
    assert [d.path.parent.name for d in targets.databases()] == ["y"]
    (problem,) = targets.problems()
    assert problem.key == "A/t/x/dna"


def test_missing_root_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no targets root"):
        Targets(tmp_path / "nowhere")


def test_profile_database_is_recognised(tmp_path: Path) -> None:
    directory = tmp_path / "root/A/t/blast"
    directory.mkdir(parents=True)
    (tmp_path / "p1.smp").write_text(PROFILE % (", ".join(["{ 5, 10, -2 }"] * 84), ", ".join(["-1"] * 84)))
    (tmp_path / "list").write_text(f"{tmp_path / 'p1.smp'}\n")
    run("makeprofiledb", "-in", tmp_path / "list", "-out", directory / "domains", "-title", "Domains", "-dbtype", "rps")
    targets = Targets(tmp_path / "root", cache=tmp_path / "cache")
    assert targets.tree() == {"A": {"t": {"profileTargets": ["domains"]}}}
    with pytest.raises(InvalidInputError, match="A/t/domains is a profile database"):
        targets.resolve("A", "t", "domains", "protein")


def test_targets_are_shared_by_threads_while_a_database_is_rebuilt(root: Path, tmp_path: Path) -> None:
    inside = copied(root, tmp_path)
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
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else's scan has gone past the directory in which a database is built."""
    inside = copied(root, tmp_path)
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
    missing: str, root: Path, tmp_path: Path
) -> None:
    inside = copied(root, tmp_path)
    (inside / "A/one/blast" / missing).unlink()
    assert missing in broken(inside, tmp_path, "volumes")
    assert missing in broken(inside, tmp_path, "both")
    assert not {name for name in names(inside, tmp_path) if name.startswith("volumes")}


def test_alias_with_a_member_missing_is_refused(root: Path, tmp_path: Path) -> None:
    inside = copied(root, tmp_path)
    for path in (inside / "A/one/blast").glob("plain.p*"):
        path.unlink()
    assert "plain.pin" in broken(inside, tmp_path, "both")


@pytest.mark.parametrize(("name", "kind"), [("plain", "p"), ("Genes", "n"), ("v4", "p")])
@pytest.mark.parametrize("extension", ["sq", "hr"])
def test_database_shorter_than_its_index_says_is_refused(
    name: str, kind: str, extension: str, root: Path, tmp_path: Path
) -> None:
    inside = copied(root, tmp_path)
    if name == "Genes":
        for path in (inside / "A/one/blast").glob("Genes.p*"):
            path.unlink()
    file = inside / f"A/one/blast/{name}.{kind}{extension}"
    size = file.stat().st_size
    os.truncate(file, size - 1)
    assert f"has {size - 1:,} bytes of {size:,}: copy the database again" in broken(inside, tmp_path, name)


def test_renamed_files_of_a_version_5_database_are_refused(root: Path, tmp_path: Path) -> None:
    """BLAST+ cannot open it either."""
    inside = copied(root, tmp_path)
    for path in (inside / "A/one/blast").glob("plain.p*"):
        path.rename(path.with_name(f"other{path.suffix}"))
    assert "needs 'plain.pdb' beside it" in broken(inside, tmp_path, "other")
    command = ["blastdbcmd", "-db", inside / "A/one/blast/other", "-info"]
    assert subprocess.run(command, capture_output=True, check=False).returncode


def test_alias_file_with_tabs_is_read_as_blast_reads_it(root: Path, tmp_path: Path) -> None:
    inside = copied(root, tmp_path)
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
    pair: tuple[str, str], reason: str, root: Path, tmp_path: Path
) -> None:
    """Neither as two targets nor in one alias; BLAST+ itself fails with them."""
    targets = Targets(root, cache=tmp_path / "cache")
    with pytest.raises(InvalidInputError, match=f"targets: BLAST\\+ cannot .*{reason}"):
        targets.resolve_all("A", [("one", name) for name in pair])
    inside = copied(root, tmp_path)
    (inside / "A/one/blast/mixed.pal").write_text(f"TITLE mixed\nDBLIST {' '.join(pair)}\n")
    assert reason in broken(inside, tmp_path, "mixed")
    command = ["blastp", "-query", PROTEINS, "-db", inside / "A/one/blast/mixed", "-outfmt", "6"]
    assert subprocess.run(command, capture_output=True, check=False).returncode


def test_a_database_at_a_wrong_depth_is_named_with_where_it_belongs(root: Path, tmp_path: Path) -> None:
    """In the list of what cannot be used, and where it is asked for; once it is moved there, it is found."""
    wrong = {".": "SITE/TARGET", "x": "x/TARGET", "x/y": "x/y", "x/y/blast/z": "x/y"}
    for place in wrong:
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        for file in (root / "A/one/blast").glob("plain.*"):
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
    assert Targets(root).misplaced() == ()
