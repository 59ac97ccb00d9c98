"""Results that are rows of hits, as search plugins find them: a table with a head line, of one query.

The rows are as the program printed them, but for the column of the query. A query without hits has no bytes at all.
"""

from __future__ import annotations

from collections.abc import Iterable

from multiblast.archive.summary import ArchivedSubject

_HEAD = b"#"


def write_rows(columns: Iterable[str], rows: Iterable[bytes]) -> bytes:
    """Return a result; each row has its values separated by tabs, and its line break."""
    found = b"".join(rows)
    return _HEAD + "\t".join(columns).encode() + b"\n" + found if found else b""


def is_rows(archive: bytes) -> bool:
    """Whether a result that is not empty consists of rows, and is no BLAST+ archive."""
    return archive.startswith(_HEAD)


def read_rows(archive: bytes) -> tuple[tuple[str, ...], list[list[bytes]]]:
    """Return the columns of a result, none if it is empty, and its rows."""
    if not archive:
        return (), []
    head, *rows = archive.removesuffix(b"\n").split(b"\n")
    columns = tuple(head.removeprefix(_HEAD).decode().split("\t"))
    return columns, [row.split(b"\t") for row in rows]


def names_in_rows(archive: bytes) -> list[str]:
    """Return what a database calls the subjects of a result: the first words of their titles, if these are kept."""
    columns, rows = read_rows(archive)
    at = columns.index("stitle" if "stitle" in columns else "sseqid") if rows else 0
    return [row[at].decode("utf-8", "surrogateescape").partition(" ")[0] for row in rows]


def subjects_of_rows(archive: bytes) -> dict[str, ArchivedSubject]:
    """Return the subjects of a result, by id, in their order."""
    columns, rows = read_rows(archive)
    subjects: dict[str, ArchivedSubject] = {}
    for row in rows:
        values = dict(zip(columns, row, strict=True))
        name = values["sseqid"].decode("utf-8", "replace")
        evalue, bits = float(values["evalue"]), float(values["bitscore"])
        known = subjects.get(name)
        if known is not None:
            evalue, bits = min(evalue, known.evalue), max(bits, known.bit_score)
        subjects[name] = ArchivedSubject(name, evalue, bits)
    return subjects
