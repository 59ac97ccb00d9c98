"""What random draws have with ``--rare``: databases of other forms, odd records and many, odd values and columns."""

from __future__ import annotations

import os
import random
import re
import struct
import subprocess
from collections.abc import Container, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multiblast.options.option import Option
from multiblast.reports import Formatting
from tests.exactness.drawn_queries import draw_query, pool_of, with_lower_case

if TYPE_CHECKING:
    from tests.exactness.random_draws import Draw

RARE = "rare "
"""What the seeds of such draws begin with."""

_TAXA = {
    562: "Escherichia coli\tE. coli\tenterobacteria\tB ",
    4932: "Saccharomyces <c>\tyeast, a\tfungi\tE ",
    9606: "Homo sapiens\thuman\tprimates\tE ",
}
_OTHER_TAXON = 4  # of no sequence
_TOGETHER, _ALONE = ("listed", "taxa", "volumes"), ("old", "bare")
_VALUES: Mapping[str, tuple[Any, ...]] = {
    "taxids": ("562", "9606,562", "562, 9606", str(_OTHER_TAXON), "9606,9606"),
    "negative_taxids": ("562", "9606,562", str(_OTHER_TAXON)),
    "query_loc": ("2-2000", "10-90", "30-31", "3-50000"),
    "seg": ("12 2.2 2.5", "20 3 3.3", "5 1.75 2"),
    "dust": ("20 64 1", "10 20 5", "64 64 64"),
    "evalue": (1e-180, 0.00012345678, 1.23456789e-7, 9.99, 1000, 123456.789),
    "qcov_hsp_perc": (33.3, 0.5, 99.99, 100),
    "perc_identity": (97.25, 66.6667, 100),
    "searchsp": (1, 2**40, 123456789),
    "dbsize": (1, 2**40, 123456789),
    "max_target_seqs": (2, 250, 501, 5000),
    "max_hsps": (3, 100),
    "culling_limit": (2, 20),
    "best_hit_overhang": (0.25, 0.123456),
    "best_hit_score_edge": (0.333, 0.05),
    "xdrop_ungap": (7.5, 0.3, 19.999),
    "xdrop_gap": (15.5, 12.345, 1),
    "xdrop_gap_final": (25.5, 33.333, 5),
    "gap_trigger": (22.5, 18.2),
    "inclusion_ethresh": (0.0123, 1e-10, 1),
    "domain_inclusion_ethresh": (0.0123, 1e-10),
    "threshold": (12.5, 11.25),
    "min_raw_gapped_score": (1, 45, 500),
    "window_size": (0, 1, 60),
    "max_intron_length": (50, 300_000),
}
_TITLES = (
    *("gi|5|ref|NP_5.1| x", "a\x01gi|6|gb|AAA6.1| b", "ref|NM_1.1|", "[organism=Homo sapiens] x", "Query_2", "lcl|a|b"),
    *("proteins1", "proteins1 twice", "x" * 300, "  begins", "ends  ", ">", ">>", "\t", "BL_ORD_ID:1", "lcl|1", "-1"),
    *("gnl|BL_ORD_ID|0 x", "No definition line", "unnamed protein product", "a;b;c", 'a,b,"c"', "</Iteration>", "]]>"),
    *("\\u0041", "%s%d", "x\\", "/path/x", "a\"b'c`d", "1", "word " * 200),
)
_COLUMNS = (
    *("std std", "staxids sscinames scomnames", "qseqid sseqid qseqid"),
    "sblastnames sskingdoms staxid ssciname scomname",
)
_BETWEEN_RECORDS = ("\n\n\n>", "\n \n>", "\n; one\n>", "\n\t\n>")


def build_rare_databases(directory: Path) -> None:
    """Build a database of each form, of proteins and of nucleotides, and names of their taxa, which are then used."""
    (directory / "taxids").write_text("562\n")
    for kind in ("proteins", "nucleotides"):
        records = {f"{kind}{n}": one for n, one in enumerate(pool_of(kind)) if one}
        text = "".join(f">{name} title of {name} [Homo sapiens]\n{one}\n" for name, one in records.items())
        taxa = [*_TAXA]
        (directory / "records").write_text(text)
        (directory / "map").write_text("".join(f"{name} {taxa[n % 3]}\n" for n, name in enumerate(records)))
        (directory / "ids").write_text("".join(f"{name}\n" for name in [*records][::3]))
        made = ["makeblastdb", "-in", "records", "-dbtype", kind[:4]]
        parsed = [*made, "-parse_seqids", "-taxid_map", "map"]
        alias = ["blastdb_aliastool", "-dbtype", kind[:4], "-db", f"volumes_{kind}"]
        size = len(text) // (12 if kind == "nucleotides" else 3)
        for command in (
            [*parsed, "-max_file_sz", f"{size}B", "-title", "volumes", "-out", f"volumes_{kind}"],
            [*parsed, "-blastdb_version", "4", "-title", "old", "-out", f"old_{kind}"],
            [*made, "-title", " bare  & <b>", "-out", f"bare_{kind}"],
            [*alias, "-seqidlist", "ids", "-title", "listed", "-out", f"listed_{kind}"],
            [*alias, "-taxidlist", "taxids", "-title", "taxa", "-out", f"taxa_{kind}"],
        ):
            subprocess.run(command, cwd=directory, check=True, capture_output=True)
    _write_names_of_taxa(directory)
    os.environ["BLASTDB"] = str(directory)


def _write_names_of_taxa(directory: Path) -> None:
    entries, names = b"", ""
    for taxid, text in _TAXA.items():
        entries += struct.pack(">II", taxid, len(names))
        names += text
    (directory / "taxdb.btd").write_text(names)
    (directory / "taxdb.bti").write_bytes(struct.pack(">II", 0x8739, len(_TAXA)) + bytes(16) + entries)


def made_rare(drawn: Draw, declared: Mapping[str, Option], rng: random.Random) -> Draw:
    """Return a draw with another database, query, values and columns, each or not."""
    options, databases, query = dict(drawn.options), drawn.databases, drawn.query
    if "rps" not in databases and rng.random() < 0.6:
        kind = "proteins" if drawn.program in {"blastp", "blastx", "psiblast", "deltablast"} else "nucleotides"
        names = sorted(rng.sample(_TOGETHER, 2)) if rng.random() < 0.2 else [rng.choice(_TOGETHER + _ALONE)]
        databases = " ".join(f"{name}_{kind}" for name in names)
        options = {name: value for name, value in options.items() if name not in {"db_soft_mask", "db_hard_mask"}}
    more = rng.sample([name for name in _VALUES if name in declared], rng.choice((0, 1, 1, 2)))
    names = [name for name in options if name in _VALUES and rng.random() < 0.6]
    options |= {name: rng.choice(_VALUES[name]) for name in (*names, *more)}
    if rng.random() < 0.5:
        query = _query(drawn.program, rng)
        query = with_lower_case(query, rng) if "lcase_masking" in options else query
    formats = tuple(_formatting(one, options, rng) for one in drawn.formats)
    return replace(drawn, databases=databases, options=options, query=query, formats=formats)


def _query(program: str, rng: random.Random) -> str:
    """Return odd records, maybe many of them, or one in the other case again, or the first without a title."""
    way = rng.random()
    text = "".join(draw_query(program, rng) for _ in range(rng.randint(4, 12) if way < 0.3 else 1))
    text = re.sub(r"^>.*", lambda found: _title(rng) if rng.random() < 0.5 else found[0], text, flags=re.MULTILINE)
    if way > 0.7:
        one = rng.choice(text[1:].split("\n>")).partition("\n")[2]
        text += f"{_title(rng)}\n{one.strip().swapcase()}\n"
    elif way > 0.6:
        text = rng.choice(("\n\n", "", "\r\n", "; x\n")) + text.partition("\n")[2]
    return text.replace("\n>", rng.choice(_BETWEEN_RECORDS)) if rng.random() < 0.2 else text


def _title(rng: random.Random) -> str:
    return f">{rng.choice(_TITLES)}"


def _formatting(one: Formatting, searched: Container[str], rng: random.Random) -> Formatting:
    given: dict[str, Any] = {}
    if one.fields and one.format != "17" and rng.random() < 0.4:
        given["fields"] = (*one.fields, *rng.choice(_COLUMNS).split())
    if one.delimiter:
        given["delimiter"] = rng.choice((",", ":", "tab", ";", "%", "a", "\\t", "=", "'", '"', "1"))
    if one.line_length:
        given["line_length"] = rng.choice((7, 59, 61, 250, 100_000))
    if "max_target_seqs" in searched:  # as in other draws
        given |= {"num_descriptions": None, "num_alignments": None}
    elif one.num_descriptions is not None:
        given["num_descriptions"] = rng.choice((1, 250, 600))
    return one.model_validate(one.model_dump() | given)
