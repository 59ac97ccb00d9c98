# /// script
# requires-python = ">=3.11"
# dependencies = ["pyarrow>=17"]
#
# [tool.multiblast.plugin]
# name = "hit-sequences"
# version = "1.0.0"
# title = "Sequences of hits"
# description = """The query and the subjects that it hit, as FASTA to be aligned: the query first, then each subject \
# once, the best first. Where one of them is DNA that was searched in translation, it is translated (standard code)."""
# tags = ["sequences", "usual"]
# license = "Apache-2.0"
#
# [tool.multiblast.plugin.inputs.hits]
# data = "hits/*"
# content = ["application/vnd.apache.parquet"]
# label = "Hits"
#
# [tool.multiblast.plugin.inputs.subjects]
# data = "subjects/*"
# content = ["text/x-fasta"]
# label = "Sequences of the subjects"
#
# [tool.multiblast.plugin.inputs.queries]
# data = "sequences/*"
# content = ["text/x-fasta"]
# label = "Queries"
#
# [tool.multiblast.plugin.outputs.sequences]
# data = "sequences/{subjects}"
# content = "text/x-fasta"
# edam = "format_1929"
# label = "Query and subjects"
#
# [tool.multiblast.plugin.parameters.query]
# type = "integer"
# default = 1
# least = 1
# label = "Query"
# help = "Which sequence of the job, counted from 1."
#
# [tool.multiblast.plugin.parameters.part]
# type = "choice"
# choices = ["whole", "aligned"]
# default = "aligned"
# label = "Part of the subjects"
# help = "aligned is what the best alignment with the query covers; the query is always whole."
#
# [tool.multiblast.plugin.parameters.flank]
# type = "integer"
# default = 0
# least = 0
# most = 100000
# label = "Flank"
# help = "How many residues more on both sides of an aligned part."
#
# [tool.multiblast.plugin.parameters.subjects]
# type = "integer"
# default = 100
# least = 1
# most = 10000
# label = "Most subjects"
#
# [tool.multiblast.plugin.parameters.evalue]
# type = "number"
# default = 10.0
# least = 0
# label = "Largest E-value"
#
# [tool.multiblast.plugin.parameters.identity]
# type = "number"
# default = 0.0
# least = 0
# most = 100
# label = "Least identity in percent"
# ///
"""Write the query and the subjects of its hits as FASTA."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from pyarrow import compute, parquet

_COLUMNS = ["query", "sseqid", "saccver", "sstart", "send", "qstart", "qend", "evalue", "pident"]
_COMPLEMENT = str.maketrans("ACGTURYSWKMBDHVNacgturyswkmbdhvn", "TGCAAYRSWMKVHDBNtgcaayrswmkvhdbn")
_AMINO_ACIDS = "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG"
_CODE = dict(zip(map("".join, product("TCAG", repeat=3)), _AMINO_ACIDS, strict=True))
_PROTEIN_ONLY = set("EFIJLOPQZX*")
_LINE = 80


def main() -> None:
    """Do what the request says."""
    request = json.loads(Path("request.json").read_text("utf-8"))
    given, chosen = request["inputs"], request["parameters"]
    queries = list(read_fasta(Path(given["queries"][0]["path"])))
    subjects = list(read_fasta(Path(given["subjects"][0]["path"])))
    if chosen["query"] > len(queries):
        sys.exit(f"there is no query {chosen['query']}: the job has {len(queries)}")
    title, query = queries[chosen["query"] - 1]
    best = best_hits(Path(given["hits"][0]["path"]), chosen)
    if not best:
        sys.exit(f"query {chosen['query']} has no hit that fits: allow a larger E-value or less identity")
    are_protein = is_protein(given["queries"][0], queries), is_protein(given["subjects"][0], subjects)
    name = title.split()[0] if title.split() else f"Query_{chosen['query']}"
    rows = [(name, title, part_of_query(query, best[0]) if are_protein == (False, True) else query)]
    known = by_name(subjects)
    for hit in best:
        found = next((known[key] for key in (hit["sseqid"], hit["saccver"]) if key in known), None)
        if found is None:
            sys.exit(f"the sequence of the subject {hit['sseqid']} is missing")
        if hit["sseqid"] != name or found[1].upper() != query.upper():  # else it is the query itself
            part = translated_part if are_protein == (True, False) else part_of
            rows.append((hit["sseqid"], found[0], part(found[1], hit, chosen)))
    write(rows, "sequences/protein" if any(are_protein) else "sequences/nucleotide")


def is_protein(file: dict[str, str], records: list[tuple[str, str]]) -> bool:
    """Return whether sequences are proteins: as their data type says, else because some can be nothing else."""
    sub_type = file["data"].partition("/")[2]
    if sub_type in {"protein", "nucleotide"}:
        return sub_type == "protein"
    return any(set(letters.upper()) & _PROTEIN_ONLY for _, letters in records)


def best_hits(table: Path, chosen: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the best alignment with each subject, the best first: the order of the table."""
    wanted = (
        (compute.field("query") == chosen["query"])
        & (compute.field("evalue") <= chosen["evalue"])
        & (compute.field("pident") >= chosen["identity"])
    )
    found: dict[str, dict[str, Any]] = {}
    for row in parquet.read_table(table, columns=_COLUMNS, filters=wanted).to_pylist():
        found.setdefault(row["sseqid"], row)
    return list(found.values())[: chosen["subjects"]]


def part_of_query(query: str, best: dict[str, Any]) -> str:
    """Return of DNA that was compared with proteins what its best alignment covers, translated."""
    return translated(between(query, best["qstart"], best["qend"]), minus=best["qstart"] > best["qend"])


def part_of(letters: str, hit: dict[str, Any], chosen: dict[str, Any]) -> str:
    """Return what is wanted of a subject, on the strand of the alignment."""
    start, end = sorted((hit["sstart"], hit["send"]))
    if chosen["part"] == "aligned":
        letters = between(letters, start - chosen["flank"], end + chosen["flank"])
    return letters.translate(_COMPLEMENT)[::-1] if hit["sstart"] > hit["send"] else letters


def translated_part(letters: str, hit: dict[str, Any], chosen: dict[str, Any]) -> str:
    """Return the aligned part of DNA that was compared with a protein, translated; the flank is of whole codons."""
    start, end = sorted((hit["sstart"], hit["send"]))
    before, after = (3 * min(chosen["flank"], left // 3) for left in (start - 1, len(letters) - end))
    return translated(between(letters, start - before, end + after), minus=hit["sstart"] > hit["send"])


def between(letters: str, start: int, end: int) -> str:
    """Return a part by its first and last letter, from 1, in either order."""
    start, end = sorted((start, end))
    return letters[max(0, start - 1) : end]


def translated(letters: str, *, minus: bool) -> str:
    """Translate DNA by the standard code; what is ambiguous is X."""
    letters = (letters.translate(_COMPLEMENT)[::-1] if minus else letters).upper().replace("U", "T")
    return "".join(_CODE.get(letters[at : at + 3], "X") for at in range(0, len(letters) - 2, 3)).replace("*", "X")


def read_fasta(path: Path) -> Iterator[tuple[str, str]]:
    """Yield titles and letters."""
    title, rows = None, list[str]()
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith(">"):
                if title is not None:
                    yield title, "".join(rows)
                title, rows = line[1:].strip(), []
            elif title is not None:
                rows.append("".join(line.split()))
    if title is not None:
        yield title, "".join(rows)


def by_name(records: list[tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Return records by all that tables of hits may call them: their ids whole, and parts of these."""
    found: dict[str, tuple[str, str]] = {}
    for whole in (True, False):
        for record in records:
            name = record[0].split()[0] if record[0] else ""
            for key in [name] if whole else [name.partition(" ")[0].rpartition(".")[0], *name.split("|")]:
                if key:
                    found.setdefault(key, record)
    return found


def write(rows: list[tuple[str, str, str]], data: str) -> None:
    """Write the sequences, each under a name of its own, and say what they are."""
    path, used = Path("outputs/sequences.fasta"), dict[str, str]()
    with path.open("w", encoding="utf-8") as file:
        for name, title, letters in rows:
            single, number = name, 1
            while single in used:
                number += 1
                single = f"{name}_{number}"
            used[single] = letters
            rest = title.partition(" ")[2]
            print(f">{single} {rest}".rstrip(), file=file)
            for at in range(0, len(letters), _LINE):
                print(letters[at : at + _LINE], file=file)
    say(log=f"{len(used)} sequences")
    say(output={"port": "sequences", "path": str(path), "data": data})


def say(**event: object) -> None:
    """Report an event."""
    with open(os.environ["MULTIBLAST_EVENTS"], "a", encoding="utf-8") as file:  # noqa: PTH123 - a pipe or a file
        print(json.dumps(event), file=file)


if __name__ == "__main__":
    main()
