"""Query files that are named by a URL: fetched only from where the policy lets, and searched as any other."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError

from deployments.command_line import files, session
from deployments.command_line import main as command_line
from multiblast.coupling import InputCache, Reference, StoreCoupling, brought, downloads, fetch
from multiblast.errors import InvalidInputError, ObjectMissingError, StoreAwayError, StoreError
from multiblast.search import Submission, read_submission
from multiblast.services import Services
from multiblast.settings import Policy, QueryLimits
from multiblast.stores import MemoryStore, open_store
from tests.support.small_servers import QuietHandler, listening_with

FASTA = b">one\nMKVLAAGIVGLLLAQWERTYIPMKVLAAGIVGLLLAQWERTYIP\n"
TARGETS = ["demo/examples/proteins"]


@dataclass
class Web:
    """A web server with files at paths; paths of ``moved`` redirect, and those of ``cut`` break off."""

    port: int
    files: dict[str, bytes] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def web() -> Iterator[Web]:
    class Handler(QuietHandler):
        def do_GET(self) -> None:
            web.asked.append(self.path)
            data = web.files.get(self.path)
            self.send_response(302 if self.path in web.moved else 200 if data is not None else 404)
            if self.path in web.moved:
                self.send_header("Location", web.moved[self.path])
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write((data or b"")[: 10 if self.path in web.cut else None])

    with listening_with(Handler) as server:
        web = Web(server.server_port)
        yield web


@pytest.fixture
def place() -> str:
    """Return the URL of an empty store."""
    return f"memory://{uuid4().hex}"


@pytest.fixture
def services_with(services: Services) -> Callable[..., Services]:
    """``services_with("https://…", query_bytes=…)``: services whose policy lists these places."""

    def make(*references: str, **limits: int) -> Services:
        return replace(services, policy=Policy(references=references), limits=QueryLimits(**limits))

    return make


def asking(query_file: str) -> Submission:
    return read_submission(query_file=query_file, targets=TARGETS)


def submit(services: Services, query_file: str) -> str:
    return services.queries.submit(services.accounts.requester(), asking(query_file)).job_id


@pytest.mark.parametrize("data", [FASTA, gzip.compress(FASTA)], ids=["plain", "gzipped"])
def test_query_of_any_reference_is_the_same_job(
    services_with: Callable[..., Services], web: Web, place: str, tmp_path: Path, data: bytes
) -> None:
    services = services_with(web.url, place)
    (tmp_path / "a b.fasta").write_bytes(data)
    web.files["/some/one.fasta?x=1"] = data
    open_store(place).put("some/one", data)
    services.store.put("uploads/one", data)
    named = [
        (tmp_path / "a b.fasta").as_uri(),
        str(tmp_path / "a b.fasta"),
        "store:uploads/one",
        f"{place}/some/one",
        f"{web.url}/some/one.fasta?x=1",
    ]
    jobs = {submit(services, query_file) for query_file in named}
    assert jobs == {services.queries.submit(services.accounts.requester(), _of_text()).job_id}
    assert web.asked == ["/some/one.fasta?x=1"]


def test_query_in_a_data_url_needs_no_policy(services: Services) -> None:
    assert submit(services, "data:,%3Eone%0A" + FASTA.decode().split("\n")[1]) == submit(
        services, "data:;base64,Pm9uZQpNS1ZMQUFHSVZHTExMQVFXRVJUWUlQTUtWTEFBR0lWR0xMTEFRV0VSVFlJUAo="
    )


@pytest.mark.parametrize(
    ("allowed", "query_file"),
    [
        ([], "https://example.org/a"),
        ([], "s3://bucket/a"),
        (["https://example.org"], "https://example.org.evil.example/a"),
        (["https://example.org"], "https://example.org:444/a"),
        (["https://example.org"], "https://me@example.org/a"),
        (["https://example.org"], "http://example.org/a"),
        (["https://example.org/data"], "https://example.org/database"),
        (["https://example.org/data"], "https://example.org/data/../secret"),
        (["https://example.org/data"], "https://example.org/data/%2e%2e/secret"),
        (["https://example.org/data"], "https://example.org/data/..%2fsecret"),
        (["https://example.org/data"], "https://example.org/data/..\\secret"),
        (["https://"], "http://example.org/a"),
        (["s3://bucket/some"], "s3://bucket/somewhere/else"),
        (["s3://bucket/some"], "s3://other/some/a"),
        (["s3://bucket"], "s3://bucket/a?endpoint=http://169.254.169.254"),
        (["s3://bucket?endpoint=https://s3.example.org"], "s3://bucket/a"),
    ],
)
def test_reference_that_is_not_listed_is_refused(
    services_with: Callable[..., Services], allowed: list[str], query_file: str
) -> None:
    with pytest.raises(InvalidInputError, match=r"policy\.references") as refusal:
        submit(services_with(*allowed), query_file)
    assert set(refusal.value.by_key) == {"query_file"}


@pytest.mark.parametrize(
    "url",
    ["https://127.0.0.1/a", "https://localhost/a", "https://169.254.169.254/latest", "https://[::ffff:10.0.0.1]/a"],
)
def test_private_address_is_refused_unless_its_host_is_listed(services_with: Callable[..., Services], url: str) -> None:
    with pytest.raises(InvalidInputError, match="no public address"):
        submit(services_with("https://"), url)


def test_redirection_to_what_is_not_listed_is_refused(services_with: Callable[..., Services], web: Web) -> None:
    web.files |= {"/data/one": FASTA, "/secret": FASTA}
    web.moved = {"/data/old": "/data/one", "/data/out": "/secret", "/data/far": "http://169.254.169.254/latest"}
    services = services_with(f"{web.url}/data")
    assert submit(services, f"{web.url}/data/old") == submit(services, f"{web.url}/data/one")
    for path in ("/data/out", "/data/far"):
        with pytest.raises(InvalidInputError, match="redirects to a place that is not listed"):
            submit(services, web.url + path)
    assert "/secret" not in web.asked


def test_redirections_in_a_circle_end(web: Web, tmp_path: Path) -> None:
    web.moved = {"/a": "/b", "/b": "/a"}
    with pytest.raises(StoreError, match="answered 302"):
        fetch(f"{web.url}/a", tmp_path / "into", store=MemoryStore())


def test_query_that_is_too_large_is_not_fetched_whole(services_with: Callable[..., Services], place: str) -> None:
    open_store(place).put("big", bytes(9 << 20))
    with pytest.raises(InvalidInputError, match="larger than 1,000 bytes") as refusal:
        submit(services_with(place, query_bytes=1000), f"{place}/big")
    assert set(refusal.value.by_key) == {"query_file"}


def test_what_a_plugin_gets_by_its_url_has_a_limit(services_with: Callable[..., Services], place: str) -> None:
    open_store(place).put("big.txt", bytes(9 << 20))
    limited = services_with(place, query_bytes=1000)
    sources = limited.plugin_jobs.inputs.sources
    (offer,) = sources.offers(limited.accounts.requester(), f"{place}/big.txt", "inputs.text")
    with pytest.raises(InvalidInputError, match=r"inputs.text: .*larger than 1,000 bytes"):
        offer.take()


def test_query_that_is_not_there_is_named(services_with: Callable[..., Services], web: Web, place: str) -> None:
    for url in (f"{web.url}/nothing", f"{place}/nothing"):
        with pytest.raises(InvalidInputError, match=f"there is nothing at '{url}'"):
            submit(services_with(web.url, place), url)


def test_place_that_is_another_one_for_this_machine(web: Web, place: str) -> None:
    """As where a proxy stands before it: people name its public address, and it is read where it really is."""
    web.files = {"/inner/queries/a.fasta": FASTA, "/other.fasta": b"secret"}
    public = "https://public.example.org/data"
    for real in (f"{web.url}/inner", f"{place}/inner"):
        open_store(place).put("inner/queries/a.fasta", FASTA)
        allowed = Policy(references=(f"{public} -> {real}",)).references
        with brought(Reference.parse(f"{public}/queries/a.fasta"), allowed) as path:
            assert path.read_bytes() == FASTA
        for refused in (f"{real}/queries/a.fasta", f"{public}/../other.fasta", "https://public.example.org/other"):
            with (
                pytest.raises(InvalidInputError, match="may not be fetched"),
                brought(Reference.parse(refused), allowed),
            ):
                pass


def test_nothing_is_left_of_a_fetched_query(web: Web) -> None:
    web.files["/one"] = FASTA
    with brought(Reference.parse(f"{web.url}/one"), [web.url]) as path:
        assert path.read_bytes() == FASTA
    assert not path.exists()


@pytest.mark.parametrize("place", ["https:/x", "example.org", "http://", "s3://", "https://a b", "https://x/#y", "*"])
def test_odd_place_in_the_policy_is_refused(place: str) -> None:
    with pytest.raises(ValidationError, match="references"):
        Policy(references=(place,))


def test_download_that_breaks_off_is_never_visible(web: Web, tmp_path: Path) -> None:
    web.files["/one"] = FASTA
    web.cut = {"/one"}
    with pytest.raises(StoreAwayError, match="was cut"):
        StoreCoupling(MemoryStore(), InputCache(tmp_path / "cache")).fetch(
            Reference.parse(f"{web.url}/one"), tmp_path / "into"
        )
    assert list((tmp_path / "into").iterdir()) == []


@pytest.mark.parametrize("part", ["head", "body"])
def test_download_that_drips_is_cut(part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte is in time, and the whole would be here after minutes."""

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            with suppress(OSError):
                head = b"HTTP/1.0 200 OK\r\nContent-Length: 60\r\n\r\n"
                self.wfile.write(head if part == "body" else b"")
                for letter in (b"" if part == "body" else head) + b"A" * 60:
                    self.wfile.write(bytes([letter]))
                    left.wait(0.3)

    left = Event()
    monkeypatch.setattr(downloads, "_LONGEST_HEAD_S", 0.5)
    monkeypatch.setattr(downloads, "_SLOWEST_BYTES_PER_S", 1 << 30)
    monkeypatch.setattr(downloads, "_TIMEOUT_S", 1)
    with listening_with(Handler) as server:
        with pytest.raises(StoreAwayError, match="did not end within"):
            fetch(f"http://127.0.0.1:{server.server_port}/slow", tmp_path / "into", store=MemoryStore())
        left.set()


def test_download_of_what_is_not_there_is_named(web: Web, tmp_path: Path) -> None:
    with pytest.raises(ObjectMissingError, match="/nothing"):
        fetch(f"{web.url}/nothing", tmp_path / "into", store=MemoryStore())


def test_server_that_is_away_may_come_back(tmp_path: Path) -> None:
    with pytest.raises(StoreAwayError, match="cannot be reached"):
        fetch("http://127.0.0.1:9/a", tmp_path / "into", store=MemoryStore())


@pytest.fixture
def run(services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Callable[..., Any]:
    """``run("fetch", …)``: a command in a directory of its own; return its code, and what it printed."""
    monkeypatch.setattr(files, "local_services", lambda: services)
    monkeypatch.setattr(session, "_services", lambda _root, of_blocks: services)  # noqa: ARG005 - as it is called
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["multiblast", *arguments])
        code = command_line()
        printed = capsys.readouterr()
        return code, printed.out.strip(), printed.err

    return run


def test_command_pushes_and_fetches_a_file(run: Callable[..., Any], services: Services, tmp_path: Path) -> None:
    (tmp_path / "one.fasta").write_bytes(FASTA)
    assert run("push", "one.fasta", "uploads/one")[:2] == (0, "store:uploads/one")
    assert run("fetch", "store:uploads/one")[:2] == (0, services.store.locate("uploads/one"))
    code, found, _ = run("fetch", "store:uploads/one", "--to", "here")
    assert (code, found, Path(found).read_bytes()) == (0, "here/one", FASTA)
    assert not Path(found).samefile(services.store.locate("uploads/one"))


def test_command_pushes_and_fetches_a_directory(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "tree/ä b").mkdir(parents=True)
    (tmp_path / "tree/ä b/c").write_text("x")
    assert run("push", "tree", "uploads/tree")[:2] == (0, "store:uploads/tree")
    assert run("fetch", "store:uploads/tree", "--to", "here")[:2] == (0, "here/tree")
    assert (tmp_path / "here/tree/ä b/c").read_text() == "x"
    (tmp_path / "here/tree/ä b/c").write_text("mine")
    assert run("fetch", "store:uploads/tree", "--to", "there")[0] == 0
    assert (tmp_path / "there/tree/ä b/c").read_text() == "x"


def test_command_goes_where_the_environment_says(
    run: Callable[..., Any], services: Services, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MULTIBLAST_COUPLING", place)
    monkeypatch.setenv("MULTIBLAST_HOME", str(tmp_path / "home"))
    (tmp_path / "one.fasta").write_bytes(FASTA)
    assert run("push", "one.fasta", "one")[0] == 0
    assert not services.store.exists("one")
    (tmp_path / "one").write_text("mine")
    code, _, said = run("fetch", "store:one")
    assert (code, "is there already" in said) == (2, True)
    assert run("fetch", "store:one", "--to", "here")[:2] == (0, "here/one")
    (tmp_path / "one").unlink()
    assert run("fetch", "store:one")[:2] == (0, "one")
    assert sorted(path.name for path in tmp_path.glob(".fetch-*")) == []


def test_command_says_what_is_wrong(run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one").write_text("x")
    (tmp_path / "other").write_text("y")
    assert run("push", "one", "one")[0] == 0
    code, _, said = run("push", "other", "one")
    assert (code, "something else is at 'one'" in said) == (2, True)
    code, _, said = run("fetch", "store:one", "--to", ".")
    assert (code, "is there already" in said) == (2, True)
    code, _, said = run("fetch", "store:../one")
    assert (code, "write store:KEY" in said) == (2, True)
    monkeypatch.setenv("MULTIBLAST_COUPLING", "carrier-pigeon")
    code, _, said = run("fetch", "store:one")
    assert (code, "no coupling that is known here" in said) == (2, True)


def test_search_command_takes_a_url(
    run: Callable[..., Any], services: Services, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    import flows.submit_query

    web.files["/one"] = FASTA
    asked: list[str] = []

    async def submit_query(*, query_file: str, user: str, formats: list[str], **given: Any) -> Any:  # noqa: ARG001 - reports come after
        asked.append(query_file)
        submission = read_submission(query_file=query_file, user=user, **given)
        job_id = services.queries.submit(services.accounts.requester(user), submission).job_id
        return services.queries.run(job_id).execute()

    monkeypatch.setattr(flows.submit_query, "submit_query", submit_query)
    monkeypatch.setattr(session, "start_prefect", _Server)
    monkeypatch.setattr(session, "find_prefect", lambda: None)
    monkeypatch.setenv("MULTIBLAST_TASK_RUNNER", "somebody.Cluster")  # so that the flow runs
    services.policy = Policy(references=(web.url,))
    code, printed, said = run("search", f"{web.url}/one", "--target", TARGETS[0], "--json")
    assert (code, said) == (0, "")
    assert json.loads(printed)["job"]["status"] == "complete"
    assert web.asked == ["/one"]  # once for the whole command
    assert not Path(asked[0]).exists()


class _Server:
    """A Prefect server that is there at once."""

    process = "of our own"

    def wait(self, announce: Callable[[str], None]) -> None:
        pass


def _of_text() -> Submission:
    return read_submission(query=FASTA.decode(), targets=TARGETS)
