"""Making a target: a database built from FASTA where the targets root has its place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from multiblast.errors import ConflictError, InvalidInputError, Problem, collecting
from multiblast.files import named_file
from multiblast.molecules import DatabaseKind, Molecule
from multiblast.targets.database import BlastDatabase
from multiblast.targets.makeblastdb import build_database
from multiblast.targets.targets import Targets
from multiblast.targets.volume import PROFILE_FILES

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}")
_PARTS = ("site", "target", "database")
_LONGEST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class NewTarget:
    """A database to be built, its names and files checked: see `read_new_target`."""

    site: str
    target: str
    database: str
    fasta: Path
    molecule: Molecule
    title: str = ""
    taxids: Path | None = None
    replace: bool = False


def read_new_target(  # noqa: PLR0913 - the fields of a form
    name: str,
    fasta: str | Path,
    *,
    molecule: Molecule,
    title: str = "",
    taxids: str | Path = "",
    replace: bool = False,
    files_under: Path | None = None,
) -> NewTarget:
    """Read the fields of a form: ``SITE/TARGET/DATABASE``, and what `build_database` needs.

    Paths may lead into the directory ``files_under`` only; None allows any.

    Raises:
        InvalidInputError: with all problems, by field.
    """
    problems: list[Problem] = []
    parts = name.strip().split("/")
    if len(parts) != len(_PARTS) or not all(_NAME.fullmatch(part) for part in parts):
        wanted = "write SITE/TARGET/DATABASE, each of letters, digits and _.+-, and beginning with no dot"
        problems.append(Problem(f"{name[:_LONGEST_SHOWN]!r} cannot name a database: {wanted}", "name"))
    given = {"fasta": fasta, "taxids": taxids}
    files: dict[str, Path] = {}
    for key, path in given.items():
        if str(path):
            with collecting(problems):
                files[key] = named_file(path, key, files_under)
    if not str(fasta):
        problems.append(Problem("no file of sequences is given", "fasta"))
    if problems:
        raise InvalidInputError(problems)
    site, target, database = parts
    return NewTarget(site, target, database, files["fasta"], molecule, title, files.get("taxids"), replace)


def make_target(targets: Targets, new: NewTarget, *, program: str = "makeblastdb") -> BlastDatabase:
    """Build a database in its place and find it there.

    Raises:
        ConflictError: there is one already, and it may not be replaced.
        InvalidInputError: the layout of the root does not say where it belongs.
        ProgramError: the program is missing or refuses the sequences.
    """
    names = (new.site, new.target, new.database)
    there = [(database.site, database.target, database.name, database.molecule) for database in targets.databases()]
    if (*names, DatabaseKind(new.molecule)) in there and not new.replace:
        raise ConflictError(
            f"{'/'.join(names)} is there already: choose another name, or replace it, which makes its results old"
        )
    build_database(
        new.fasta,
        targets.root / targets.layout.directory(new.site, new.target),
        new.database,
        molecule=new.molecule,
        title=new.title,
        taxids=new.taxids,
        program=program,
    )
    targets.rescan()
    return targets.resolve(*names, DatabaseKind(new.molecule))


def retire_target(targets: Targets, database: BlastDatabase) -> list[Path]:
    """Let a database be found no more; its files stay where they are, with ``.retired`` after their names.

    Files of others, to which an alias refers, are left alone. Returns the new paths.
    """
    kind = database.molecule.letter
    own = re.compile(rf"{re.escape(database.name)}(\.\d+)?\.({kind}\w\w|{'|'.join(PROFILE_FILES)})")
    files = [path for path in database.path.parent.iterdir() if own.fullmatch(path.name)]
    # First those by which it is found, so that nobody finds half of it.
    files.sort(key=lambda path: (path.suffix not in {f".{kind}al", f".{kind}in"}, path.name))
    retired = [path.replace(path.with_name(f"{path.name}.retired")) for path in files]
    targets.rescan()
    return retired
