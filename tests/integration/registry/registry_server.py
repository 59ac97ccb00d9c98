"""A FAIR registry for tests: the documented REST surface with its constraints, over memory and an S3 server.

``registry_server.py PORT_FILE S3_URL TOKEN``: writes its port to the file and serves until it is killed.
``/control`` is for tests: POST sets what shall go wrong, GET tells which requests came.
"""

from __future__ import annotations

import base64
import copy
import fnmatch
import hashlib
import json
import re
import sys
import time
import uuid
from contextlib import suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from semver import Version

from tests.integration.registry.registry_state import (
    BACKWARD,
    BOOL,
    DEFAULTS,
    INT,
    NAME,
    TIME,
    TYPES,
    UNIQUE,
    URL,
    UUID,
    VERSION,
    RefusedError,
    State,
)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # headers and body in one packet, or each answer takes 40 ms
    disable_nagle_algorithm = True
    state: State
    base: str

    def log_message(self, *_: Any) -> None:
        return

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate((timestamp or time.time()) + self.state.shift_s, usegmt=True)

    def do_GET(self) -> None:
        self.handle_one("GET")

    def do_POST(self) -> None:
        self.handle_one("POST")

    def do_OPTIONS(self) -> None:
        self.handle_one("OPTIONS")

    def handle_one(self, method: str) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}") if length else {}
        url = urlsplit(self.path)
        if url.path == "/control":
            self.control(method, body)
            return
        line = f"{method} {self.path}"
        with self.state.lock:
            self.state.log.append(line)
        if held := self.state.stopping():
            if method == "POST" and self.state.stop_after % 2:  # what was asked for is done, and nobody is told
                with suppress(RefusedError):
                    self.route(method, url.path, parse_qs(url.query), body, {})
            held.wait()
            self.close_connection = True
            return
        fault = self.state.fault(line)
        if fault and fault.get("delay_s"):
            with self.state.lock:
                self.state.delayed += 1
                self.state.most_at_once = max(self.state.most_at_once, self.state.delayed)
            time.sleep(fault["delay_s"])
            with self.state.lock:
                self.state.delayed -= 1
        if fault and ("raw" in fault or fault.get("endless")):
            self.answer_falsely(fault, url.path)
            return
        if fault and fault.get("drop"):
            self.close_connection = True
            self.connection.close()
            return
        try:
            answer = self.route(method, url.path, parse_qs(url.query), body, fault or {})
        except RefusedError as refused:
            self.answer(refused.code, refused.said)
        else:
            if answer is not None:
                self.answer(201 if method == "POST" and not url.path.startswith("/api/data/") else 200, answer)

    def control(self, method: str, body: dict[str, Any]) -> None:
        with self.state.lock:
            if body.get("reset"):
                self.state.reset(self.base)
            if method == "POST":
                self.state.faults = body.get("faults", self.state.faults)
                self.state.shift_s = body.get("shift_s", self.state.shift_s)
                if "uploads" in body:  # through something that stands before the storage
                    self.state.uploads = self.state.client(body["uploads"])
                if body.get("save"):
                    self.state.saved = copy.deepcopy((self.state.rows, self.state.unique))
                if body.get("restore"):
                    self.state.rows, self.state.unique = copy.deepcopy(self.state.saved)
                if "fill" in body:
                    self.state.fill(body["fill"])
                self.state.corrupt.update({(kind, int(n)): row for kind, n, row in body.get("corrupt", [])})
                if body.get("forget"):
                    self.state.log.clear()
                if "stop_after" in body:
                    self.state.release(body["stop_after"])
            counts = {name: len(rows) for name, rows in self.state.rows.items()}
            told = {"stopped": self.state.stopped, "most_at_once": self.state.most_at_once}
            self.answer(200, {"log": self.state.log, "counts": counts, **told})

    def answer_falsely(self, fault: dict[str, Any], path: str) -> None:
        if "raw" in fault:
            self.send_raw(fault["raw"], fault.get("status", 200), fault.get("headers", {}))
            return
        number = len(self.state.log)  # page after page, each with a row that nobody has seen
        row = {"url": self.address(path.split("/")[2], 10**6 + number)}
        following = f"{self.base}{path}?cursor={number}"
        self.answer(200, {"count": 10**9, "next": following, "results": [row]})

    def send_raw(self, body: str, status: int, headers: dict[str, str]) -> None:
        data = body.encode("latin-1")
        self.send_response(status)
        length = {} if "Transfer-Encoding" in headers else {"Content-Length": str(len(data))}
        for name, value in (length | headers).items():
            self.send_header(name, value.replace("BASE", self.base))
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = True

    def answer(self, code: int, said: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(said).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def route(self, method: str, path: str, query: dict[str, list[str]], body: Any, fault: dict[str, Any]) -> Any:
        if fault.get("status") and not fault.get("half"):
            raise RefusedError(fault["status"], {"detail": "made to fail"})
        self.authenticate(method)
        if match := re.fullmatch(r"/data/([^/]+)", path):
            return self.give(match[1], fault)
        if method == "POST" and (match := re.fullmatch(r"/api/data/([0-9a-f]+)", path)):
            return {"url": self.sign("put_object", match[1])}
        if method == "GET" and path == "/api/":
            return {name: f"{self.base}/api/{name}/" for name in TYPES}
        if match := re.fullmatch(r"/api/(\w+)/", path):
            if match[1] not in TYPES:
                raise RefusedError(404, {"detail": "Not found."})
            if method == "OPTIONS":
                return self.describe(match[1])
            with self.state.lock:
                return self.create(match[1], body, fault) if method == "POST" else self.list(match[1], query)
        if method == "GET" and (match := re.fullmatch(r"/api/(\w+)/(\d+)/", path)):
            with self.state.lock:
                return self.shown(match[1], self.row(match[1], int(match[2])))
        raise RefusedError(404, {"detail": "Not found."})

    def authenticate(self, method: str) -> None:
        said = self.headers.get("authorization", "")
        if said and said != f"token {self.state.token}":
            raise RefusedError(403, {"detail": "Invalid token."})
        if method == "POST" and not said:
            raise RefusedError(403, {"detail": "Authentication credentials were not provided."})

    def sign(self, action: str, key: str, lasts_s: int = 60) -> str:
        client = self.state.uploads if action == "put_object" else self.state.s3
        return str(client.generate_presigned_url(action, Params={"Bucket": "fair", "Key": key}, ExpiresIn=lasts_s))

    def give(self, name: str, fault: Any) -> None:
        if name in self.state.contents:
            self.send_raw(self.state.contents[name].decode(), 200, {})
            return
        with self.state.lock:
            places = [row for row in self.state.rows["storage_location"].values() if row["path"] == name
                      and row["storage_root"] == 1]  # fmt: skip
            objects = [row for row in self.state.rows["object"].values() for place in places
                       if row["storage_location"] == place["id"]]  # fmt: skip
        if len(places) != 1 or len(objects) != 1:
            raise RefusedError(404, {"detail": "Not found."})
        if fault and fault.get("cut"):  # the storage breaks off in the middle
            data = self.state.s3.get_object(Bucket="fair", Key=name)["Body"].read()
            first, _, _ = (self.headers.get("range") or "bytes=0-").removeprefix("bytes=").partition("-")
            rest = data[int(first) :]
            self.send_response(206 if "range" in self.headers else 200)
            self.send_header("Content-Length", str(len(rest)))
            if "range" in self.headers:
                self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
            self.end_headers()
            self.wfile.write(rest[: max(1, len(rest) // 2)])
            self.close_connection = True
            return
        link = self.sign("get_object", name, 1 if fault and fault.get("late") else 60)
        time.sleep(2.1 if fault and fault.get("late") else 0)  # as if the storage's clock were ahead
        self.answer(302, {}, {"Location": link})

    def row(self, kind: str, number: int) -> dict[str, Any]:
        try:
            return self.state.rows[kind][number]
        except KeyError:
            raise RefusedError(404, {"detail": f"No {kind} matches the given query."}) from None

    def address(self, kind: str, number: int) -> str:
        return f"{self.base}/api/{kind}/{number}/"

    def number(self, kind: str, name: str, value: Any) -> int:
        match = re.fullmatch(rf"https?://[^/]+/api/{kind}/(\d+)/", str(value))
        if not match or (kind != "users" and int(match[1]) not in self.state.rows[kind]):
            raise RefusedError(400, {name: ["Invalid hyperlink - Object does not exist."]})
        return int(match[1])

    def create(self, kind: str, body: dict[str, Any], fault: Any = None) -> Any:
        row = self.checked(kind, body)
        keys = [(kind, key, *(str(row[name]) for name in key)) for key in UNIQUE.get(kind, ())
                if all(row.get(name) is not None for name in key)]  # fmt: skip
        if any(key in self.state.unique for key in keys):
            raise RefusedError(409, {"detail": "Field non_field_errors must be unique"})
        number = len(self.state.rows[kind]) + 1
        row |= {"id": number, "last_updated": time.strftime("%Y-%m-%dT%H:%M:%S.000001Z", time.gmtime())}
        self.state.rows[kind][number] = row
        self.state.unique.update(dict.fromkeys(keys, number))
        if fault and fault.get("half"):
            row |= {name: [] for name, told in TYPES[kind].items() if told.startswith("[")}
            raise RefusedError(500, {"detail": "database is locked"})
        if kind == "issue":
            for component in row.pop("component_issues"):
                self.state.rows["object_component"][component]["issues"].append(number)
        if kind == "object":
            whole = {"object": self.address("object", number), "name": "whole_object", "whole_object": True}
            self.create("object_component", {**whole, "issues": []})
        return self.shown(kind, row)

    def checked(self, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        row: dict[str, Any] = {}
        for name, told in TYPES[kind].items():
            what, required = told.rstrip("*"), told.endswith("*")
            value = body.get(name, DEFAULTS.get(name))
            if what.startswith("["):
                if kind == "object_component" and name not in body:
                    value = []
                row[name] = [self.number(what[1:-1], name, one) for one in value or []]
                continue
            if value is None or value == "":
                if required:
                    raise RefusedError(400, {name: ["This field is required."]})
                row[name] = str(uuid.uuid4()) if what == UUID else None
                continue
            if what == NAME and set("[]?*") & set(value):
                raise RefusedError(400, {name: [f"Name {value} contains invalid characters ([]?*)."]})
            if what == VERSION and not Version.is_valid(value):
                raise RefusedError(400, {name: [f"Version {value} is not a valid semantic version."]})
            if what == URL and not re.match(r"https?://", value):
                raise RefusedError(400, {name: ["Enter a valid URL."]})
            row[name] = self.number(what[1:], name, value) if what.startswith("@") else value
        self.check(kind, row)
        return row

    def check(self, kind: str, row: dict[str, Any]) -> None:
        if kind == "author":
            if row["name"] is None and row["identifier"] is None:
                raise RefusedError(409, {"detail": "CHECK constraint failed: author_identifier_and_or_name"})
            if row["identifier"]:
                row["uuid"] = str(uuid.UUID(hashlib.sha256(row["identifier"].encode()).hexdigest()[::2]))
        if kind == "external_object":
            row["version"] = row["version"] or self.state.rows["data_product"][row["data_product"]]["version"]
            if row["identifier"] is None and (
                row["alternate_identifier"] is None or row["alternate_identifier_type"] is None
            ):
                raise RefusedError(409, {"detail": "CHECK constraint failed: external_object_identifier"})

    def shown(self, kind: str, row: dict[str, Any]) -> dict[str, Any]:
        told = {"url": self.address(kind, row["id"]), "last_updated": row["last_updated"]}
        for name, told_type in TYPES[kind].items():
            value, what = row.get(name), told_type.rstrip("*")
            if what.startswith("@") and value is not None:
                value = self.address(what[1:], value)
            elif what.startswith("["):
                value = [self.address(what[1:-1], one) for one in value or []]
            told[name] = value
        return told | self.backward(kind, row["id"]) | self.state.corrupt.get((kind, row["id"]), {})

    def backward(self, kind: str, number: int) -> dict[str, Any]:
        def of(other: str, name: str) -> list[str]:
            rows = self.state.rows[other].values()
            return [self.address(other, row["id"]) for row in rows
                    if (number in row[name] if isinstance(row[name], list) else row[name] == number)]  # fmt: skip

        if kind == "object":
            return {
                "components": of("object_component", "object"),
                "data_products": of("data_product", "object"),
                "code_repo_release": next(iter(of("code_repo_release", "object")), None),
                "quality_control": next(iter(of("quality_controlled", "object")), None),
                "licences": of("licence", "object"),
                "keywords": of("keyword", "object"),
            }
        if kind == "data_product":
            return {"external_object": next(iter(of("external_object", "data_product")), None)}
        if kind == "object_component":
            return {"inputs_of": of("code_run", "inputs"), "outputs_of": of("code_run", "outputs")}
        if kind == "issue":
            return {"component_issues": of("object_component", "issues")}
        if kind == "storage_root":
            return {"locations": of("storage_location", "storage_root")}
        return {}

    def describe(self, kind: str) -> dict[str, Any]:
        words = {URL: "url", BOOL: "boolean", INT: "integer", TIME: "datetime"}
        told = {
            name: {
                "type": "field" if told[0] in "@[" else words.get(told.rstrip("*"), "string"),
                "required": told.endswith("*"),
                "read_only": False,
            }
            for name, told in TYPES[kind].items()
        }
        shown = self.backward(kind, 0).keys() - told.keys() | {"url", "last_updated"}
        told |= {name: {"type": "field", "required": False, "read_only": True} for name in shown}
        return {"actions": {"POST": told}, "filter_fields": list(TYPES[kind])}

    def list(self, kind: str, query: dict[str, list[str]]) -> Any:
        known = TYPES[kind].keys() | BACKWARD.get(kind, set()) | {"cursor", "page_size", "format", "ordering"}
        if query.keys() - known:
            raise RefusedError(400, {"detail": "Invalid query arguments"})
        rows = sorted(self.state.rows[kind].values(), key=lambda row: -row["id"])
        for name in query.keys() & TYPES[kind].keys():
            rows = [row for row in rows if self.fits(TYPES[kind][name].rstrip("*"), row[name], query[name])]
        count = len(rows)
        size = int(query.get("page_size", ["100"])[0])
        if "cursor" in query:
            position = int(parse_qs(base64.b64decode(query["cursor"][0]).decode())["p"][0])
            rows = [row for row in rows if row["id"] < position]
        page, more = rows[:size], rows[size:]
        following = None
        if more:
            cursor = base64.b64encode(f"p={page[-1]['id']}".encode()).decode()
            kept = {name: value for name, values in query.items() for value in values if name != "cursor"}
            following = f"{self.base}/api/{kind}/?{urlencode({**kept, 'cursor': cursor})}"
        return {"count": count, "next": following, "previous": None, "results": [self.shown(kind, row) for row in page]}

    @staticmethod
    def fits(what: str, value: Any, wanted: list[str]) -> bool:
        if what.startswith(("@", "[")):
            if not all(one.isdigit() for one in wanted):
                raise RefusedError(400, {"detail": "Enter a number."})
            ids = {int(one) for one in wanted}
            return bool(ids & set(value)) if isinstance(value, list) else value == int(wanted[-1])
        if what == BOOL:
            return str(value).lower() == wanted[-1].lower()
        if what == NAME:
            return bool(re.match(fnmatch.translate(wanted[-1]), value or ""))
        return str(value) == wanted[-1]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main(port_file: str, s3_url: str, token: str) -> None:
    server = Server(("127.0.0.1", 0), Handler)
    Handler.state = State(s3_url, token)
    Handler.base = f"http://127.0.0.1:{server.server_port}"
    Handler.state.reset(Handler.base)
    temporary = Path(port_file).with_suffix(".new")
    temporary.write_text(str(server.server_port))
    temporary.rename(port_file)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
