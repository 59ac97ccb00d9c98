# /// script
# requires-python = ">=3.11"
# dependencies = []
#
# [tool.multiblast.plugin]
# name = "iqtree"
# version = "1.0.0"
# title = "Tree with IQ-TREE"
# description = "A tree by maximum likelihood, with the best of many models and, if wanted, ultrafast bootstrap."
# tags = ["tree", "slow"]
# license = "GPL-2.0-or-later"
# links = [{ type = "documentation", href = "http://www.iqtree.org/doc/" }]
#
# [tool.multiblast.plugin.tool]
# command = ["iqtree2", "--version"]
# pattern = 'IQ-TREE .*version ([\d.]+)'
# requires = ">=2"
# debian = "iqtree"
#
# [tool.multiblast.plugin.inputs.alignment]
# data = "alignment/*"
# content = ["text/x-fasta"]
# label = "Alignment"
#
# [tool.multiblast.plugin.outputs.tree]
# data = "tree"
# content = "text/x-newick"
# edam = "format_1910"
# label = "Tree"
#
# [tool.multiblast.plugin.outputs.summary]
# data = "report"
# content = "text/plain"
# required = false
# label = "Report of IQ-TREE"
#
# [tool.multiblast.plugin.parameters.model]
# type = "text"
# default = "MFP"
# pattern = '[A-Za-z0-9][A-Za-z0-9+.,]{0,60}'
# label = "Model"
# help = "MFP finds the best one; else such as LG+G4 or GTR+F+I+G4."
#
# [tool.multiblast.plugin.parameters.bootstrap]
# type = "integer"
# default = 0
# least = 0
# most = 100000
# label = "Ultrafast bootstrap"
# help = "Replicates: 1000 or more, or 0 for no supports."
#
# [tool.multiblast.plugin.run]
# timeout_s = 86400
# ///
"""Make a tree with IQ-TREE. It changes what is odd in names: it sees names of ours."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

_PROTEIN_ONLY = set("EFIJLOPQZ*")
_LEAST = 3
_LEAST_BOOTSTRAP = 1000


def main() -> None:
    """Do what the request says."""
    request = json.loads(Path("request.json").read_text("utf-8"))
    chosen = request["parameters"]
    if 0 < chosen["bootstrap"] < _LEAST_BOOTSTRAP:
        sys.exit(f"ultrafast bootstrap needs {_LEAST_BOOTSTRAP} replicates at least")
    names, rows = read_alignment(Path(request["inputs"]["alignment"][0]["path"]))
    molecule = "AA" if any(set(row.upper()) & _PROTEIN_ONLY for row in rows) else "DNA"
    alignment = Path("tmp/alignment.fasta")
    alignment.write_text("".join(f">s{number}\n{row}\n" for number, row in enumerate(rows)), "utf-8")
    # One thread and one seed: with more, the result depends on which thread is quicker.
    command = ["iqtree2", "-s", str(alignment), "--prefix", "tmp/made", "-st", molecule, "-m", chosen["model"]]
    command += ["-T", "1", "-seed", "1", "-quiet"]
    # Four at least have a tree to be tried again.
    command += ["-B", str(chosen["bootstrap"])] if chosen["bootstrap"] and len(rows) > _LEAST else []
    made = subprocess.run(command, check=False)
    if made.returncode or not Path("tmp/made.treefile").exists():
        sys.exit(made.returncode or 1)
    Path("outputs/tree.nwk").write_text(renamed(Path("tmp/made.treefile").read_text("utf-8"), names), "utf-8")
    best = re.search(r"(?m)^(Best-fit model.*|Model of substitution: .*)$", Path("tmp/made.iqtree").read_text("utf-8"))
    likelihood = re.search(r"(?m)^Log-likelihood of the tree: .*$", Path("tmp/made.iqtree").read_text("utf-8"))
    lines = [found[0] for found in (best, likelihood) if found]
    if lines:
        Path("outputs/summary.txt").write_text("\n".join(lines) + "\n", "utf-8")


def read_alignment(path: Path) -> tuple[list[str], list[str]]:
    """Return names and rows, of which there must be three at least."""
    records = [part.partition("\n") for part in ("\n" + path.read_text("utf-8")).split("\n>")[1:]]
    names = [title.split()[0] if title.split() else f"sequence_{at}" for at, (title, _, _) in enumerate(records, 1)]
    rows = ["".join(letters.split()) for _, _, letters in records]
    if len(rows) < _LEAST:
        sys.exit(f"IQ-TREE needs {_LEAST} sequences at least")
    if len({len(row) for row in rows}) > 1:
        sys.exit("the sequences are not aligned: their rows differ in length")
    return names, rows


def renamed(tree: str, names: list[str]) -> str:
    """Return a tree with the names in place of s0, s1 …; those with anything odd in them in quotes."""

    def one(found: re.Match[str]) -> str:
        name = names[int(found[1])]
        return name if re.fullmatch(r"[A-Za-z0-9_.|/+-]+", name) else "'" + name.replace("'", "''") + "'"

    return re.sub(r"(?<=[(,])s(\d+)(?=[:,)])", one, tree)


if __name__ == "__main__":
    main()
