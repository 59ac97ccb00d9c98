"""The doctor sees what is broken, and says what to do."""

from __future__ import annotations

import json
import shutil
import time
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from email.utils import formatdate
from http.server import HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.command_line import app
from deployments.diagnosis import diagnose_gateway, diagnose_server, diagnose_sites
from multiblast.database import Database
from multiblast.environment import GATEWAY, SITE_KEY
from multiblast.errors import InvalidInputError
from multiblast.installation import Installation
from multiblast.search import read_submission
from multiblast.services import Services
from multiblast.settings import GatewayRules, PluginRules
from multiblast.stores import LocalStore
from multiblast.targets import Targets
from multiblast.upkeep.diagnosis import Finding, Verdict, diagnose
from multiblast.upkeep.plugin_diagnosis import diagnose_plugins
from tests.support.gateway import gateway
from tests.support.people import ADMINISTRATOR
from tests.support.plugins import write_table
from tests.support.small_servers import QuietHandler, listening_with

VERSION = "3.8.8"


def found(services: Services) -> dict[str, Finding]:
    places = (services.database, services.store, services.installation, services.targets)
    return {finding.name: finding for finding in diagnose(*places)}


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    """A server that tells its version, and a time that is off by its ``skew_s``."""

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(VERSION).encode())

        def date_time_string(self, timestamp: float | None = None) -> str:  # noqa: ARG002 - the library's signature
            return formatdate(time.time() + self.server.skew_s, usegmt=True)

    with listening_with(Handler) as http:
        http.skew_s = 0.0
        yield http


def asked(server: HTTPServer, version: str = VERSION) -> dict[str, Finding]:
    return {finding.name: finding for finding in diagnose_server(f"http://127.0.0.1:{server.server_port}/api", version)}


def test_whole_installation_needs_nothing(services: Services) -> None:
    findings = found(services)
    disk = findings.pop("free disk")  # as the machine of the tests has it
    assert {finding.verdict for finding in findings.values()} == {Verdict.OK}
    assert " GiB at " in disk.detail
    assert {finding.remedy for finding in findings.values()} == {""}


def test_probe_of_the_store_leaves_nothing(services: Services) -> None:
    found(services)
    assert list(services.store.list("health/")) == []


def test_everything_broken_is_told_with_a_remedy(services: Services, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    broken = replace(
        services,
        database=Database(f"sqlite:///{tmp_path / 'file'}/jobs.sqlite"),
        installation=Installation(directory=tmp_path),
        targets=Targets(tmp_path / "empty"),
        store=LocalStore(tmp_path / "file" / "store"),
    )
    failed = {name for name, finding in found(broken).items() if finding.verdict is Verdict.FAIL and finding.remedy}
    assert failed >= {"job database", "result storage", "BLAST+ programs", "target databases"}


def test_version_that_nothing_was_compared_with_is_a_warning(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multiblast.blast_versions.TESTED_VERSIONS", frozenset({"2.99.0+"}))
    finding = found(services)["BLAST+ version"]
    assert (finding.verdict, "2.99.0+" in finding.detail) == (Verdict.WARN, True)
    submission = read_submission(query=">a\nMKVLAAGIVGKVLL\n", targets=["demo/examples/proteins"])
    version = services.installation.version("blastp")
    note = f"BLAST+ {version} is not among the versions that reports were compared with (2.99.0+)"
    assert services.queries.preview(submission).warnings[0].startswith(note)
    job = services.queries.submit(ADMINISTRATOR, submission).job_id
    assert services.queries.jobs.query(job).notes[0].startswith(note)


def test_version_that_is_too_old_is_refused(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiblast.blast_versions.OLDEST_VERSION", "2.99.0")
    finding = found(services)["BLAST+ version"]
    assert (finding.verdict, finding.remedy) == (Verdict.FAIL, "install 2.99.0 or later")
    submission = read_submission(query=">a\nMKVLAAGIVGKVLL\n", targets=["demo/examples/proteins"])
    with pytest.raises(InvalidInputError, match=r"is too old: install 2\.99\.0 or later"):
        services.queries.submit(ADMINISTRATOR, submission)


def test_unusable_target_is_a_warning(services: Services, targets_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "targets"
    shutil.copytree(targets_root, root)
    (root / "demo/examples/blast/torn.pin").write_bytes(b"\0\0\0\5torn")
    finding = found(replace(services, targets=Targets(root)))["target database"]
    assert (finding.verdict, "torn" in finding.detail) == (Verdict.WARN, True)


@pytest.mark.parametrize(
    ("free", "verdict"), [(20 << 30, Verdict.OK), (5 << 30, Verdict.WARN), (1 << 20, Verdict.FAIL)]
)
def test_little_free_disk_is_told(
    services: Services, monkeypatch: pytest.MonkeyPatch, free: int, verdict: Verdict
) -> None:
    usage = namedtuple("usage", "total used free")  # noqa: PYI024 - as the library's
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(free, 0, free))
    assert found(services)["free disk"].verdict is verdict


def test_server_of_the_same_version_and_time_is_fine(server: HTTPServer) -> None:
    findings = asked(server)
    assert findings["Prefect"].verdict is Verdict.OK
    assert (findings["clock"].verdict, findings["clock"].detail) == (Verdict.OK, "as the server's")


def test_server_of_another_version_is_a_warning(server: HTTPServer) -> None:
    finding = asked(server, "3.8.7")["Prefect"]
    assert (finding.verdict, "here it is 3.8.7" in finding.detail) == (Verdict.WARN, True)


@pytest.mark.parametrize(
    ("skew_s", "verdict", "side"), [(30, Verdict.WARN, "behind"), (-3600, Verdict.FAIL, "ahead of")]
)
def test_clock_that_is_off_is_told(server: HTTPServer, skew_s: float, verdict: Verdict, side: str) -> None:
    server.skew_s = skew_s
    finding = asked(server)["clock"]
    assert (finding.verdict, side in finding.detail, "NTP" in finding.remedy) == (verdict, True, True)


def test_server_that_does_not_answer_fails() -> None:
    (finding,) = diagnose_server("http://127.0.0.1:9/api", VERSION)
    assert (finding.verdict, "make up" in finding.remedy) == (Verdict.FAIL, True)


def test_doctor_elsewhere_says_whether_the_gateway_takes_the_key(
    services: Services, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with gateway(services) as url:
        key = services.gateway.sites.add("giessen")
        good = list(diagnose_gateway(url, key))
        assert [(one.name, one.verdict) for one in good] == [("gateway", Verdict.OK), ("site key", Verdict.OK)]
        services.gateway.sites.remove("giessen")
        [_, removed] = diagnose_gateway(url, key)
        assert (removed.verdict, "refuses it" in removed.detail, SITE_KEY in removed.remedy) == (
            Verdict.FAIL,
            True,
            True,
        )
        [_, none] = diagnose_gateway(url, "")
        assert (none.verdict, none.detail) == (Verdict.FAIL, "there is none")
        assert key not in repr([*good, removed])
        for name, value in ((GATEWAY, url), (SITE_KEY, key), ("MULTIBLAST_HOME", str(tmp_path / "away"))):
            monkeypatch.setenv(name, value)
        done = CliRunner().invoke(app, ["doctor", "--json"])
        found = {one["name"]: one["verdict"] for one in json.loads(done.stdout)}
        assert (found["gateway"], found["site key"], found["BLAST+ programs"]) == ("ok", "fail", "ok")
        assert not {"job database", "result storage"} & set(found)  # those are not of this machine
        assert key not in done.output
    [away] = diagnose_gateway(url, key)
    assert (away.name, away.verdict, GATEWAY in away.remedy) == ("gateway", Verdict.FAIL, True)


def test_doctor_at_home_looks_at_the_sites_that_are_to_help(services: Services) -> None:
    sites = services.gateway.sites
    sites.add("ulm")
    assert list(diagnose_sites(sites, GatewayRules())) == []
    [fine] = diagnose_sites(sites, GatewayRules(enabled=True, sites=("ulm",)))
    assert (fine.verdict, fine.detail) == (Verdict.OK, "on, for ulm")
    missing, off = diagnose_sites(sites, GatewayRules(sites=("ulm", "giessen")))
    assert (missing.verdict, missing.detail) == (Verdict.WARN, "'giessen' is to help, and does not exist")
    assert "multiblast sites add giessen" in missing.remedy
    assert (off.verdict, off.detail) == (Verdict.WARN, "it is off, and ulm, giessen cannot help")


def test_doctor_counts_plugins_and_names_the_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTIBLAST_HOME", str(tmp_path / "home"))
    rules = PluginRules(folders=(str(tmp_path / "plugins"),), packages=False)
    (tmp_path / "plugins").mkdir()
    plugins, uv, git = diagnose_plugins(rules)
    assert (plugins.verdict, uv.verdict, git.verdict) == (Verdict.OK, Verdict.OK, Verdict.OK)
    before = int(plugins.detail.split()[0])
    write_table(tmp_path / "plugins" / "good", "good")
    (write_table(tmp_path / "plugins" / "bad", "bad") / "plugin.toml").write_text("name = 1")
    plugins, *_ = diagnose_plugins(rules)
    assert plugins.verdict is Verdict.WARN
    assert plugins.detail.startswith(f"{before + 1} found")
    assert "1 broken" in plugins.detail
    assert str(tmp_path / "plugins" / "bad") in plugins.detail


def test_doctor_misses_git_where_plugins_come_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTIBLAST_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(tmp_path))
    git = list(diagnose_plugins(PluginRules(packages=False)))[-1]
    assert git.verdict is Verdict.OK
    git = list(diagnose_plugins(PluginRules(git=("git+https://example.org/a/b",), packages=False)))[-1]
    assert (git.verdict, git.remedy) == (Verdict.WARN, "apt-get install git")
