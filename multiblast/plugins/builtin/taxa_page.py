# /// script
# requires-python = ">=3.11"
# dependencies = ["pyarrow>=17"]
#
# [tool.multiblast.plugin]
# name = "taxa-page"
# version = "1.0.0"
# title = "Organisms of hits, as a Krona chart"
# description = """A page that shows of which organisms the subjects are: each subject of a query counts once, or \
# its best alone. Organisms are read from the titles, as UniProt, NCBI and GenBank write them."""
# type = "visualization"
# tags = ["taxa"]
# license = "BSD-3-Clause"
# links = [{ type = "documentation", href = "https://github.com/marbl/Krona/wiki" }]
#
# [tool.multiblast.plugin.tool]
# command = ["ktImportText"]
# pattern = 'KronaTools ([\d.]+)'
# requires = ">=2.7"
# debian = "radiant"
#
# [tool.multiblast.plugin.inputs.hits]
# data = "hits/*"
# content = ["application/vnd.apache.parquet"]
# label = "Hits"
#
# [tool.multiblast.plugin.outputs.page]
# data = "page"
# content = "text/html"
# edam = "format_2331"
# label = "Chart"
#
# [tool.multiblast.plugin.outputs.taxa]
# data = "taxa"
# content = "text/tab-separated-values"
# edam = "format_3475"
# label = "Organisms"
#
# [tool.multiblast.plugin.parameters.best]
# type = "flag"
# default = false
# label = "Best hits only"
#
# [tool.multiblast.plugin.parameters.evalue]
# type = "number"
# default = 10.0
# least = 0
# label = "Largest E-value"
# ///
"""Count organisms in the titles of subjects, and draw them with Krona."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from pyarrow import compute, parquet

_PATTERNS = (
    re.compile(r"\bOS=(?P<name>.+?)(?= (?:OX|GN|PE|SV)=|$)"),  # UniProt
    re.compile(r"\[(?P<name>[^\[\]]+)\]\s*$"),  # proteins of NCBI
    # GenBank
    re.compile(r"^(?:PREDICTED: |UNVERIFIED: |TPA: )?(?P<name>[A-Z][a-z]+ (?:sp\.|cf\. [a-z]+|[a-z][a-z-]+))\b"),
)
_UNKNOWN = "organism not known"


def main() -> None:
    """Do what the request says."""
    request = json.loads(Path("request.json").read_text("utf-8"))
    chosen = request["parameters"]
    table = parquet.read_table(
        request["inputs"]["hits"][0]["path"],
        columns=["query", "sseqid", "stitle", "staxids", "evalue"],
        filters=compute.field("evalue") <= chosen["evalue"],
    )
    counts: Counter[tuple[str, ...]] = Counter()
    seen, queries = set[tuple[int, str]](), set[int]()
    for row in table.to_pylist():
        key = (row["query"], row["sseqid"])
        if key in seen or (chosen["best"] and row["query"] in queries):
            continue
        seen.add(key)
        queries.add(row["query"])
        counts[lineage(row["stitle"] or "", row["staxids"] or "")] += 1
    if not counts:
        sys.exit("there are no hits that fit: allow a larger E-value")
    lines = [[str(count), *taxa] for taxa, count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))]
    Path("outputs/taxa.tsv").write_text("\n".join("\t".join(row) for row in lines) + "\n", "utf-8")
    command = ["ktImportText", "-n", "all hits", "-o", "outputs/page.html", "outputs/taxa.tsv,hits"]
    made = subprocess.run(command, check=False)
    header = ["hits\tgenus\tspecies", *("\t".join(row) for row in lines)]
    Path("outputs/taxa.tsv").write_text("\n".join(header) + "\n", "utf-8")
    sys.exit(made.returncode)


def lineage(title: str, taxids: str) -> tuple[str, ...]:
    """Return genus and species by a title, else the taxonomy id."""
    for pattern in _PATTERNS:
        if found := pattern.search(title):
            name = " ".join(re.sub(r"[<>&\"]", " ", found["name"]).split())  # it gets into a page
            words = re.sub(r"\(.*?\)", "", name).split()
            # A strain or an isolate belongs to its species; viruses and groups have names of their own.
            if len(words) > 1 and re.fullmatch(r"[A-Z][a-z]+", words[0]) and re.fullmatch(r"[a-z][a-z.-]+", words[1]):
                return words[0], f"{words[0]} {words[1]}"
            return (name,)
    return (f"taxon {taxids.partition(';')[0]}",) if taxids else (_UNKNOWN,)


if __name__ == "__main__":
    main()
