"""What a search reads and writes beside query and database: profiles, indices, ids in titles."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest

from multiblast.database import utc_now
from multiblast.errors import InvalidInputError
from multiblast.reports import Formatting
from multiblast.reports.exactness import incomplete_in_blast
from multiblast.search import SearchedJob, read_submission
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.targets.makeblastdb import build_database
from multiblast.upkeep.storage import StorageUpkeep
from tests.support.people import ADMINISTRATOR
from tests.support.places import EXAMPLES

FORMATS = (0, 2, 4, 5, 6, 7, 8, 10, 12, 15, 16, 18)
CANNOT_ADJUST = re.compile(
    rb',\s*"message": "[^"\n]* not supported with PSSMs[^"\n]*"'
    rb"|\s*<(?:Iteration_)?message>[^<]* not supported with PSSMs[^<]*</(?:Iteration_)?message>"
)
TITLES = (
    b"sp|P68871|HBB_HUMAN with letter O",
    b"gi|129295|sp|P01013|OVAX_CHICK GENE X PROTEIN of a long title",
    b"NP_414542.1 a reference",
    b"foo bar",
    b"pdb|1ABC|A chain",
    b"",
    b"1234 number",
    b"lcl|Query_7 \xc3\xa9",
)

UNSEARCHABLE = (
    "sp|P68871|HBB_HUMAN x",
    "gi|129295|sp|P01013|OVAX_CHICK a GI before an accession",
    "ref|NP_414542.1| a version",
    "ref|NP_414542.2| another version of it, which is another sequence",
    "foo bar",
    "1234 number",
    "lcl|9 number",
    "gnl|db|x1 general",
    "gnl|db|x2 another of that source",
    "gnl|db|77 general number",
    "pat|US|123|4 patent",
    "pgp|US|124|5 application",
    "pdb|1ABC|A chain",
    "pdb|2ABC|AB long chain",
    "pdb|3ABC| no chain",
    "gi|777 x",
    "gb|AAA12345.1|LOC",
    "pir||S12345 x",
    "prf||0806162C x",
    "bbs|66 x",
    "bbm|67 x",
)


def files(services: Services, job_id: str, format_type: object) -> dict[str, bytes]:
    report_id = services.reports.submit(ADMINISTRATOR, job_id, Formatting.read(format_type))
    made = services.reports.run(report_id).execute()
    found = {}
    for file in made.files:
        with services.reports.file(ADMINISTRATOR, made.report_id, file.name) as stream:
            found[file.name] = stream.read()
    return found


def report(services: Services, job: SearchedJob, number: int) -> bytes:
    return next(iter(files(services, job.job_id, number).values()))


def plain(directory: Path, *command: object) -> bytes:
    out = directory / "plain.out"
    subprocess.run([*map(str, command), "-out", str(out)], check=True, capture_output=True)
    return out.read_bytes()


@pytest.mark.long
def test_ids_in_titles_are_reported_as_plain_blast_reads_them(
    services: Services, search_whole: Callable[..., SearchedJob], proteins: list[Sequence], tmp_path: Path
) -> None:
    """The sequences were searched under other titles before: ids do not decide what is found."""
    residues = [sequence.residues for sequence in proteins[: len(TITLES)]]
    residues[0] = residues[0][:20] + b"O" + residues[0][20:]
    search_whole(services, "".join(f">other {n}\n{one.decode()}\n" for n, one in enumerate(residues)), seg="yes")
    query = tmp_path / "query.fasta"
    query.write_bytes(b"".join(b">%s\n%s\n" % pair for pair in zip(TITLES, residues, strict=True)))
    job = search_whole(services, query.read_text(), parse_deflines=True, seg="yes")
    assert job.searched == 0
    database = services.targets.resolve("demo", "examples", "proteins").path
    command = ("blastp", "-query", query, "-db", database, "-parse_deflines", "-seg", "yes", "-outfmt")
    different = [
        number
        # BLAST+ itself writes broken XML for titles beyond ASCII.
        for number in FORMATS
        if number not in {5, 16} and report(services, job, number) != plain(tmp_path, *command, number)
    ]
    assert different == []


def test_titles_after_tabs_and_question_marks_are_reported_as_plain_blast_reads_them(
    services: Services, search_whole: Callable[..., SearchedJob], proteins: list[Sequence], tmp_path: Path
) -> None:
    titles = (b"a\tthe title", b"\tb \x0b t\tu", b" ?c y", b"sp|P12345|ABC\x0ctitle", b"e t\x01f")
    residues = [sequence.residues for sequence in proteins]
    query = tmp_path / "query.fasta"
    query.write_bytes(b"".join(b">%s\n%s\n" % pair for pair in zip(titles, residues, strict=False)))
    database = services.targets.resolve("demo", "examples", "proteins").path
    for parse_deflines in (True, False):
        job = search_whole(services, query.read_text(), parse_deflines=parse_deflines)
        command = ("blastp", "-query", query, "-db", database, *(["-parse_deflines"] if parse_deflines else []))
        printed = {number: plain(tmp_path, *command, "-outfmt", number) for number in (0, 5, 7, 15)}
        assert {number: report(services, job, number) for number in printed} == printed


def test_notes_call_queries_by_ids_of_every_kind_as_plain_blast_does(
    services: Services, search_whole: Callable[..., SearchedJob], proteins: list[Sequence], tmp_path: Path
) -> None:
    """Of all but one of these sequences nothing is left to search with, which is what is said of them."""
    query = tmp_path / "query.fasta"
    unsearchable = "".join(f">{title}\n{'A' * 40}\n" for title in UNSEARCHABLE)
    query.write_text(f">searchable\n{proteins[0].residues.decode()}\n{unsearchable}")
    database = services.targets.resolve("demo", "examples", "proteins").path
    command = ("blastp", "-query", query, "-db", database, "-parse_deflines", "-seg", "yes")
    job = search_whole(services, query.read_text(), parse_deflines=True, seg="yes")
    printed = {number: plain(tmp_path, *command, "-outfmt", number) for number in (0, 5, 15, 16)}
    assert printed[5].count(b"<Iteration_message>") == len(UNSEARCHABLE)
    assert {number: report(services, job, number) for number in printed} == printed


@pytest.mark.long
def test_rounds_of_queries_with_ids_are_told_as_plain_psiblast_tells_them(
    services: Services, search_whole: Callable[..., SearchedJob], proteins: list[Sequence], tmp_path: Path
) -> None:
    query = tmp_path / "query.fasta"
    chosen = zip(TITLES[:2], proteins, strict=False)
    query.write_bytes(b"".join(b">%s\n%s\n" % (title, sequence.residues) for title, sequence in chosen))
    job = search_whole(services, query.read_text(), program="psiblast", parse_deflines=True, num_iterations=2)
    database = services.targets.resolve("demo", "examples", "proteins").path
    command = ("psiblast", "-query", query, "-db", database, "-parse_deflines", "-num_iterations", 2, "-outfmt")
    incomplete = incomplete_in_blast("psiblast", services.installation.version("psiblast"))
    printed = {number: plain(tmp_path, *command, number) for number in (0, 7, 15) if str(number) not in incomplete}
    assert b"found again" in printed[0]
    assert {number: report(services, job, number) for number in printed} == printed


@pytest.mark.parametrize(
    ("titles", "said"),
    [
        (["foo a", "foo b"], "two titles have one id"),
        (["gnl|a|b|c|d", "x"], "Could not construct seq-id"),
        (["NP_000549.1", "NM_000558.5 translated"], r"record 2: NM_000558.5 is the id of a nucleotide sequence"),
        (["ti|120 x", "y"], "record 1: ti:120 is the id of a nucleotide sequence"),
    ],
)
def test_ids_that_blast_cannot_read_or_tell_apart_are_refused(
    services: Services, search_whole: Callable[..., SearchedJob], titles: list[str], said: str
) -> None:
    with pytest.raises(InvalidInputError, match=said):
        search_whole(services, "".join(f">{title}\nMKRISTTITTTITITTGNGAG\n" for title in titles), parse_deflines=True)


def test_profile_is_kept_and_searched_with_as_plain_psiblast_does(
    services: Services, search_whole: Callable[..., SearchedJob], proteins: list[Sequence], tmp_path: Path
) -> None:
    query = tmp_path / "query.fasta"
    query.write_bytes(b">a title that is longer than a line of the text form of ASN.1, which breaks it there\n")
    query.write_bytes(query.read_bytes() + proteins[0].residues + b"\n")
    options = {"num_iterations": 2, "out_pssm": True, "out_ascii_pssm": True, "save_pssm_after_last_round": True}
    job = search_whole(services, query.read_text(), program="psiblast", **options)
    database = services.targets.resolve("demo", "examples", "proteins").path
    profile, table = tmp_path / "profile.asn1", tmp_path / "profile.txt"
    search = ("psiblast", "-db", database)
    outputs = ("-out_pssm", profile, "-out_ascii_pssm", table, "-save_pssm_after_last_round")
    plain(tmp_path, *search, "-query", query, "-num_iterations", 2, *outputs)
    kept = files(services, job.job_id, "pssm")
    assert (kept["pssm.asn1"], kept["pssm.txt"]) == (profile.read_bytes(), table.read_bytes())

    again = search_whole(services, "", program="psiblast", in_pssm=str(profile))
    different = [
        number
        for number in FORMATS
        if report(services, again, number) != plain(tmp_path, *search, "-in_pssm", profile, "-outfmt", number)
    ]
    assert different == []


@pytest.mark.parametrize(
    "options", [{}, {"matrix": "BLOSUM80", "gapopen": 10, "gapextend": 1}, {"comp_based_stats": 1}]
)
def test_profile_of_the_query_alone_is_said_to_have_no_frequencies(
    services: Services,
    search_whole: Callable[..., SearchedJob],
    proteins: list[Sequence],
    tmp_path: Path,
    options: dict[str, object],
) -> None:
    """The message names the matrix of the search, and is there as well where no scores were to be adjusted."""
    query, profile = tmp_path / "query.fasta", tmp_path / "profile.asn1"
    query.write_bytes(b">q\n%s\n" % proteins[4].residues[:40])
    given = [word for name, value in options.items() for word in (f"-{name}", value)]
    search = ("psiblast", "-db", services.targets.resolve("demo", "examples", "proteins").path, "-num_iterations", 2)
    job = search_whole(services, query.read_text(), program="psiblast", num_iterations=2, **options)
    expected = plain(tmp_path, *search, *given, "-query", query, "-outfmt", 5)
    assert expected.count(b"are all zeros") == 1
    assert report(services, job, 5) == expected

    plain(tmp_path, *search, "-query", query, "-out_pssm", profile)
    for composition in ("0", "2"):
        again = search_whole(
            services, "", program="psiblast", in_pssm=str(profile), num_iterations=2, comp_based_stats=composition
        )
        words = ("-in_pssm", profile, "-comp_based_stats", composition, "-outfmt", 5)
        assert report(services, again, 5) == plain(tmp_path, *search, *words)


@pytest.mark.parametrize("parse_deflines", [False, True])
def test_profiles_are_kept_under_the_names_that_psiblast_gives_them(
    parse_deflines: bool,
    services: Services,
    search_whole: Callable[..., SearchedJob],
    proteins: list[Sequence],
    tmp_path: Path,
) -> None:
    titles = (
        "sp|P68871|HBB_HUMAN caf\u00e9 'au' lait",
        "gi|5|ref|NP_000001.1| b",
        "pdb|1ABC|A",
        "gnl|db|x1 c",
        "lcl|9",
    )
    records = [f">{title}\n{proteins[0].residues[:60].decode()}\n" for title in titles]
    options = {"out_pssm": True, "save_pssm_after_last_round": True, "parse_deflines": parse_deflines}
    kept = files(services, search_whole(services, "".join(records), program="psiblast", **options).job_id, "pssm")
    database, profile = services.targets.resolve("demo", "examples", "proteins").path, tmp_path / "profile.asn1"
    command = ["psiblast", "-db", database, "-query", tmp_path / "query", "-out_pssm", profile]
    command += ["-save_pssm_after_last_round", *(["-parse_deflines"] if parse_deflines else [])]
    for number, record in enumerate(records, start=1):
        (tmp_path / "query").write_text(record)
        plain(tmp_path, *command)
        assert kept[f"pssm_{number}.asn1"] == profile.read_bytes()


@pytest.mark.long
def test_structured_report_of_a_profile_may_say_that_scores_cannot_be_adjusted(
    services: Services, search_whole: Callable[..., SearchedJob], proteins: list[Sequence], tmp_path: Path
) -> None:
    """Plain does not say it with ``-comp_based_stats 1``; that is all that differs, in XML and JSON."""
    query, profile = tmp_path / "query.fasta", tmp_path / "profile.asn1"
    query.write_bytes(b">q\n" + proteins[0].residues + b"\n")
    search = ("psiblast", "-db", services.targets.resolve("demo", "examples", "proteins").path)
    plain(tmp_path, *search, "-query", query, "-num_iterations", 2, "-out_pssm", profile, "-save_pssm_after_last_round")
    job = search_whole(services, "", program="psiblast", in_pssm=str(profile), comp_based_stats="1")
    different = []
    for number in (0, 5, 6, 7, 15, 16):
        ours = report(services, job, number)
        expected = plain(tmp_path, *search, "-in_pssm", profile, "-comp_based_stats", 1, "-outfmt", number)
        assert CANNOT_ADJUST.sub(b"", ours) == expected
        different += [number] if ours != expected else []
    assert different == [5, 15, 16]


def test_profile_decides_the_result_and_its_title_does_not(
    services: Services, search_whole: Callable[..., SearchedJob], proteins: list[Sequence]
) -> None:
    texts = []
    for rounds in (2, 3):
        job = search_whole(
            services, f">q\n{proteins[0].residues.decode()}\n", program="psiblast", num_iterations=rounds, out_pssm=True
        )
        texts.append(files(services, job.job_id, "pssm")["pssm.asn1"].decode())
    changed = texts[1].replace("pseudocount 0", "pseudocount 1")
    assert changed != texts[1]
    jobs = [
        search_whole(services, "", program="psiblast", in_pssm=text)
        for text in (texts[0], texts[0].replace('title "q"', 'title "another"'), changed)
    ]
    assert [job.searched for job in jobs] == [1, 0, 1]
    assert len({job.job_id for job in jobs}) == 3


def test_profile_of_another_query_or_of_no_use_is_refused(
    services: Services, search_whole: Callable[..., SearchedJob], proteins: list[Sequence]
) -> None:
    query = f">q\n{proteins[0].residues.decode()}\n"
    with pytest.raises(InvalidInputError) as caught:
        search_whole(services, query, program="psiblast", in_pssm="PssmWithParameters ::= { pssm { } }")
    assert list(caught.value.by_key) == ["in_pssm"]
    job = search_whole(services, query, program="psiblast", num_iterations=2, out_pssm=True)
    profile = files(services, job.job_id, "pssm")["pssm.asn1"].decode()
    with pytest.raises(InvalidInputError, match="the one that it was made for"):
        search_whole(services, ">other\nMKRISTTITTTITITTGNGAG\n", program="psiblast", in_pssm=profile)
    plain_job = search_whole(services, query)
    with pytest.raises(InvalidInputError, match="out_pssm"):
        services.reports.submit(ADMINISTRATOR, plain_job.job_id, Formatting.read("pssm"))


def test_profiles_are_swept_with_what_refers_to_them(
    services: Services, search_whole: Callable[..., SearchedJob], proteins: list[Sequence]
) -> None:
    query = f">q\n{proteins[0].residues.decode()}\n"
    job = search_whole(services, query, program="psiblast", num_iterations=2, out_pssm=True)
    search_whole(services, "", program="psiblast", in_pssm=files(services, job.job_id, "pssm")["pssm.asn1"].decode())
    stray = ["outputs/00/" + "0" * 32 + "/pssm.asn1", "profiles/00/" + "0" * 32 + ".asn1"]
    for key in stray:
        services.store.put(key, BytesIO(b"left by a crash"))
    sweeping = StorageUpkeep(services.database, services.store, keep_days=1)
    before = {item.key for prefix in ("outputs/", "profiles/") for item in services.store.list(prefix)}
    sweeping.sweep(utc_now() + timedelta(days=2))
    after = {item.key for prefix in ("outputs/", "profiles/") for item in services.store.list(prefix)}
    assert (len(after), before - after) == (2, set(stray))


@pytest.mark.long
def test_index_of_a_database_is_used_and_decides_the_result(
    make_services: Callable[..., Services], search_whole: Callable[..., SearchedJob], tmp_path: Path
) -> None:
    directory = tmp_path / "root" / "demo" / "examples" / "blast"
    source = EXAMPLES / "nucleotides.fasta.gz"
    database = build_database(source, directory, "nucleotides", molecule="nucleotide")
    services = make_services(root=tmp_path / "root")
    sequence = subprocess.run(
        ["blastdbcmd", "-db", database, "-entry", "all", "-outfmt", "%s"], check=True, capture_output=True, text=True
    ).stdout.split()[0][:400]
    query = f">q\n{sequence}\n"
    with pytest.raises(InvalidInputError, match="has no MegaBLAST index"):
        search_whole(services, query, program="blastn", use_index=True)
    index = ["makembindex", "-input", database, "-iformat", "blastdb", "-verbosity", "quiet"]
    subprocess.run([*index, "-old_style_index", "false"], check=True, capture_output=True)
    subprocess.run([*index, "-old_style_index", "true", "-output", f"{database}-old"], check=True, capture_output=True)
    (tmp_path / "query.fasta").write_text(query)
    command = ("blastn", "-query", tmp_path / "query.fasta", "-db", database, "-outfmt", 5, "-use_index", "true")
    old = ("-index_name", f"{database}-old")
    own = search_whole(services, query, program="blastn", use_index=True)
    named = search_whole(services, query, program="blastn", use_index=True, index_name="nucleotides-old")
    assert report(services, own, 5) == plain(tmp_path, *command)
    assert report(services, named, 5) == plain(tmp_path, *command, *old)
    with pytest.raises(InvalidInputError, match="there is no index"):
        search_whole(services, query, program="blastn", use_index=True, index_name="other")
    subprocess.run([*index, "-nmer", "11", "-old_style_index", "false"], check=True, capture_output=True)
    assert search_whole(services, query, program="blastn", use_index=True).searched == 1


def test_submission_reads_a_profile_only_from_where_files_are_taken(tmp_path: Path) -> None:
    profile = tmp_path / "files" / "one.asn1"
    profile.parent.mkdir()
    profile.write_text("PssmWithParameters ::= {}")
    (tmp_path / "other.asn1").write_text("PssmWithParameters ::= {}")
    read = read_submission(
        program="psiblast", targets=["a/b/c"], options=["in_pssm=one.asn1"], files_under=profile.parent
    )
    assert read.options.model_dump()["in_pssm"] == "PssmWithParameters ::= {}"
    with pytest.raises(InvalidInputError, match="is not under"):
        read_submission(
            program="psiblast", targets=["a/b/c"], options={"in_pssm": "../other.asn1"}, files_under=profile.parent
        )
