"""A plugin of Qiita as a step: its script started as it expects, its outputs as references.

With ``MULTIBLAST_TEST_QIITA_CLIENT`` set to directories with the package `qiita_client` (several by ``:``), also with
the real one; ``MULTIBLAST_TEST_QIITA_PYTHON`` names the Python that has what it needs (pandas, requests, future).
"""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from multiblast.coupling import Reference, StoreCoupling
from multiblast.database import Ticket, Transfer
from multiblast.errors import InvalidInputError
from multiblast.gateway.qiita import (
    Artifact,
    Output,
    QiitaPlugin,
    QiitaPluginError,
    QiitaWork,
    register_plugin,
    run_plugin,
)
from multiblast.services import Services
from multiblast.settings import QiitaPluginRules
from tests.support.gateway import gateway
from tests.support.qiita_plugin import ENDS, REGISTERS, SCRIPT

CLIENTS = [path for path in os.environ.get("MULTIBLAST_TEST_QIITA_CLIENT", "").split(os.pathsep) if path]
PYTHON = os.environ.get("MULTIBLAST_TEST_QIITA_PYTHON", sys.executable)
LARGE = os.urandom(8 << 20)
WORK = QiitaWork(
    "Reverse",
    {"input_data": "1", "files": "1"},
    {1: Artifact("FASTA", {"preprocessed_fasta": ["a/in", "a/large", "a/empty"], "directory": ["a/tree"]})},
    {1: {"prep-file": "a/prep", "sample-file": "a/prep"}},
)

# A plugin as people write them, over the real client. It fetches what its job names, pushes what it made, and tries
# what it may not do.
REAL = """
import json, os, sys
from configparser import ConfigParser
if not hasattr(ConfigParser, "readfp"):
    ConfigParser.readfp = ConfigParser.read_file  # gone since Python 3.12
from qiita_client import ArtifactInfo, QiitaCommand, QiitaPlugin
from qiita_client.exceptions import ForbiddenError, NotFoundError

def refused(action):
    try:
        action()
    except (ForbiddenError, NotFoundError) as error:
        return type(error).__name__
    return "done"

def reverse(qclient, job_id, parameters, out_dir):
    qclient.update_job_step(job_id, "Step 1 of 2: reading", ignore_error=False)
    info = qclient.get("/qiita_db/artifacts/%s/" % parameters["input_data"])
    first, large, empty = [one["filepath"] for one in info["files"]["preprocessed_fasta"]]
    tree = info["files"]["directory"][0]["filepath"]
    files, _prep = qclient.artifact_and_preparation_files(parameters["input_data"])
    base = first[: -len("/a/in")]
    seen = {os.path.relpath(os.path.join(place, name), tree) for place, _, names in os.walk(tree) for name in names}
    facts = {"tree": sorted(seen), "empty": os.path.getsize(empty), "files": sorted(files)}
    facts["nothing"] = os.path.isdir(os.path.join(tree, "nothing"))
    facts["refused"] = [
        refused(lambda: qclient.fetch_file_from_central(base + "/b/in")),
        refused(lambda: qclient.fetch_file_from_central(base + "/a/inn")),
        refused(lambda: qclient.fetch_file_from_central(base + "_private/a/in")),
        refused(lambda: qclient.fetch_file_from_central(base + "/a/%2e%2e/b/in")),
        refused(lambda: qclient.fetch_file_from_central(out_dir + "/none")),
    ]
    with open(first, "ab") as file:
        file.write(b" changed")
    facts["refused"].append(refused(lambda: qclient.push_file_to_central(first)))
    qclient.push_file_to_central(large)  # an input, as it is
    deep = os.path.join(out_dir, "set", "deep")
    os.makedirs(deep)
    for name, data in (("facts", json.dumps(facts).encode()), ("large", open(large, "rb").read()[::-1])):
        with open(os.path.join(out_dir, name), "wb") as file:
            file.write(data)
    for path in (os.path.join(out_dir, "none"), os.path.join(deep, "x")):
        open(path, "w").close()
    html = os.path.join(out_dir, "index.html")
    with open(html, "w") as file:
        file.write("<p>")
    qclient.patch("/qiita_db/artifacts/%s/" % parameters["input_data"], "add", "/html_summary/", value=html)
    made = [(os.path.join(out_dir, name), "plain_text") for name in ("facts", "large")]
    if EMPTY:
        made += [(os.path.join(out_dir, "none"), "plain_text"), (os.path.join(out_dir, "set"), "directory")]
    qclient.update_job_step(job_id, "Step 2 of 2: handing over", ignore_error=False)
    artifacts = [ArtifactInfo("reversed", "FASTA", made)]
    for path, _kind in made:
        qclient.push_file_to_central(path)
    return True, artifacts, ""

plugin = QiitaPlugin("real", "2026.1", "reverses")
command = QiitaCommand("Reverse", "reverses", reverse, {"input_data": ("artifact", ["FASTA"])}, {}, {"x": "FASTA"})
plugin.register_command(command)
plugin(*sys.argv[1:])
"""


@pytest.fixture
def url(services: Services, tmp_path: Path) -> Iterator[str]:
    inputs = {"in": b"input of a", "large": LARGE, "empty": b"", "inn": b"another", "prep": b"sample_name\n1\n"}
    for name, data in inputs.items():
        services.store.put(f"a/{name}", data)
    services.store.put("b/in", b"input of b")
    tree = tmp_path / "tree"
    (tree / "nothing").mkdir(parents=True)
    (tree / "größer").mkdir()
    (tree / "größer" / "my reads.fq").write_bytes(b"@r\n")
    StoreCoupling(services.store).push(tree, "a/tree")
    with gateway(services) as address:
        yield address.replace("/gateway", "/qiita")


def run(services: Services, url: str, place: Path, end: str, **limits: Any) -> list[Output]:
    script = place / "plugin.py"
    script.write_text(SCRIPT + ENDS[end])
    plugin = QiitaPlugin("plain", "1.0", (sys.executable, str(script)), (("MINE", "1"),))
    return run_plugin(services.gateway, url, plugin, WORK, "runs/1", **limits)


def test_plugin_is_started_as_it_expects_and_sees_nothing_else(
    services: Services, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "ours")
    [made] = run(services, url, tmp_path, "well")
    assert (made.name, made.type, made.files[0][1]) == ("facts", "JSON", "plain_text")
    reference = made.files[0][0]
    assert (reference.url, reference.name) == ("store:runs/1/facts", "facts")
    facts = json.loads(services.store.read("runs/1/facts"))
    assert (facts["mode"], facts["coupling"]) == ("0o600", "https")
    assert facts["out"] == f"{facts['cwd']}/runs/1"
    assert facts["job"]["command"] == "Reverse"
    assert set(facts["environment"]) - {"LC_CTYPE"} == {"PATH", "HOME", "TMPDIR", "LANG", "QIITA_PLUGINS_DIR", "MINE"}
    assert not Path(facts["cwd"]).exists()  # nothing of it stays, its secret neither
    with services.database.read() as session:
        [ticket] = session.exec(select(Ticket))
        transfers = session.exec(select(Transfer)).all()
    assert (ticket.why, ticket.writes) == ("its run has ended", ["runs/1/"])
    assert {(row.ticket, row.key) for row in transfers} == {(ticket.id, "runs/1/facts")}
    with pytest.raises(Exception, match="no longer valid"):
        services.gateway.visit(facts["token"])


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("badly", "no reads left"),
        ("silently", "it ended without saying how it went"),
        ("without outputs", "it ended without saying how it went"),
    ],
)
def test_plugin_that_fails_is_an_error_with_what_it_said(
    services: Services, url: str, tmp_path: Path, end: str, reason: str
) -> None:
    with pytest.raises(QiitaPluginError, match="at work") as failed:
        run(services, url, tmp_path, end)
    assert (failed.value.plugin, failed.value.reason) == ("plain", reason)
    assert str(pickle.loads(pickle.dumps(failed.value))) == str(failed.value)  # noqa: S301 - our own


def test_plugin_that_does_not_end_is_killed(services: Services, url: str, tmp_path: Path) -> None:
    with pytest.raises(QiitaPluginError, match="without saying how it went"):
        run(services, url, tmp_path, "never", timeout_s=3)


@pytest.mark.parametrize(
    ("plugin", "work", "prefix"),
    [
        (QiitaPlugin("../x", "1", ("true",)), WORK, "runs/1"),
        (QiitaPlugin("x", "1/2", ("true",)), WORK, "runs/1"),
        (QiitaPlugin("x", "1", ()), WORK, "runs/1"),
        (QiitaPlugin("x", "1", ("no-such-program-here",)), WORK, "runs/1"),
        (QiitaPlugin("x", "1", ("true",)), WORK, "../runs"),
        (QiitaPlugin("x", "1", ("true",)), QiitaWork("x", {}, {1: Artifact("x", {"x": ["a/never"]})}), "runs/1"),
        (QiitaPlugin("x", "1", ("true",)), QiitaWork("x", {}, {1: Artifact("x", {"x": ["../x"]})}), "runs/1"),
    ],
)
def test_what_cannot_be_run_is_refused_before_it_begins(
    services: Services, url: str, plugin: QiitaPlugin, work: QiitaWork, prefix: str
) -> None:
    with pytest.raises(InvalidInputError):
        run_plugin(services.gateway, url, plugin, work, prefix)
    with services.database.read() as session:
        assert session.exec(select(Ticket)).all() == []


def name_in_policy(services: Services, name: str, version: str) -> None:
    named = {name: QiitaPluginRules(version=version, start=("true",))}
    rules = services.policy.gateway.model_copy(update={"qiita_plugins": named})
    services.policy = services.policy.model_copy(update={"gateway": rules})


def test_plugin_registers_itself_if_the_policy_names_it(services: Services, url: str, tmp_path: Path) -> None:
    script = tmp_path / "plugin.py"
    script.write_text(REGISTERS)
    plugin = QiitaPlugin("plain", "1.0", (sys.executable, str(script)))
    with pytest.raises(QiitaPluginError, match=r"(?s)could not register itself; it printed: .*404"):
        register_plugin(services.gateway, url, plugin)
    name_in_policy(services, "plain", "1.0")
    register_plugin(services.gateway, url, plugin)
    with services.database.read() as session:
        tickets = session.exec(select(Ticket)).all()
    assert {(ticket.max_bytes, ticket.why) for ticket in tickets} == {(0, "its run has ended")}


@pytest.mark.skipif(not CLIENTS, reason="MULTIBLAST_TEST_QIITA_CLIENT names no directory with the package qiita_client")
@pytest.mark.parametrize("client", CLIENTS)
def test_real_qiita_client_registers(services: Services, url: str, tmp_path: Path, client: str) -> None:
    script = tmp_path / "plugin.py"
    script.write_text(REAL.replace("EMPTY", "True"))
    name_in_policy(services, "real", "2026.1")
    plugin = QiitaPlugin("real", "2026.1", (PYTHON, "-W", "ignore", str(script)), (("PYTHONPATH", client),))
    register_plugin(services.gateway, url, plugin)


@pytest.mark.skipif(not CLIENTS, reason="MULTIBLAST_TEST_QIITA_CLIENT names no directory with the package qiita_client")
@pytest.mark.parametrize("client", CLIENTS)
def test_real_qiita_client_fetches_and_pushes(services: Services, url: str, tmp_path: Path, client: str) -> None:
    chunked = "total_chunks" in Path(client, "qiita_client", "qiita_client.py").read_text()
    # Between two of its forms, the client never sent empty files.
    sends_empty = not chunked or "current_chunk > 1" in Path(client, "qiita_client", "qiita_client.py").read_text()
    script = tmp_path / "plugin.py"
    script.write_text(REAL.replace("EMPTY", str(sends_empty)))
    plugin = QiitaPlugin("real", "2026.1", (PYTHON, "-W", "ignore", str(script)), (("PYTHONPATH", client),))
    [made] = run_plugin(services.gateway, url, plugin, WORK, "runs/1", timeout_s=120)
    facts = json.loads(services.store.read("runs/1/facts"))
    assert facts == {
        "tree": ["größer/my reads.fq"],
        "nothing": True,
        "empty": 0,
        "files": ["directory", "preprocessed_fasta"],
        "refused": ["ForbiddenError"] * 4 + ["NotFoundError", "ForbiddenError"],
    }
    assert services.store.read("runs/1/large") == LARGE[::-1]
    assert services.store.read("a/in") == b"input of a"
    assert services.store.read("runs/1/index.html") == b"<p>"
    if sends_empty:
        assert [services.store.read(f"runs/1/{key}") for key in ("none", "set/deep/x")] == [b"", b""]
    references = [reference for reference, _ in made.files]
    into = StoreCoupling(services.store).fetch(references[1], tmp_path / "come")
    assert into.read_bytes() == LARGE[::-1]
    assert all(isinstance(reference, Reference) for reference in references)
