"""The requests of Qiita's client, restated: what it sends in its forms of 2025 and 2026, and nothing else of it."""

from __future__ import annotations

import math
from pathlib import PurePosixPath

import httpx

CHUNK = 3 << 20


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
