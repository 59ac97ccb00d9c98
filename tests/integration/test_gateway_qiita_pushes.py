"""What Qiita's plugins push, in the forms of 2025 and 2026 of their client: its requests, replayed."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import socket
import stat
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from multiblast.coupling import Reference, StoreCoupling
from multiblast.services import Services
from tests.support.qiita import (
    BASE,
    CHUNK,
    LARGE,
    OUT,
    QiitaRequests,
    complete,
    next_row,
    qiita_plugins,
    rows,
    zip_of,
)


@pytest.fixture
def make(services: Services, tmp_path: Path) -> Iterator[Callable[..., QiitaRequests]]:
    with qiita_plugins(services, tmp_path) as make:
        yield make


@pytest.fixture
def plugin(make: Callable[..., QiitaRequests]) -> QiitaRequests:
    return make()


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
    """As the only one of a client that counts, or the first of one that says 1 of every file: nobody can tell yet."""
    assert plugin.push_2026(f"{OUT}/x", LARGE[:CHUNK]) == [200]
    assert plugin.push_2026(f"{OUT}/y", LARGE[: 2 * CHUNK], total=1) == [200, 200]
    assert not services.store.exists("a/out/x")
    assert plugin.fetch(f"{OUT}/x").content == LARGE[:CHUNK]
    assert services.store.read("a/out/x") == LARGE[:CHUNK]
    assert not services.store.exists("a/out/y")
    complete(plugin, {"y": [f"{OUT}/y"]}).raise_for_status()
    assert services.store.read("a/out/y") == LARGE[: 2 * CHUNK]


def test_full_chunk_of_a_client_that_counts_is_kept_at_once(
    services: Services, make: Callable[..., QiitaRequests]
) -> None:
    """It has said more than 1 before, of a file that has more."""
    counting, other = make(), make()
    assert counting.push_2026(f"{OUT}/x", LARGE[: 2 * CHUNK]) == [200, 200]
    assert services.store.read("a/out/x") == LARGE[: 2 * CHUNK]
    assert counting.push_2026(f"{OUT}/y", LARGE[:CHUNK]) == [200]
    assert services.store.read("a/out/y") == LARGE[:CHUNK]
    assert other.push_2026(f"{OUT}/z", LARGE[:CHUNK]) == [200]  # of another run, of which nothing is known
    assert not services.store.exists("a/out/z")


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
    lines = f"POST {place.path}cloud/push_file_to_central/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n"
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
    rules = services.policy.http.model_copy(update={"body_bytes": 100 << 20})
    services.policy = services.policy.model_copy(update={"http": rules})
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


def test_what_does_not_fit_the_disk_is_refused_and_not_tried_again(
    services: Services, plugin: QiitaRequests, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage("/")._replace(free=65 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: full)
    assert plugin.push_2025({f"{OUT}/small": b"x"}).status_code == 200
    answer = plugin.push_2025({f"{OUT}/large": LARGE})
    assert (answer.status_code, "no room" in answer.text) == (500, True)
    assert not services.store.exists("a/out/large")
