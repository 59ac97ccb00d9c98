"""Our own formats of searches with options that name a file or another database, and of subjects with hard names."""

from __future__ import annotations

import base64
import gzip
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from multiblast.reports import Formatting
from multiblast.reports.formats import FORMATS
from multiblast.reports.hits import read_hits
from multiblast.search import SearchedJob
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.targets.makeblastdb import build_database
from tests.support.people import ADMINISTRATOR
from tests.support.places import EXAMPLES
from tests.support.profile_databases import build_profile_databases

OWN = [name for name, row in FORMATS.items() if row.write]


def made(services: Services, job: SearchedJob, name: str, directory: Path) -> Path:
    """Make a report; return its first file."""
    report = services.reports.run(services.reports.submit(ADMINISTRATOR, job.job_id, Formatting(format=name))).execute()
    path = directory / report.files[0].name
    with services.reports.file(ADMINISTRATOR, report.report_id, path.name) as stream, path.open("wb") as file:
        shutil.copyfileobj(stream, file)
    return path


def check_own_formats(services: Services, job: SearchedJob, directory: Path, option: str) -> None:
    """See that the page names an option with what it was given, and the table holds hits."""
    page = made(services, job, "html", directory).read_text()
    assert f"-{option} " in page[: page.index("<script")]
    assert read_hits(made(services, job, "parquet", directory)).rows


@pytest.mark.long
def test_own_formats_are_made_of_a_search_that_keeps_or_reads_a_profile(
    services: Services, search_whole: Callable[..., SearchedJob], proteins: list[Sequence], tmp_path: Path
) -> None:
    query = proteins[0].canonical.decode()
    for option, first in (("out_pssm", "pssm.asn1"), ("out_ascii_pssm", "pssm.txt")):
        job = search_whole(services, query, program="psiblast", num_iterations=2, **{option: True})
        check_own_formats(services, job, tmp_path, option)
        assert made(services, job, "pssm", tmp_path).name == first
    again = search_whole(services, "", program="psiblast", in_pssm=(tmp_path / "pssm.asn1").read_text())
    check_own_formats(services, again, tmp_path, "in_pssm")


@pytest.mark.long
def test_own_formats_are_made_of_a_search_with_an_index_or_domains(
    make_services: Callable[..., Services],
    search_whole: Callable[..., SearchedJob],
    proteins: list[Sequence],
    tmp_path: Path,
) -> None:
    directory = tmp_path / "root" / "demo" / "examples" / "blast"
    build_database(EXAMPLES / "proteins.fasta.gz", directory, "proteins", molecule="protein")
    build_profile_databases(directory, EXAMPLES / "protein_query.fasta", count=2)
    database = build_database(EXAMPLES / "nucleotides.fasta.gz", directory, "nucleotides", molecule="nucleotide")
    index = ["makembindex", "-input", database, "-iformat", "blastdb", "-old_style_index", "true"]
    subprocess.run([*index, "-output", f"{database}-old"], check=True, capture_output=True)
    services = make_services(root=tmp_path / "root")
    domains = search_whole(services, proteins[0].canonical.decode(), program="deltablast", rpsdb="delta")
    check_own_formats(services, domains, tmp_path, "rpsdb")
    sequence = subprocess.run(
        ["blastdbcmd", "-db", database, "-entry", "all", "-outfmt", "%s"], check=True, capture_output=True, text=True
    ).stdout.split()[0][:400]
    options = {"use_index": True, "index_name": "nucleotides-old"}
    indexed = search_whole(services, f">q\n{sequence}\n", program="blastn", **options)
    check_own_formats(services, indexed, tmp_path, "index_name")


@pytest.mark.parametrize("name", ["Query_1", "lcl|Query_1"])
def test_subject_may_be_called_as_blast_calls_queries(
    name: str,
    make_services: Callable[..., Services],
    search_whole: Callable[..., SearchedJob],
    proteins: list[Sequence],
    tmp_path: Path,
) -> None:
    """In a database with parsed ids: BLAST+'s JSON then leaves the subject's accession out."""
    directory = tmp_path / "root" / "demo" / "examples" / "blast"
    directory.mkdir(parents=True)
    source = tmp_path / "source.fasta"
    source.write_bytes(b">%s a title\n%s\n" % (name.encode(), proteins[0].residues))
    command = ["makeblastdb", "-dbtype", "prot", "-parse_seqids", "-in", source, "-out", directory / "proteins"]
    subprocess.run(command, check=True, capture_output=True)
    services = make_services(root=tmp_path / "root")
    residues, subject = proteins[0].residues.decode(), name.removeprefix("lcl|")
    fasta = f">first\n{residues}\n>second\n{residues[:300]}\n"
    job = search_whole(services, fasta)
    page = made(services, job, "html", tmp_path).read_text()
    (data,) = re.findall(r'id="overview-data">([^<]+)<', page)
    overview = json.loads(gzip.decompress(base64.b64decode(data)))
    assert [(row[0], row[4]) for row in overview] == [("first", subject), ("second", subject)]
    rows = read_hits(made(services, job, "parquet", tmp_path)).rows
    found = {(row.query, row.qseqid, row.sseqid) for row in rows}
    assert found == {(1, "first", subject), (2, "second", subject)}
