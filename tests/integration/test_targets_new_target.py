"""A target is built where it belongs, under names that can be nothing but names."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from multiblast.errors import ConflictError, InvalidInputError
from multiblast.targets import Targets
from multiblast.targets.new_target import NewTarget, make_target, read_new_target

FASTA = ">s1 one\nMKVLAAGIVGLCAKAYWQ\n>s2 two\nERTYHGFDSAPLMKV\n"


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    path = tmp_path / "in.fasta"
    path.write_text(FASTA)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "targets"
    root.mkdir()
    return root


def new(fasta: Path, **more: Any) -> NewTarget:
    return read_new_target("lab/yeast/orfs", fasta, molecule="protein", **more)


@pytest.mark.parametrize("layout", ["{site}/{target}/blast/{database}", "all/{site}-{target}/**/{database}"])
def test_target_is_found_where_the_layout_has_it(root: Path, fasta: Path, tmp_path: Path, layout: str) -> None:
    targets = Targets(root, layout, tmp_path / "cache")
    made = make_target(targets, new(fasta, title="Yeast"))
    assert (made.display, made.title, made.sequences) == ("lab/yeast/orfs", "Yeast", 2)
    assert Targets(root, layout, tmp_path / "cache").databases() == (made,)


def test_target_has_the_taxids_given(root: Path, fasta: Path, tmp_path: Path) -> None:
    (tmp_path / "taxids").write_text("s1 4932\ns2 4932\n")
    made = make_target(Targets(root, cache=tmp_path / "cache"), new(fasta, taxids=tmp_path / "taxids"))
    printed = subprocess.run(
        ["blastdbcmd", "-db", made.path, "-entry", "all", "-outfmt", "%T"], check=True, capture_output=True, text=True
    )
    assert printed.stdout.split() == ["4932", "4932"]


def test_target_is_replaced_only_if_asked_for(root: Path, fasta: Path, tmp_path: Path) -> None:
    targets = Targets(root, cache=tmp_path / "cache")
    make_target(targets, new(fasta))
    fasta.write_text(">s3\nMKV\n")
    with pytest.raises(ConflictError, match="lab/yeast/orfs is there already"):
        make_target(targets, new(fasta))
    assert make_target(targets, new(fasta, replace=True)).sequences == 1


def test_layout_with_builds_is_told_to_be_out_of_reach(root: Path, fasta: Path, tmp_path: Path) -> None:
    targets = Targets(root, "{site}/{build}/{target}/{database}", tmp_path / "cache")
    with pytest.raises(InvalidInputError, match="has builds"):
        make_target(targets, new(fasta))
    assert list(root.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        "",
        "yeast/orfs",
        "a/b/c/d",
        "../b/c",
        "a/../c",
        "a/b/..",
        "a/b/.c",
        "/a/b",
        "a/b\n/c",
        "a/b c/d",
        "a/-b/c",
        "a//c",
    ],
)
def test_name_that_could_be_more_than_a_name_is_refused(fasta: Path, name: str) -> None:
    with pytest.raises(InvalidInputError, match="cannot name a database") as raised:
        read_new_target(name, fasta, molecule="protein")
    assert list(raised.value.by_key) == ["name"]


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError) as raised:
        read_new_target("x", tmp_path / "no", molecule="protein", taxids=tmp_path / "none")
    assert list(raised.value.by_key) == ["name", "fasta", "taxids"]


@pytest.mark.parametrize("path", ["/etc/passwd", "../in.fasta"])
def test_file_outside_the_uploads_is_refused(fasta: Path, path: str) -> None:
    uploads = fasta.parent / "uploads"
    uploads.mkdir()
    with pytest.raises(InvalidInputError, match="is not under"):
        read_new_target("a/b/c", path, molecule="protein", files_under=uploads)
