"""Requests of a plugin for what its run does not name: none reaches anything."""

from __future__ import annotations

import random
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from multiblast.services import Services
from tests.support.qiita import (
    BASE,
    OUT,
    QiitaRequests,
    qiita_plugins,
    rows,
    zip_of,
)


@pytest.fixture
def make(services: Services, tmp_path: Path) -> Iterator[Callable[..., QiitaRequests]]:
    with qiita_plugins(services, tmp_path) as make:
        yield make


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
