"""The gateway as Qiita's plugins know it: the requests of their client, replayed, in the forms of 2025 and 2026."""

from __future__ import annotations

import hashlib
import io
import os
import random
import shutil
import socket
import stat
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlmodel import col, select

from multiblast.coupling import Reference, StoreCoupling
from multiblast.database import QiitaJob, Ticket, Transfer
from multiblast.gateway import grant_of
from multiblast.gateway.qiita import Artifact, QiitaJobs, QiitaWork
from multiblast.services import Services
from tests.support.gateway import gateway
from tests.support.http_service import HereStarter, serving
from tests.support.qiita import CHUNK, QiitaRequests

BASE = "/tmp/run/data"  # noqa: S108 - nothing is there: a path that a plugin says
OUT = f"{BASE}/a/out"
LARGE = os.urandom(8 << 20)
HOUR = timedelta(hours=1)
WORK = QiitaWork(
    "Split libraries",
    {"input_data": "7", "barcode": "x"},
    {7: Artifact("FASTA", {"preprocessed_fasta": ["a/in"], "directory": ["a/tree"]}, "reads", preparation=3)},
    {3: {"prep-file": "a/in", "sample-file": "a/in"}},
)


@pytest.fixture
def url(services: Services) -> Iterator[str]:
    services.store.put("a/in", b"input of a")
    services.store.put("a/empty", b"")
    services.store.put("a/large", LARGE)
    services.store.put("a/inn", b"of another")
    services.store.put("b/in", b"input of b")
    with gateway(services) as address:
        yield address.replace("/gateway", "/qiita")


@pytest.fixture
def make(services: Services, url: str, tmp_path: Path) -> Iterator[Callable[..., QiitaRequests]]:
    """Makes the client of a run that reads three files and a directory, and writes below ``a/out``."""
    tree = tmp_path / "tree"
    (tree / "nothing").mkdir(parents=True)
    (tree / "größer").mkdir()
    (tree / "größer" / "my reads.fq").write_bytes(b"@r\n")
    (tree / "none").touch()
    StoreCoupling(services.store).push(tree, "a/tree")
    opened = ExitStack()

    def make(lasts_s: float = 600, *, base: str = BASE, **what: Any) -> QiitaRequests:
        said = {"reads": ["a/in", "a/empty", "a/large", "a/gone", "a/tree/"], "writes": ["a/out/"]}
        ticket = services.gateway.tickets.make(**{"site": "", "max_bytes": 1 << 30, "lasts": HOUR, **said, **what})
        if base:
            QiitaJobs(services.database).add(ticket.id, base, WORK)
        made = QiitaRequests(url, ticket.id, services.gateway.keys.sign(grant_of(ticket, lasts_s)))
        made.http.headers["Authorization"] = f"Bearer {made.secret}"
        opened.callback(made.http.close)
        return made

    with opened:
        yield make


@pytest.fixture
def plugin(make: Callable[..., QiitaRequests]) -> QiitaRequests:
    return make()


def rows(services: Services) -> list[Transfer]:
    with services.database.read() as session:
        return list(session.exec(select(Transfer).order_by(col(Transfer.number))))


def next_row(services: Services) -> Transfer:
    """Return the first row, which is written after the client has its answer."""
    deadline = time.monotonic() + 10
    while not (found := rows(services)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found[0]


def job(services: Services, plugin: QiitaRequests) -> QiitaJob:
    return QiitaJobs(services.database).get(plugin.client_id)


def zip_of(files: dict[str, bytes], kind: int = stat.S_IFREG) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0 if name.endswith("/") else kind | 0o644) << 16
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return made.getvalue()


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


def test_files_are_pushed_whole_several_at_once(services: Services, plugin: QiitaRequests) -> None:
    files = {f"{OUT}/one": b"1", f"{OUT}/deep/none": b"", f"{OUT}/deep/large": LARGE}
    answer = plugin.push_2025(files)
    listed = "".join(f" - {path}\n" for path in files)
    assert answer.text == f"Stored 3 files into BASE_DATA_DIR of Qiita:\n{listed}"
    for path, data in files.items():
        assert services.store.read(path.removeprefix(f"{BASE}/")) == data
    pushed = {row.key: row.sha256 for row in rows(services) if row.verb == "push"}
    assert pushed["a/out/deep/large"] == hashlib.sha256(LARGE).hexdigest()
    services.store.delete(["a/out/one"])
    again = plugin.push_2025({f"{OUT}/deep/large": LARGE, f"{OUT}/deep/none": b""})
    assert (again.status_code, len(rows(services))) == (200, 3)  # nothing is written again


def test_file_is_pushed_in_chunks(services: Services, plugin: QiitaRequests) -> None:
    assert plugin.push_2026(f"{OUT}/large", LARGE) == [200, 200, 200]
    assert services.store.read("a/out/large") == LARGE
    assert plugin.push_2026(f"{OUT}/large", LARGE) == [200, 200, 200]
    assert [row.sha256 for row in rows(services)] == [hashlib.sha256(LARGE).hexdigest()]


def test_nothing_is_seen_before_the_last_chunk(services: Services, plugin: QiitaRequests) -> None:
    assert plugin.chunk(f"{OUT}/x", b"1", 1, 2).status_code == 200
    assert not services.store.exists("a/out/x")
    spool = services.gateway.spool
    assert stat.S_IMODE(spool.stat().st_mode) == 0o700
    assert [path.read_bytes() for path in spool.glob("*/data")] == [b"1"]
    assert plugin.chunk(f"{OUT}/x", b"2", 2, 2).status_code == 200
    assert services.store.read("a/out/x") == b"12"


def test_chunk_that_comes_again_changes_nothing(services: Services, plugin: QiitaRequests) -> None:
    for number, data in ((1, b"11"), (2, b"2"), (2, b"22"), (3, b"3"), (3, b"3")):
        assert plugin.chunk(f"{OUT}/x", data, number, 3).status_code == 200
    assert services.store.read("a/out/x") == b"11223"


@pytest.mark.parametrize("numbers", [[2], [1, 3], [1, 2, 2, 4]])
def test_chunk_out_of_order_is_refused(plugin: QiitaRequests, numbers: list[int]) -> None:
    answers = [plugin.chunk(f"{OUT}/x", b"x", number, 5) for number in numbers]
    assert [answer.status_code for answer in answers] == [200] * (len(numbers) - 1) + [400]
    assert "Not all 5 chunks for file a/out/x have been transferred yet" in answers[-1].text


def test_chunks_of_two_runs_do_not_mix(services: Services, make: Callable[..., QiitaRequests]) -> None:
    one, other = make(), make()
    for number, data in ((1, b"1"), (2, b"2")):
        assert one.chunk(f"{OUT}/x", data, number, 3).status_code == 200
    assert other.chunk(f"{OUT}/x", b"3", 3, 3).status_code == 400
    assert one.chunk(f"{OUT}/x", b"3", 3, 3).status_code == 200
    assert services.store.read("a/out/x") == b"123"


def test_client_that_miscounts_its_chunks_is_understood(services: Services, plugin: QiitaRequests) -> None:
    """Clients of spring 2026 say one chunk of every file, and send more."""
    assert plugin.push_2026(f"{OUT}/large", LARGE, total=1) == [200, 200, 200]
    assert services.store.read("a/out/large") == LARGE


def test_full_chunk_that_may_be_the_last_is_kept_when_it_is_needed(services: Services, plugin: QiitaRequests) -> None:
    assert plugin.push_2026(f"{OUT}/x", LARGE[:CHUNK]) == [200]
    assert plugin.push_2026(f"{OUT}/y", LARGE[: 2 * CHUNK], total=1) == [200, 200]
    assert plugin.fetch(f"{OUT}/x").content == LARGE[:CHUNK]
    assert not services.store.exists("a/out/y")
    complete(plugin, {"y": [f"{OUT}/y"]}).raise_for_status()
    assert services.store.read("a/out/y") == LARGE[: 2 * CHUNK]


def test_empty_file_is_pushed_as_one_chunk(services: Services, plugin: QiitaRequests) -> None:
    assert plugin.push_2026(f"{OUT}/none", b"") == [200]
    assert plugin.chunk(f"{OUT}/none2", b"", 1, 0).status_code == 200
    assert [services.store.read(f"a/out/{name}") for name in ("none", "none2")] == [b"", b""]


@pytest.mark.parametrize("missing", ["file", "target_filepath", "current_chunk", "total_chunks"])
def test_push_that_says_too_little_is_refused_by_name(plugin: QiitaRequests, missing: str) -> None:
    said = {"target_filepath": f"{OUT}/x", "current_chunk": "1", "total_chunks": "1"}
    parts = {name: (None, value) for name, value in said.items() if name != missing}
    sent: dict[str, Any] = {**parts, **({} if missing == "file" else {"file": ("dummy", b"x")})}
    answer = plugin.http.post("/cloud/push_file_to_central/", files=sent)
    words = "No files to upload defined" if missing == "file" else f"No {missing}"
    assert (answer.status_code, words in answer.text) == (400, True)


def test_zip_becomes_a_directory_with_names_in_any_language(
    services: Services, plugin: QiitaRequests, tmp_path: Path
) -> None:
    sent = zip_of({"größer/my reads.fq": b"@r\n", "nothing/": b"", "none": b"", "large": LARGE})
    assert set(plugin.push_2026(f"{OUT}/tree", sent, is_directory=True)) == {200}
    assert set(plugin.push_2026(f"{OUT}/tree", sent, is_directory=True)) == {200}
    come = StoreCoupling(services.store).fetch(Reference.parse("store:a/out/tree"), tmp_path / "come")
    assert (come / "größer" / "my reads.fq").read_bytes() == b"@r\n"
    assert (come / "large").read_bytes() == LARGE
    assert ((come / "nothing").is_dir(), (come / "none").read_bytes()) == (True, b"")
    # The same directory, pushed by the coupling, is the same to the byte.
    assert StoreCoupling(services.store).push(come, "a/out/tree").is_directory
    with zipfile.ZipFile(io.BytesIO(plugin.fetch(f"{OUT}/tree").content)) as back:
        assert set(back.namelist()) == {"größer/my reads.fq", "nothing/", "none", "large"}
    other = plugin.push_2026(f"{OUT}/tree", zip_of({"none": b"1"}), is_directory=True)
    assert other == [403]


def lying_zip() -> bytes:
    """Return a zip of which a file is larger than its list of entries says."""
    whole = zip_of({"x": b"0" * 100_000})
    return whole.replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))


def endless_zip() -> bytes:
    """Return a zip that says its list of entries has a gigabyte."""
    whole = bytearray(zip_of({"x": b"x"}))
    end = whole.rfind(b"PK\5\6")
    whole[end + 12 : end + 16] = (1 << 30).to_bytes(4, "little")
    return bytes(whole)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (zip_of({"../x": b"x"}), 400),
        (zip_of({"/etc/x": b"x"}), 400),
        (zip_of({"a/../../x": b"x"}), 400),
        (zip_of({"a\\..\\x": b"x"}), 400),
        (zip_of({"x": b"/etc/passwd"}, stat.S_IFLNK), 400),
        (zip_of({"x": b""}, stat.S_IFIFO), 400),
        (zip_of({"x": b"1", "x/y": b"2"}), 400),
        (zip_of({"x": bytes(2_000_000)}), 403),  # a bomb, for a grant of a million bytes
        (lying_zip(), 400),
        (endless_zip(), 400),
        (zip_of({"x": b"x" * 1000})[:-30], 400),
        (b"no zip", 400),
        (b"", 400),
    ],
)
def test_zip_that_is_no_plain_directory_is_refused(
    services: Services, make: Callable[..., QiitaRequests], sent: bytes, code: int
) -> None:
    before = {found.key for found in services.store.list()}
    answers = make(max_bytes=1_000_000).push_2026(f"{OUT}/tree", sent, is_directory=True)
    assert answers == [code]
    assert {found.key for found in services.store.list()} == before


@pytest.mark.parametrize("form", [2025, 2026])
@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"{BASE}/b/in", 403),
        (f"{BASE}/a/outside", 403),
        (f"{BASE}_private/a/out/x", 403),
        (f"{BASE}/a/out/../../b/in", 403),
        ("/etc/cron.d/x", 403),
        ("a/out/x", 403),
        (f"{BASE}/a/in", 403),  # an input, with other bytes
        (f"{BASE}/a/gone", 403),
        (f"{OUT}/my reads.fq", 400),
        (f"{OUT}/größer.fq", 400),
        (f"{OUT}/.hidden", 400),
    ],
)
def test_pushing_anything_else_is_refused(
    services: Services, plugin: QiitaRequests, form: int, path: str, code: int
) -> None:
    before = {found.key: services.store.sha256(found.key) for found in services.store.list()}
    answer = plugin.push_2025({path: b"evil"}) if form == 2025 else plugin.chunk(path, b"evil", 1, 1)
    assert answer.status_code == code
    assert {found.key: services.store.sha256(found.key) for found in services.store.list()} == before
    if code == 400:
        assert "cannot be kept under this name" in answer.text


def test_link_in_the_storage_leads_no_push_out_of_it(services: Services, plugin: QiitaRequests) -> None:
    root: Any = services.store
    (root.root / "a" / "out").mkdir()
    (root.root / "a" / "out" / "link").symlink_to(root.root / "b")
    assert plugin.push_2025({f"{OUT}/link/in": b"evil"}).status_code in {400, 403, 500}
    assert services.store.read("b/in") == b"input of b"


def test_input_may_be_sent_back_as_it_is(services: Services, plugin: QiitaRequests) -> None:
    assert plugin.push_2025({f"{BASE}/a/in": b"input of a"}).status_code == 200
    assert plugin.push_2026(f"{BASE}/a/large", LARGE) == [200, 200, 200]
    assert rows(services) == []  # nothing travelled into the storage


def test_other_bytes_for_an_output_are_refused_an_empty_file_among_them(
    services: Services, plugin: QiitaRequests
) -> None:
    assert plugin.push_2025({f"{OUT}/x": b"first"}).status_code == 200
    for data in (b"other", b""):
        assert plugin.push_2025({f"{OUT}/x": data}).status_code == 403
        assert plugin.push_2026(f"{OUT}/x", data) == [403]
    assert services.store.read("a/out/x") == b"first"


@pytest.mark.parametrize("form", [2025, 2026])
def test_no_more_is_taken_than_may_be_pushed(make: Callable[..., QiitaRequests], form: int) -> None:
    small = make(max_bytes=4 << 20)
    codes = [small.push_2025({f"{OUT}/x": LARGE}).status_code] if form == 2025 else small.push_2026(f"{OUT}/x", LARGE)
    assert codes == ([403] if form == 2025 else [200, 403, 400])


def test_refusal_is_answered_after_all_has_come(plugin: QiitaRequests) -> None:
    """The client takes an answer before that for a broken connection, tries again, and sends nothing then."""
    answer = plugin.push_2025({f"{BASE}/b/x": LARGE, f"{OUT}/y": LARGE})
    assert (answer.status_code, "does not name" in answer.text) == (403, True)


def broken_push(plugin: QiitaRequests, directory: str, name: str) -> None:
    """Begin a push, and break the connection in the middle of it."""
    place = urlsplit(str(plugin.http.base_url))
    head = f'--x\r\nContent-Disposition: form-data; name="{directory}"; filename="{name}"\r\n\r\n'
    lines = f"POST {place.path}cloud/push_file_to_central/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
    lines += f"Authorization: Bearer {plugin.secret}\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n{head}"
    with socket.create_connection((place.hostname, place.port)) as connection:
        connection.sendall(lines.encode() + b"0" * 5000)
        time.sleep(0.3)


def test_empty_file_after_a_push_that_broke_off_is_refused(services: Services, plugin: QiitaRequests) -> None:
    """The client's second attempt sends a file that it has read to its end: nothing, in the place of what was there."""
    broken_push(plugin, OUT, "x")
    row = next_row(services)
    assert (row.key, row.outcome, row.size > 0) == ("a/out/x", "failed", True)
    answer = plugin.push_2025({f"{OUT}/x": b""})
    assert (answer.status_code, services.store.exists("a/out/x")) == (400, False)
    assert plugin.push_2025({f"{OUT}/x": b"whole"}).status_code == 200


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "multipart/form-data; boundary=x"),
        (b"--x\r\n", "multipart/form-data; boundary=x"),
        (b"nothing of the kind", "multipart/form-data; boundary=x"),
        (b"{}", "application/json"),
        (b"", "multipart/form-data"),
        (
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"0" * 100_000,
            "multipart/form-data; boundary=x",
        ),
        (b"--x\r\nA: " + b"0" * 20_000, "multipart/form-data; boundary=x"),
    ],
)
def test_broken_form_is_refused(plugin: QiitaRequests, body: bytes, kind: str) -> None:
    answer = plugin.http.post("/cloud/push_file_to_central/", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 400


def test_push_larger_than_other_requests_may_be_keeps_memory_flat(services: Services, plugin: QiitaRequests) -> None:
    assert services.policy.http.body_bytes < 130 << 20
    piece = os.urandom(1 << 20)

    def body() -> Iterator[bytes]:
        yield f'--x\r\nContent-Disposition: form-data; name="{OUT}"; filename="huge"\r\n\r\n'.encode()
        for _ in range(130):
            yield piece
        yield b"\r\n--x--\r\n"

    tracemalloc.start()
    answer = plugin.http.post(
        "/cloud/push_file_to_central/", content=body(), headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (answer.status_code, services.store.stat("a/out/huge").size_bytes) == (200, 130 << 20)
    assert peak < 30 << 20


def test_nothing_is_deleted(services: Services, plugin: QiitaRequests) -> None:
    assert plugin.http.get(f"/cloud/delete_file_from_central/{BASE[1:]}/a/in").status_code == 403
    assert services.store.exists("a/in")


def complete(plugin: QiitaRequests, outputs: dict[str, list[str]], **said: Any) -> httpx.Response:
    made = {
        name: {"artifact_type": "BIOM", "filepaths": [[path, "biom"] for path in paths], "archive": {}}
        for name, paths in outputs.items()
    }
    body = {"success": True, "error": "", "artifacts": made} | said
    return plugin.http.post(f"/qiita_db/jobs/{plugin.client_id}/complete/", json=body)


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


def test_what_does_not_fit_the_disk_is_refused_and_not_tried_again(
    services: Services, plugin: QiitaRequests, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage("/")._replace(free=65 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: full)
    assert plugin.push_2025({f"{OUT}/small": b"x"}).status_code == 200
    answer = plugin.push_2025({f"{OUT}/large": LARGE})
    assert (answer.status_code, "no room" in answer.text) == (500, True)
    assert not services.store.exists("a/out/large")


def hostile_request(chance: random.Random, plugin: QiitaRequests, tokens: list[str]) -> tuple[str, httpx.Response]:
    """Send something that the run may not do; what it may do below ``a/out`` comes among it."""
    keys = ("b/in", "b/", "a", "a/inn", "a/in/x", "a/outside", "secret", "a/out", "a/out/" + "x" * 300, "a/out/ä", "")
    keys += ("a/out/../../b/in", "a/out/%2e%2e/%2e%2e/b/in", "a/out/..%2f..%2fb/in", "a/link/in", "a/out/link/in")
    keys += ("a/in%00", "a/out/.hidden", "a/in?x=1", "a/out/tree.json", "a/tree/tree.json", "a/tree/9", "packs/00/x")
    path = f"{chance.choice([BASE, BASE, f'{BASE}_private', '', f'{BASE}/..', '/', '/etc'])}/{chance.choice(keys)}"
    plugin.http.headers["Authorization"] = f"Bearer {chance.choice(tokens)}"
    archive = zip_of(
        {chance.choice(["../x", "/x", "x", "a/../../b"]): b"evil"}, chance.choice([stat.S_IFREG, stat.S_IFLNK])
    )
    number, job = chance.choice([0, 1, 2, 999_999_999]), chance.choice(["0" * 32, "register", "..", plugin.client_id])
    acts: list[Callable[[], httpx.Response]] = [
        lambda: plugin.fetch(path),
        lambda: plugin.fetch(path),
        lambda: plugin.push_2025({path.replace("?", "") or "x": b"evil", f"{OUT}/x": b"x"}),
        lambda: plugin.chunk(path, b"evil", number, chance.choice([0, 1, 5])),
        lambda: plugin.chunk(path, archive, 1, 1, is_directory=True),
        lambda: plugin.http.request(chance.choice(["PUT", "DELETE", "OPTIONS"]), f"/cloud/push_file_to_central/{path}"),
        lambda: plugin.http.get(f"/qiita_db/jobs/{job}"),
        lambda: plugin.http.post(f"/qiita_db/jobs/{job}/step/", content=chance.choice([b"[]", b"{", b"\xff", b""])),
        lambda: plugin.http.get(f"/qiita_db/artifacts/{chance.choice(['7', '-1', 'x', '7%2f..'])}/"),
        lambda: plugin.http.patch(
            "/qiita_db/artifacts/7/", data={"op": "add", "path": "/html_summary/", "value": path}
        ),
    ]
    return path, chance.choice(acts)()


@pytest.mark.parametrize("count", [300, pytest.param(5_000, marks=pytest.mark.long)])
def test_no_request_of_a_plugin_reaches_anything_else(
    services: Services, make: Callable[..., QiitaRequests], count: int
) -> None:
    services.store.put("secret", b"input of b, too")
    root: Any = services.store
    (root.root / "a" / "out").mkdir()
    for place in ("a/link", "a/out/link"):
        (root.root / place).symlink_to(root.root / "b")
    before = {found.key: services.store.sha256(found.key) for found in services.store.list()}
    chance, reached = random.Random(17), []
    for number in range(count):
        if number % 15 == 0:
            plugin = make()
            tokens = [plugin.secret] * 4 + [make(lasts_s=-1).secret, f"{plugin.secret[:-4]}AAA=", "none", "mbg1.x.y.z"]
        path, answer = hostile_request(chance, plugin, tokens)
        # What a link makes of the storage is the administrator's fault, and said to be ours.
        if b"input of b" in answer.content or (answer.status_code >= 500 and "/link" not in path):
            reached.append((answer.request.method, str(answer.request.url), answer.status_code, answer.text))
    after = {
        found.key: services.store.sha256(found.key)
        for found in services.store.list()
        if not found.key.startswith("a/out/")
    }
    assert (reached, after) == ([], before)
    assert len(rows(services)) > count / 10
    assert {row.outcome for row in rows(services) if row.key.startswith("b")} <= {"refused", "failed"}
