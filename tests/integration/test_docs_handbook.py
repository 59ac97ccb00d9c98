"""The administrator's handbook: its commands, and those of backups, do what they say; its units and its proxy work."""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from multiblast.database import Database
from multiblast.installation import Installation
from multiblast.services import Services
from multiblast.settings import HttpRules, Policy, QueryLimits
from multiblast.stores import LocalStore
from multiblast.targets import Targets
from tests.support.http_service import HereStarter, serving
from tests.support.places import EXAMPLES, ROOT
from tests.support.processes import unset_environment
from tests.support.proxy import head_of, running_nginx
from tests.support.servers import free_ports
from tests.support.small_servers import QuietHandler, listening_with

pytestmark = pytest.mark.long

HOW_TO = ROOT / "docs" / "how-to"
HANDBOOK, BACKUP = (HOW_TO / name for name in ("administer.md", "back-up-and-upgrade.md"))
PROGRAMS = {"curl", "sqlite3", "systemd-analyze"}
SECRET = "a secret of tests"  # noqa: S105 - no other


def _blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def _commands(page: Path) -> list[str]:
    return [line.removeprefix("$ ") for block in _blocks(page, "console") for line in block.splitlines()]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home, the units of the handbook, and sequences to make a database of."""
    place = tmp_path_factory.mktemp("handbook")
    (place / "home" / "targets").mkdir(parents=True)
    (place / "proteins.fasta").write_text(">one\nMKVLAAGIVGLLLAQWERTYIPMKVLAAGIVG\n")
    for unit in _blocks(HANDBOOK, "ini"):
        head, _, text = unit.partition("\n")
        (place / Path(head).name).write_text(text.replace("/opt/multiblast", str(ROOT)))
    return place


@pytest.fixture(scope="module")
def url(place: Path) -> Iterator[str]:
    """A service behind a proxy."""
    database, store = Database(f"sqlite:///{place / 'home' / 'jobs.sqlite'}"), LocalStore(place / "home" / "store")
    policy = Policy(trust_unnamed=False, http=HttpRules(user_header="X-Auth-Request-User"))
    services = Services(database, store, Installation(), Targets(place / "home" / "targets"), QueryLimits(), policy)
    _ = database.engine  # there are records to back up
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MULTIBLAST_PROXY_SECRET", SECRET)
        with closing(database), serving(services, HereStarter(services)) as url:
            yield url


@pytest.mark.parametrize("command", [*_commands(BACKUP), *_commands(HANDBOOK)])
def test_command_of_the_handbook_succeeds(place: Path, url: str, command: str) -> None:
    """In the order of the pages: backups first, of which the handbook copies the records."""
    program = command.split(maxsplit=1)[0]
    if program not in {"multiblast", "for", "home=${MULTIBLAST_HOME:-~/.local/share/multiblast};"}:
        found = shutil.which(program)
        if not found:
            pytest.skip(f"{program} is needed to run this command")
    text = command.replace("http://127.0.0.1:4201", url).replace("/etc/systemd/system", str(place))
    kept = unset_environment()
    home = {"MULTIBLAST_HOME": str(place / "home"), "home": str(place / "home"), "MULTIBLAST_PROXY_SECRET": SECRET}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=place,
        env={**kept, **home, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (place / "home" / "registry.sqlite").exists()  # a backup begins nothing in what it copies
    if command.startswith("systemd-analyze"):
        assert done.stdout + done.stderr == ""


class OAuth2(QuietHandler):
    """Answers nginx as oauth2-proxy does: who has a cookie of its, is logged in."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        user = (self.headers.get("Cookie") or "").partition("_oauth2_proxy=")[2].partition(";")[0]
        is_question = self.path == "/oauth2/auth"
        body = b"" if is_question else b"Log in at your provider"
        self.send_response((202 if user else 401) if is_question else 200)
        if is_question and user:
            self.send_header("X-Auth-Request-User", user)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def _proxy(nginx: str, place: Path, url: str) -> Iterator[str]:
    """Run nginx with the handbook's configuration, but for its ports and its certificate."""
    [port] = free_ports(1)
    certificate, key = place / "proxy.pem", place / "proxy.key"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1"]
    made += ["-addext", "subjectAltName=IP:127.0.0.1", "-days", "2", "-out", str(certificate), "-keyout", str(key)]
    subprocess.run(made, check=True, capture_output=True)
    (text,) = _blocks(HANDBOOK, "nginx")
    with listening_with(OAuth2) as login:
        for theirs, ours in (
            ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
            ("/etc/ssl/blast.example.org.pem", str(certificate)),
            ("/etc/ssl/private/blast.example.org.key", str(key)),
            ("http://127.0.0.1:4201", url),
            ("http://127.0.0.1:4180", f"http://127.0.0.1:{login.server_port}"),
            ("some-long-random-text", SECRET),
        ):
            assert theirs in text
            text = text.replace(theirs, ours)
        with running_nginx(nginx, place, f"{head_of(place)}{text}}}\n"):
            yield f"https://127.0.0.1:{port}"


def test_proxy_of_the_handbook_logs_people_in(
    nginx: str, services_under: Callable[..., Services], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People are who oauth2-proxy says they are, whatever they say themselves; what they send and wait for passes."""
    monkeypatch.setenv("MULTIBLAST_PROXY_SECRET", SECRET)
    services = services_under(Policy(trust_unnamed=False, http=HttpRules(user_header="X-Auth-Request-User")))
    starter = HereStarter(services, away=True)
    forged = {"X-Auth-Request-User": "bob", "X-Proxy-Secret": SECRET}
    with serving(services, starter) as url, _proxy(nginx, tmp_path, url) as proxy:
        trusted = ssl.create_default_context(cafile=tmp_path / "proxy.pem")
        with httpx.Client(base_url=proxy, verify=trusted, headers=forged, timeout=60) as browser:
            assert browser.get("/jobs").text == "Log in at your provider"
            assert browser.get("/query/jobs").status_code == 401
            token = services.accounts.tokens.make("carla", "scripts")
            assert browser.get("/query/jobs", headers={"Authorization": f"Bearer {token}"}).json() == []
            browser.cookies.set("_oauth2_proxy", "ann")
            page = browser.get("/")
            assert "<span>ann</span>" in page.text
            assert all("; Secure" in cookie for cookie in page.headers.get_list("set-cookie"))
            (form_token,) = set(re.findall('name="form_token" value="([^"]+)"', page.text))
            form = {"form_token": form_token}
            sequence = (EXAMPLES / "protein_query.fasta").read_bytes().split(b">")[1]
            answer = browser.post(
                "/",
                data={**form, "database": "protein:demo/examples/proteins"},
                files={"file": ("query.fasta", b">" + sequence + b"\n" * (3 << 20))},
                headers={"Origin": proxy},
            )
            assert answer.status_code == 303
            job = answer.headers["location"]
            assert "Waiting for its turn" in browser.get(job, headers={"Prefer": "wait=1"}).text
            starter.away = False  # it is tried again in a while
            assert '<h2 id="status-heading">Done</h2>' in browser.get(job, headers={"Prefer": "wait=50"}).text
            assert f'value="{proxy}/shared/' in browser.post(f"{job}/share", data=form).text
    assert len(services.queries.list_jobs(services.accounts.requester("ann"))) == 1
