"""Files of a registry in any store."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multiblast.registry.local.records import record_product
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.names import ProductName
from multiblast.registry.remotes.public_view import PublicView
from multiblast.registry.sync.collection import collect
from multiblast.registry.sync.commands import pull, push
from multiblast.registry.sync.summary import ItemResult
from multiblast.registry.views.status import status, verify
from multiblast.stores import LocalStore, S3Store, Store
from tests.support.places import ROOT

_PART = 1 << 20
_PARTS, _DIES_AT = 12, 8
# Pushes to another multiblast's registry, and kills itself in the middle of the file.
_DYING = """
import os, signal, sys
from pathlib import Path
import boto3
from multiblast.registry.sync.commands import push
from multiblast.registry.local.registry import Registry, open_database
from multiblast.registry.remotes.public_view import PublicView
from multiblast.stores import LocalStore, S3Store
from multiblast.stores.base import chunks
from multiblast.stores.s3 import connect

def dying(store):
    put = store.put_resumably
    def begin(key, data):
        def pieces():
            for number, piece in enumerate(chunks(data)):
                if number == DIES_AT:
                    os.kill(os.getpid(), signal.SIGKILL)
                yield piece
        return put(key, pieces())
    store.put_resumably = begin
    return store

base = Path(sys.argv[1])
here = Registry(open_database(f"sqlite:///{base / 'registry.sqlite'}"), LocalStore(base / "store"), base)
there = Registry(open_database(sys.argv[2]), dying(STORE), Path())
push(here, PublicView(there))
"""


def test_registry_keeps_files_in_s3(
    here: Any, locals_: Callable[[str], Any], remote: Any, config: Callable[[str], Path], rclone_s3: Any
) -> None:
    """Push from S3, pull into S3: the bytes are the same, and their digests are checked there too."""
    content = bytes(range(256)) * 20_000
    local = locals_("in-s3")
    origin = Registry(here.database, rclone_s3.store(), here.directory)
    path = here.directory / "content"
    path.write_bytes(content)
    found = origin.files.add(path)
    one = record_product(origin, ProductName("rich", "params/a", "1.0.0"), path, file_type="bin")
    here.commit("object", one.object_id)
    assert push(origin, remote.open()).exit_code == 0
    target = Registry(local.database, rclone_s3.store(), local.directory)
    text = "read: [{data_product: params/a, use: {namespace: rich}}]"
    assert pull(config(text), target, remote.open(), local.user()).exit_code == 0
    with target.files.open(found.sha1) as file:
        assert file.read() == content
    assert (status(target).exit_code, verify(target).exit_code) == (0, 0)


@pytest.mark.parametrize("kind", ["local", "s3"])
def test_registry_killed_push_of_a_large_file_goes_on_in_its_middle(
    here: Any, locals_: Callable[[str], Any], tmp_path: Path, rclone_s3: Any, kind: str
) -> None:
    """To another multiblast's registry: the second push sends only the parts that are not there."""
    content = os.urandom(_PARTS * _PART)
    here.commit("object", here.product("params/big", content).object_id)
    between, sent = locals_("between"), []
    store: Store = LocalStore(tmp_path / "there")
    code = f"LocalStore({str(tmp_path / 'there')!r})"
    if kind == "s3":
        client, place = rclone_s3.client(), rclone_s3.store()
        client.meta.events.register("before-call.s3.UploadPart", lambda **_call: sent.append(1))
        store = S3Store(client, place.bucket, place.prefix, part_bytes=_PART)
        session = f"boto3.session.Session({rclone_s3.access_key!r}, {rclone_s3.secret_key!r}, region_name='us-east-1')"
        code = f"connect({session}, endpoint_url={rclone_s3.endpoint!r})"
        code = f"S3Store({code}, {place.bucket!r}, {place.prefix!r}, part_bytes={_PART})"
    there = Registry(between.database, store, Path())
    url = f"sqlite:///{between.directory / 'registry.sqlite'}"
    command = [sys.executable, "-c", _DYING.replace("STORE", code, 1).replace("DIES_AT", str(_DIES_AT))]
    died = subprocess.run([*command, here.directory, url], cwd=ROOT, check=False)
    assert died.returncode == -signal.SIGKILL
    assert list(store.list()) == []
    parts = list((tmp_path / "there" / ".incoming").glob("*"))
    begun = [(part.stat().st_size, part.stat().st_ino) for part in parts]
    assert [(o.result, o.reason) for o in push(here, PublicView(there)).outcomes] == [(ItemResult.DONE, "")]
    if kind == "s3":
        assert _PARTS - _DIES_AT <= len(sent) <= _PARTS - _DIES_AT + 4  # so many were under way
    else:
        made = [(_DIES_AT * _PART, (tmp_path / "there" / found.key).stat().st_ino) for found in store.list()]
        assert begun == made  # the very file was gone on with
    assert [store.read(found.key) for found in store.list()] == [content]
    assert verify(there).exit_code == 0


def test_registry_gc_removes_what_was_left_a_day_ago(here: Any) -> None:
    lefts = [here.directory / "incoming" / f"{'a' * 40}.part", here.files.store.root / ".incoming" / "b.part"]
    fresh = here.directory / "incoming" / f"{'c' * 40}.part"
    for path in (*lefts, fresh):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    for path in lefts:
        os.utime(path, times=(time.time() - 25 * 3600,) * 2)
    collect(here, [], dry_run=True)
    assert all(path.exists() for path in lefts)
    collect(here, [])
    assert [path.exists() for path in (*lefts, fresh)] == [False, False, True]
