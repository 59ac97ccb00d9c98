"""NCBI's Common URL API: Biopython as it is, the pages that others read with patterns, and what is refused."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any
from urllib.error import HTTPError

import httpx
import pytest
from Bio import Blast
from Bio.Blast import NCBIWWW, NCBIXML
from uv import find_uv_bin

from multiblast.accounts import Access
from multiblast.actions import Queries
from multiblast.database import JobStatus
from multiblast.reports import Formatting
from multiblast.search.searched_job import MOST_ROWS
from multiblast.services import Services
from multiblast.settings import HttpRules, Policy
from tests.support.http_service import HereStarter, serving
from tests.support.people import ADMINISTRATOR
from tests.support.places import EXAMPLES

NCBIWWW.email = Blast.email = "tests@example.org"
DATABASE = "demo/examples/proteins"
STATUS = re.compile(r"<!--\nQBlastInfoBegin\n\tStatus=(\w+)\nQBlastInfoEnd\n-->")


@pytest.fixture(scope="module")
def services(services_under: Callable[..., Services]) -> Services:
    policy = Policy(trust_unnamed=False, http=HttpRules(databases={"nr": DATABASE}, origins=("https://example.org",)))
    return services_under(policy)


@pytest.fixture(scope="module")
def starter(services: Services) -> HereStarter:
    return HereStarter(services)


@pytest.fixture(scope="module")
def token(services: Services) -> str:
    return services.accounts.tokens.make("ann", "biopython")


@pytest.fixture(scope="module")
def url(services: Services, starter: HereStarter) -> Iterator[str]:
    with serving(services, starter) as address:
        yield f"{address}/Blast.cgi"


@pytest.fixture(scope="module")
def client(url: str, token: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url.removesuffix("/Blast.cgi"), auth=("ann", token), timeout=60) as opened:
        yield opened


@pytest.fixture(scope="module")
def fasta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two queries."""
    path = tmp_path_factory.mktemp("query") / "query.fasta"
    path.write_text("".join(re.findall(r">[^>]+", (EXAMPLES / "protein_query.fasta").read_text())[:2]))
    return path


@pytest.fixture
def qblast(url: str, token: str, fasta: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """``qblast(module, format_type=…)``: a search as Biopython does it, which may poll a few times."""
    polls = iter(range(5))
    for module in (NCBIWWW, Blast):
        module.qblast.previous = 0
    sleep = time.sleep
    # Biopython's own waits are skipped and counted; those of the service, in other threads, are not.
    monkeypatch.setattr("time.sleep", lambda s: next(polls) if current_thread() is main_thread() else sleep(s))

    def search(module: Any, **more: Any) -> Any:
        given = {"program": "blastp", "database": DATABASE, "sequence": fasta.read_text(), "url_base": url, **more}
        return module.qblast(**given, username="ann", password=token)

    return search


@pytest.fixture(scope="module")
def blastp(fasta: Path, targets_root: Path) -> Callable[..., bytes]:
    """``blastp(5)``: what BLAST+ itself prints for the same search."""

    def run(outfmt: int, *more: str) -> bytes:
        place = targets_root / "demo/examples/blast/proteins"
        command = ["blastp", "-query", str(fasta), "-db", str(place), "-evalue", "10", "-max_target_seqs", "50"]
        return subprocess.run([*command, "-outfmt", str(outfmt), *more], check=True, capture_output=True).stdout

    return run


@pytest.mark.parametrize("module", [NCBIWWW, Blast], ids=["NCBIWWW", "Blast"])
@pytest.mark.parametrize(("kind", "outfmt"), [("XML", 5), ("JSON2_S", 15), ("XML2_S", 16)])
def test_biopython_gets_the_bytes_of_blast(
    qblast: Callable[..., Any], blastp: Callable[..., bytes], module: Any, kind: str, outfmt: int
) -> None:
    content = qblast(module, format_type=kind).read()
    assert (content.encode() if isinstance(content, str) else content) == blastp(outfmt)


@pytest.mark.parametrize("module", [NCBIWWW, Blast], ids=["NCBIWWW", "Blast"])
@pytest.mark.parametrize(("kind", "outfmt"), [("Text", 0), ("Tabular", 7)])
def test_biopython_gets_the_text_of_blast_in_a_page(
    qblast: Callable[..., Any], blastp: Callable[..., bytes], module: Any, kind: str, outfmt: int
) -> None:
    content = qblast(module, format_type=kind, alignments=None, descriptions=None).read()
    page = content if isinstance(content, str) else content.decode()
    start, _, rest = page.partition("<PRE>\n")
    assert start == "<p><!--\nQBlastInfoBegin\n\tStatus=READY\nQBlastInfoEnd\n--><p>\n"
    assert rest.removesuffix("</PRE>\n") == blastp(outfmt).decode()


def test_biopython_parses_what_it_gets(qblast: Callable[..., Any]) -> None:
    assert len(list(NCBIXML.parse(qblast(NCBIWWW)))) == 2
    with qblast(Blast, format_type="XML") as stream:
        assert re.fullmatch("[A-Z0-9]{11}", stream.rid)
        assert len(list(Blast.parse(stream))) == 2
    assert "Status=READY" in qblast(NCBIWWW, format_type="HTML").read()


@pytest.mark.parametrize(("kind", "ending"), [("JSON2", "json"), ("XML2", "xml")])
def test_biopython_gets_a_zip_named_after_the_request(qblast: Callable[..., Any], kind: str, ending: str) -> None:
    stream = qblast(Blast, format_type=kind)
    with zipfile.ZipFile(io.BytesIO(stream.read())) as archive:
        names = [f"{stream.rid}.{ending}", f"{stream.rid}_1.{ending}", f"{stream.rid}_2.{ending}"]
        assert sorted(archive.namelist()) == sorted(names)
        index = archive.read(names[0]).decode()
        assert [name for name in names[1:] if name not in index] == [], index
        assert "report" not in index
        if ending == "json":
            assert "BlastOutput2" in json.loads(archive.read(names[1]))


@pytest.mark.parametrize("module", [NCBIWWW, Blast], ids=["NCBIWWW", "Blast"])
@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"entrez_query": "Homo sapiens[Organism]"}, "ENTREZ_QUERY cannot be honoured"),
        ({"database": "swissprot"}, "demo/examples/proteins"),
        ({"sequence": "NP_000508"}, "accession"),
        ({"sequence": ">a\nMKV!\n"}, "record 1"),
        ({"service": "phi", "phi_pattern": "[LIVMF]"}, "PHI_PATTERN"),
        ({"expect": "<b>"}, "Error: EXPECT: '&lt;b&gt;' is not possible"),
        ({"gapcosts": "x 1"}, "GAPCOSTS: 'x'"),
        ({"matrix_name": "PAM1"}, "MATRIX_NAME: 'PAM1'"),
        ({"filter": "R"}, "FILTER"),
    ],
)
def test_biopython_is_told_why_a_search_is_refused(
    qblast: Callable[..., Any], module: Any, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match="Error message from NCBI") as caught:
        qblast(module, **more)
    assert said in str(caught.value)


@pytest.mark.parametrize("module", [NCBIWWW, Blast], ids=["NCBIWWW", "Blast"])
def test_biopython_does_not_wait_for_a_search_that_failed(
    qblast: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, module: Any
) -> None:
    def fail(queries: Queries, job_id: str) -> None:
        queries.jobs.move_query([job_id], JobStatus.FAILED, "out of memory")

    monkeypatch.setattr(Queries, "begin", fail)
    with pytest.raises(HTTPError) as caught:
        qblast(module, sequence=f">{module.__name__}\nMKVLAAGIVGKVLLLPWQRTY\n")
    assert caught.value.code == 500
    page = caught.value.read().decode()
    caught.value.close()
    assert STATUS.findall(page) == ["FAILED"]
    assert '<p class="error">Message ID#24 Error: out of memory</p></li></ul>' in page


def test_pages_are_as_scripts_read_them(client: httpx.Client, fasta: Path) -> None:
    """web_blast.pl, BioPerl, R, BioJava: parameters in any case, in the address, a form or both."""
    query = fasta.read_text().replace("\n", "\r\n")
    perl = {"COMPOSITION_BASED_STATISTICS": "off", "FILTER": "L", "EXPECT": "1e-3", "SERVICE": "plain"}
    put = client.post(
        "/Blast.cgi", params={"cmd": "put"}, data={"PROGRAM": "blastp", "database": "nr", "QUERY": query, **perl}
    )
    assert put.headers["content-type"] == "text/html; charset=utf-8"
    [rid] = re.findall(r"^    RID = ([A-Z0-9]{11})$", put.text, re.MULTILINE)
    assert re.search(r"^    RTOE = [1-9][0-9]*$", put.text, re.MULTILINE)
    text = client.get("/Blast.cgi", params={"CMD": "Get", "RID": rid, "FORMAT_TYPE": "Text"})
    assert text.text.startswith("<p><!--\nQBlastInfoBegin\n\tStatus=READY\n")
    assert int(text.headers["content-length"]) == len(text.content)
    typed = {"Content-Type": "application/json"}  # as of a session that says so with each request
    info = client.get(
        "/Blast.cgi", params={"CMD": "Get", "FORMAT_OBJECT": "SearchInfo", "RID": rid}, headers=typed
    ).text
    assert re.findall(r"\s+Status=(\w+)\n", info) == ["READY"]
    assert "\tThereAreHits=yes\n" in info
    assert rid in client.get("/Blast.cgi", params={"CMD": "DisplayRIDs"}).text
    no_report = client.get("/Blast.cgi", params={"CMD": "Get", "RID": rid, "FORMAT_TYPE": "Text", "ALIGNMENTS": "all"})
    assert (no_report.status_code, "Error: ALIGNMENTS: 'all'" in no_report.text) == (400, True)
    assert client.get("/Blast.cgi", params={"CMD": "Get", "RID": rid, "FORMAT_TYPE": "PDF"}).status_code == 400
    other = client.put("/Blast.cgi", params={"CMD": "Delete", "RID": rid.lower()})
    assert other.status_code == 200
    gone = client.get("/Blast.cgi", params={"CMD": "Get", "RID": rid, "FORMAT_TYPE": "XML"})
    assert (gone.status_code, STATUS.findall(gone.text)) == (404, ["UNKNOWN"])
    assert client.get("/Blast.cgi", params={"CMD": "Get", "FORMAT_OBJECT": "SearchInfo", "RID": rid}).status_code == 200


def test_report_is_looked_up_once_however_many_files_it_has(
    client: httpx.Client, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is one for each sequence; to look for each among all of them takes minutes where there are thousands."""
    looked: list[str] = []
    check = Access.check_read
    monkeypatch.setattr(Access, "check_read", lambda *given: looked.append(given[2]) or check(*given))
    counts = []
    for number in (2, 9):
        query = "".join(f">f{one}\nMKVLAAGIVGKVLLL{'AGKLMNPQR'[one]}PWQRTY\n" for one in range(number))
        search = {"CMD": "Put", "PROGRAM": "blastp", "DATABASE": DATABASE, "QUERY": query}
        [rid] = re.findall("RID = (.*)", client.post("/Blast.cgi", data=search).text)
        found = b""
        while not found.startswith(b"PK"):
            looked.clear()
            found = client.get("/Blast.cgi", params={"CMD": "Get", "RID": rid, "FORMAT_TYPE": "JSON2"}).content
        looked.clear()
        found = client.get("/Blast.cgi", params={"CMD": "Get", "RID": rid, "FORMAT_TYPE": "JSON2"}).content
        assert len(zipfile.ZipFile(io.BytesIO(found)).namelist()) == number + 1
        report = Formatting.read("13")
        written = services.reports.fetch(
            ADMINISTRATOR, services.reports.submit(ADMINISTRATOR, looked[0], report), tmp_path / str(number)
        )
        assert len(written) == number + 1
        counts.append(len(looked))
    assert counts[0] == counts[1]


def test_hits_of_the_last_of_many_sequences_are_known(client: httpx.Client) -> None:
    """More than are listed in memory."""
    without = "".join(f">q{number}\n{'ACGT'[number % 4] * 3}\n" for number in range(MOST_ROWS))
    known = re.search(r">[^>]+", (EXAMPLES / "nucleotide_query.fasta").read_text())
    assert known
    search = {"CMD": "Put", "PROGRAM": "blastn", "DATABASE": "nucleotides", "QUERY": without + known[0]}
    [rid] = re.findall("RID = (.*)", client.post("/Blast.cgi", data=search).text)
    info = ""
    while "READY" not in info:
        info = client.get("/Blast.cgi", params={"CMD": "Get", "FORMAT_OBJECT": "SearchInfo", "RID": rid}).text
    assert "\tThereAreHits=yes\n" in info


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({"PROGRAM": "blastn"}, {"task": "blastn"}),
        ({"PROGRAM": "blastn", "MEGABLAST": "on", "MATRIX_NAME": ""}, {}),
        ({"PROGRAM": "blastn", "FILTER": "L"}, {"task": "blastn", "softMasking": False}),
        ({"PROGRAM": "blastn", "FILTER": "F"}, {"task": "blastn", "dust": "no"}),
        (
            {"PROGRAM": "blastn", "SHORT_QUERY_ADJUST": "true", "QUERY": "ACGTACGTACGTACG"},
            {"task": "blastn-short"},
        ),
        ({"PROGRAM": "blastn", "NUCL_REWARD": "1", "NUCL_PENALTY": "-3"}, {"task": "blastn", "reward": 1}),
        ({"PROGRAM": "blastn", "COMPOSITION_BASED_STATISTICS": "2"}, {"task": "blastn"}),
    ],
)
def test_parameters_are_options(client: httpx.Client, given: dict[str, str], options: dict[str, Any]) -> None:
    query = ">a\n" + "ACGTTGCAGTACCATGACGTTAGGCATCAGTACGGTA\n"
    search = {"CMD": "Put", "QUERY": query, "DATABASE": "nucleotides", "EXPECT": "10", **given}
    assert re.search("RID = ", put := client.post("/Blast.cgi", data=search).text), put
    job = client.get("/query/jobs", params={"count": 1}).json()[0]
    details = client.get(f"/query/jobs/{job['queryJobID']}").json()
    assert {"tool": "blastn", **options}.items() <= details["blastConfig"].items()


def test_login_is_asked_for(url: str, token: str) -> None:
    answer = httpx.post(url, data={"CMD": "Put", "PROGRAM": "blastp", "DATABASE": "nr", "QUERY": "MKV"})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Basic realm="multiblast"')
    basic = base64.b64encode(f"x:{token}".encode()).decode()
    assert httpx.get(url, params={"CMD": "DisplayRIDs"}, headers={"Authorization": f"Basic {basic}"}).status_code == 200
    assert "Message ID#" in httpx.get(url).text


def test_ncbi_page_of_another_site_submits_nothing(client: httpx.Client, fasta: Path) -> None:
    """A picture's address can be a search; browsers tell where the page comes from that shows it."""
    search = {"CMD": "Put", "PROGRAM": "blastp", "DATABASE": DATABASE, "QUERY": fasta.read_text().replace(">", ">x")}

    def code(page: str, **headers: str) -> tuple[int, bool]:
        answer = client.get("/Blast.cgi", params=search, headers={"Sec-Fetch-Site": page, **headers})
        return answer.status_code, "RID = " in answer.text

    assert code("cross-site") == code("same-site") == (403, False)
    assert code("cross-site", Referer="https://evil.org/page") == (403, False)
    assert code("cross-site", Referer="https://example.org/page") == (200, True)
    assert code("none") == code("same-origin") == (200, True)
    deleted = client.get("/Blast.cgi", params={"CMD": "Delete", "RID": "X"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert deleted.status_code == 403


_BIOPERL = r"""
use Bio::Tools::Run::RemoteBlast;
my ($url, $fasta) = @ARGV;
$Bio::Tools::Run::RemoteBlast::HEADER{'HITLIST_SIZE'} = 50;
my $blast = Bio::Tools::Run::RemoteBlast->new(
    -prog => 'blastp', -data => 'demo/examples/proteins', -expect => 10, -url_base => $url);
$blast->submit_blast($fasta);
for (1 .. 60) {
    my @ids = $blast->each_rid or exit;
    for my $id (@ids) {
        my $found = $blast->retrieve_blast($id);
        if (!ref $found) { die "refused" if $found < 0; select(undef, undef, undef, 0.2); next }
        while (my $result = $found->next_result) {
            printf "%s\t%s\n", $result->query_name, $_->name for $result->hits;
        }
        $blast->remove_rid($id);
    }
}
die "still waiting";
"""


def _with_login(url: str, token: str) -> str:
    return url.replace("://", f"://ann:{token}@")


_BIOTITE = """
import sys
from biotite.application.blast import BlastWebApp
from biotite.sequence import ProteinSequence
query, database, url = sys.argv[1:]
search = BlastWebApp("blastp", ProteinSequence(query), database, url, False)
search.start()
search.join(timeout=60)
found = search.get_alignments()
print(len(found), found[0].e_value)
"""


def test_bioperls_remote_blast_works_unmodified(
    url: str, token: str, fasta: Path, blastp: Callable[..., bytes]
) -> None:
    """It masks and adjusts no statistics; in the text that it reads are the hits of the table, in order."""
    program = [shutil.which("perl") or "", "-MBio::Tools::Run::RemoteBlast"]
    if not program[0] or subprocess.run([*program, "-e", "1"], capture_output=True, check=False).returncode:
        pytest.skip("Bio::Tools::Run::RemoteBlast of BioPerl is needed")
    command = [program[0], "-e", _BIOPERL, _with_login(url, token), str(fasta)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    plain = [line.split("\t")[:2] for line in blastp(6, "-seg", "yes", "-comp_based_stats", "0").decode().splitlines()]
    assert [line.split("\t") for line in done.stdout.splitlines()] == list(map(list, dict.fromkeys(map(tuple, plain))))


@pytest.mark.long
def test_biotites_web_application_works_unmodified(url: str, token: str, fasta: Path) -> None:
    """In an environment of its own: it brings 150 MB that nothing else needs."""
    python = [find_uv_bin(), "run", "--no-project", "--isolated", "--with", "biotite", "python", "-c"]
    if subprocess.run([*python, "import biotite"], capture_output=True, check=False).returncode:
        pytest.skip("biotite cannot be installed")
    query = fasta.read_text().split(">")[1].partition("\n")[2].replace("\n", "")
    command = [*python, _BIOTITE, query, DATABASE, _with_login(url, token)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    number, e_value = done.stdout.split()
    assert int(number) > 0
    assert float(e_value) < 1e-10
