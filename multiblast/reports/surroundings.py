"""What ``blast_formatter`` reads beside an archive and its databases: BLAST+'s settings, and the names of taxa.

The program looks for settings (``.ncbirc``, ``blast_formatter.ini``) in the working directory, the home directory,
the one that the variable ``NCBI`` names, and ``/etc``; ``NCBI_CONFIG_PATH`` takes the place of all of them. The names
of taxa (``taxdb``) are those of the first place that has any: the working directory, the variable ``BLASTDB``, and
``BLASTDB`` in the settings.

Source: the system calls of ``blast_formatter`` 2.12.0.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from multiblast.ids import Canonical
from multiblast.targets.fingerprint import file_digest

_SETTINGS = (".ncbirc", "blast_formatter.ini")
_NAMES = ("taxdb.bti", "taxdb.btd")
_BUDGET_BYTES = 16 << 20
_BLASTDB = re.compile(r"^\s*BLASTDB\s*=\s*\"?([^\"\n]*)", re.MULTILINE | re.IGNORECASE)


def surroundings() -> Canonical:
    """Return what identifies the content of these files, wherever they lie, and of the variables that are settings."""
    environment = os.environ
    only = environment.get("NCBI_CONFIG_PATH")
    places = [only] if only else [".", environment.get("HOME"), environment.get("NCBI"), "/etc"]
    settings = [_first([Path(place) for place in places if place], (name,)) for name in _SETTINGS]
    texts = [path.read_text("utf-8", "replace") for path in settings if path]
    paths = [".", environment.get("BLASTDB", ""), *(found for text in texts for found in _BLASTDB.findall(text))]
    directories = [Path(place.strip()) for path in paths for place in path.split(":") if place.strip()]
    names = _first(directories, _NAMES)
    return {
        "settings": texts,
        "variables": {name: value for name, value in environment.items() if name.startswith("NCBI_CONFIG__")},
        "taxa": [file_digest(names.with_name(name), _BUDGET_BYTES) for name in _NAMES] if names else [],
    }


def _first(directories: list[Path], files: tuple[str, ...]) -> Path | None:
    """Return the first of some files in the first directory that has all of them."""
    having = (place / files[0] for place in directories if all((place / name).is_file() for name in files))
    return next(having, None)
