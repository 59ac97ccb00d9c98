"""Disks that are full while files travel: nothing is half-visible, and what was sent need not be sent again."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from multiblast.errors import StoreError
from multiblast.services import Services
from multiblast.stores import LocalStore
from tests.support.gateway import MIB, PIECE, GatewayProcess, SlowFile, Wire, granted, visible


@pytest.fixture
def small(services: Services, tmp_path: Path) -> Iterator[Callable[..., GatewayProcess]]:
    """Runs a gateway that has little room at a place."""
    _ = services.database.engine
    with ExitStack() as stack:

        def make(place: Path, size: str, spool: Path = tmp_path / "spool") -> GatewayProcess:
            place.mkdir(parents=True, exist_ok=True)
            mount = f"mount -t tmpfs -o size={size} none {shlex.quote(str(place))}"
            process = GatewayProcess(services, spool, before=mount)
            stack.enter_context(process.running())
            return process

        yield make


def inside(process: GatewayProcess, path: Path) -> Path:
    """Return where a path of a process is, which has disks of its own."""
    return Path(f"/proc/{process.seen.pid}/root{path}")


def fill(process: GatewayProcess, place: Path, leave: int) -> Path:
    """Fill a disk, but for some bytes."""
    filler = inside(process, place) / "filler"
    status = os.statvfs(filler.parent)
    with filler.open("wb") as file:
        for _ in range((status.f_bavail * status.f_frsize - leave) >> 12):
            file.write(bytes(4096))
    return filler


def test_upload_that_has_no_room_is_refused_before_its_first_byte(
    services: Services, small: Any, opened: Any, tmp_path: Path
) -> None:
    process = small(tmp_path / "spool", "100m")
    with closing(Wire(process.port)) as wire:
        store = opened(wire.url, granted(services, writes=["a/"]))
        with pytest.raises(StoreError, match=r"no room for 83,886,080 bytes: ask the administrator"):
            store.put("a/out/x", bytes(80 * MIB))
        assert wire.sent < 10_000
    assert not any(inside(process, tmp_path / "spool").iterdir())


def test_upload_that_would_not_fit_twice_on_one_disk_is_refused(services: Services, small: Any, opened: Any) -> None:
    """Once on its way, and once where it is kept."""
    assert isinstance(services.store, LocalStore)
    home = services.store.root.parent / "disk"
    services.store = LocalStore(home / "store")
    process = small(home, "160m", home / "spool")
    (inside(process, home) / "store").mkdir()
    store = opened(process.url, granted(services, writes=["a/"]))
    with pytest.raises(StoreError, match="no room for 62,914,560 bytes"):
        store.put("a/out/x", bytes(60 * MIB))
    assert store.put("a/out/x", bytes(40 * MIB)).size_bytes == 40 * MIB


def test_disk_of_the_gateway_that_is_full_in_mid_piece_leaves_nothing_half_written(
    services: Services, small: Any, opened: Any, tmp_path: Path
) -> None:
    spool, data = tmp_path / "spool", os.urandom(20 * MIB)
    process = small(spool, "100m")
    path = tmp_path / "source"
    path.write_bytes(data)
    sha256, fillers = hashlib.sha256(data).hexdigest(), []

    def before(at: int) -> None:
        if at == PIECE and not fillers:
            fillers.append(fill(process, spool, 2 * MIB))

    with closing(Wire(process.port)) as wire:
        store = opened(wire.url, granted(services, writes=["a/"]))
        with (
            SlowFile(path, before) as file,
            pytest.raises(StoreError, match=r"disk of the gateway is full.* free some"),
        ):
            store._upload("a/out/x", file, len(data), sha256)
        [place] = [one for one in inside(process, spool).iterdir() if one.is_dir()]
        assert (place / "data").stat().st_size == PIECE
        assert visible(services) == set()
        fillers[0].unlink()
        sent = wire.sent
        store.put("a/out/x", data)
        assert wire.sent - sent < 5 * MIB, "what was there was sent again"
    assert services.store.read("a/out/x") == data


def test_disk_of_the_storage_that_is_full_at_the_end_leaves_nothing_visible(
    services: Services, small: Any, opened: Any, tmp_path: Path
) -> None:
    assert isinstance(services.store, LocalStore)
    root, data = services.store.root, os.urandom(10 * MIB)
    process = small(root, "100m")
    path = tmp_path / "source"
    path.write_bytes(data)
    fillers: list[Path] = []
    with closing(Wire(process.port)) as wire:
        store = opened(wire.url, granted(services, writes=["a/"]))
        with (
            SlowFile(path, lambda _at: fillers.append(fill(process, root, 3 * MIB))) as file,
            pytest.raises(StoreError, match="disk of the gateway is full"),
        ):
            store._upload("a/out/x", file, len(data), hashlib.sha256(data).hexdigest())
        kept = inside(process, root)
        assert not (kept / "a").exists()
        assert not any((kept / ".incoming").iterdir())
        for filler in fillers:
            filler.unlink()
        sent = wire.sent
        store.put("a/out/x", data)
        assert wire.sent - sent < 10_000, "it was there"
        assert store.read("a/out/x") == data
