# /// script
# requires-python = ">=3.11"
# dependencies = []
#
# [tool.multiblast.plugin]
# name = "fasttree"
# version = "1.0.0"
# title = "Tree with FastTree"
# description = "A tree by approximate maximum likelihood, with local supports; quick also for thousands of sequences."
# tags = ["tree", "usual"]
# license = "GPL-2.0-or-later"
# links = [{ type = "documentation", href = "http://www.microbesonline.org/fasttree/" }]
#
# [tool.multiblast.plugin.tool]
# command = ["fasttree", "-expert"]
# pattern = 'FastTree (?:Version )?([\d.]+)'
# requires = ">=2.1"
# debian = "fasttree"
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
# [tool.multiblast.plugin.parameters.model]
# type = "choice"
# choices = ["auto", "jtt", "lg", "wag", "gtr", "jc"]
# default = "auto"
# label = "Model"
# help = "auto is LG for proteins, GTR for nucleotides; jtt, lg and wag are for proteins, gtr and jc for nucleotides."
#
# [tool.multiblast.plugin.parameters.gamma]
# type = "flag"
# default = false
# label = "Gamma"
# help = "Rescale the branches for rates that vary (Gamma20); takes a little longer."
# ///
"""Make a tree with FastTree. What ends a name in Newick would end it there: it sees names of ours."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

_PROTEIN_ONLY = set("EFIJLOPQZ*")
_MODELS = {"protein": {"jtt": [], "lg": ["-lg"], "wag": ["-wag"]}, "nucleotide": {"gtr": ["-gtr"], "jc": []}}


def main() -> None:
    """Do what the request says."""
    request = json.loads(Path("request.json").read_text("utf-8"))
    chosen = request["parameters"]
    names, rows = read_alignment(Path(request["inputs"]["alignment"][0]["path"]))
    molecule = "protein" if any(set(row.upper()) & _PROTEIN_ONLY for row in rows) else "nucleotide"
    model = {"protein": "lg", "nucleotide": "gtr"}[molecule] if chosen["model"] == "auto" else chosen["model"]
    if model not in _MODELS[molecule]:
        sys.exit(f"the model {model} is not for {molecule} sequences: use {' or '.join(_MODELS[molecule])}")
    kind = ["-nt"] if molecule == "nucleotide" else []
    command = ["fasttree", "-nopr", "-seed", "1", *kind, *_MODELS[molecule][model]]
    command += ["-gamma"] if chosen["gamma"] else []
    text = "".join(f">s{number}\n{row}\n" for number, row in enumerate(rows))
    made = subprocess.run(command, input=text, stdout=subprocess.PIPE, text=True, check=False)
    if made.returncode:
        sys.exit(made.returncode)
    Path("outputs/tree.nwk").write_text(renamed(made.stdout, names), "utf-8")


def read_alignment(path: Path) -> tuple[list[str], list[str]]:
    """Return names and rows, of which there must be two at least."""
    records = [part.partition("\n") for part in ("\n" + path.read_text("utf-8")).split("\n>")[1:]]
    names = [title.split()[0] if title.split() else f"sequence_{at}" for at, (title, _, _) in enumerate(records, 1)]
    rows = ["".join(letters.split()) for _, _, letters in records]
    if len(rows) < 2:  # noqa: PLR2004 - two ends of a branch
        sys.exit("a tree needs two sequences at least")
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
