"""What the registry for tests keeps, and which fields and constraints it documents."""

from __future__ import annotations

import hashlib
import re
import threading
import uuid
from typing import Any

import boto3
from botocore.config import Config

NAME, VERSION, URL, TEXT, BOOL, INT, TIME, UUID = ["name", "version", "url", "text", "bool", "int", "time", "uuid"]

# type: fields as {name: kind}, "*" after a kind: required; "@type": reference; "[type]": many.
TYPES: dict[str, dict[str, str]] = {
    "namespace": {"name": "name*", "full_name": TEXT, "website": URL},
    "storage_root": {"root": "text*", "local": BOOL},
    "file_type": {"name": "text*", "extension": "text*"},
    "author": {"name": NAME, "identifier": URL, "uuid": UUID},
    "user_author": {"user": "@users*", "author": "@author*"},
    "storage_location": {"path": "text*", "hash": "text*", "public": BOOL, "storage_root": "@storage_root*"},
    "object": {
        "description": TEXT,
        "storage_location": "@storage_location",
        "file_type": "@file_type",
        "authors": "[author]",
        "uuid": UUID,
    },
    "object_component": {
        "object": "@object*",
        "name": "name*",
        "description": TEXT,
        "whole_object": BOOL,
        "issues": "[issue]",
    },
    "issue": {"severity": INT, "description": "text*", "component_issues": "[object_component]", "uuid": UUID},
    "data_product": {"name": "name*", "version": "version*", "namespace": "@namespace*", "object": "@object*"},
    "external_object": {
        "data_product": "@data_product*",
        "identifier": URL,
        "alternate_identifier": TEXT,
        "alternate_identifier_type": TEXT,
        "title": "text*",
        "release_date": "time*",
        "primary_not_supplement": BOOL,
        "description": TEXT,
        "version": VERSION,
        "original_store": "@storage_location",
    },
    "code_run": {
        "run_date": "time*",
        "description": "text*",
        "model_config": "@object",
        "submission_script": "@object*",
        "code_repo": "@object",
        "inputs": "[object_component]",
        "outputs": "[object_component]",
        "uuid": UUID,
    },
    "keyword": {"object": "@object*", "keyphrase": "name*", "identifier": URL},
    "licence": {"object": "@object*", "licence_info": "text*", "identifier": URL},
    "key_value": {"object": "@object*", "key": "text*", "value": "text*"},
    "quality_controlled": {"object": "@object*", "document": "@object*"},
    "code_repo_release": {"object": "@object*", "name": "name*", "version": "version*", "website": URL},
}

UNIQUE = {
    "namespace": [("name",), ("full_name",)],
    "storage_root": [("root",)],
    "file_type": [("name", "extension")],
    "author": [("identifier",), ("uuid",)],
    "user_author": [("user",)],
    "storage_location": [("storage_root", "hash", "public")],
    "object": [("uuid",)],
    "object_component": [("object", "name")],
    "issue": [("uuid",)],
    "data_product": [("namespace", "name", "version")],
    "external_object": [
        ("data_product",),
        ("identifier", "alternate_identifier", "alternate_identifier_type", "title", "version"),
    ],
    "code_run": [("uuid",)],
    "keyword": [("object", "keyphrase"), ("identifier",)],
    "licence": [("identifier",)],
    "key_value": [("object", "key")],
    "quality_controlled": [("object",)],
    "code_repo_release": [("object",), ("name", "version")],
}

# Accepted as filters, and without effect, as at the real server.
BACKWARD = {
    "object": {"components", "data_products", "licences", "keywords", "metadata", "quality_control"},
    "object_component": {"inputs_of", "outputs_of"},
}

DEFAULTS = {"local": False, "public": True, "whole_object": False, "primary_not_supplement": True, "severity": 1}


class RefusedError(Exception):
    def __init__(self, code: int, said: Any) -> None:
        super().__init__(said)
        self.code, self.said = code, said


class State:
    def __init__(self, s3_url: str, token: str) -> None:
        self.lock = threading.RLock()
        self.token = token
        self.s3 = self.client(s3_url)

    @staticmethod
    def client(s3_url: str) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=s3_url,
            aws_access_key_id="key",
            aws_secret_access_key="secret",  # noqa: S106 - of the S3 server of these tests
            region_name="us-east-1",
            config=Config(signature_version="s3v4"),
        )

    def reset(self, base: str) -> None:
        """Begin anew, with the one root that a remote registry has."""
        self.rows: dict[str, dict[int, dict[str, Any]]] = {name: {} for name in TYPES}
        self.unique: dict[tuple[Any, ...], int] = {}
        self.log: list[str] = []
        self.contents: dict[str, bytes] = {}
        self.corrupt: dict[tuple[str, int], dict[str, Any]] = {}  # what is said instead of what is so
        self.faults: list[dict[str, Any]] = []
        self.shift_s = 0.0
        self.uploads = self.s3
        self.delayed = self.most_at_once = 0
        self.release()
        root = {"root": f"{base}/data/", "local": False, "id": 1, "last_updated": "2026-01-01T00:00:00Z"}
        self.rows["storage_root"][1] = root
        self.unique["storage_root", ("root",), root["root"]] = 1

    def fill(self, products: int) -> None:
        """Make so many products, each with rows of its own of most kinds, of all of which it has the same number."""
        self.rows["namespace"][1] = {"name": "rich"}
        for number in range(1, products + 1):
            content = f"content {number}".encode()
            sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest()
            self.contents[sha1] = content
            uuids = [
                str(uuid.uuid5(uuid.NAMESPACE_URL, f"{what} {number}"))
                for what in ("object", "script", "run", "author")
            ]
            whole = {"name": "whole_object", "whole_object": True, "issues": []}
            script = products + number
            made: dict[str, dict[str, Any]] = {
                "storage_location": {"path": sha1, "hash": sha1, "public": True, "storage_root": 1},
                "file_type": {"name": f"type {number}", "extension": f"t{number}"},
                "author": {"name": f"author {number}", "uuid": uuids[3]},
                "object": {"uuid": uuids[0], "storage_location": number, "file_type": number, "authors": [number]},
                "object_component": {"object": number, **whole},
                "data_product": {"name": f"params/p{number}", "version": "1.0.0", "namespace": 1, "object": number},
                "code_run": {"run_date": "2026-01-01T00:00:00Z", "description": "run", "uuid": uuids[2],
                             "submission_script": script, "inputs": [], "outputs": [number]},
                "keyword": {"object": number, "keyphrase": "word"},
                "licence": {"object": number, "licence_info": "CC0"},
                "key_value": {"object": number, "key": "k", "value": "v"},
            }  # fmt: skip
            for kind, row in made.items():
                self.rows[kind][number] = row
            self.rows["object"][script] = {"uuid": uuids[1], "description": "script", "authors": []}
            self.rows["object_component"][script] = {"object": script, **whole}
        for kind, rows in self.rows.items():
            for number, row in rows.items():
                for name, what in TYPES[kind].items():
                    row.setdefault(name, [] if what.startswith("[") else DEFAULTS.get(name))
                row |= {"id": number, "last_updated": "2026-01-01T00:00:00Z"}

    def release(self, stop_after: int = 0) -> None:
        """Answer again, the first so many requests or all; who was held is let go."""
        self.stop_after, self.stopped = stop_after, False
        before, self.released = getattr(self, "released", threading.Event()), threading.Event()
        before.set()

    def stopping(self) -> threading.Event | None:
        """Tell whether this request is to be held, and until when."""
        with self.lock:
            if not self.stop_after or len(self.log) <= self.stop_after:
                return None
            self.stopped = True
            return self.released

    def fault(self, line: str) -> dict[str, Any] | None:
        with self.lock:
            for fault in self.faults:
                if fault["times"] > 0 and re.search(fault["match"], line):
                    fault["times"] -= 1
                    return fault
        return None
