"""What the registry's APIs for Julia, C++ and Java send: see `tests.support.language_clients`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.support.language_clients import Run, count, number, sha1


def julia(run: Run) -> None:  # noqa: C901 - in the order of the original
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
