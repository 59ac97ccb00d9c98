"""Databases that BLAST+ built are found, described as BLAST+ describes them, and resolved by name only."""

from __future__ import annotations

import pickle
import shutil
from datetime import datetime
from pathlib import Path

import pytest

from multiblast.errors import InvalidInputError, NotFoundError
from multiblast.targets import BlastDatabase, Targets, database_argument, in_canonical_order
from multiblast.targets.volume import read_volume
from tests.support.database_forms import run

PROFILE = """PssmWithParameters ::= { pssm { isProtein TRUE, numRows 28, numColumns 3, byRow FALSE,
  query seq { id { local str "p1" }, inst { repr raw, mol aa, length 3, seq-data ncbieaa "MKV" } },
  intermediateData { freqRatios { %s } },
  finalData { scores { %s }, lambda { 267, 10, -3 }, kappa { 41, 10, -3 }, h { 14, 10, -2 }, scalingFactor 1 } } }"""


@pytest.fixture
def targets(forms_root: Path, tmp_path: Path) -> Targets:
    return Targets(forms_root, cache=tmp_path / "cache")


def test_tree_lists_databases_by_site_and_target(targets: Targets) -> None:
    assert targets.tree() == {
        "A": {
            "one": {"naTargets": ["Genes"], "aaTargets": ["Genes", "both", "plain", "taxa", "v4", "volumes"]},
            "two words": {"naTargets": ["dna"]},
        }
    }
    assert targets.problems() == ()


def test_databases_are_described_as_blastdbcmd_describes_them(targets: Targets, forms_root: Path) -> None:
    listed = set()
    for directory in ("A/one/blast", "A/two words/blast"):
        listed |= set(
            run("blastdbcmd", "-list", forms_root / directory, "-list_outfmt", "%f|%t|%p|%n|%l|%d").splitlines()
        )
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


def test_resolve_refuses_absolute_names(targets: Targets, forms_root: Path) -> None:
    with pytest.raises(NotFoundError):
        targets.resolve("A", "one", str(forms_root / "A/one/blast/plain"))


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


def test_newest_build_of_a_database_counts(forms_root: Path, tmp_path: Path) -> None:
    for build in ("9", "10"):
        shutil.copytree(forms_root / "A/two words/blast", tmp_path / f"root/A/build-{build}/t/nested/blast")
    layout = "{site}/build-{build}/{target}/**/blast/{database}"
    targets = Targets(tmp_path / "root", layout, cache=tmp_path / "cache")
    (database,) = targets.databases()
    assert database.path == tmp_path / "root/A/build-10/t/nested/blast/dna"
    assert targets.problems() == ()


def test_databases_of_the_same_name_are_told(forms_root: Path, tmp_path: Path) -> None:
    for directory in ("x", "y"):
        shutil.copytree(forms_root / "A/two words/blast", tmp_path / f"root/A/t/{directory}")
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
