"""A new plugin that works, with its test, for an author to change."""

from __future__ import annotations

from pathlib import Path
from string import Template

from pydantic import TypeAdapter, ValidationError

from multiblast.errors import ConflictError, InvalidInputError, Problem
from multiblast.plugins.description import Name
from multiblast.plugins.table_files import TABLE_FILE

_TEMPLATES = Path(__file__).with_name("templates")


def write_plugin(name: str, into: Path, *, kind: str = "script") -> list[Path]:
    """Write a directory called as the plugin, with its table, its script, if it is one, and its test.

    Args:
        name: What to call it.
        into: The directory to put it in.
        kind: ``script`` or ``command``.

    Returns:
        The files.

    Raises:
        InvalidInputError: no plugin can be called so.
        ConflictError: there is something of this name.
    """
    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError as error:
        rule = "a name has small letters, digits and single hyphens, and begins with a letter"
        raise InvalidInputError(Problem(f"{name[:80]!r} is none: {rule}", "name")) from error
    place = into / name
    try:
        place.mkdir(parents=True)
    except FileExistsError as error:
        raise ConflictError(f"{place} is there already: choose another name, or remove it") from error
    names = {TABLE_FILE: TABLE_FILE, "run.py.txt": "run.py", "test.py.txt": f"test_{name.replace('-', '_')}.py"}
    written = []
    for template in sorted((_TEMPLATES / kind).iterdir()):
        path = place / names[template.name]
        text = Template(template.read_text(encoding="utf-8")).substitute(NAME=name)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written
