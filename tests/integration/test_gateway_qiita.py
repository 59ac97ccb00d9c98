"""The gateway as Qiita's plugins know it: their client's requests, replayed: who it is, what it fetches, its job."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import select

from multiblast.database import QiitaJob, Ticket
from multiblast.gateway.qiita import QiitaJobs
from multiblast.services import Services
from multiblast.settings import QiitaPluginRules
from tests.support.http_service import HereStarter, serving
from tests.support.qiita import (
    BASE,
    LARGE,
    OUT,
    WORK,
    QiitaRequests,
    complete,
    next_row,
    qiita_plugins,
    rows,
)


@pytest.fixture
def make(services: Services, tmp_path: Path) -> Iterator[Callable[..., QiitaRequests]]:
    with qiita_plugins(services, tmp_path) as make:
        yield make


@pytest.fixture
def plugin(make: Callable[..., QiitaRequests]) -> QiitaRequests:
    return make()


def job(services: Services, plugin: QiitaRequests) -> QiitaJob:
    return QiitaJobs(services.database).get(plugin.client_id)


def test_qiita_routes_are_off_unless_the_gateway_is_on(services: Services) -> None:
    with serving(services, HereStarter(services)) as address:
        assert httpx.post(f"{address}/qiita/qiita_db/authenticate/").status_code == 404


def test_grant_is_exchanged_for_a_token_that_lasts_as_long(plugin: QiitaRequests) -> None:
    said = plugin.authenticate().json()
    assert sorted(said) == ["access_token", "expires_in", "token_type"]
    assert 590 <= said["expires_in"] <= 600
    assert plugin.fetch(f"{BASE}/a/in").content == b"input of a"


@pytest.mark.parametrize("wrong", ["id", "secret", "both empty"])
def test_authentication_fails_with_another_id_or_secret(plugin: QiitaRequests, wrong: str) -> None:
    plugin.client_id = "0" * 32 if wrong == "id" else "" if wrong == "both empty" else plugin.client_id
    plugin.secret = {"id": plugin.secret, "secret": f"{plugin.secret[:-4]}AAA=", "both empty": ""}[wrong]
    answer = plugin.authenticate()
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert "timed out" not in answer.text


def test_expired_grant_is_said_to_have_timed_out(make: Callable[..., QiitaRequests]) -> None:
    late = make(lasts_s=-1)
    for answer in (late.fetch(f"{BASE}/a/in"), late.push_2025({f"{OUT}/x": b"x"}), late.authenticate()):
        assert answer.status_code == 400
        assert answer.json()["error_description"] == "Oauth2 error: token has timed out"


def test_ended_run_is_refused_without_another_try(services: Services, plugin: QiitaRequests) -> None:
    services.gateway.tickets.revoke(plugin.client_id, "its run has ended")
    answer = plugin.fetch(f"{BASE}/a/in")
    assert (answer.status_code, answer.json()["error_description"]) == (400, "Oauth2 error: invalid token")


@pytest.mark.parametrize(("key", "data"), [("a/in", b"input of a"), ("a/empty", b""), ("a/large", LARGE)])
def test_file_is_fetched_by_its_path(services: Services, plugin: QiitaRequests, key: str, data: bytes) -> None:
    answer = plugin.fetch(f"{BASE}/{key}")
    assert (answer.status_code, answer.content) == (200, data)
    assert "is-qiita-directory" not in answer.headers
    last = next_row(services)
    assert (last.verb, last.key, last.size, last.outcome) == ("fetch", key, len(data), "done")


def test_directory_is_fetched_as_a_zip_with_all_that_is_in_it(plugin: QiitaRequests, tmp_path: Path) -> None:
    answer = plugin.fetch(f"{BASE}/a/tree")
    assert answer.headers["is-qiita-directory"] == "yes"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "come")
    found = {path.relative_to(tmp_path / "come").as_posix() for path in (tmp_path / "come").rglob("*")}
    assert found == {"nothing", "größer", "größer/my reads.fq", "none"}
    assert (tmp_path / "come" / "größer" / "my reads.fq").read_bytes() == b"@r\n"


def test_files_of_a_prefix_are_fetched_as_a_directory(services: Services, plugin: QiitaRequests) -> None:
    services.store.put("a/out/set/x", b"x")
    services.store.put("a/out/set/deep/y", LARGE)
    with zipfile.ZipFile(io.BytesIO(plugin.fetch(f"{OUT}/set/").content)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"x": b"x", "deep/y": LARGE}


def test_file_called_as_a_manifest_is_a_file_like_others(plugin: QiitaRequests) -> None:
    assert plugin.push_2025({f"{OUT}/set/tree.json": b"(a,b);", f"{OUT}/set/x": b"x"}).status_code == 200
    with zipfile.ZipFile(io.BytesIO(plugin.fetch(f"{OUT}/set").content)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"tree.json": b"(a,b);", "x": b"x"}


def test_what_is_not_there_is_not_found(plugin: QiitaRequests) -> None:
    answer = plugin.fetch(f"{BASE}/a/gone")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    "path",
    [
        f"{BASE}/b/in",  # not granted
        f"{BASE}/a/inn",  # begins like one that is
        f"{BASE}/b",
        f"{BASE}/a/tre",
        f"{BASE}_private/a/in",  # a directory beside the base
        f"{BASE}/a/out/%2e%2e/%2e%2e/b/in",
        f"{BASE}/a/out/..%2f..%2fb/in",
        f"{BASE}/%2e%2e/data/a/in",
        "/a/in",
        "/etc/passwd",
        BASE,
        "",
        f"{BASE}/a/out/link/in",
        f"{BASE}/a/out/linked",
    ],
)
def test_fetching_anything_else_is_refused(services: Services, plugin: QiitaRequests, path: str) -> None:
    root: Any = services.store
    (root.root / "a" / "out").mkdir()
    (root.root / "a" / "out" / "link").symlink_to(root.root / "b")
    (root.root / "a" / "out" / "linked").symlink_to(root.root / "b" / "in")
    answer = plugin.fetch(path)
    assert answer.status_code in ({403, 404, 500} if "link" in path else {403})
    assert b"input of" not in answer.content
    if "link" not in path:
        assert rows(services)[-1].outcome == "refused"


def test_twenty_refusals_end_a_run(services: Services, plugin: QiitaRequests) -> None:
    assert [plugin.fetch(f"{BASE}/b/in").status_code for _ in range(20)] == [403] * 20
    with services.database.read() as session:
        ticket = session.get_one(Ticket, plugin.client_id)
    assert ticket.revoked_at is not None


def test_grant_without_a_run_names_keys_by_paths_from_the_root(make: Callable[..., QiitaRequests]) -> None:
    plain = make(base="")
    assert plain.fetch("/a/in").content == b"input of a"
    assert plain.push_2025({"/a/out/x": b"x"}).status_code == 200


def test_nothing_is_deleted(services: Services, plugin: QiitaRequests) -> None:
    assert plugin.http.get(f"/cloud/delete_file_from_central/{BASE[1:]}/a/in").status_code == 403
    assert services.store.exists("a/in")


def test_job_is_told_what_to_do_and_tells_how_it_goes(services: Services, plugin: QiitaRequests) -> None:
    place = f"/qiita_db/jobs/{plugin.client_id}"
    told = plugin.http.get(place).json()
    assert told == {"command": WORK.command, "parameters": dict(WORK.parameters), "status": "queued", "msg": ""}
    assert plugin.http.post(f"{place}/heartbeat/", content=b"").status_code == 200
    assert plugin.http.post(f"{place}/step/", content=b'{"step": "2 of 3"}').status_code == 200
    assert (job(services, plugin).status, job(services, plugin).step) == ("running", "2 of 3")
    plugin.push_2025({f"{OUT}/x": b"x", f"{OUT}/set/y": b"y"})
    assert complete(plugin, {"table": [f"{OUT}/x", f"{OUT}/set"]}).status_code == 200
    assert plugin.http.post(f"{place}/heartbeat/", content=b"").status_code == 200  # a late one
    ended = job(services, plugin)
    assert (ended.status, ended.outputs) == (
        "success",
        {"table": {"type": "BIOM", "files": [["a/out/x", "biom"], ["a/out/set", "biom"]]}},
    )


def test_job_cannot_end_well_without_its_outputs(services: Services, plugin: QiitaRequests) -> None:
    answer = complete(plugin, {"table": [f"{OUT}/never"]})
    assert (answer.status_code, "was not pushed" in answer.text) == (400, True)
    assert complete(plugin, {"table": [f"{BASE}/b/in"]}).status_code == 403
    for broken in ({"table": {}}, {"table": {"artifact_type": "x", "filepaths": ["x"]}}):
        assert complete(plugin, {}, artifacts=broken).status_code == 400
    assert job(services, plugin).status == "queued"
    assert complete(plugin, {}, success=False, error="no reads").status_code == 200
    assert (job(services, plugin).status, job(services, plugin).message) == ("error", "no reads")


def test_job_of_another_run_is_refused(make: Callable[..., QiitaRequests]) -> None:
    one, other = make(), make()
    place = f"/qiita_db/jobs/{other.client_id}"
    codes = [one.http.get(place).status_code]
    codes += [one.http.post(f"{place}/{verb}/", json={}).status_code for verb in ("heartbeat", "step", "complete")]
    assert codes == [403] * 4


def test_artifact_and_preparation_are_named_by_paths(plugin: QiitaRequests) -> None:
    said = plugin.http.get("/qiita_db/artifacts/7/").json()
    assert (said["name"], said["type"], said["analysis"], said["prep_information"]) == ("reads", "FASTA", None, [3])
    assert said["files"]["preprocessed_fasta"] == [{"filepath": f"{BASE}/a/in", "size": 10}]
    assert [one["filepath"] for one in said["files"]["directory"]] == [f"{BASE}/a/tree"]
    files = plugin.http.get("/qiita_db/prep_template/3/").json()
    assert files == {"prep-file": f"{BASE}/a/in", "sample-file": f"{BASE}/a/in"}
    assert plugin.http.get("/qiita_db/artifacts/8/").status_code == 404
    assert plugin.http.get("/qiita_db/prep_template/x/").status_code == 404


def test_summary_of_an_artifact_is_noted_once_it_is_here(services: Services, plugin: QiitaRequests) -> None:
    said = {"op": "add", "path": "/html_summary/", "value": f"{OUT}/index.html"}
    assert plugin.http.patch("/qiita_db/artifacts/7/", data=said).status_code == 400
    plugin.push_2025({f"{OUT}/index.html": b"<p>", f"{OUT}/support/x.css": b"p"})
    assert plugin.http.patch("/qiita_db/artifacts/7/", data=said).status_code == 200
    assert job(services, plugin).summaries == {"7": ["a/out/index.html"]}
    said["value"] = f'{{"html": "{OUT}/index.html", "dir": "{OUT}/support"}}'
    assert plugin.http.patch("/qiita_db/artifacts/7/", data=said).status_code == 200
    assert job(services, plugin).summaries == {"7": ["a/out/index.html", "a/out/support"]}
    said["path"] = "/name/"
    assert plugin.http.patch("/qiita_db/artifacts/7/", data=said).status_code == 400


TRANSFORMS = {
    "name": "Trim it all/twice",
    "description": "trims",
    "required_parameters": '{"input_data": ["artifact:[\\"FASTQ\\"]", null]}',
    "optional_parameters": '{"length": ["integer", "150"]}',
    "default_parameter_sets": "null",
    "outputs": '{"trimmed": "FASTQ"}',
    "analysis_only": "False",
}
TYPE = {"type_name": "BIOM", "description": "a table", "filepath_types": '[["biom", true]]'}


@pytest.fixture
def registering(services: Services, make: Callable[..., QiitaRequests]) -> QiitaRequests:
    """A plugin that the policy names, and that registers itself."""
    named = {"Trim reads": QiitaPluginRules(version="1.2", start=("true",), description="trims")}
    rules = services.policy.gateway.model_copy(update={"qiita_plugins": named})
    services.policy = services.policy.model_copy(update={"gateway": rules})
    return make(base="", reads=[], writes=["a/register/"], max_bytes=0)


def test_plugin_that_is_named_registers_itself_and_nothing_of_it_is_kept(
    services: Services, registering: QiitaRequests
) -> None:
    assert registering.authenticate().status_code == 200
    before = {found.key for found in services.store.list()}
    for _ in range(2):
        assert registering.http.post("/qiita_db/artifacts/types/", data=TYPE).status_code == 200
        said = registering.http.get("/qiita_db/plugins/Trim reads/1.2/").json()
        assert (said["name"], said["version"], said["commands"], said["active"]) == ("Trim reads", "1.2", [], True)
        place = "/qiita_db/plugins/Trim%20reads/1.2/commands/"
        assert registering.http.post(place, data=TRANSFORMS).status_code == 200
        assert registering.http.post(f"{place}Trim%20it%20all/twice/activate/").status_code == 200
    with services.database.read() as session:
        assert session.exec(select(QiitaJob)).all() == []
    assert {found.key for found in services.store.list()} == before


@pytest.mark.parametrize("place", ["Other/1.2", "Trim reads/1.3", "trim reads/1.2", "..%2fTrim reads/1.2"])
def test_plugin_that_is_not_named_does_not_exist(registering: QiitaRequests, place: str) -> None:
    requests = [
        registering.http.get(f"/qiita_db/plugins/{place}/"),
        registering.http.post(f"/qiita_db/plugins/{place}/commands/", data=TRANSFORMS),
        registering.http.post(f"/qiita_db/plugins/{place}/commands/x/activate/"),
    ]
    assert [answer.status_code for answer in requests] == [404] * 3


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("plugins/Trim reads/1.2/commands", TRANSFORMS | {"name": " "}),
        ("plugins/Trim reads/1.2/commands", TRANSFORMS | {"outputs": "{"}),
        ("plugins/Trim reads/1.2/commands", TRANSFORMS | {"optional_parameters": "[]"}),
        ("plugins/Trim reads/1.2/commands", TRANSFORMS | {"outputs": "[" * 100_000}),
        ("artifacts/types", {"description": "x"}),
        ("artifacts/types", TYPE | {"filepath_types": "{}"}),
    ],
)
def test_what_cannot_be_read_is_not_registered(registering: QiitaRequests, place: str, said: dict[str, str]) -> None:
    assert registering.http.post(f"/qiita_db/{place}/", data=said).status_code == 400


def test_grant_of_a_run_registers_nothing(registering: QiitaRequests, plugin: QiitaRequests) -> None:
    assert registering.http.get("/qiita_db/plugins/Trim reads/1.2/").status_code == 200
    place = "/qiita_db/plugins/Trim reads/1.2/"
    codes = [plugin.http.get(place).status_code, plugin.http.post(f"{place}commands/", data=TRANSFORMS).status_code]
    codes += [plugin.http.post("/qiita_db/artifacts/types/", data=TYPE).status_code]
    assert codes == [403] * 3
