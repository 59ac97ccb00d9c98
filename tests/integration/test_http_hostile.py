"""Hostile requests: whatever comes, no crash, no fault of the server's, and nothing revealed that is nobody's business.

``make hostile`` sends 10 000 and more.
"""

from __future__ import annotations

import json
import logging
import re
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multiblast.services import Services
from multiblast.settings import HttpRules, PluginRules, Policy
from tests.support.http_service import HereStarter, config, serving

REQUESTS_AT_A_TIME = 25
THOROUGH = settings.get_current_profile_name() == "hostile"
EXAMPLES = 400 if THOROUGH else 8
FASTA = ">First\nIYSLVCWPLDDPFSRPDMLSLSERMLDVWRGKQVAEDLSPLINQLSLADMIRSCERNETL\n"
CORPUS = [
    "../../../../etc/passwd",
    "..%2f..%2f..%2fetc%2fpasswd",
    "....//....//etc/passwd",
    "/etc/passwd",
    "C:\\windows\\win.ini",
    "file:///etc/passwd",
    "store:packs/1f",
    "\r\nSet-Cookie: a=b",
    "%0d%0aX-Injected: yes",
    "\0",
    "%00",
    "-num_threads 99",
    "; touch /tmp/owned #",
    "$(touch /tmp/owned)",
    "`id`",
    "| id",
    "' OR 1=1 --",
    "'; DROP TABLE link; --",
    "{{7*7}}",
    "${jndi:ldap://127.0.0.1/a}",
    "<script>alert(1)</script>",
    "9" * 400,
    "-" + "9" * 30,
    "1e999",
    "NaN",
    "\ud800",
    "é" * 300,
    "\u202e\u0000",
    "a" * 70_000,
    "guest:1",
    "true",
    "[]",
    "{}",
    "null",
    "-1",
]
PATHS = [
    "/query/jobs",
    "/query/jobs/{}",
    "/query/jobs/{}/query",
    "/query/jobs/{}/result",
    "/query/jobs/{}/hits",
    "/query/jobs/{}/command",
    "/query/jobs/{}/shares",
    "/query/statuses",
    "/query/link-guest",
    "/query/targets",
    "/report/jobs",
    "/report/jobs/{}",
    "/report/jobs/{}/files",
    "/report/jobs/{}/files/{}",
    "/qhana/plugins/{}/",
    "/qhana/plugins/{}/ui/",
    "/qhana/plugins/{}/process/",
    "/qhana/tasks/{}/",
    "/qhana/tasks/{}/steps/{}/",
    "/qhana/files/{}/",
    "/admin/tokens",
    "/admin/tokens/{}/{}",
    "/multi-blast/jobs",
    "/multi-blast/jobs/{}",
    "/multi-blast/reports",
    "/multi-blast/reports/{}/files/{}",
    "/Blast.cgi",
    "/{}",
    "{}",
]
NAMES = ["site", "status", "first", "count", "lines", "download", "children", "page", "sort", "evalue_max", "query"]
NAMES += ["CMD", "RID", "PROGRAM", "DATABASE", "QUERY", "FORMAT_TYPE", "EXPECT", "job-id", "save_job", "share_token"]
NAMES += ["access", "file-id"]
HEADERS = ["Range", "If-Range", "If-None-Match", "Prefer", "Accept", "Origin", "traceid", "Content-Range"]
HEADERS += ["Content-Max-Length", "Auth-Key", "Cookie", "X-User", "X-Proxy-Secret", "Content-Type", "Expect"]
VALUES = [
    "bytes=0-",
    "bytes=-",
    "bytes=5-1",
    f"bytes={'9' * 30}-",
    "wait=99999999999",
    "lines 1-0/*",
    "a=b; Authorization=x",
]

word = st.one_of(st.sampled_from(CORPUS), st.text(max_size=30), st.integers().map(str))
scalar = st.one_of(word, st.integers(), st.floats(), st.booleans(), st.none())
tree = st.recursive(
    scalar, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(word, inner, max_size=3), max_leaves=8
)


@st.composite
def configs(draw: st.DrawFn) -> Any:
    """A request for a job in which something is replaced."""
    request: Any = draw(
        st.sampled_from(
            [
                config(FASTA),
                {"queryJobID": "0" * 32, "blastConfig": {"formatType": 6}},
                {
                    "site": "demo",
                    "targets": [{"organism": "examples", "target": "proteins"}],
                    "config": {"tool": "blastp"},
                },
                {"guestID": "x"},
                ["0" * 32],
                {"user": "x", "name": "y"},
            ]
        )
    )
    request = json.loads(json.dumps(request))
    place = request
    while isinstance(place, dict | list) and place:
        key = draw(st.sampled_from(list(place) if isinstance(place, dict) else list(range(len(place)))))
        if not isinstance(place[key], dict | list) or draw(st.booleans()):
            place[key] = draw(tree)
            break
        place = place[key]
    return request


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, bytes]:
    """A body and what it says that it is."""
    kind = draw(st.sampled_from(["json", "json", "form", "multipart", "multipart", "bytes", "none"]))
    if kind == "json":
        return "application/json", json.dumps(draw(st.one_of(configs(), tree))).encode(errors="surrogatepass")
    if kind == "form":
        fields = draw(st.dictionaries(st.sampled_from(NAMES), word, max_size=5))
        return "application/x-www-form-urlencoded", urlencode(fields, errors="replace").encode()
    if kind == "multipart":
        name, text = draw(word), json.dumps(draw(configs()))
        name = name.encode(errors="replace").decode()[:200]
        part = draw(st.sampled_from(["config", "properties", "query"]))
        parts = [
            f'--b\r\nContent-Disposition: form-data; name="{part}"; filename="{name}"\r\n\r\n{text}\r\n',
            f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{FASTA}\r\n',
            f'--b\r\nContent-Disposition: form-data; name="query"\r\nContent-Type: {name}\r\n\r\n{FASTA}\r\n',
            "--b\r\n\r\n",
            "--b--\r\n",
            "--b",
        ]
        body = "".join(draw(st.lists(st.sampled_from(parts), max_size=5))).encode(errors="replace")
        return "multipart/form-data; boundary=b", body[: draw(st.integers(0, len(body)))] if draw(
            st.booleans()
        ) else body
    return draw(st.sampled_from(["application/json", "text/plain", "multipart/form-data", ""])), draw(
        st.binary(max_size=200)
    )


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A request as it goes over the wire."""
    method = draw(
        st.sampled_from(["GET", "GET", "POST", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS", "G\u00e9T", "X"])
    )
    path = draw(st.sampled_from(PATHS))
    raw = draw(st.booleans())
    for _ in range(path.count("{}")):
        text = draw(st.one_of(st.just("0" * 32), st.sampled_from(JOBS), word))[:2000]
        path = path.replace("{}", text if raw else quote(text, safe="", errors="replace"), 1)
    query = draw(st.dictionaries(st.sampled_from(NAMES), word, max_size=4))
    target = path + ("?" + urlencode(query, errors="replace") if query else "")
    kind, body = draw(bodies())
    lines = [f"{method} {target} HTTP/1.1", "Host: x", "Connection: close", f"Content-Type: {kind}"]
    length = draw(st.sampled_from([None, None, None, None, "0", "-1", "9" * 25, "x"]))
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    if draw(st.booleans()):
        lines.append(f"Authorization: Bearer {TOKENS[0]}")
    names = draw(st.lists(st.sampled_from(HEADERS), max_size=3))
    lines += [f"{name}: {draw(st.one_of(st.sampled_from(VALUES), word))[:5000]}" for name in names]
    return "\r\n".join(lines).encode(errors="replace") + b"\r\n\r\n" + body


JOBS = ["0" * 32]  # and the jobs that there are
TOKENS: list[str] = []


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("secret-home")


@pytest.fixture(scope="module")
def url(home: Path, services_under: Callable[..., Services]) -> Iterator[str]:
    rules = HttpRules(user_header="X-User", body_bytes=200_000)
    services = services_under(Policy(trust_unnamed=False, http=rules, plugins=PluginRules(qhana=True)), home)
    TOKENS.append(services.accounts.tokens.make("ann", "tests"))
    ann = services.accounts.requester("ann")
    JOBS.append(services.queries.create(ann, config(FASTA)).query_job_id)
    services.queries.run(JOBS[-1]).execute()
    starter = HereStarter(services, away=True)
    with serving(services, starter) as address:
        yield address


def exchange(url: str, request: bytes) -> bytes:
    """Send a request and half-close; return everything that comes back."""
    with socket.create_connection((urlsplit(url).hostname or "", urlsplit(url).port or 0), timeout=30) as connection:
        received = b""
        try:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(1 << 16):
                received += part
        except OSError:  # it did not want to read all of it
            pass
    return received


def check(answer: bytes, request: bytes, home: Path, targets_root: Path) -> None:
    """Make sure that an answer is no fault of the server's, and reveals nothing."""
    status = re.match(rb"HTTP/1\.1 (\d\d\d) ", answer)
    assert not answer or status, (request, answer)
    assert not status or int(status[1]) < 500, (request, answer)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"\nX-Injected" not in head
    assert b"\nSet-Cookie" not in head
    secret = [str(home), "Traceback", "site-packages", "sqlite", *TOKENS]
    if not body.startswith(b"Blast4-archive"):  # which names the databases, for the formatter
        secret.append(str(targets_root))
    leaks = [text for text in secret if text.encode() in answer and text.encode() not in request]
    assert leaks == [], (request, answer)


@pytest.fixture(scope="module")
def alive(url: str) -> Iterator[Callable[[], bool]]:
    with httpx.Client(base_url=url, timeout=30) as client:
        yield lambda: client.get("/query/targets").status_code == 200


def texts(path: str) -> list[str]:
    """What is put into an address: each text as it is and escaped, in the standing tests one of both in turn."""
    escaped = [quote(text, safe="", errors="replace") for text in CORPUS]
    if THOROUGH:
        return [*CORPUS, *escaped]
    return [pair[(number + PATHS.index(path)) % 2] for number, pair in enumerate(zip(CORPUS, escaped, strict=True))]


@pytest.mark.parametrize("path", PATHS)
def test_http_corpus_is_answered(
    url: str, home: Path, targets_root: Path, alive: Callable[[], bool], path: str
) -> None:
    """Each text in each place of each address."""
    for written in texts(path):
        target = path.format(written, written) if "{}" in path else f"{path}?site={written}&RID={written}&CMD=Get"
        head = f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {TOKENS[0]}\r\n\r\n"
        request = head.encode(errors="replace")
        check(exchange(url, request), request, home, targets_root)
    assert alive()
    assert not Path("/tmp/owned").exists()  # noqa: S108 - what the corpus tries to make


def test_http_generated_requests_are_answered(
    url: str, home: Path, targets_root: Path, alive: Callable[[], bool], caplog: pytest.LogCaptureFixture
) -> None:
    """As many as `EXAMPLES` says; each portion leaves the service alive, and nothing secret in its log."""
    caplog.set_level(logging.INFO, "multiblast")
    secret, sent = [TOKENS[0], str(home), str(targets_root)], 0

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(requests(), min_size=REQUESTS_AT_A_TIME, max_size=REQUESTS_AT_A_TIME))
    def send(portion: list[bytes]) -> None:
        nonlocal sent
        caplog.clear()
        for request in portion:
            check(exchange(url, request), request, home, targets_root)
        assert alive()
        lines = [record.getMessage() for record in caplog.records]
        assert any(" in " in line for line in lines)
        assert not [line for line in lines if "\n" in line or any(text in line for text in secret)]
        assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
        sent += len(portion)

    send()
    sys.stdout.write(f"{sent:,} generated hostile requests: 0 crashes, 0 leaks\n")
    assert sent >= EXAMPLES * REQUESTS_AT_A_TIME
