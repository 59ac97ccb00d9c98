"""What is recorded, as PROV, RO-Crate and picture."""

from __future__ import annotations

import json
import subprocess
import sys
from hashlib import sha1
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from prov.model import ProvDocument
from rocrate.rocrate import ROCrate

from multiblast.registry.local.descriptions import Description, describe
from multiblast.registry.model.rows import StorageLocationRow
from multiblast.registry.views.export import write_crate, write_prov
from multiblast.registry.views.graph import provenance, provenance_svg


@pytest.fixture
def chain(here: Any) -> Any:
    first, middle, last = (
        here.product(f"params/{n}", n, authors=[here.author("Ann")]) for n in ("first", "middle", "last")
    )
    here.product("params/secret", "secret", public=False)
    here.run([first], [middle], "make <middle>")
    here.run([middle], [last], "make last")
    return here


def test_registry_prov_is_read_by_the_library(chain: Any, tmp_path: Path) -> None:
    write_prov(chain, "rich:params/last@1.0.0", tmp_path / "prov.json")
    document = ProvDocument.deserialize(str(tmp_path / "prov.json"), format="json")
    names = [type(record).__name__ for record in document.get_records()]
    assert names.count("ProvActivity") == names.count("ProvGeneration") == names.count("ProvDerivation") == 2
    assert "first" in (tmp_path / "prov.json").read_text()


def test_registry_crate_is_read_by_the_library(chain: Any, tmp_path: Path) -> None:
    write_crate(chain, "rich:params/last@1.0.0", tmp_path / "crate")
    crate = ROCrate(tmp_path / "crate")
    names = {entity.get("name") for entity in crate.get_entities()}
    assert {"rich:params/first@1.0.0", "rich:params/middle@1.0.0", "rich:params/last@1.0.0", "make last"} <= names
    files = [entity for entity in crate.data_entities if entity.type == "File"]
    assert files
    assert all((tmp_path / "crate" / file.id).is_file() for file in files)
    actions = [entity for entity in crate.get_entities() if entity.type == "CreateAction"]
    assert {len(action["result"]) for action in actions} == {1}


def entities(crate: Path) -> dict[str, dict[str, Any]]:
    """Return what a crate describes, by id; what it leads to is in place of the ids."""
    graph = json.loads((crate / "ro-crate-metadata.json").read_text())["@graph"]
    return {entity["@id"]: entity for entity in graph}


def test_registry_crate_claims_no_licence_that_nobody_stated(here: Any, tmp_path: Path) -> None:
    here.product("params/free", "free")
    write_crate(here, "rich:params/free@1.0.0", tmp_path / "crate")
    found = entities(tmp_path / "crate")
    assert found[found["./"]["license"]["@id"]]["name"] == "No licence stated"
    assert "CC0" not in json.dumps(found)


def test_registry_crate_and_prov_say_what_is_recorded_of_files_and_code(here: Any, tmp_path: Path) -> None:
    """Licence, source, keywords, issues, facts such as a program's version, and where the code is."""
    described, made = here.product("params/first", "first"), here.product("params/last", "last")
    here.describe(described)
    here.describe(made, "other")
    here.run([described], [made], "make last")
    write_crate(here, "rich:params/last@1.0.0", tmp_path / "crate")
    found = entities(tmp_path / "crate")
    assert [found[one["@id"]]["name"] for one in found["./"]["license"]] == ["CC0"]
    file = next(entity for entity in found.values() if entity.get("name") == "rich:params/first@1.0.0")
    assert f"https://doi.org/{described.sha1}" in file["identifier"]
    assert (file["keywords"], file["alternateName"]) == ("word", "title")
    assert file["datePublished"] == "2026-01-01T00:00:00Z"
    assert [found[one["@id"]]["name"] for one in file["license"]] == ["CC0"]
    more = {(found[one["@id"]]["name"], found[one["@id"]]["value"]) for one in file["additionalProperty"]}
    assert {("k", "v"), ("issue", "severity 5: worse"), ("issue", "severity 2 of component table/part: bad")} <= more
    (code,) = (entity for entity in found.values() if "codeRepository" in entity)
    assert (code["codeRepository"], code["version"]) == ("https://example.org/group/model", "2370924" + "0" * 33)
    (action,) = (entity for entity in found.values() if entity["@type"] == "CreateAction")
    assert found[action["instrument"]["@id"]]["encodingFormat"] == "application/x-sh"  # one, not a list of one
    assert (action["startTime"], "endTime" in action) == ("2026-11-21T12:00:00Z", False)
    write_prov(here, "rich:params/last@1.0.0", tmp_path / "prov.json")
    prov = json.loads((tmp_path / "prov.json").read_text())
    (first,) = (one for one in prov["entity"].values() if one["prov:label"] == "rich:params/first@1.0.0")
    assert (first["fair:licence"], first["fact:k"], first["fair:keyword"]) == ("CC0", "v", "word")
    (activity,) = prov["activity"].values()
    assert (activity["prov:startTime"], "prov:endTime" in activity) == ("2026-11-21T12:00:00+00:00", False)
    assert all("prov:time" not in one for one in prov["wasGeneratedBy"].values())


def test_registry_exports_keep_facts_apart_from_what_the_model_states(here: Any, tmp_path: Path) -> None:
    """A fact may be called what it likes: it licenses nothing, is no commit, and hides no hash."""
    here.product("params/first", "first")
    names = ("commit", "licence", "identifier", "issue", "hash")
    describe(
        here,
        "rich:params/first@1.0.0",
        Description(licences=["CC0"], issues=["bad"], values=dict.fromkeys(names, "own")),
    )
    (place,) = here.find(
        StorageLocationRow,
        [{"storage_root": "1", "hash": sha1(b"first", usedforsecurity=False).hexdigest(), "public": True}],
    )
    here.files.store.delete([place.path])
    write_crate(here, "rich:params/first@1.0.0", tmp_path / "crate")
    found = entities(tmp_path / "crate")
    (item,) = (entity for entity in found.values() if entity.get("name") == "rich:params/first@1.0.0")
    assert (item["sha1"], "version" in item) == (place.hash, False)
    assert [found[one["@id"]]["name"] for one in item["license"]] == ["CC0"]
    stated = {
        (found[one["@id"]]["propertyID"].partition("vocab/")[2], found[one["@id"]]["value"])
        for one in item["additionalProperty"]
    }
    assert stated == {("#issue", "severity 1: bad"), *((f"key_value#{name}", "own") for name in names)}
    write_prov(here, "rich:params/first@1.0.0", tmp_path / "prov.json")
    (first,) = json.loads((tmp_path / "prov.json").read_text())["entity"].values()
    assert (first["fair:licence"], first["fact:licence"], first["fair:hash"]) == ("CC0", "own", place.hash)
    assert "fair:commit" not in first


@pytest.mark.long
def test_registry_crate_is_valid_by_the_validator(here: Any, tmp_path: Path) -> None:
    """With all that can be said of a product, a private one, a file that is gone, and two runs."""
    authors = [here.author("Ann"), here.author(None, "https://orcid.org/0000-0002-1825-0097")]
    first = here.product("params/first", "first", authors=authors)
    here.describe(first)
    middle = here.product("params/middle", "middle")
    here.run([first, here.product("params/secret", "secret", public=False)], [middle], "make <middle>")
    here.run([middle], [here.product("params/last", "last")], "make last")
    (place,) = here.find(StorageLocationRow, [{"storage_root": "1", "hash": first.sha1, "public": True}])
    here.files.store.delete([place.path])
    write_crate(here, "rich:params/last@1.0.0", tmp_path / "crate")
    assert first.sha1 in (tmp_path / "crate" / "ro-crate-metadata.json").read_text()
    command = [sys.executable, str(Path(__file__).with_name("validate_crate.py")), "cache", "crate"]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    rules, broken = json.loads(done.stdout.splitlines()[-1])
    assert broken == []
    assert rules > 50


def test_registry_crate_and_prov_show_nothing_private(here: Any, tmp_path: Path) -> None:
    secret = here.product("params/secret", "secret bytes", public=False, description="secret words")
    here.run([secret], [here.product("params/out", "out")])
    write_crate(here, "rich:params/out@1.0.0", tmp_path / "crate")
    write_prov(here, "rich:params/out@1.0.0", tmp_path / "prov.json")
    told = b"".join(path.read_bytes() for path in [*tmp_path.glob("crate/**/*.*"), tmp_path / "prov.json"])
    assert b"params/secret" in told
    for word in (b"secret bytes", b"secret words", secret.sha1.encode()):
        assert word not in told


def test_registry_graph_goes_from_left_to_right(chain: Any) -> None:
    nodes, edges, asked = provenance(chain, "rich:params/last@1.0.0")
    assert sorted(node.title for node in nodes if node.kind == "code_run") == ["make <middle>", "make last"]
    assert (len(nodes), len(edges), len(asked)) == (5, 4, 1)
    svg = ET.fromstring(provenance_svg(chain, "rich:params/last@1.0.0"))  # noqa: S314 - our own
    columns = sorted({float(box.get("x") or 0) for box in svg.iter("{http://www.w3.org/2000/svg}rect")})
    assert len(columns) == 6  # the background, and five steps
