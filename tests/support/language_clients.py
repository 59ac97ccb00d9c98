"""What the language APIs of FAIR send to a local registry, restated from their sources and from access logs.

Each function records one code run that reads ``rich:params/a@1.0.0`` and writes
``rich:results/count@0.0.1``, as pyDataPipeline 0.9.1, rDataPipeline, DataPipeline.jl,
FDP-Cpp-API and javaDataPipeline do it: requests, order, and what they make of the answers.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

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


def julia(run: Run) -> None:  # noqa: C901 - as above
    """DataPipeline.jl: asks by all fields of what it is about to make, then makes it; it leaves no UUID."""

    def query(data: dict[str, Any]) -> str:
        words = []
        for name, value in data.items():
            if isinstance(value, bool):
                words.append(f"{name}={str(value).lower()}")
            elif name == "root" and "://" not in value:
                words.append(f"root=file://{value}")
            elif all(str(one).startswith(run.api) for one in (value if isinstance(value, list) else [value])):
                words.append(f"{name}={','.join(map(number, value)) if isinstance(value, list) else number(value)}")
            else:
                words.append(f"{name}={quote(str(value), safe='')}")
        return "?" + "&".join(words)

    def post(kind: str, **data: Any) -> str:
        found = run.ask("GET", f"{run.api}{kind}/{query(data)}")
        if found["count"] == 1:
            return str(found["results"][0]["url"])
        assert found["count"] == 0
        if "root" in data and "://" not in data["root"]:
            data["root"] = f"file://{data['root']}"
        return str(run.ask("POST", f"{run.api}{kind}/", json=data)["url"])

    def entry(kind: str, **data: Any) -> Any:
        found = run.ask("GET", f"{run.api}{kind}/{query(data)}")
        assert found["count"] == len(found["results"]) <= 1
        return next(iter(found["results"]), None)

    def register(path: str, root: str, description: str, digest: str, *, local: bool = True) -> str:
        place = post("storage_root", root=root, local=local)
        known = entry("storage_location", hash=digest, public=True, storage_root=number(place))
        location = known["url"] if known else post(
            "storage_location", path=path.replace(root, ""), hash=digest, public=True, storage_root=place
        )  # fmt: skip
        author = run.ask("GET", entry("user_author", user=number(entry("users", username="admin")["url"]))["url"])
        extension = path.rpartition(".")[2]
        kind = entry("file_type", extension=extension)
        kind = kind["url"] if kind else post("file_type", name=extension, extension=extension)
        return post("object", description=description, storage_location=location, authors=[author["author"]],
                    file_type=kind)  # fmt: skip

    given = run.metadata
    config, script = (register(str(path), run.store, path.name, sha1(path)) for path in (run.config, run.script))
    found = re.match("([a-z]*://[a-z]*.[a-z]*/).*", given["remote_repo"])
    assert found is not None
    repository = register(
        given["remote_repo"], found[1], "Remote code repository.", given["latest_commit"], local=False
    )
    made = post("code_run", run_date="2026-11-21 12:00:00", description=given["description"], code_repo=repository,
                model_config=config, submission_script=script)  # fmt: skip
    space = entry("namespace", name="rich")["url"]
    product = entry("data_product", name="params/a", namespace=number(space), version="1.0.0")
    item = run.ask("GET", product["object"])
    (read,) = item["components"]
    location = run.ask("GET", item["storage_location"])
    source = run.ask("GET", location["storage_root"])["root"] + location["path"]
    path = Path(run.store, "rich/results/count/xxxxxxxxxx.txt")
    path.write_text(count(source.replace("file://", "")))
    digest = sha1(path)
    path.rename(path.with_name(f"{digest}.txt"))
    item = register(f"rich/results/count/{digest}.txt", run.store, "lines", digest)
    post("data_product", name="results/count", version="0.0.1", object=item, namespace=space)
    (written,) = run.ask("GET", item)["components"]
    post("issue", severity=3, description="bad output", component_issues=[written])
    post("issue", severity=3, description="bad config", component_issues=run.ask("GET", config)["components"])
    assert run.ask("PATCH", made, json={"inputs": [read], "outputs": [written]})["url"] == made


def cpp(run: Run) -> None:
    """FDP-Cpp-API: queries end in an ampersand, and ask for empty extensions; it leaves no UUID."""

    def get(kind: str, query: dict[str, Any]) -> Any:
        words = {name: re.sub(f"({run.api})([A-Za-z_]+)/([0-9]+)/", r"\3", _json_text(v)) for name, v in query.items()}
        text = "?" + "".join(f"{name}={value}&" for name, value in words.items())
        return run.ask("GET", f"{run.api}{kind}/" + text.replace(" ", "%20"))["results"]

    def by_id(kind: str, url: str) -> Any:
        return run.ask("GET", f"{run.api}{kind}/{number(url)}/", token=False)

    def post(kind: str, **data: Any) -> Any:
        try:
            return run.ask("POST", f"{run.api}{kind}/", json=data)
        except FileExistsError:
            return get(kind, data)[0]

    def file_type(name: str) -> Any:
        found = get("file_type", {"extension": ""})
        return found[0] if found else post("file_type", name=name, extension="")

    given = run.metadata
    user = get("users", {"username": "admin"})[0]["url"]
    author = by_id("author", get("user_author", {"user": number(user)})[0]["author"])["url"]
    root = post("storage_root", root=f"file://{run.store}", local=True)["url"]
    objects = []
    for path in (run.config, run.script):
        place = post(
            "storage_location", path=str(path).replace(run.store, "").removeprefix("/"), public=True,
            hash=sha1(path), storage_root=root,
        )["url"]  # fmt: skip
        kind = (
            {"filetype": file_type(path.suffix)["url"]}
            if path is run.script
            else {"file_type": file_type("yaml")["url"]}
        )
        objects.append(post("object", description=path.name, storage_location=place, authors=[author], **kind)["url"])
    github = post("storage_root", root="https://github.com/", local=False)["url"]
    place = post("storage_location", hash=given["latest_commit"], public=True, storage_root=github,
                 path=given["remote_repo"].replace("https://github.com/", ""))["url"]  # fmt: skip
    repository = post("object", description="code", storage_location=place, authors=[author])["url"]
    made = post("code_run", run_date="2026-11-21 12:00:00", description=given["description"], code_repo=repository,
                model_config=objects[0], submission_script=objects[1], input_urls=[], output_urls=[])  # fmt: skip
    space = get("namespace", {"name": "rich"})[0]["url"]
    product = get("data_product", {"name": "params/a", "namespace": int(number(space)), "version": "1.0.0"})[0]
    item = by_id("object", product["object"])
    read = get("object_component", {"object": int(number(item["url"]))})[0]["url"]
    location = by_id("storage_location", item["storage_location"])
    source = Path(by_id("storage_root", location["storage_root"])["root"].replace("file://", "")) / location["path"]
    path = Path(run.store, "rich/results/count/dat-0123.txt")
    path.write_text(count(str(source)))
    digest = sha1(path)
    assert get("storage_location", {"hash": digest, "storage_root": int(number(root)), "public": True}) == []
    path.rename(path.with_name(f"{digest}.txt"))
    place = post("storage_location", hash=digest, storage_root=root, public=True,
                 path=f"rich/results/count/{digest}.txt")["url"]  # fmt: skip
    item = post("object", description="lines", storage_location=place, authors=[author],
                file_type=file_type(".txt")["url"])  # fmt: skip
    written = by_id("object_component", item["components"][0])["url"]
    post("data_product", name="results/count", version="0.0.1", namespace=space, object=item["url"])
    post("issue", severity=3, description="bad output", component_issues=[written])
    post("issue", severity=3, description="bad config", component_issues=by_id("object", objects[0])["components"])
    run.ask("PATCH", f"{run.api}code_run/{number(made['url'])}/", json={"outputs": [written], "inputs": [read]})


def java(run: Run) -> None:
    """javaDataPipeline: pages of one row, numbers for truth values, the run at the end; it refuses unknown fields."""
    common = {"url", "last_updated", "updated_by"}
    known = {
        "users": {"username", "full_name", "email", "orgs"},
        "object": {"description", "storage_location", "authors", "uuid", "file_type", "components", "data_products",
                   "code_repo_release", "quality_control", "licences", "keywords"},
        "storage_location": {"path", "hash", "public", "storage_root"},
        "storage_root": {"root", "local", "locations"},
        "code_run": {"run_date", "description", "code_repo", "model_config", "submission_script", "inputs", "outputs",
                     "uuid", "prov_report", "ro_crate"},
        "user_author": {"user", "author"},
        "data_product": {"name", "version", "object", "namespace", "external_object", "internal_format",
                         "prov_report", "ro_crate"},
        "object_component": {"object", "name", "description", "whole_object", "issues", "inputs_of", "outputs_of"},
        "issue": {"severity", "description", "component_issues", "uuid"},
        "file_type": {"name", "extension"},
        "namespace": {"name", "full_name", "website"},
        "author": {"name", "identifier", "uuid"},
    }  # fmt: skip

    def checked(kind: str, row: Any) -> Any:
        assert row.keys() <= common | known[kind]  # Jackson refuses what it does not know
        return row

    def first(kind: str, **query: Any) -> Any:
        answer = run.ask("GET", f"{run.api}{kind}/", params=query | ({} if kind == "users" else {"page_size": 1}))
        assert answer.keys() == {"count", "next", "previous", "results"}
        return checked(kind, answer["results"][0]) if answer["count"] else None

    def get(url: str) -> Any:
        return checked(url.split("/")[-3], run.ask("GET", url))

    def post(kind: str, **data: Any) -> Any:
        return checked(kind, run.ask("POST", f"{run.api}{kind}/", json=data))

    def root(address: str) -> str:
        found = first("storage_root", root=address) or post("storage_root", root=address, local=1)
        return str(found["url"])

    def place(digest: str, storage_root: str, path: str) -> str:
        found = first("storage_location", hash=digest, public="true", storage_root=number(storage_root))
        return str(
            (found or post("storage_location", path=path, hash=digest, public=1, storage_root=storage_root))["url"]
        )

    given = run.metadata
    store = root(Path(run.store).as_uri() + "/")
    author = get(first("user_author", user=number(first("users", username="admin")["url"]))["author"])["url"]
    objects = []
    for path in (run.config, run.script):
        location = place(sha1(path), store, os.path.relpath(path, run.store))
        extension = path.suffix[1:]
        kind = first("file_type", extension=extension) or post("file_type", name=extension, extension=extension)
        objects.append(post("object", description=path.name, storage_location=location, authors=[author],
                            file_type=kind["url"]))  # fmt: skip
    site, path_of_code = re.fullmatch("(https?://[^/]+/)(.*)", given["remote_repo"]).groups()  # type: ignore[union-attr]
    location = place(given["latest_commit"], root(site), path_of_code)
    repository = post("object", description="code", storage_location=location, authors=[author])
    space = first("namespace", name="rich")["url"]
    product = first("data_product", name="params/a", version="1.0.0", namespace=number(space))
    item = get(product["object"])
    where = get(item["storage_location"])
    source = get(where["storage_root"])["root"].removeprefix("file://") + where["path"]
    path = Path(run.store, "rich/results/count/0.0.1.txt")
    path.write_text(count(source))
    kind = first("file_type", extension="txt") or post("file_type", name="txt", extension="txt")
    location = place(sha1(path), store, "rich/results/count/0.0.1.txt")
    made = post("object", description="lines", authors=[author], file_type=kind["url"], storage_location=location)
    post("data_product", name="results/count", version="0.0.1", namespace=space, object=made["url"])
    read = first("object_component", object=number(item["url"]), whole_object="true")["url"]
    written = first("object_component", object=number(made["url"]), whole_object="true")["url"]
    ran = post("code_run", run_date="2026-11-21T12:00:00", description=given["description"],
               code_repo=repository["url"], model_config=objects[0]["url"], submission_script=objects[1]["url"],
               inputs=[read], outputs=[written])  # fmt: skip
    post("issue", severity=3, description="bad output", component_issues=[written])
    post("issue", severity=3, description="bad config", component_issues=objects[0]["components"])
    run.leave_uuid(ran["uuid"], "\n")


def _json_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


CLIENTS = {client.__name__: client for client in (python, r, julia, cpp, java)}
