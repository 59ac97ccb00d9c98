# /// script
# requires-python = ">=3.11"
# dependencies = []
#
# [tool.multiblast.plugin]
# name = "cluster"
# version = "1.0.0"
# title = "Cluster sequences with MMseqs2"
# description = "One sequence for each group of sequences that are alike, and which are in which group."
# tags = ["sequences"]
# license = "GPL-3.0-only"
# links = [{ type = "documentation", href = "https://github.com/soedinglab/MMseqs2/wiki" }]
#
# [tool.multiblast.plugin.tool]
# command = ["mmseqs", "version"]
# pattern = '^(\d\S*)'
# requires = ">=13"
# debian = "mmseqs2"
#
# [tool.multiblast.plugin.inputs.sequences]
# data = "sequences/*"
# content = ["text/x-fasta"]
# label = "Sequences"
#
# [tool.multiblast.plugin.outputs.representatives]
# data = "sequences/{sequences}"
# content = "text/x-fasta"
# edam = "format_1929"
# label = "Representatives"
#
# [tool.multiblast.plugin.outputs.clusters]
# data = "clusters"
# content = "text/tab-separated-values"
# edam = "format_3475"
# label = "Clusters"
# help = "A line a sequence: its representative, and itself."
#
# [tool.multiblast.plugin.parameters.identity]
# type = "number"
# default = 0.9
# least = 0
# most = 1
# label = "Least identity"
#
# [tool.multiblast.plugin.parameters.coverage]
# type = "number"
# default = 0.8
# least = 0
# most = 1
# label = "Least coverage"
# help = "Of both sequences, by the alignment."
# ///
"""Cluster sequences with MMseqs2. It takes names apart (sp|P1|X becomes P1): it sees numbers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def main() -> None:
    """Do what the request says."""
    request = json.loads(Path("request.json").read_text("utf-8"))
    chosen = request["parameters"]
    text = Path(request["inputs"]["sequences"][0]["path"]).read_text("utf-8")
    records = [part.partition("\n") for part in ("\n" + text).split("\n>")[1:]]
    plain = Path("tmp/plain.fasta")
    plain.write_text("".join(f">{number}\n{''.join(rest.split())}\n" for number, (_, _, rest) in enumerate(records)))
    command = ["mmseqs", "easy-cluster", str(plain), "tmp/made", "tmp/work", "--threads", str(request["threads"])]
    command += ["--min-seq-id", str(chosen["identity"]), "-c", str(chosen["coverage"]), "--cov-mode", "0", "-v", "1"]
    made = subprocess.run(command, check=False)
    if made.returncode:
        sys.exit(made.returncode)
    members: dict[int, list[int]] = {}
    for line in Path("tmp/made_cluster.tsv").read_text().splitlines():
        first, member = map(int, line.split("\t"))
        members.setdefault(first, []).append(member)
    with Path("outputs/representatives.fasta").open("w", encoding="utf-8") as file:
        for number in sorted(members):
            title, _, rest = records[number]
            print(f">{title}\n{rest.strip()}", file=file)
    with Path("outputs/clusters.tsv").open("w", encoding="utf-8") as file:
        print("representative\tmember", file=file)
        for number in sorted(members):
            for member in sorted(members[number], key=lambda one: (one != number, one)):
                print(f"{name(records[number][0])}\t{name(records[member][0])}", file=file)


def name(title: str) -> str:
    """Return the first word of a title."""
    return title.split(maxsplit=1)[0] if title.split() else ""


if __name__ == "__main__":
    main()
