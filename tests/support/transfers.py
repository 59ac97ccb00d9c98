"""Requests for transfers as the gateway takes them (tus 1.0), and what it records of them."""

from __future__ import annotations

import base64
import hashlib

import httpx
from sqlmodel import col, select

from multiblast.database import Transfer
from multiblast.services import Services

TUS = {"Tus-Resumable": "1.0.0"}


def content_digest(data: bytes) -> dict[str, str]:
    """Return the header that says what is sent at once."""
    return {"Content-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"}


def upload_headers(key: str, data: bytes) -> dict[str, str]:
    """Return the headers that begin an upload."""
    said = {"key": key, "sha256": hashlib.sha256(data).hexdigest()}
    metadata = ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in said.items())
    return {**TUS, "Upload-Length": str(len(data)), "Upload-Metadata": metadata}


def piece_headers(offset: int, data: bytes) -> dict[str, str]:
    """Return the headers of a piece of an upload."""
    checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
    kind = {"Content-Type": "application/offset+octet-stream"}
    return {**TUS, **kind, "Upload-Offset": str(offset), "Upload-Checksum": f"sha256 {checksum}"}


def client(url: str, token: str) -> httpx.Client:
    """Return a client that shows a token."""
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60)


def rows(services: Services) -> list[Transfer]:
    """Return all transfers that were recorded, in order."""
    with services.database.read() as session:
        return list(session.exec(select(Transfer).order_by(col(Transfer.number))))
