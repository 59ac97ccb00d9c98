# /// script
# requires-python = ">=3.11"
# dependencies = ["pytrimal>=0.8,<1"]
#
# [tool.multiblast.plugin]
# name = "trim"
# version = "1.0.0"
# title = "Trim an alignment with trimAl"
# description = "Leave out columns with many gaps or little likeness, as before making a tree."
# tags = ["alignment"]
# license = "GPL-3.0-only"
# links = [{ type = "documentation", href = "https://pytrimal.readthedocs.io" }]
#
# [tool.multiblast.plugin.inputs.alignment]
# data = "alignment/*"
# content = ["text/x-fasta"]
# label = "Alignment"
#
# [tool.multiblast.plugin.outputs.trimmed]
# data = "alignment/{alignment}"
# content = "text/x-fasta"
# edam = "format_1929"
# label = "Trimmed alignment"
#
# [tool.multiblast.plugin.parameters.method]
# type = "choice"
# choices = ["automated1", "gappyout", "strict", "strictplus", "nogaps", "noallgaps"]
# default = "automated1"
# label = "Method"
# help = "automated1 chooses between gappyout and strict, and is made for trees."
# ///
"""Trim an alignment with trimAl; sequences of which nothing is left are left out."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from pytrimal import Alignment, AutomaticTrimmer


def main() -> None:
    """Do what the request says."""
    request = json.loads(Path("request.json").read_text("utf-8"))
    text = Path(request["inputs"]["alignment"][0]["path"]).read_text("utf-8")
    records = [part.partition("\n") for part in ("\n" + text).split("\n>")[1:]]
    rows = ["".join(letters.split()) for _, _, letters in records]
    if len(rows) < 2 or len({len(row) for row in rows}) > 1:  # noqa: PLR2004 - else there is nothing to compare
        sys.exit("this is no alignment of two sequences or more: their rows differ in length, or there is one")
    alignment = Alignment([b"%d" % number for number in range(len(rows))], [row.encode() for row in rows])
    trimmed = AutomaticTrimmer(request["parameters"]["method"]).trim(alignment)
    if not trimmed.sequences or not trimmed.sequences[0]:
        sys.exit("no column is left: choose another method")
    with Path("outputs/trimmed.fasta").open("w", encoding="utf-8") as file:
        for name, row in zip(trimmed.names, trimmed.sequences, strict=True):
            print(f">{records[int(name)][0]}\n{row}", file=file)
    with open(os.environ["MULTIBLAST_EVENTS"], "a", encoding="utf-8") as file:  # noqa: PTH123 - a pipe or a file
        print(json.dumps({"log": f"{len(trimmed.sequences[0])} of {len(rows[0])} columns are left"}), file=file)


if __name__ == "__main__":
    main()
