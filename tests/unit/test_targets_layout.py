"""A layout finds the directories that may hold databases, and what their paths name."""

from __future__ import annotations

from pathlib import Path

import pytest

from multiblast.errors import InvalidInputError
from multiblast.targets import Layout

DIRECTORIES = (
    "PlasmoDB/build-9/Pf3D7/blast",
    "PlasmoDB/build-10/Pf3D7/blast",
    "PlasmoDB/build-10/Pf3D7/genomic/aa/blast",
    "PlasmoDB/Pb/blast",
    "PlasmoDB/Pb/fasta",
    "PlasmoDB/.hidden/blast",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for directory in DIRECTORIES:
        (tmp_path / directory).mkdir(parents=True, exist_ok=True)
    return tmp_path


def found(root: Path, pattern: str) -> list[tuple[str, str, str]]:
    places = sorted(Layout(pattern).places(root))
    return [(place.site, place.target, str(place.directory.relative_to(root))) for place in places]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("{site}/{target}/blast/{database}", [("PlasmoDB", "Pb", "PlasmoDB/Pb/blast")]),
        (
            "{site}/{build}/{target}/blast/{database}",
            [
                ("PlasmoDB", "Pf3D7", "PlasmoDB/build-9/Pf3D7/blast"),
                ("PlasmoDB", "Pf3D7", "PlasmoDB/build-10/Pf3D7/blast"),
            ],
        ),
        (
            "{site}/build-{build}/{target}/**/blast/{database}",
            [
                ("PlasmoDB", "Pf3D7", "PlasmoDB/build-9/Pf3D7/blast"),
                ("PlasmoDB", "Pf3D7", "PlasmoDB/build-10/Pf3D7/blast"),
                ("PlasmoDB", "Pf3D7", "PlasmoDB/build-10/Pf3D7/genomic/aa/blast"),
            ],
        ),
        (
            "{site}/{target}/{database}",
            [("PlasmoDB", name, f"PlasmoDB/{name}") for name in ("Pb", "build-10", "build-9")],
        ),
    ],
)
def test_layout_finds_directories(root: Path, pattern: str, expected: list[tuple[str, str, str]]) -> None:
    assert found(root, pattern) == expected


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("{site}/{target}/blast", "must end in '/{database}'"),
        ("/data/{site}/{target}/{database}", "must be relative to the root"),
        ("{site}/../{target}/{database}", "without empty parts or '..'"),
        ("{site}/{organism}/{database}", "not {organism}"),
        ("{site}/blast/{database}", "must name {site} and {target} once each"),
        ("{site}/{target}/{target}/{database}", "must name {site} and {target} once each"),
    ],
)
def test_layout_refuses(pattern: str, reason: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        Layout(pattern)
    (problem,) = refusal.value.problems
    assert problem.key == "layout"
    assert reason in problem.message


def test_layout_follows_links_where_it_names_a_directory(root: Path) -> None:
    (root / "Linked").symlink_to(root / "PlasmoDB")
    assert ("Linked", "Pb", "Linked/Pb/blast") in found(root, "{site}/{target}/blast/{database}")


def test_layout_does_not_follow_links_at_any_depth(root: Path) -> None:
    (root / "PlasmoDB/Pb/up").symlink_to(root)
    places = found(root, "{site}/{target}/**/blast/{database}")
    assert not [directory for _, _, directory in places if "/up/" in directory]
    assert ("PlasmoDB", "Pb", "PlasmoDB/Pb/blast") in places
