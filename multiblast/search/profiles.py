"""Profiles (PSSMs) that a search starts from, and those that it leaves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from multiblast.archive.batch import Head
from multiblast.archive.text import decode_string, encode_string, query_id, title_of
from multiblast.errors import InvalidInputError, ObjectMissingError, Problem
from multiblast.ids import digest, is_id
from multiblast.object_kinds import ObjectKind
from multiblast.options import Options
from multiblast.stores import Store
from multiblast.stores.base import check_key

OUTPUTS: Mapping[str, str] = {"out_pssm": "pssm.asn1", "out_ascii_pssm": "pssm.txt"}
"""Options that make a program write a file beside its result, with the file's name."""

IN_STORE = "store:"
_START = re.compile(rb"\s*PssmWithParameters\s*::=\s*\{")
_QUERY = re.compile(
    rb"(\squery\s+seq\s*\{)\s*id\s*\{.*?\}\s*,(?:\s*descr\s*\{(?P<descr>.*?)\}\s*,)?(?=\s*inst\s*\{)", re.DOTALL
)
_TITLE = re.compile(rb'title\s+("(?:[^"]|"")*")')
_RESIDUES = re.compile(rb"seq-data\s+(?:ncbistdaa\s+'([0-9A-F\s]*)'H|(?:ncbieaa|iupacaa)\s+\"([A-Z*\s-]*)\")")
_SEARCHED_TITLE = re.compile(rb'        title "(?:[^"]|"")*"')
_LINE_LETTERS = 78
_BEFORE_ID = b"\n        "
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")  # which the programs write so
_NAMELESS = rb'\1 id { local str "Query_1" },'
_NCBI_STDAA = "-ABCDEFGHIKLMNPQRSTVWXYZU*OJ"


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile to search with, in place of the query that it was made for.

    Attributes:
        text: A text ASN.1 ``PssmWithParameters``, as psiblast keeps one; its query without name and title.
        residues, title: Of the query.
    """

    text: bytes
    residues: str
    title: str

    @property
    def id(self) -> str:
        """What the profile is known by: it follows from its content."""
        return digest("profile/1", self.text)

    @property
    def fasta(self) -> str:
        """The query it was made for."""
        return f"> {self.title}\n{self.residues}\n"  # the blank: see `Sequence.canonical`


def profile_key(profile_id: str) -> str:
    """Return where in the store a profile is kept."""
    return ObjectKind.PROFILE.spread_key(profile_id, ".asn1")


def outputs_of(options: Options, result_key: str) -> dict[str, str]:
    """Return where in the store the files lie that a search leaves beside a result, by file name."""
    kept = [name for option, name in OUTPUTS.items() if option in options.named()]
    return {name: ObjectKind.OUTPUT.spread_key(result_key, f"/{name}") for name in kept}


def read_profile(given: str, store: Store) -> Profile:
    """Return the profile that an option names: by its id, as ``store:KEY``, or as its text.

    Raises:
        InvalidInputError: there is none, or it is not a profile as psiblast keeps one.
    """
    try:
        if is_id(given):
            return _parse(store.read(profile_key(given)))
        if given.startswith(IN_STORE):
            return _parse(store.read(check_key(given.removeprefix(IN_STORE))))
    except ObjectMissingError as error:
        raise InvalidInputError(Problem(f"{error}: give the profile itself", "in_pssm")) from error
    return _parse(given.encode())


def titled(profile: bytes, query: bytes | Head) -> bytes:
    """Return a profile as the program would have kept it of a query with this defline, or of this head."""
    if isinstance(query, Head):
        own = query.first_id.replace(b"\n", _BEFORE_ID)
        profile = profile.replace(_BEFORE_ID + query_id(1) + b"\n", _BEFORE_ID + own + b"\n", 1)
    title = query.title if isinstance(query, Head) else title_of(query)
    title, lines = b"        title " + encode_string(_BEYOND_ASCII.sub(b"#", title)), []
    while len(title) > _LINE_LETTERS:
        # As NCBI's writer does: a blank or an apostrophe begins the next line.
        end = max(title.rfind(letter, 0, _LINE_LETTERS + 1) for letter in (b" ", b"'"))
        end = end if end > 0 and title[:end].strip() != b"title" else _LINE_LETTERS
        lines.append(title[:end])
        title = title[end:]
    return _SEARCHED_TITLE.sub(lambda _: b"\n".join((*lines, title)), profile, count=1)


def _parse(text: bytes) -> Profile:
    head = _QUERY.search(text, 0, text.find(b"seq-data"))
    data = _RESIDUES.search(text)
    if not _START.match(text) or head is None or data is None:
        reason = "this is no profile as psiblast keeps one with out_pssm: text ASN.1, PssmWithParameters ::= {…}"
        raise InvalidInputError(Problem(reason, "in_pssm"))
    codes, letters = data.groups()
    residues = "".join((letters or b"").decode().split())
    if codes is not None:
        numbers = bytes.fromhex(codes.decode())
        if any(number >= len(_NCBI_STDAA) for number in numbers):
            raise InvalidInputError(Problem("the profile's query is damaged: it has unknown residues", "in_pssm"))
        residues = "".join(_NCBI_STDAA[number] for number in numbers)
    title = _TITLE.search(head["descr"] or b"")
    return Profile(_QUERY.sub(_NAMELESS, text, count=1), residues, decode_string(title[1]) if title else "")
