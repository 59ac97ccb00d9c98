"""Whatever the formatter reads beside results decides a report: another one is made once that has changed."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from multiblast.errors import ConflictError, InvalidInputError
from multiblast.reports import Formatting, MadeReport
from multiblast.reports.letters import last_letter_in_xml
from multiblast.search import SearchedJob
from multiblast.search.searched_job import RowChoice
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.targets.makeblastdb import build_database
from tests.support.people import ADMINISTRATOR
from tests.support.sequences import fasta

TAXA = [(562, "Escherichia coli\tE. coli\tenterobacteria\tB "), (9606, "Homo sapiens\thuman\tprimates\tE ")]
FIELDS = "qseqid sseqid staxids sscinames"


def write_taxdb(directory: Path) -> None:
    directory.mkdir()
    entries, names = [], ""
    for taxid, text in TAXA:
        entries.append(struct.pack(">II", taxid, len(names)))
        names += text
    (directory / "taxdb.btd").write_text(names)
    (directory / "taxdb.bti").write_bytes(struct.pack(">II", 0x8739, len(TAXA)) + bytes(16) + b"".join(entries))


@pytest.fixture
def root(tmp_path: Path, proteins: list[Sequence]) -> Path:
    source, taxids = tmp_path / "source.fasta", tmp_path / "taxids"
    source.write_text("".join(f">p{n}\n{s.residues.decode()}\n" for n, s in enumerate(proteins[:2])))
    taxids.write_text("p0 9606\np1 562\n")
    directory = tmp_path / "root" / "demo" / "examples" / "blast"
    build_database(source, directory, "proteins", molecule="protein", taxids=taxids)
    return tmp_path / "root"


def make(services: Services, job: SearchedJob, number: int, fields: str = "") -> tuple[MadeReport, bytes]:
    formatting = Formatting.read(number, fields=fields)
    made = services.reports.run(services.reports.submit(ADMINISTRATOR, job.job_id, formatting)).execute()
    with services.reports.file(ADMINISTRATOR, made.report_id, made.files[0].name) as stream:
        return made, stream.read()


def plain(query: str | bytes, root: Path, outfmt: str) -> bytes:
    (root / "query.fasta").write_bytes(query if isinstance(query, bytes) else query.encode())
    database = root / "demo" / "examples" / "blast" / "proteins"
    command = ["blastp", "-query", str(root / "query.fasta"), "-db", str(database), "-outfmt", outfmt]
    return subprocess.run(command, check=True, capture_output=True).stdout


def test_view_of_a_sequence_is_made_once(
    services: Services, submit: Callable[..., SearchedJob], proteins: list[Sequence]
) -> None:
    """It is kept as a report of the sequence's own job, in no list; to see it again writes nothing."""
    job = submit(fasta(proteins[:2])).job_id
    seen = [services.reports.view(ADMINISTRATOR, job, 2)]
    version = services.database.version()
    seen.append(services.reports.view(ADMINISTRATOR, job, 2))
    assert services.database.version() == version
    assert seen[0] == seen[1]
    assert (seen[0].position, seen[0].name) == (2, proteins[1].name)
    assert seen[0].subjects
    [report] = services.reports.list_jobs(
        ADMINISTRATOR, query_job_id=services.queries.rows(ADMINISTRATOR, job, RowChoice())[0][1].job_id
    )
    moves = [event.to_status for event in services.reports.history(ADMINISTRATOR, report.report_job_id)]
    assert moves == ["queued", "complete"]


@pytest.mark.parametrize("place", ["BLASTDB", "working directory", ".ncbirc"])
def test_report_is_made_anew_once_names_of_taxa_are_installed(  # noqa: PLR0913, PLR0917 - its fixtures
    place: str,
    make_services: Callable[..., Services],
    search_whole: Callable[..., SearchedJob],
    proteins: list[Sequence],
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    services, query, outfmt = make_services(root=root), fasta(proteins[:2]), f"6 {FIELDS}"
    job = search_whole(services, query)
    first, before = make(services, job, 6, FIELDS)
    assert before == plain(query, root, outfmt)
    with pytest.raises(ConflictError, match="nothing to restart"):
        services.reports.restart(ADMINISTRATOR, first.report_id)
    taxa = tmp_path / "taxa"
    write_taxdb(taxa)
    if place == "BLASTDB":
        monkeypatch.setenv("BLASTDB", f"{tmp_path}:{taxa}")
    elif place == ".ncbirc":
        (tmp_path / ".ncbirc").write_text(f"[BLAST]\nBLASTDB={taxa}\n")
        monkeypatch.setenv("NCBI", str(tmp_path))
    else:
        monkeypatch.chdir(taxa)
    assert services.reports.restart(ADMINISTRATOR, first.report_id).report_job_id == first.report_id
    again, after = make(services, job, 6, FIELDS)
    assert b"Homo sapiens" in after
    assert after == plain(query, root, outfmt)
    assert (again.report_id, again.reused) == (first.report_id, False)
    assert make(services, job, 6, FIELDS)[0].reused


def test_report_names_the_place_of_the_database_that_was_asked_for(
    make_services: Callable[..., Services],
    search_whole: Callable[..., SearchedJob],
    proteins: list[Sequence],
    root: Path,
    tmp_path: Path,
) -> None:
    query, moved = fasta(proteins[:2]), tmp_path / "moved"
    services = make_services(root=root)
    job = search_whole(services, query)
    make(services, job, 5)
    shutil.copytree(root, moved)
    elsewhere = make_services(root=moved)
    assert search_whole(elsewhere, query).searched == 0
    for number in (0, 5, 7, 15, 16, 18):
        assert make(elsewhere, job, number)[1] == plain(query, moved, str(number))


def test_report_of_a_database_that_is_gone_stays(
    make_services: Callable[..., Services],
    search_whole: Callable[..., SearchedJob],
    proteins: list[Sequence],
    root: Path,
) -> None:
    services = make_services(root=root)
    job = search_whole(services, fasta(proteins[:2]))
    _, before = make(services, job, 5)
    shutil.rmtree(root / "demo")
    services.targets.rescan()
    again, after = make(services, job, 5)
    assert (again.reused, after) == (True, before)


@pytest.mark.parametrize("number", [5, 14, 16])
def test_xml_with_letters_outside_latin_1_is_refused_and_other_formats_are_written(
    number: int,
    make_services: Callable[..., Services],
    search_whole: Callable[..., SearchedJob],
    proteins: list[Sequence],
    root: Path,
) -> None:
    """Of Latin-1's letters beyond ASCII, where the installed version fails with them too."""
    services = make_services(root=root)
    is_latin = last_letter_in_xml(services.installation.version("blast_formatter")) == "\xff"
    record, found = (2, "b \u03b2-lactamase' has '\u03b2") if is_latin else (1, "a \u00e9 b' has '\u00e9")
    query = f">a \u00e9 b\n{proteins[0].residues.decode()}\n>b \u03b2-lactamase\n{proteins[1].residues.decode()}\n"
    job = search_whole(services, query)
    with pytest.raises(InvalidInputError, match=rf"record {record}: the title '{found}': BLAST\+ cannot"):
        services.reports.submit(ADMINISTRATOR, job.job_id, Formatting.read(number))
    assert make(services, job, 6)[1] == plain(query, root, "6")
    moved = root.rename(root.with_name("\u03b2"))
    elsewhere = make_services(root=moved)
    other = search_whole(elsewhere, fasta(proteins[:1]))
    with pytest.raises(InvalidInputError, match=r"the database's path '.*\u03b2.*' has '\u03b2'"):
        elsewhere.reports.submit(ADMINISTRATOR, other.job_id, Formatting.read(number))
    assert make(elsewhere, other, 7)[1] == plain(fasta(proteins[:1]), moved, "7")


@pytest.mark.parametrize(
    ("title", "letter"),
    [
        (b"caf\xe9 noir", ""),
        ("caf\u00e9 noir".encode(), ""),
        (b"caf\xe9", "\u00e9"),
        ("caf\u00e9".encode(), "\u00e9"),
        (b"caf\xe9 ., ", "\u00e9"),
        (b"caf\xe9\x01b", "\u00e9"),
        (b"10 \x80 each", "\u20ac"),  # Windows' Euro
        (b"\x81 caf\xe9 noir", ""),  # neither UTF-8 nor of Windows
    ],
)
def test_xml_of_a_title_is_refused_if_plain_blast_fails_with_it(  # noqa: PLR0913, PLR0917 - a title, and what for
    title: bytes,
    letter: str,
    make_services: Callable[..., Services],
    search_whole: Callable[..., SearchedJob],
    proteins: list[Sequence],
    root: Path,
) -> None:
    services = make_services(root=root)
    if last_letter_in_xml(services.installation.version("blast_formatter")) != "\xff":
        pytest.skip("this version fails with all letters beyond ASCII")
    query = b">%b\n%b\n" % (title, proteins[0].residues)
    job = search_whole(services, query)
    if letter:
        with pytest.raises(InvalidInputError, match=rf"record 1: the title '.*' has '{letter}': BLAST\+ cannot"):
            services.reports.submit(ADMINISTRATOR, job.job_id, Formatting.read(5))
        with pytest.raises(subprocess.CalledProcessError):
            plain(query, root, "5")
    else:
        assert make(services, job, 5)[1] == plain(query, root, "5")


def test_xml_of_a_subject_with_letters_outside_latin_1_equals_plain_blast(
    make_services: Callable[..., Services],
    search_whole: Callable[..., SearchedJob],
    proteins: list[Sequence],
    root: Path,
    tmp_path: Path,
) -> None:
    """The database itself does not have them."""
    source, query = tmp_path / "greek.fasta", fasta(proteins[:1])
    source.write_text(f">s \u03b2\n{proteins[0].residues.decode()}\n")
    build_database(source, root / "demo" / "examples" / "blast", "proteins", molecule="protein")
    services = make_services(root=root)
    assert make(services, search_whole(services, query), 5)[1] == plain(query, root, "5")
