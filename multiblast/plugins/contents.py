"""Whether a file is written as its content type says: a look at its form, not a proof."""

from __future__ import annotations

import codecs
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

_HEAD = 65536
_PIECE = 1 << 20
_WHOLE_JSON = 256 << 20
_GZIP = b"\x1f\x8b"
_BEFORE_HTML = re.compile(rb"(\xef\xbb\xbf|\s|<!--.*?-->|<\?xml.*?\?>)*", re.DOTALL)
_BEFORE_SVG = re.compile(rb"(\xef\xbb\xbf|\s|<!--.*?-->|<\?xml.*?\?>|<!DOCTYPE\s+svg[^>]*>)*", re.DOTALL)


def wrong_content(path: Path, content: str) -> str:
    """Return what is wrong with a file of some content type; empty if nothing is. An empty file is the caller's."""
    head, end = _ends(path)
    if head.startswith(_GZIP) and not content.endswith(("gzip", "octet-stream")) and content != "*":
        return "is compressed with gzip: write it plain"
    if content.startswith("text/") or content in {"application/json", "application/x-ndjson", "image/svg+xml"}:
        if problem := _no_text(path):
            return problem
        head = head.removeprefix(codecs.BOM_UTF8)
    check = _CHECKS.get(content)
    return check(path, head, end) if check else ""


def wrong_fasta(path: Path) -> str:
    """Return what is wrong with the beginning of what should be FASTA; empty if nothing is."""
    head, end = _ends(path)
    if head.startswith(_GZIP):
        return "is compressed with gzip: unpack it"
    return _fasta(path, head.removeprefix(codecs.BOM_UTF8), end) if head.strip() else "is empty"


def _ends(path: Path) -> tuple[bytes, bytes]:
    with path.open("rb") as file:
        head = file.read(_HEAD)
        file.seek(max(0, path.stat().st_size - _HEAD))
        return head, file.read(_HEAD)


def _no_text(path: Path) -> str:
    decoder, before = codecs.getincrementaldecoder("utf-8")(), 0
    with path.open("rb") as file:
        while True:
            piece = file.read(_PIECE)
            try:
                decoder.decode(piece, final=not piece)
            except UnicodeDecodeError:
                return f"is no text in UTF-8 (near byte {before})"
            if b"\0" in piece:
                return f"is no text: there is a zero byte after byte {before}"
            if not piece:
                return ""
            before += len(piece)


def _fasta(_path: Path, head: bytes, _end: bytes) -> str:
    first = head.lstrip()[:1]
    return "" if first == b">" else f"is no FASTA: it begins with {_shown(head)}, not with '>'"


def _newick(_path: Path, head: bytes, end: bytes) -> str:
    if not end.rstrip().endswith(b";"):
        return "is no tree in Newick: it does not end with ';'"
    return (
        "" if head.lstrip()[:1] in b"(;" or b"(" not in head else f"is no tree in Newick: it begins with {_shown(head)}"
    )


def _stockholm(_path: Path, head: bytes, end: bytes) -> str:
    if not head.startswith(b"# STOCKHOLM"):
        return f"is no Stockholm: it begins with {_shown(head)}, not with '# STOCKHOLM'"
    return "" if end.rstrip().endswith(b"//") else "is no whole Stockholm: it does not end with '//'"


def _json(path: Path, head: bytes, end: bytes) -> str:
    if path.stat().st_size > _WHOLE_JSON:
        whole = head.lstrip()[:1] + end.rstrip()[-1:]
        return "" if whole in {b"{}", b"[]"} else "is no JSON"
    try:
        json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        return f"is no JSON: {error}"
    return ""


def _ndjson(path: Path, _head: bytes, _end: bytes) -> str:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                if line.strip():
                    json.loads(line)
            except (ValueError, RecursionError) as error:
                return f"has no JSON in line {number}: {error}"
    return ""


def _html(_path: Path, head: bytes, _end: bytes) -> str:
    found = _BEFORE_HTML.match(head)
    rest = head[found.end() if found else 0 :][:14].lower()
    return "" if rest.startswith((b"<!doctype html", b"<html")) else f"is no page: it begins with {_shown(head)}"


def _svg(_path: Path, head: bytes, end: bytes) -> str:
    found = _BEFORE_SVG.match(head)
    if not head[found.end() if found else 0 :].startswith((b"<svg", b"<svg:svg")):
        return f"is no picture in SVG: it begins with {_shown(head)}"
    return (
        "" if end.rstrip().endswith((b"</svg>", b"</svg:svg>")) else "is no whole picture: it does not end with </svg>"
    )


def _zip(path: Path, _head: bytes, _end: bytes) -> str:
    return "" if zipfile.is_zipfile(path) else "is no ZIP archive"


def _marked(what: str, begin: bytes, finish: bytes = b"") -> Callable[[Path, bytes, bytes], str]:
    def check(_path: Path, head: bytes, end: bytes) -> str:
        return "" if head.startswith(begin) and end.endswith(finish) else f"is no {what}"

    return check


def _shown(head: bytes) -> str:
    return repr(head[:20].decode("utf-8", "replace"))


_CHECKS: dict[str, Callable[[Path, bytes, bytes], str]] = {
    "text/x-fasta": _fasta,
    "text/x-newick": _newick,
    "text/x-stockholm": _stockholm,
    "text/x-hmmer": _marked("profile of HMMER", b"HMMER"),
    "text/html": _html,
    "image/svg+xml": _svg,
    "image/png": _marked("PNG picture", b"\x89PNG\r\n\x1a\n"),
    "application/json": _json,
    "application/x-ndjson": _ndjson,
    "application/pdf": _marked("PDF", b"%PDF-"),
    "application/zip": _zip,
    "application/vnd.apache.parquet": _marked("Parquet", b"PAR1", b"PAR1"),
}
