"""The requests of Qiita's client, restated: what it sends in its forms of 2025 and 2026, and nothing else of it."""

from __future__ import annotations

import io
import math
import os
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any

import httpx
from sqlmodel import col, select

from multiblast.coupling import StoreCoupling
from multiblast.database import Transfer
from multiblast.gateway import grant_of
from multiblast.gateway.qiita import Artifact, QiitaJobs, QiitaWork
from multiblast.services import Services
from tests.support.gateway import gateway
from tests.support.processes import wait_for

CHUNK = 3 << 20
BASE = "/tmp/run/data"  # noqa: S108 - nothing is there: a path that a plugin says
OUT = f"{BASE}/a/out"
LARGE = os.urandom(8 << 20)
WORK = QiitaWork(
    "Split libraries",
    {"input_data": "7", "barcode": "x"},
    {7: Artifact("FASTA", {"preprocessed_fasta": ["a/in"], "directory": ["a/tree"]}, "reads", preparation=3)},
    {3: {"prep-file": "a/in", "sample-file": "a/in"}},
)


class QiitaRequests:
    """A plugin's side of the wire.

    Args:
        url: Where the routes for Qiita are.
        client_id: A ticket's id.
        secret: A grant.
    """

    def __init__(self, url: str, client_id: str, secret: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=60)
        self.client_id, self.secret = client_id, secret

    def authenticate(self) -> httpx.Response:
        said = {"client_id": self.client_id, "client_secret": self.secret, "grant_type": "client"}
        answer = self.http.post("/qiita_db/authenticate/", data=said)
        if answer.is_success:
            self.http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return answer

    def fetch(self, path: str) -> httpx.Response:
        return self.http.get(f"/cloud/fetch_file_from_central/{path.removeprefix('/')}")

    def push_2025(self, files: dict[str, bytes]) -> httpx.Response:
        """Push files whole, several in one request, each by its path."""
        parts = [(str(PurePosixPath(path).parent), (PurePosixPath(path).name, data)) for path, data in files.items()]
        return self.http.post("/cloud/push_file_to_central/", files=parts)

    def chunk(self, path: str, data: bytes, number: int, total: int, *, is_directory: bool = False) -> httpx.Response:
        said = {"current_chunk": str(number), "total_chunks": str(total), "target_filepath": path}
        said["is_directory"] = "true" if is_directory else "false"
        part = {"file": ("dummy", data, "application/octet-stream")}
        return self.http.post("/cloud/push_file_to_central/", files=part, data=said)

    def push_2026(self, path: str, data: bytes, *, is_directory: bool = False, total: int = 0) -> list[int]:
        """Push a file in chunks; return the codes of the answers. ``total`` is what is said of it, if not the truth."""
        chunks = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)] or [b""]
        total = total or max(1, math.ceil(len(data) / CHUNK))
        return [
            self.chunk(path, chunk, number, total, is_directory=is_directory).status_code
            for number, chunk in enumerate(chunks, start=1)
        ]


@contextmanager
def qiita_plugins(services: Services, place: Path) -> Iterator[Callable[..., QiitaRequests]]:
    """Serve until the end of the block; give what makes the client of a run.

    A run reads three files and a directory, and writes below ``a/out``.
    """
    inputs = {"a/in": b"input of a", "a/empty": b"", "a/large": LARGE, "a/inn": b"of another", "b/in": b"input of b"}
    for key, data in inputs.items():
        services.store.put(key, data)
    tree = place / "tree"
    (tree / "nothing").mkdir(parents=True)
    (tree / "größer").mkdir()
    (tree / "größer" / "my reads.fq").write_bytes(b"@r\n")
    (tree / "none").touch()
    StoreCoupling(services.store).push(tree, "a/tree")

    def make(lasts_s: float = 600, *, base: str = BASE, **what: Any) -> QiitaRequests:
        said = {"reads": ["a/in", "a/empty", "a/large", "a/gone", "a/tree/"], "writes": ["a/out/"]}
        limits = {"site": "", "max_bytes": 1 << 30, "lasts": timedelta(hours=1)}
        ticket = services.gateway.tickets.make(**{**limits, **said, **what})
        if base:
            QiitaJobs(services.database).add(ticket.id, base, WORK)
        made = QiitaRequests(url, ticket.id, services.gateway.keys.sign(grant_of(ticket, lasts_s)))
        made.http.headers["Authorization"] = f"Bearer {made.secret}"
        opened.callback(made.http.close)
        return made

    with gateway(services) as address, ExitStack() as opened:
        url = address.replace("/gateway", "/qiita")
        yield make


def rows(services: Services) -> list[Transfer]:
    with services.database.read() as session:
        return list(session.exec(select(Transfer).order_by(col(Transfer.number))))


def next_row(services: Services) -> Transfer:
    """Return the first row, which is written after the client has its answer."""
    found: list[Transfer] = wait_for(lambda: rows(services))
    return found[0]


def zip_of(files: dict[str, bytes], kind: int = stat.S_IFREG) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0 if name.endswith("/") else kind | 0o644) << 16
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def complete(plugin: QiitaRequests, outputs: dict[str, list[str]], **said: Any) -> httpx.Response:
    made = {
        name: {"artifact_type": "BIOM", "filepaths": [[path, "biom"] for path in paths], "archive": {}}
        for name, paths in outputs.items()
    }
    body = {"success": True, "error": "", "artifacts": made} | said
    return plugin.http.post(f"/qiita_db/jobs/{plugin.client_id}/complete/", json=body)
