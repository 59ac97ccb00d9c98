"""A remote registry is hostile until proven: whatever it sends is told in plain words, and harms nothing else."""

from __future__ import annotations

import gzip
import random
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from multiblast.errors import InvalidInputError, MultiblastError
from multiblast.registry.config.working_config import matches
from multiblast.registry.local.items import find_recorded
from multiblast.registry.model.names import ProductName
from multiblast.registry.model.rows import ROWS, DataProductRow, FileTypeRow
from multiblast.registry.model.tables import DataProduct, FileType, Object
from multiblast.registry.remotes import rest_rows
from multiblast.registry.remotes.public_view import PublicView
from multiblast.registry.runs.execution import run
from multiblast.registry.sync import row_graph
from multiblast.registry.sync.collection import collect
from multiblast.registry.sync.commands import commit, plan_pull, pull, push
from multiblast.registry.sync.summary import ItemResult
from multiblast.registry.views.catalogue import item_page
from multiblast.registry.views.export import write_crate
from multiblast.registry.views.status import status

READ_ALL = "read:\n- {data_product: 'params/*', use: {namespace: rich}}\n"
CONTROL = 1  # the number of the product of which nothing is wrong
# What is wrong with nearly every field: kinds, paths, letters that end or move things, lengths.
NASTY: list[Any] = [
    None, 5, -1, 1e300, True, [], [None], {}, {"a": ["b"]}, "", "../../../../../evil", "/evil", "a\x00b", "a\x1b[2Jb",
    "\ud800", "x" * 10_000, "javascript:alert(1)", "%00", "a/../../evil", "..", "[/red]", "1" * 5000,
]  # fmt: skip
LINKS: list[Any] = [
    "BASE/api/object/", "BASE/api/object/0/", "BASE/api/object/999999/", f"BASE/api/object/{'9' * 40}/",
    "BASE/api/namespace/1/", "file:///etc/passwd", "http://[", "BASE/api/object/1/../2/", "BASE/api/object/\u0661/",
]  # fmt: skip
FIELDS: dict[str, tuple[str, ...]] = {
    "data_product": ("url", "name", "version", "namespace", "object", "external_object"),
    "object": ("url", "uuid", "description", "storage_location", "file_type", "authors", "components", "licences"),
    "storage_location": ("url", "path", "hash", "public", "storage_root"),
    "file_type": ("url", "name", "extension"),
    "author": ("url", "name", "identifier", "uuid"),
    "object_component": ("url", "name", "object", "whole_object", "outputs_of"),
    "code_run": ("url", "run_date", "description", "uuid", "submission_script", "model_config", "inputs", "outputs"),
    "keyword": ("url", "keyphrase", "identifier", "object"),
    "licence": ("url", "licence_info"),
    "key_value": ("url", "key", "value", "object"),
}
CASES = 210


def wrong_rows(url: str, seed: int = 1) -> list[tuple[str, int, dict[str, Any]]]:
    """Return for each product but the first one row that has something wrong in it."""
    choose = random.Random(seed)
    places = [(kind, field) for kind, fields in FIELDS.items() for field in fields]
    made: list[tuple[str, int, dict[str, Any]]] = []
    for number in range(CONTROL + 1, CASES + 1):
        kind, field = places[number % len(places)]
        value = choose.choice(NASTY + LINKS)
        made.append((kind, number, {field: value.replace("BASE", url) if isinstance(value, str) else value}))
    return made


def outside(directory: Path, *ours: Path) -> set[Path]:
    """Return every file below a directory, but for those that are ours."""
    return {
        path for path in directory.rglob("*") if path.is_file() and not any(path.is_relative_to(one) for one in ours)
    }


def test_registry_remote_with_hundreds_of_wrong_rows_harms_only_their_items(
    second: Any, remote: Any, config: Callable[[str], Path], tmp_path: Path
) -> None:
    wrong = wrong_rows(remote.url)
    remote.control(fill=CASES, corrupt=wrong)
    assert len(wrong) >= 200
    path, user = config(READ_ALL), second.user()
    before = outside(tmp_path, second.directory)
    planned = plan_pull(path, second, remote.open(), user)
    report = pull(path, second, remote.open(), user)
    outcomes = {o.item: o for o in report.outcomes}
    assert outcomes[f"rich:params/p{CONTROL}@1.0.0"].result == ItemResult.DONE
    assert {o.result for o in report.outcomes} == {ItemResult.DONE, ItemResult.FAILED}
    assert report.count(ItemResult.FAILED) > CASES / 3
    assert len(planned.outcomes) == len(report.outcomes)
    for kind in ROWS.values():  # nothing came in that would not be let in
        for row in second.since(kind, 0):
            row.check()
    status(second, remote.open())
    for number in range(CONTROL, CASES, 10):
        name = f"rich:params/p{number}@1.0.0"
        if outcomes.get(name) and outcomes[name].result == ItemResult.DONE:
            write_crate(second, name, second.directory / f"crate{number}")
    assert outside(tmp_path, second.directory) == before
    assert not list(Path("/").glob("evil*"))
    remote.control(forget=True)  # odd paths are requested below the site's own files


PAGE = '{"count": %s, "next": %s, "results": %s}'
RAW: list[dict[str, Any]] = [
    *({"raw": body} for body in (
        "", "[]", "null", "5", '"x"', "{}", "[" * 200_000, '{"a":' * 100_000, "<html>", "\xff\xfe\xff", "1" * 5000,
        PAGE % ("null", "null", "[]"), PAGE % ("-1", "null", "[]"), PAGE % ("1e30", "null", "[]"),
        PAGE % ("1", "null", "null"), PAGE % ("1", "null", "[1]"), PAGE % ("1", "null", "[{}]"),
        PAGE % ("1", "5", "[]"),
        PAGE % ("1", "null", '[{"url": null}]'), PAGE % ("9", '"file:///etc/passwd"', '[{"url": "x"}]'),
        PAGE % ("9", '"?page=1"', "[]"),
    )),
    {"raw": "", "status": 301, "headers": {"Location": "BASE/api/namespace/"}},
    {"raw": "x", "headers": {"Content-Encoding": "gzip"}},
    {"raw": gzip.compress(b" " * (100 << 20)).decode("latin-1"), "headers": {"Content-Encoding": "gzip"}},
    {"raw": "{}", "headers": {"Content-Length": "50"}},
    {"raw": "{}", "headers": {"Content-Type": "text/html; charset=nonsense", "Date": "Mon, 1 Jan 99999 00:00:00 GMT"}},
    {"raw": "\x1b[2J", "status": 400}, {"raw": "\xff", "status": 418}, {"raw": "", "status": 204},
]  # fmt: skip
STAGES = (
    "/api/namespace/",
    "/api/data_product/",
    r"/api/(object|object/\d+)/",
    "/api/storage_location/",
    "/api/issue/",
)
FILES: list[dict[str, Any]] = [
    {"raw": "", "status": 302, "headers": {"Location": "BASE/data/" + "0" * 40}},
    {"raw": "", "status": 302, "headers": {"Location": "file:///etc/passwd"}},
    {"raw": "", "status": 302, "headers": {"Location": "http://["}},
    {"raw": "", "status": 302, "headers": {"Location": "http://\xff\xff/"}},
    {"raw": "x", "status": 206, "headers": {"Content-Range": "bytes 0-0/*"}},
    {"raw": "x", "headers": {"Content-Range": "bytes 0-0/99999999999999999999999"}},
    {"raw": "", "status": 416}, {"raw": "other bytes"},
]  # fmt: skip


@pytest.mark.parametrize("each", [pytest.param(1, marks=pytest.mark.long, id="all"), pytest.param(4, id="some")])
def test_registry_answers_that_are_none_end_in_plain_words(
    second: Any, remote: Any, config: Callable[[str], Path], tmp_path: Path, each: int
) -> None:
    """Every kind of nonsense at every stage of a pull."""
    remote.control(fill=2)
    path, user = config(READ_ALL), second.user()
    before = outside(tmp_path, second.directory)
    said: list[str] = []
    cases = [{"match": "GET /data/", **answer} for answer in FILES]
    cases += [{"match": f"GET {STAGES[0]}", **answer} for answer in RAW]
    cases += [{"match": f"GET {stage}", **one} for n, stage in enumerate(STAGES[1:]) for one in RAW[n::4]]  # shared out
    assert len(cases) > 60
    end = remote.open()
    for case in cases[::each]:
        remote.control(faults=[{"times": 99, **case}])
        end._namespaces.clear()
        try:
            report = pull(path, second, end, user)
        except MultiblastError as error:
            said.append(str(error))
        else:
            said += [o.reason for o in report.outcomes]
            if "/data/" in case["match"]:
                assert {o.result for o in report.outcomes} == {ItemResult.FAILED}, case
    assert all(reason.replace("\n", "").replace("\t", "").isprintable() for reason in said)
    assert outside(tmp_path, second.directory) == before
    remote.control(faults=[])
    assert pull(path, second, remote.open(), user).exit_code == 0


def test_registry_list_without_an_end_is_given_up(
    second: Any, remote: Any, config: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest_rows, "_MOST_PAGES", 20)
    remote.control(fill=2)
    path, user = config(READ_ALL), second.user()
    for case in (
        {"endless": True},  # always another page with another row
        {"raw": PAGE % (10**9, '"BASE/api/namespace/?x=1"', '[{"url": "BASE/api/namespace/1/"}]')},  # always the same
    ):
        raw = {
            key: value.replace("BASE", remote.url) if isinstance(value, str) else value for key, value in case.items()
        }
        remote.control(faults=[{"match": "GET /api/namespace/", "times": 10**6, **raw}], forget=True)
        with pytest.raises(MultiblastError, match=r"without an end|more than 20 pages"):
            pull(path, second, remote.open(), user)
        assert len(remote.log) < 100


def test_registry_provenance_without_an_end_is_given_up(
    second: Any, remote: Any, config: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that reads what another run wrote, that reads what another wrote, and so on."""
    monkeypatch.setattr(row_graph, "MOST_WAVES", 20)
    chain = [["code_run", n, {"inputs": [f"{remote.url}/api/object_component/{n + 1}/"]}] for n in range(1, 40)]
    remote.control(fill=40, corrupt=chain)
    with pytest.raises(MultiblastError, match="without an end"):
        pull(config("read: [{data_product: params/p1, use: {namespace: rich}}]"), second, remote.open(), second.user())


@pytest.mark.parametrize("made", ["long", "unannounced"])
def test_registry_file_that_does_not_end_is_given_up(
    second: Any, remote: Any, config: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, made: str
) -> None:
    from multiblast.registry.remotes import connection

    monkeypatch.setattr(connection, "_LARGEST_UNANNOUNCED_BYTES", 1000)
    remote.control(fill=1)
    raw = {"raw": "x" * 5000, "headers": {"Content-Length": "5000"}}
    if made == "unannounced":
        raw = {"raw": "1388\r\n" + "x" * 5000 + "\r\n0\r\n\r\n", "headers": {"Transfer-Encoding": "chunked"}}
    remote.control(faults=[{"match": "GET /data/", "times": 9, **raw}])
    (outcome,) = pull(config(READ_ALL), second, remote.open(), second.user()).outcomes
    assert outcome.result == ItemResult.FAILED
    words = {"long": "not the file", "unannounced": "sends more than"}
    assert words[made] in outcome.reason


def smuggled(here: Any, extension: str = "", uuid: str = "", name: str = "") -> str:
    """Record a product that has in it what no remote can bring any more; return what it is called."""
    made = here.product("params/a", "bytes")
    with here.writing() as session:
        item, product = session.get(Object, made.object_id), session.get(DataProduct, made.product_id)
        kind = session.get(FileType, item.file_type_id)
        kind.extension, item.uuid, product.name = extension or "csv", uuid or item.uuid, name or product.name
    return f"rich:{name or 'params/a'}@1.0.0"


@pytest.mark.parametrize("where", ["extension", "uuid"])
@pytest.mark.parametrize("kind", ["directory", "zip"])
def test_registry_export_writes_below_its_target_only(here: Any, tmp_path: Path, where: str, kind: str) -> None:
    """Also of what an earlier version let in."""
    item = smuggled(here, **{where: "/../../../../pwned" if where == "extension" else "../../../../pwned"})
    target = tmp_path / "deep" / "er" / ("crate.zip" if kind == "zip" else "crate")
    target.parent.mkdir(parents=True)
    before = outside(tmp_path, target)
    with pytest.raises(InvalidInputError, match="leads out of") if where == "uuid" else nullcontext():
        write_crate(here, item, target)
    assert outside(tmp_path, target, here.directory) <= before
    if kind == "zip" and target.exists():
        with zipfile.ZipFile(target) as crate:
            assert not [name for name in crate.namelist() if ".." in name or name.startswith("/")]


TYPES = {
    "/abs/evil": False, "../evil/x": False, "com/../evil": False, "com/./x": False, "com//x": False, "com/a\\b": False,
    "com/a\x1b/x": False, "com/" + "x" * 200: False, "/": False, "com/group/model": True, "com:8080/~group/a.b/": True,
}  # fmt: skip


@pytest.mark.parametrize("extension", TYPES, ids=range(len(TYPES)))
def test_registry_file_type_of_a_web_address_comes_in_and_becomes_no_path(
    second: Any, remote: Any, config: Callable[[str], Path], tmp_path: Path, extension: str
) -> None:
    """DataPipeline.jl takes what is behind the last dot of an address for a file type, however long that is."""
    remote.control(fill=2, corrupt=[["file_type", 2, {"extension": extension}]])
    report = pull(config(READ_ALL), second, remote.open(), second.user())
    done = {o.item.partition("@")[0]: o.result == ItemResult.DONE for o in report.outcomes}
    assert done == {"rich:params/p1": True, "rich:params/p2": TYPES[extension]}
    if not TYPES[extension]:
        assert [row.extension for row in second.since(FileTypeRow, 0)] == ["t1"]
        return
    before = outside(tmp_path, second.directory)
    script = "cd $FDP_DATA_STORE/rich; cat params/p2/1.0.0 > o/0.0.1.t"
    text = f"{READ_ALL}run_metadata: {{script: {script}}}"
    run(config(text + "\nwrite: [{data_product: o, file_type: t}]"), second, second.user())
    place = second.directory / "data/rich"
    assert (place / "o/0.0.1.t").read_text() == "content 2"
    assert {str(file.relative_to(place)) for file in place.rglob("*") if file.is_file()} == {
        "o/0.0.1.t", "params/p1/1.0.0.t1", "params/p2/1.0.0",
    }  # fmt: skip
    for target in (second.directory / "crate", second.directory / "crate.zip"):
        write_crate(second, "rich:o@0.0.1", target)
    with zipfile.ZipFile(second.directory / "crate.zip") as crate:
        assert not [name for name in crate.namelist() if "group" in name]
    assert not list((second.directory / "crate").rglob("*group*"))
    assert outside(tmp_path, second.directory) == before
    (page,) = [item_page(second, row) for row in find_recorded(second, "rich:params/p2@1.0.0")]
    assert page.file is not None
    assert page.file.text == "params-p2-1.0.0"
    commit(second, ["rich:o@0.0.1"])
    remote.control(reset=True)
    assert push(second, remote.open()).exit_code == 0
    gone = collect(second, [remote.open()], files=True, dry_run=True)
    assert str(place / "params/p2/1.0.0") in gone.copies


@pytest.mark.parametrize(
    ("namespace", "name"), [("mal", "../good/params/a"), ("mal", "a//b"), ("good/params", "a"), ("..", "good/a")]
)
def test_registry_product_of_a_remote_stays_in_its_namespace(
    second: Any, remote: Any, config: Callable[[str], Path], namespace: str, name: str
) -> None:
    """A name that leads into another namespace's directory does not come in, and no run reads it."""
    second.product("params/a", "GOOD", namespace="good")
    remote.control(fill=1, corrupt=[["data_product", 1, {"name": name}], ["namespace", 1, {"name": namespace}]])
    for pattern in ("*", "*/*", "*/*/*", "*/*/*/*"):
        path = config(f"read: [{{data_product: '{pattern}', use: {{namespace: {namespace}}}}}]")
        pull(path, second, remote.open(), second.user())
    assert [row.name for row in second.since(DataProductRow, 0)] == ["params/a"]


def test_registry_name_that_an_earlier_version_let_in_stops_no_run(here: Any, config: Callable[[str], Path]) -> None:
    here.product("params/a", "GOOD", namespace="good")
    smuggled(here, name="../good/params/a")
    assert not matches("*/*/*/*", "../good/params/a")
    here.product("w/x/y/z", "right")
    text = """\
run_metadata: {script: 'cat $FDP_DATA_STORE/good/params/a/1.0.0.csv > $FDP_DATA_STORE/rich/o/0.0.1.txt'}
read: [{data_product: params/a, use: {namespace: good}}, {data_product: '*/*/*/*', use: {namespace: rich}}]
write: [{data_product: o, file_type: txt}]
"""
    run(config(text), here, here.user())
    assert (here.directory / "data/rich/o/0.0.1.txt").read_text() == "GOOD"


def test_registry_another_multiblast_is_not_trusted_either(
    here: Any, second: Any, config: Callable[[str], Path]
) -> None:
    smuggled(here, extension="/../../evil")
    here.product("params/b", "right", file_type="txt")
    report = pull(config(READ_ALL), second, PublicView(here, foreign=True), second.user())
    assert {o.item: o.result for o in report.outcomes} == {
        "rich:params/a@1.0.0": ItemResult.FAILED,
        "rich:params/b@1.0.0": ItemResult.DONE,
    }
    assert [row.extension for row in second.since(FileTypeRow, 0)] == ["txt"]


@pytest.mark.parametrize("bad", ["a/b", "..", "", "a\x00", "x" * 300, "a*"])
def test_registry_namespace_is_one_part_of_a_path(bad: str) -> None:
    with pytest.raises(InvalidInputError):
        ProductName(bad, "a", "1.0.0").check()


@pytest.mark.long
def test_registry_wrong_row_of_a_product_that_is_sent_ends_in_plain_words(here: Any, remote: Any) -> None:
    here.commit("object", here.product("params/p1", "content 1").object_id)
    for seed, kind in enumerate(("namespace", "data_product", "object", "storage_location", "file_type", "author")):
        for field in FIELDS.get(kind, ("url", "name")):
            value = random.Random(seed).choice(NASTY + LINKS)
            remote.control(reset=True)
            remote.control(fill=1, corrupt=[[kind, 1, {field: value}]])
            report = push(here, remote.open())
            assert {o.result for o in report.outcomes} <= set(ItemResult)
