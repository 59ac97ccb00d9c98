"""The kinds of objects in the result storage, and where they lie: the one list of them.

`multiblast.upkeep.storage` says of each kind what keeps an object from being swept. What lies under
another prefix, such as ``uploads/``, is somebody's own and is never touched.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from multiblast.ids import digest


class ObjectKind(StrEnum):
    """A kind of objects; the value is the first part of their keys."""

    PACK = "packs"
    QUERY = "queries"
    REPORT_FILE = "reports"
    OUTPUT = "outputs"
    PROFILE = "profiles"
    SUBJECT_NAMES = "names"
    DIGESTS = "digests"
    DIFFERENCE = "differences"
    COMPARISON = "comparisons"
    EXPORT = "exports"
    ORDER = "orders"
    PLUGIN_OUTPUT = "plugins"
    PLUGIN_INPUT = "inputs"
    PROBE = "health"

    def key(self, name: str) -> str:
        """Return the key of an object of this kind."""
        return f"{self}/{name}"

    def spread_key(self, name: str, rest: str = "") -> str:
        """Return the key of an object of a kind with many, which are spread by the first two hexadecimal digits.

        ``rest`` is what follows the name, as ``.fasta`` or ``/report.tsv``.
        """
        return f"{self}/{name[:2]}/{name}{rest}"


def object_name(key: str) -> str:
    """Return the name in a key that `ObjectKind.spread_key` made, without its suffix; empty in other keys."""
    parts = key.split("/", 3)
    return parts[2].partition(".")[0] if len(parts) > 2 else ""  # noqa: PLR2004 - kind, first two characters, name


def subject_names_key(fingerprints: Iterable[str]) -> str:
    """Return where the names of the sequences of some databases lie, which are searched in this order."""
    return ObjectKind.SUBJECT_NAMES.key(digest("names/1", list(fingerprints)))


PUBLISHED = "databases/"
"""What keys of published databases begin with; they stay until somebody publishes others in their place."""


def published_files_prefix(fingerprint: str) -> str:
    """Return what the keys of a published database's files begin with."""
    return f"{PUBLISHED}{fingerprint}/"


def published_key(site: str, target: str, name: str, molecule: str) -> str:
    """Return where it is kept which files a published database has."""
    return f"{PUBLISHED}names/{digest('published/1', [site, target, name, molecule])}.json"
