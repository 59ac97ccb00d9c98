# /// script
# requires-python = ">=3.11"
# dependencies = ["pyhmmer>=0.11,<0.13"]
#
# [tool.multiblast.plugin]
# name = "domains"
# version = "1.0.0"
# title = "Domains of proteins, with HMMER"
# description = "Which profiles of a database, such as Pfam, are found in which proteins, and where."
# tags = ["domains"]
# license = "MIT"
# links = [{ type = "documentation", href = "https://pyhmmer.readthedocs.io" }]
#
# [tool.multiblast.plugin.inputs.sequences]
# data = "sequences/protein"
# content = ["text/x-fasta"]
# label = "Sequences"
#
# [tool.multiblast.plugin.inputs.profiles]
# data = "profile/hmm"
# content = ["text/x-hmmer"]
# label = "Profiles"
# help = "A file of HMMER, such as Pfam-A.hmm."
#
# [tool.multiblast.plugin.outputs.domains]
# data = "domains"
# content = "text/tab-separated-values"
# edam = "format_3475"
# label = "Domains"
#
# [tool.multiblast.plugin.parameters.evalue]
# type = "number"
# default = 10.0
# least = 0
# label = "Largest E-value"
#
# [tool.multiblast.plugin.parameters.gathering]
# type = "flag"
# default = false
# label = "Gathering thresholds"
# help = "Use the thresholds that the curators of each profile chose (Pfam), instead of an E-value."
# ///
"""Search proteins with profiles."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyhmmer
from pyhmmer.easel import Alphabet, DigitalSequenceBlock, TextSequence
from pyhmmer.plan7 import HMMFile

_COLUMNS = (
    *("sequence", "profile", "accession", "start", "end", "profile_start", "profile_end"),
    *("evalue", "score", "description"),
)


def main() -> None:
    """Do what the request says."""
    request = json.loads(Path("request.json").read_text("utf-8"))
    chosen, given = request["parameters"], request["inputs"]
    text = Path(given["sequences"][0]["path"]).read_text("utf-8")
    records = [part.partition("\n") for part in ("\n" + text).split("\n>")[1:]]
    alphabet = Alphabet.amino()
    block = DigitalSequenceBlock(alphabet)
    for number, (_, _, letters) in enumerate(records):
        residues = "".join(letters.split()).upper().replace("*", "X").replace("-", "")
        block.append(TextSequence(name=b"%d" % number, sequence=residues).digitize(alphabet))
    limits = {"bit_cutoffs": "gathering"} if chosen["gathering"] else {"E": chosen["evalue"], "domE": chosen["evalue"]}
    found = []
    with HMMFile(given["profiles"][0]["path"]) as profiles:
        try:
            for hits in pyhmmer.hmmsearch(profiles, block, cpus=request["threads"], **limits):
                found += list(rows(hits, records))
        except pyhmmer.errors.MissingCutoffs:
            sys.exit("the profiles have no gathering thresholds: use an E-value")
    found.sort()
    lines = ["\t".join(_COLUMNS), *("\t".join(map(str, row[1:])) for row in found)]
    Path("outputs/domains.tsv").write_text("\n".join(lines) + "\n", "utf-8")


def rows(hits: Any, records: list[tuple[str, str, str]]) -> Iterator[tuple[Any, ...]]:
    """Yield the domains of one profile, with what they are sorted by: sequence and start."""
    query = hits.query
    for hit in hits.included:
        number = int(hit.name)
        for domain in hit.domains.included:
            at = domain.alignment
            title = records[number][0].split()
            yield (
                (number, domain.env_from, word(query.name)),
                title[0] if title else f"sequence_{number + 1}",
                word(query.name),
                word(query.accession),
                at.target_from,
                at.target_to,
                at.hmm_from,
                at.hmm_to,
                f"{domain.i_evalue:.2g}",
                f"{domain.score:.1f}",
                word(query.description),
            )


def word(text: bytes | str | None) -> str:
    """Return a text of a profile, in one line; newer versions have texts, older ones bytes."""
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text or ""
    return " ".join(text.split())


if __name__ == "__main__":
    main()
