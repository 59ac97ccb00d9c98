"""Reading FASTA as BLAST+ reads it, in blocks, one record in memory at a time.

What BLAST+ 2.12 was seen to do, and what is done here:

* CR, LF and CRLF end lines, blank lines and letter case mean nothing to it; a missing first
  defline makes an untitled first record: the same here.
* Lines that begin with ``;``, ``#`` or ``!`` are comments, also between residues: the same here.
* A defline loses blanks at both ends (``> a`` is ``>a``), tabs among them at the beginning, and everything from
  its first control character (a tab, or the Ctrl-A of old deflines) on: the same here. Where ids are read in
  titles, a tab after the id is a blank: the same here. Where the first character of a title is another control
  character, it becomes a part of the title: refused here.
* Blanks are ignored within residues; digits and hyphens are dropped with a warning: the same here.
* A UTF-8 byte order mark makes it give up: here it is ignored.
* A defline that begins with ``>?`` is a gap of unknown residues to it, not a name: refused here. ``> ?`` begins a
  title.
* A title without its ``>`` is residues to it: suspected here.
* Other characters within residues make it give up or are dropped, depending on how many there are:
  refused here. So is ``>`` after a blank, which it takes for residues.
* A bare accession makes it fetch that sequence from NCBI: refused here.
"""

from __future__ import annotations

import io
import itertools
import re
import string
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from multiblast.errors import InvalidInputError, Problem
from multiblast.sequences.sequence import Sequence

Source = BinaryIO | Path | str | bytes

LETTERS = string.ascii_letters.encode() + b"*"
"""Every character that can stand for a residue, in either alphabet."""

_BLOCK_BYTES = 1 << 20
_LONGEST_DEFLINE = 1 << 16
_BLANKS = b" \t\n\v\f"
_DROPPED = b"0123456789-"
_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_COMMENT_MARKS = (b";", b"#", b"!")
_COMMENT = re.compile(rb"^[;#!].*", re.MULTILINE)
_ACCESSION = re.compile(rb"\s*([A-Za-z]{1,6}_?[0-9]{2,}[A-Z0-9]*(\.[0-9]+)?)\s*")
_CONTROL = re.compile(rb"[\x00-\x1f]")
_AFTER_ID = re.compile(rb"\A([^\x00-\x20]+) *[\t\v\f][ \t\v\f]*")
_TITLE_MARK = re.compile(rb"[|=\[\](){}_:;,/]")
_OTHER_FORMATS = {
    b"\xff\xfe": "UTF-16 text: save it as UTF-8",
    b"\xfe\xff": "UTF-16 text: save it as UTF-8",
    b"PK\x03\x04": "a zip archive or an office document: unpack it, or save the sequences as plain text",
    b"BZh": "compressed with bzip2: unpack it, or compress it with gzip",
    b"\xfd7zXZ": "compressed with xz: unpack it, or compress it with gzip",
    b"\x28\xb5\x2f\xfd": "compressed with zstd: unpack it, or compress it with gzip",
    b"\x89PNG": "a PNG image, not FASTA text",
    b"%PDF": "a PDF document, not FASTA text",
    b"@": "FASTQ, not FASTA: convert it, as with 'seqtk seq -a'",
    b"LOCUS   ": "a GenBank record, not FASTA: save it as FASTA",
    b"ID   ": "an EMBL or UniProt record, not FASTA: save it as FASTA",
    b"CLUSTAL": "a Clustal alignment, not FASTA: save its sequences as FASTA",
    b"# STOCKHOLM": "a Stockholm alignment, not FASTA: save its sequences as FASTA",
    b"#NEXUS": "a NEXUS file, not FASTA: save its sequences as FASTA",
    b"<": "HTML or XML, not FASTA text",
}


@dataclass(slots=True)
class Record:
    """A record while it is read.

    Attributes:
        defline, number, line: As in `Sequence`.
        flaw: What makes its defline unusable; empty if nothing does.
        length: Letters read, also those that were not kept.
        dropped: Whether digits or hyphens were dropped.
        stray: The distinct characters that cannot stand for residues, in the order of the first line that has any.
        stray_line: 1-based line of the first of them.
        title_line: 1-based line of the first residues that look like a title; 0 if none do.
        pieces: The residues kept.
    """

    defline: bytes
    number: int
    line: int
    flaw: str = ""
    length: int = 0
    dropped: bool = False
    stray: str = ""
    stray_line: int = 0
    title_line: int = 0
    pieces: list[bytes] = field(default_factory=list)

    @property
    def label(self) -> str:
        """How to name the record to a person; cut if it is long."""
        name = self.defline.decode("utf-8", "replace").partition(" ")[0]
        return repr(name if len(name) <= 60 else name[:57] + "...") if name else "the untitled sequence"  # noqa: PLR2004 - a line's worth

    def sequence(self) -> Sequence:
        """Return what was read as a sequence."""
        residues = self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)
        return Sequence(self.defline, residues, self.number, self.line)

    def problems(self, remedy: str = "only letters and '*' stand for residues") -> Iterator[Problem]:
        """Yield what is wrong with the characters of this record; ``remedy`` says which are right."""
        if self.flaw:
            yield Problem(self.flaw, record=self.number, line=self.line)
        if self.stray:
            shown = ", ".join(map(_shown, self.stray))
            unseen = "" if self.stray.isprintable() else "; paste it again as plain text"
            missing = "; if this line is a title, put '>' before it" if self.title_line == self.stray_line else ""
            message = f"{self.label} has {shown}: {remedy}{missing}{unseen}"
            yield Problem(message, record=self.number, line=self.stray_line)


def _shown(character: str) -> str:
    """Return a character as a person sees it, or by its name: Word and web pages have some that cannot be seen."""
    if character.isprintable():
        return repr(character)
    return f"{unicodedata.name(character, 'a character').lower()} (U+{ord(character):04X}), which cannot be seen"


def read_fasta(source: Source) -> Iterator[Sequence]:
    """Yield the sequences of text, bytes, a path or an open binary file in order; each may be gzipped.

    Memory holds one block of the file and one record.

    Raises:
        InvalidInputError: at the first record that cannot be read; carries its number and line.
    """
    for record in scan(source):
        if problems := list(record.problems()):
            raise InvalidInputError(problems)
        yield record.sequence()


def read_canonical(stream: BinaryIO) -> Iterator[Sequence]:
    """Yield the sequences of canonical FASTA, as `Sequence.canonical` writes it: in a fourth of the time."""
    for number, (defline, residues) in enumerate(zip(stream, stream, strict=True), start=1):
        yield Sequence(defline[1:-1].lstrip(b" "), residues[:-1], number, 2 * number - 1)


def scan(
    source: Source, *, alphabet: bytes = LETTERS, longest: int = 0, most_bytes: int = 0, reads_ids: bool = False
) -> Iterator[Record]:
    """Yield the records of ``source`` as they are, good or bad; ``reads_ids`` as BLAST+ does with ``-parse_deflines``.

    Only so many residues of a record are kept as the ``longest`` may have, 0 for all; others are counted and checked.

    Raises:
        InvalidInputError: nothing more can be read: not text, damaged, or over ``most_bytes``, if that is not 0.
    """
    scanner = _Scanner(alphabet, longest, reads_ids=reads_ids)
    for block in _text(_plain(_blocks(source)), most_bytes):
        yield from scanner.feed(block)
    yield from scanner.finish()


def text_blocks(source: Source) -> Iterator[bytes]:
    """Yield FASTA text in blocks, unpacked, without a byte order mark, all lines ended alike.

    Raises:
        InvalidInputError: it is no text, or text in another format.
    """
    return _text(_plain(_blocks(source)), 0)


def _blocks(source: Source) -> Iterator[bytes]:
    if isinstance(source, Path):
        try:
            stream = source.open("rb")
        except OSError as error:
            raise InvalidInputError(f"cannot read {str(source)!r}: {error.strerror}") from error
        with stream:
            yield from _blocks(stream)
    elif isinstance(source, str | bytes):
        yield from _blocks(io.BytesIO(source.encode("utf-8", "surrogateescape") if isinstance(source, str) else source))
    else:
        while block := source.read(_BLOCK_BYTES):
            yield block


def _plain(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Pass plain blocks through; unpack gzip, recognised by its first bytes."""
    first = next(blocks, b"")
    blocks = itertools.chain((first,), blocks)
    return _unpacked(blocks) if first.startswith(_GZIP) else blocks


def _unpacked(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Unpack gzip of any number of members, never more than a block at a time."""
    member: zlib._Decompress | None = None
    try:
        for block in blocks:
            packed = block
            while packed:
                member = member or zlib.decompressobj(zlib.MAX_WBITS | 16)
                yield member.decompress(packed, _BLOCK_BYTES)
                packed = member.unconsumed_tail
                if member.eof:
                    packed, member = member.unused_data.lstrip(b"\0"), None
    except zlib.error as error:
        raise InvalidInputError(f"the gzip file is damaged ({error}): compress or send it again") from error
    if member:
        raise InvalidInputError("the gzip file ends too early: send it again, whole")


def _text(blocks: Iterable[bytes], most_bytes: int) -> Iterator[bytes]:
    """Check that blocks are text, within the limit, and give all lines the same end."""
    total, held = 0, b""
    for number, block in enumerate(filter(None, blocks)):
        if number == 0:
            start = block.removeprefix(_BYTE_ORDER_MARK).lstrip()
            for magic, kind in _OTHER_FORMATS.items():
                if start.startswith(magic):
                    raise InvalidInputError(f"this is {kind}")
        if b"\0" in block:
            raise InvalidInputError("this is a binary file (it has NUL bytes): FASTA text is needed, plain or gzipped")
        total += len(block)
        if most_bytes and total > most_bytes:
            raise InvalidInputError(f"the query is over the limit of {most_bytes:,} bytes: send it in several jobs")
        text = held + (block.removeprefix(_BYTE_ORDER_MARK) if number == 0 else block)
        held = b"\r" if text.endswith(b"\r") else b""  # its line feed may open the next block
        if b"\r" in text:
            text = text.removesuffix(held).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        yield text
    yield b"\n"


class _Scanner:
    """Cuts text into records; takes it in blocks of any size."""

    def __init__(self, alphabet: bytes, longest: int, *, reads_ids: bool) -> None:
        self.alphabet = alphabet
        self.reads_ids = reads_ids
        self.longest = longest
        self.record: Record | None = None
        self.records = 0
        self.line = 1  # of the first character not yet cut
        self.rest = b""  # the beginning of a line whose end has not come
        self.within_residues = False  # whether that line's beginning was already taken

    def feed(self, block: bytes) -> Iterator[Record]:
        """Take a block and yield the records that it ends."""
        text = self.rest + block
        if self.within_residues:
            taken, line_end, text = text.partition(b"\n")
            self._add_residues(taken, self.line)
            self.line += len(line_end)
            self.within_residues = not line_end
        end = text.rfind(b"\n") + 1
        self.rest = text[end:]
        yield from self._cut(text[:end])
        if len(self.rest) > _LONGEST_DEFLINE:
            if self.rest.startswith((b">", *_COMMENT_MARKS)):
                self.rest = self.rest[: _LONGEST_DEFLINE + 2]
            else:
                self._add_residues(self.rest, self.line)
                self.rest, self.within_residues = b"", True

    def finish(self) -> Iterator[Record]:
        """Yield the last record."""
        if self.record:
            yield self.record

    def _cut(self, lines: bytes) -> Iterator[Record]:
        """Cut whole lines at their deflines."""
        text = b"\n" + lines
        if any(b"\n" + mark in text for mark in _COMMENT_MARKS):
            text = _COMMENT.sub(b"", text)
        before, *parts = text.split(b"\n>")
        line = self.line
        self.line += lines.count(b"\n")
        self._add_residues(before[1:], line)
        line += before.count(b"\n")
        for part in parts:
            if self.record:
                yield self.record
            defline, _, body = part.partition(b"\n")
            self._open(defline, line)
            self._add_residues(body, line + 1)
            line += part.count(b"\n") + 1

    def _open(self, defline: bytes, line: int) -> Record:
        self.records += 1
        flaw = ""
        if defline.startswith(b"?"):
            flaw = "a defline cannot begin with '>?', which BLAST+ reads as a gap: rename the sequence"
        defline = defline.lstrip(_BLANKS)
        if self.reads_ids:
            defline = _AFTER_ID.sub(rb"\1 ", defline)
        if control := _CONTROL.search(defline):
            defline, code = defline[: control.start()].rstrip(b" "), control[0][0]
            if not defline or (self.reads_ids and b" " not in defline):
                flaw = f"a title cannot begin with a control character (code {code}): remove it"
        defline = defline.rstrip(b" ")
        if len(defline) > _LONGEST_DEFLINE:
            flaw = f"the defline is longer than {_LONGEST_DEFLINE:,} bytes: shorten it"
            defline = b""
        self.record = Record(defline, self.records, line, flaw)
        return self.record

    def _add_residues(self, body: bytes, line: int) -> None:
        residues = body.translate(None, _BLANKS)
        if not residues:
            return
        record = self.record or self._open_untitled(body, line)
        if b" " in body and not record.title_line:
            record.title_line = next((n for n, text in enumerate(body.split(b"\n"), line) if _is_like_title(text)), 0)
        if residues.translate(None, self.alphabet):
            self._note_other_characters(record, body, line)
            residues = residues.translate(None, _DROPPED)
        if not self.longest or record.length <= self.longest:
            record.pieces.append(residues)
        record.length += len(residues)

    def _open_untitled(self, body: bytes, line: int) -> Record:
        """Open a first record that has no defline."""
        blank = body[: len(body) - len(body.lstrip())].count(b"\n")
        record = self._open(b"", line + blank)
        first = body.lstrip().partition(b"\n")[0]
        if accession := _ACCESSION.fullmatch(first):
            name = accession[1].decode()
            record.flaw = f"{name!r} looks like an accession, not a sequence: paste the sequence itself"
        return record

    def _note_other_characters(self, record: Record, body: bytes, line: int) -> None:
        """Note on the record what its residues have beside the alphabet."""
        others = body.translate(None, self.alphabet + _BLANKS)
        stray = others.translate(None, _DROPPED)
        record.dropped = record.dropped or len(stray) < len(others)
        if not stray or record.stray:
            return
        for offset, text in enumerate(body.split(b"\n")):
            if found := text.translate(None, self.alphabet + _BLANKS + _DROPPED):
                record.stray = "".join(dict.fromkeys(found.decode("utf-8", "replace")))[:20]
                record.stray_line = line + offset
                if _TITLE_MARK.search(text):
                    record.title_line = record.stray_line
                return


def _is_like_title(line: bytes) -> bool:
    """Return whether a line has words, and not the blocks of equal length in which residues are written."""
    words = [word for word in line.split() if not word.isdigit()]
    lengths = [len(word) for word in words]
    return len(words) > 1 and (len(set(lengths[:-1])) > 1 or lengths[-1] > lengths[0])
