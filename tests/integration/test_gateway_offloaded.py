"""nginx, or the bucket, sends the bytes: they are the same, and the gateway has next to nothing to do."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from multiblast.services import Services
from multiblast.stores import Store
from multiblast.stores.http import HttpStore
from tests.support.gateway import GatewayProcess, granted
from tests.support.proxy import accelerating, processor_s
from tests.support.servers import S3Server

MIB = 1 << 20
SIZE = 512 * MIB
FORGED = {"X-Accel-Redirect": "/stored/b/in", "X-Forwarded-For": "127.0.0.1", "X-Original-URI": "/stored/b/in"}


def put(store: Store) -> str:
    """Put an object, and one that nobody may read; return the SHA-256 of the first."""
    piece, found = os.urandom(MIB), hashlib.sha256()
    for _ in range(SIZE // MIB):
        found.update(piece)
    store.put("a/in", (piece for _ in range(SIZE // MIB)))
    store.put("b/in", b"input of b")
    return found.hexdigest()


def digest_by(url: str, token: str) -> str:
    with closing(HttpStore(url, lambda _afresh: token)) as store:
        return Store.sha256(store, "a/in")


@pytest.fixture
def streaming(services: Services, tmp_path: Path) -> Iterator[GatewayProcess]:
    _ = services.database.engine
    process = GatewayProcess(services, tmp_path / "spool")
    with process.running():
        yield process


def check_ranges(url: str, token: str, store: Store) -> None:
    for start, length in ((0, 10), (3 * MIB - 5, 100), (SIZE - 7, 7)):
        wanted = {"Range": f"bytes={start}-{start + length - 1}", "Authorization": f"Bearer {token}"}
        answer = httpx.get(f"{url}/objects/a/in", headers=wanted, follow_redirects=False)
        if answer.is_redirect:
            answer = httpx.get(answer.headers["location"], headers={"Range": wanted["Range"]})
        assert (answer.status_code, answer.content) == (206, store.read("a/in", start, length))
        assert answer.headers["content-range"] == f"bytes {start}-{start + length - 1}/{SIZE}"


@pytest.mark.long
def test_nginx_sends_the_bytes_and_the_gateway_rests(
    services: Services, streaming: GatewayProcess, nginx: str, tmp_path: Path
) -> None:
    sha256, token = put(services.store), granted(services, reads=["a/in"], writes=["a/out/"])
    root = services.store.root  # type: ignore[attr-defined]  # it is local
    offloading = GatewayProcess(services, tmp_path / "spool", rules={"accelerated": "/stored"})
    with offloading.running() as url, accelerating(nginx, tmp_path, url, root) as proxy:
        digest_by(proxy, token)  # what is only done once is not measured
        own = processor_s(streaming.seen, lambda: digest_by(streaming.url, token))
        rest = processor_s(offloading.seen, lambda: digest_by(proxy, token))
        assert digest_by(proxy, token) == digest_by(streaming.url, token) == sha256
        assert rest < 0.05 * own, (rest, own)
        check_ranges(proxy, token, services.store)
        authorization = {"Authorization": f"Bearer {token}", "Range": "bytes=0-9"}
        for at in (proxy, streaming.url):
            plain, forged = (httpx.get(f"{at}/objects/a/in", headers=more | authorization) for more in ({}, FORGED))
            assert (forged.status_code, forged.content) == (plain.status_code, plain.content)
            assert "x-accel-redirect" not in forged.headers
            assert httpx.get(f"{at}/objects/b/in", headers=FORGED | authorization).status_code == 403
        outside = httpx.get(f"{proxy.removesuffix('/gateway')}/stored/a/in", headers=authorization)
        assert outside.status_code == 404
        with closing(HttpStore(proxy, lambda _afresh: token)) as store:  # pieces pass it, too
            store.put("a/out/x", bytes(20 * MIB))
        assert services.store.stat("a/out/x").size_bytes == 20 * MIB


@pytest.mark.long
def test_bucket_sends_the_bytes_and_the_gateway_rests(services: Services, weed_s3: S3Server, tmp_path: Path) -> None:
    _ = services.database.engine
    bucket = weed_s3.store(f"tests/{uuid4().hex}")
    sha256, token = put(bucket), granted(services, reads=["a/in"])
    url = f"s3://{bucket.bucket}/{bucket.prefix.rstrip('/')}?endpoint={weed_s3.endpoint}&region=us-east-1"
    secrets = {"AWS_ACCESS_KEY_ID": weed_s3.access_key, "AWS_SECRET_ACCESS_KEY": weed_s3.secret_key}
    streaming, offloading = (
        GatewayProcess(services, tmp_path / "spool", store=url, environment=secrets, rules=rules)
        for rules in ({}, {"redirect_s": 60})
    )
    with streaming.running(), offloading.running():
        for one in (streaming, offloading):
            with closing(HttpStore(one.url, lambda _afresh: token)) as store:
                store.read("a/in", 0, 10)
        own = processor_s(streaming.seen, lambda: digest_by(streaming.url, token))
        rest = processor_s(offloading.seen, lambda: digest_by(offloading.url, token))
        assert digest_by(offloading.url, token) == sha256
        assert rest < 0.05 * own, (rest, own)
        check_ranges(offloading.url, token, bucket)
        shown = {"Authorization": f"Bearer {token}"}
        forged = httpx.get(f"{offloading.url}/objects/b/in", headers=FORGED | shown)
        assert forged.status_code == 403
