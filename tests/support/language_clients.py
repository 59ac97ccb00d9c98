"""What the language APIs of FAIR send to a local registry, restated from their sources and from access logs.

Each function records one code run that reads ``rich:params/a@1.0.0`` and writes
``rich:results/count@0.0.1``, as pyDataPipeline 0.9.1, rDataPipeline, DataPipeline.jl,
FDP-Cpp-API and javaDataPipeline do it: requests, order, and what they make of the answers.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from multiblast.registry.api.local_api import LocalApi
from web.registry.serving import serving

VERSIONED = {"Accept": "application/json; version=1.0.0"}


@dataclass
class Run:
    """What a script finds: the API and its token, its directory, its configuration."""

    api: str
    token: str
    directory: Path
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30, verify=False))  # noqa: S501 - no TLS here

    @property
    def config(self) -> Path:
        return self.directory / "config.yaml"

    @property
    def script(self) -> Path:
        return self.directory / "script.sh"

    @property
    def metadata(self) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load(self.config.read_text())["run_metadata"]
        assert found["local_data_registry_url"] == self.api
        return found

    @property
    def store(self) -> str:
        return str(self.metadata["write_data_store"])

    @property
    def token_header(self) -> dict[str, str]:
        return {"Authorization": f"token {self.token}"}

    def ask(self, method: str, address: str, *, token: bool = True, **more: Any) -> Any:
        headers = {**VERSIONED, **(self.token_header if token else {}), **more.pop("headers", {})}
        answer = self.client.request(method, address, headers=headers, **more)
        if answer.status_code == 409:
            raise FileExistsError(answer.json()["detail"])
        assert answer.is_success, answer.text
        assert not answer.is_redirect
        return answer.json() if answer.content else None

    def close(self) -> None:
        self.client.close()

    def leave_uuid(self, uuid: str, end: str = "") -> None:
        (self.directory / "coderuns.txt").write_text(uuid + end)


def called(client: Callable[[Run], None]) -> Callable[[LocalApi], Any]:
    """Return what serves the API for a run whose script has called it as a language does."""

    @contextmanager
    def served(api: LocalApi) -> Iterator[str]:
        with serving(api) as address:
            yield address
            (directory,) = (api.registry.directory / "runs").iterdir()
            with closing(Run(address, api.token, directory)) as script:
                client(script)

    return served


def commit_all(directory: Path, origin: str = "git@github.com:group/model.git") -> None:
    """Make a git repository of a directory, and commit everything in it."""
    for words in (
        ["init", "-q", "-b", "main"],
        ["remote", "add", "origin", origin],
        ["add", "."],
        ["-c", "user.name=R", "-c", "user.email=r@example.org", "commit", "-qm", "model"],
    ):
        subprocess.run(["git", "-C", str(directory), *words], check=True)


def sha1(path: Path | str) -> str:
    return hashlib.sha1(Path(path).read_bytes(), usedforsecurity=False).hexdigest()


def number(url: str) -> str:
    return url.rstrip("/").rpartition("/")[2]


def count(source: str) -> str:
    """The model: how many lines its input has."""
    return f"{len(Path(source).read_text().splitlines())}\n"


def python(run: Run) -> None:
    """The API of Python: most reads have no token, queries are not encoded, addresses of rows end without a slash."""

    def get(kind: str, query: dict[str, Any], *, token: bool = False) -> Any:
        words = {name: number(v) if str(v).startswith(run.api) else v for name, v in query.items()}
        address = f"{run.api}{kind}/?" + "&".join(f"{name}={value}" for name, value in words.items())
        return run.ask("GET", address, token=token)["results"]

    def entity(kind: str, url: str) -> Any:
        return run.ask("GET", f"{run.api}{kind}/{number(url)}", token=False)

    def post(kind: str, **data: Any) -> Any:
        try:
            return run.ask("POST", f"{run.api}{kind}/", json=data)
        except FileExistsError:
            return get(kind, data)[0]

    def file_type(name: str, extension: str) -> Any:
        return (get("file_type", {"extension": extension}) or [post("file_type", name=name, extension=extension)])[0]

    given = run.metadata
    root = post("storage_root", root=f"file://{run.store}", local=True)["url"]
    user = get("users", {"username": "admin"}, token=True)[0]["url"]
    author = get("user_author", {"user": number(user)})[0]["author"]
    objects = {}
    for path, extension in ((run.config, "yaml"), (run.script, "sh")):
        known = get("storage_location", {"hash": sha1(path)}) if extension == "sh" else []
        place = known[0] if known else post(
            "storage_location", path=str(path).replace(run.store, ""), hash=sha1(path), public=True, storage_root=root
        )  # fmt: skip
        kind = file_type("a type", extension)["url"]
        objects[extension] = post(
            "object", description=extension, storage_location=place["url"], authors=[author], file_type=kind
        )["url"]
    site = post("storage_root", root="https://github.com/", local=False)["url"]
    get("storage_location", {"hash": given["latest_commit"], "public": True, "storage_root": number(site)})
    place = post(
        "storage_location", path=given["remote_repo"], hash=given["latest_commit"], public=True, storage_root=site
    )["url"]
    repository = post("object", description="code", storage_location=place, authors=[author])["url"]
    made = post(
        "code_run", run_date="2026-11-21 12:00:00.123456", description=given["description"], code_repo=repository,
        model_config=objects["yaml"], submission_script=objects["sh"], input_urls=[], output_urls=[],
    )  # fmt: skip
    space = get("namespace", {"name": given["default_output_namespace"]})[0]["url"]
    product = get("data_product", {"name": "params/a", "version": "1.0.0", "namespace": number(space)})[0]
    item = entity("object", product["object"])
    read = get("object_component", {"object": number(item["url"])})[0]["url"]
    location = entity("storage_location", item["storage_location"])
    source = entity("storage_root", location["storage_root"])["root"].replace("file://", "") + location["path"]
    assert source.endswith("/params/a/1.0.0.csv")
    path = Path(run.store, given["default_output_namespace"], "results/count/dat-5e8f.txt")
    path.write_text(count(source))
    assert get("storage_root", {"root": run.store}) == []
    root = post("storage_root", root=f"file://{run.store}", local=True)["url"]
    digest = sha1(path)
    assert get("storage_location", {"hash": digest, "public": "true", "storage_root": number(root)}) == []
    path.rename(path.with_name(f"{digest}.txt"))
    place = post(
        "storage_location",
        path=f"{given['default_output_namespace']}/results/count/{digest}.txt",
        hash=digest,
        public="true",
        storage_root=root,
    )["url"]
    kind = file_type("txt", "txt")["url"]
    assert get("data_product", {"name": "results/count", "version": "0.0.1", "namespace": space}) == []
    item = post("object", description="lines", storage_location=place, authors=[author], file_type=kind)
    written = get("object_component", {"object": number(item["url"])})[0]["url"]
    post("data_product", name="results/count", version="0.0.1", object=item["url"], namespace=space)
    whole = get("object_component", {"object": number(objects["yaml"]), "whole_object": True})[0]["url"]
    for text, part in (("bad output", written), ("bad config", whole)):
        post("issue", severity=3, description=text, component_issues=[part])
    run.ask("PATCH", made["url"], json={"inputs": [read], "outputs": [written]})
    run.leave_uuid(made["uuid"])


def r(run: Run) -> None:  # noqa: PLR0915 - in the order of the original
    """rDataPipeline: asks what there is and which fields it has before each query; TRUE is a truth value."""

    def fields(kind: str) -> dict[str, Any]:
        given = run.ask("OPTIONS", f"{run.api}{kind}/")
        assert {"type", "read_only", "required"} <= given["actions"]["POST"]["url"].keys()
        return dict(given["actions"]["POST"])

    def entry(kind: str, **query: Any) -> Any:
        if kind != "users":
            assert kind in run.ask("GET", run.api, token=False)
            assert query.keys() <= set(run.ask("OPTIONS", f"{run.api}{kind}/", token=False)["filter_fields"])
        if kind != "users":
            types = {name: fields(kind)[name]["type"] for name in query}
            assert all(re.fullmatch("[0-9]*", str(query[n])) for n, word in types.items() if word == "field")
        words = {name: str(value).upper() if isinstance(value, bool) else value for name, value in query.items()}
        answer = run.ask("GET", f"{run.api}{kind}/", params=words)
        return answer["results"] if answer["count"] else None

    def url(kind: str, **query: Any) -> Any:
        found = entry(kind, **query)
        assert found is None or len(found) == 1
        return found and found[0]["url"]

    def new(kind: str, **data: Any) -> Any:
        try:
            return run.ask("POST", f"{run.api}{kind}/", json=data)["url"]
        except FileExistsError:
            return url(kind, **{n: number(v) if str(v).startswith(run.api) else v for n, v in data.items()})

    given = run.metadata
    root = new("storage_root", root=f"file://{run.store}", local=True)
    author = entry("user_author", user=number(url("users", username="admin")))[0]["author"]
    objects = []
    for path, extension in ((run.config, "yaml"), (run.script, "sh")):
        place = url("storage_location", hash=sha1(path), public=True, storage_root=number(root)) or new(
            "storage_location", path=str(path).replace(run.store, ""), hash=sha1(path), storage_root=root, public=True
        )
        kind = url("file_type", extension=extension) or new("file_type", name=extension, extension=extension)
        objects.append(new("object", description=extension, storage_location=place, authors=[author], file_type=kind))
    site = re.sub("([a-z]*://[a-z]*.[a-z]*/).*", r"\1", given["remote_repo"])
    github = new("storage_root", root=site, local=False)
    place = new(
        "storage_location", path=given["remote_repo"].replace(site, ""), hash=given["latest_commit"], public=False,
        storage_root=github,
    )  # fmt: skip
    repository = new("object", description="code", storage_location=place, authors=[author])
    made = new(
        "code_run", run_date="2026-11-21 12:00:00", inputs=[], outputs=[], description=given["description"],
        code_repo=repository, model_config=objects[0], submission_script=objects[1],
    )  # fmt: skip
    (space,) = entry("namespace", name="rich")
    (product,) = entry("data_product", name="params/a", version="1.0.0", namespace=number(space["url"]))
    item = run.ask("GET", product["object"])
    location = run.ask("GET", item["storage_location"])
    source = run.ask("GET", location["storage_root"])["root"].replace("file://", "") + location["path"]
    read = url("object_component", object=number(item["url"]), whole_object=True)
    path = Path(run.store, "rich/results/count/20261121-120000.txt")
    path.write_text(count(source))
    assert new("namespace", name="rich") == space["url"]
    digest = sha1(path)
    assert entry("storage_location", hash=digest, public=True, storage_root=number(root)) is None
    path.rename(path.with_name(f"{digest}.txt"))
    place = new(
        "storage_location", path=f"rich/results/count/{digest}.txt", hash=digest, storage_root=root, public=True
    )
    kind = url("file_type", extension="txt") or new("file_type", name="txt", extension="txt")
    item = new("object", description="lines", storage_location=place, authors=[author], file_type=kind)
    new("data_product", name="results/count", version="0.0.1", object=item, namespace=space["url"])
    written = url("object_component", object=number(item))
    new("issue", severity=3, description="bad output", component_issues=[written])
    new("issue", severity=3, description="bad config", component_issues=[
        url("object_component", object=number(objects[0]), whole_object=True)
    ])  # fmt: skip
    run.ask("PATCH", made, json={"inputs": [read], "outputs": [written]})
    other = new("code_run", run_date="2026-11-21 12:00:01", inputs=[], outputs=[], description="nothing",
                submission_script=objects[1])  # fmt: skip
    assert run.ask("DELETE", other) is None  # delete_if_empty
    run.leave_uuid(run.ask("GET", made)["uuid"])
