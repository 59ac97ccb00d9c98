"""Ids of sequences in archives, as BLAST+ shows them."""

from __future__ import annotations

import re

from multiblast.archive.text import decode_string

_GI = re.compile(rb"(?:\A|\n)\s*gi (\d+)")
_GENERAL = re.compile(rb'general \{\s+db ("(?:[^"]|"")*"),\s+tag (?:id (\d+)|str ("(?:[^"]|"")*"))\s+\}')
_ACCESSION = re.compile(rb'accession ("(?:[^"]|"")*")')
_VERSION = re.compile(rb"version (\d+)")
_PDB = re.compile(rb'pdb \{\s+mol ("[^"]*")(?:,\s+chain \d+)?(?:,\s+chain-id ("[^"]*"))?')
_PATENT = re.compile(rb'patent \{\s+seqid (\d+),.*?country ("[^"]*"),\s+id (?:app-)?number ("[^"]*")', re.DOTALL)
# Of these kinds databases have what `shown_id` returns as an accession, or as a GI.
_FOUND = re.compile(
    rb"\s*(?:local |pdb |gi |(?:genbank|embl|ddbj|other|swissprot|tpg|tpe|tpd|gpipe) \{[^}]*?\baccession )"
)
_PLAIN = re.compile(rb'(?:local id|gi|gibbsq|gibbmt) (\d+)|("(?:[^"]|"")*")')


def shown_id(ids: bytes, *, of_query: bool = False) -> str:
    """Return the one of a sequence's ids, as they stand in an archive, by which BLAST+ calls it.

    A subject is called so in tables (``saccver``): by an accession with its version before a GI. A query is called so
    in messages: by a GI before an accession, which has no version there.
    """
    if of_query and (found := _GI.search(ids)):
        return found[1].decode()
    if found := _GENERAL.search(ids):
        source, tag = decode_string(found[1]), found[2].decode() if found[2] else decode_string(found[3])
        return f"gnl|{source}|{tag}" if source == "BL_ORD_ID" else f"{source}:{tag}"
    if found := _ACCESSION.search(ids):
        version = None if of_query else _VERSION.search(ids)
        return decode_string(found[1]) + (f".{int(version[1])}" if version else "")
    if found := _PDB.search(ids):
        return decode_string(found[1]) + (f"_{decode_string(found[2])}" if found[2] else "")
    if found := _PATENT.search(ids):
        return f"{decode_string(found[2])}{decode_string(found[3])}_{int(found[1])}"
    number, text = found.groups() if (found := _PLAIN.search(ids)) else (ids.strip(), None)
    return decode_string(text) if text else number.decode()


def is_looked_up(ids: bytes) -> bool:
    """Whether every database finds a sequence by what `shown_id` returns; not so by names of PIR and PRF, for some."""
    return _FOUND.match(ids) is not None
