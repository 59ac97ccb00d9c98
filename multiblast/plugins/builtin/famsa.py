# /// script
# requires-python = ">=3.11"
# dependencies = ["pyfamsa>=0.5,<1"]
#
# [tool.multiblast.plugin]
# name = "famsa"
# version = "1.0.0"
# title = "Align proteins with FAMSA"
# description = "A multiple alignment of proteins, quick also for very many of them."
# tags = ["alignment"]
# license = "GPL-3.0-or-later"
# links = [{ type = "documentation", href = "https://pyfamsa.readthedocs.io" }]
#
# [tool.multiblast.plugin.inputs.sequences]
# data = "sequences/protein"
# content = ["text/x-fasta"]
# label = "Sequences"
#
# [tool.multiblast.plugin.outputs.alignment]
# data = "alignment/protein"
# content = "text/x-fasta"
# edam = "format_1929"
# label = "Alignment"
#
# [tool.multiblast.plugin.parameters.guide_tree]
# type = "choice"
# choices = ["sl", "slink", "upgma", "nj"]
# default = "upgma"
# label = "Guide tree"
# help = "upgma is the most accurate; sl is for very many sequences."
# ///
"""Align proteins with FAMSA, in the order in which they come."""

from __future__ import annotations

import json
from pathlib import Path

from pyfamsa import Aligner, Sequence


def main() -> None:
    """Do what the request says."""
    request = json.loads(Path("request.json").read_text("utf-8"))
    records = [
        part.partition("\n")
        for part in ("\n" + Path(request["inputs"]["sequences"][0]["path"]).read_text("utf-8")).split("\n>")[1:]
    ]
    sequences = [
        Sequence(b"%d" % number, "".join(letters.split()).upper().encode())
        for number, (_, _, letters) in enumerate(records)
    ]
    aligner = Aligner(threads=request["threads"], guide_tree=request["parameters"]["guide_tree"])
    rows = {int(row.id): row.sequence.decode() for row in aligner.align(sequences)}
    with Path("outputs/alignment.fasta").open("w", encoding="utf-8") as file:
        for number, (title, _, _) in enumerate(records):
            print(f">{title}\n{rows[number]}", file=file)


if __name__ == "__main__":
    main()
