# /// script
# requires-python = ">=3.11"
# dependencies = ["primer3-py>=2,<3"]
#
# [tool.multiblast.plugin]
# name = "primers"
# version = "1.0.0"
# title = "Primers with Primer3"
# description = "Pairs of primers for PCR, for each sequence."
# tags = ["primers"]
# license = "GPL-2.0-only"
# links = [{ type = "documentation", href = "https://libnano.github.io/primer3-py/" }]
#
# [tool.multiblast.plugin.inputs.sequences]
# data = "sequences/nucleotide"
# content = ["text/x-fasta"]
# label = "Sequences"
#
# [tool.multiblast.plugin.outputs.primers]
# data = "primers"
# content = "text/tab-separated-values"
# edam = "format_3475"
# label = "Primers"
#
# [tool.multiblast.plugin.parameters.pairs]
# type = "integer"
# default = 5
# least = 1
# most = 100
# label = "Pairs per sequence"
#
# [tool.multiblast.plugin.parameters.shortest]
# type = "integer"
# default = 100
# least = 40
# most = 20000
# label = "Shortest product"
#
# [tool.multiblast.plugin.parameters.longest]
# type = "integer"
# default = 1000
# least = 40
# most = 20000
# label = "Longest product"
#
# [tool.multiblast.plugin.parameters.temperature]
# type = "number"
# default = 60.0
# least = 40
# most = 75
# label = "Melting temperature"
# help = "The best one, in degrees Celsius; three more or less are allowed."
# ///
"""Choose primers with Primer3."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import primer3

_COLUMNS = (
    *("sequence", "pair", "product", "forward", "reverse", "forward_start", "reverse_end"),
    *("forward_tm", "reverse_tm", "penalty"),
)
_SPAN = 3.0


def main() -> None:
    """Do what the request says."""
    request = json.loads(Path("request.json").read_text("utf-8"))
    chosen = request["parameters"]
    if chosen["shortest"] > chosen["longest"]:
        sys.exit("the shortest product is longer than the longest")
    text = Path(request["inputs"]["sequences"][0]["path"]).read_text("utf-8")
    records = [part.partition("\n") for part in ("\n" + text).split("\n>")[1:]]
    settings = {
        "PRIMER_NUM_RETURN": chosen["pairs"],
        "PRIMER_PRODUCT_SIZE_RANGE": [[chosen["shortest"], chosen["longest"]]],
        "PRIMER_OPT_TM": chosen["temperature"],
        "PRIMER_MIN_TM": chosen["temperature"] - _SPAN,
        "PRIMER_MAX_TM": chosen["temperature"] + _SPAN,
        "PRIMER_LIBERAL_BASE": 1,
    }
    lines = ["\t".join(_COLUMNS)]
    for number, (title, _, rest) in enumerate(records, start=1):
        name = title.split()[0] if title.split() else f"sequence_{number}"
        letters = "".join(rest.split()).replace("-", "").upper().replace("U", "T")
        if len(letters) < chosen["shortest"]:
            say(log=f"{name} is shorter than the shortest product")
            continue
        found = primer3.design_primers({"SEQUENCE_ID": str(number), "SEQUENCE_TEMPLATE": letters}, settings)
        lines += ["\t".join([name, *row]) for row in pairs(found)]
        say(progress={"value": number, "target": len(records), "unit": "sequences"})
    Path("outputs/primers.tsv").write_text("\n".join(lines) + "\n", "utf-8")


def pairs(found: dict) -> list[list[str]]:  # type: ignore[type-arg]  # of Primer3's own words
    """Return the pairs, the best first; places count from 1."""
    rows = []
    for at in range(found["PRIMER_PAIR_NUM_RETURNED"]):
        forward, reverse = found[f"PRIMER_LEFT_{at}"], found[f"PRIMER_RIGHT_{at}"]
        rows.append(
            [
                str(at + 1),
                str(found[f"PRIMER_PAIR_{at}_PRODUCT_SIZE"]),
                found[f"PRIMER_LEFT_{at}_SEQUENCE"],
                found[f"PRIMER_RIGHT_{at}_SEQUENCE"],
                str(forward[0] + 1),
                str(reverse[0] + 1),
                f"{found[f'PRIMER_LEFT_{at}_TM']:.1f}",
                f"{found[f'PRIMER_RIGHT_{at}_TM']:.1f}",
                f"{found[f'PRIMER_PAIR_{at}_PENALTY']:.3f}",
            ]
        )
    return rows


def say(**event: object) -> None:
    """Report an event."""
    with open(os.environ["MULTIBLAST_EVENTS"], "a", encoding="utf-8") as file:  # noqa: PTH123 - a pipe or a file
        print(json.dumps(event), file=file)


if __name__ == "__main__":
    main()
