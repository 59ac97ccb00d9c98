"""What the FAIR tools of today get wrong, one test a defect, named after it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from multiblast.registry.local.records import whole_of
from multiblast.registry.local.secrets import Secrets
from multiblast.registry.model.rows import ROWS, CodeRunRow, ObjectComponentRow
from multiblast.registry.runs.execution import run
from multiblast.registry.sync.collection import delete
from multiblast.registry.sync.commands import commit, pull, push
from multiblast.registry.sync.summary import ItemResult
from tests.support.small_servers import QuietHandler, listening_with

READ_ALL = "read:\n- {data_product: 'params/*', use: {namespace: rich}}\n"


def pushed(registry: Any, remote: Any, *names: str) -> None:
    for name in names:
        registry.commit("object", registry.product(f"params/{name}", name).object_id)
    assert push(registry, remote.open()).exit_code == 0


def pulled(registry: Any, remote: Any, config: Callable[[str], Path], text: str = READ_ALL) -> Any:
    return pull(config(text), registry, remote.open(), registry.user())


def test_registry_defect_same_version_with_different_bytes_is_a_conflict_on_push(
    here: Any, second: Any, remote: Any
) -> None:
    pushed(here, remote, "a")
    second.commit("object", second.product("params/a", "other bytes").object_id)
    second.commit("object", second.product("params/b", "b").object_id)
    report = push(second, remote.open())
    assert {o.item: o.result for o in report.outcomes} == {
        "rich:params/a@1.0.0": ItemResult.CONFLICT,
        "rich:params/b@1.0.0": ItemResult.DONE,
    }
    assert report.exit_code == 1
    assert remote.counts["data_product"] == 2
    assert len(list(remote.bucket.iterdir())) == 2  # the other bytes did not leave


def test_registry_defect_same_version_with_different_bytes_is_a_conflict_on_pull(
    here: Any, second: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    pushed(here, remote, "a", "b")
    mine = second.product("params/a", "other bytes")
    report = pulled(second, remote, config)
    assert {o.item: o.result for o in report.outcomes} == {
        "rich:params/a@1.0.0": ItemResult.CONFLICT,
        "rich:params/b@1.0.0": ItemResult.DONE,
    }
    assert report.exit_code == 1
    assert "nothing was overwritten" in next(o.reason for o in report.outcomes if o.result == ItemResult.CONFLICT)
    (row,) = second.products("rich", ["params/a"])
    assert int(row.object) == mine.object_id


def test_registry_defect_two_objects_on_one_location_do_not_break_its_download(here: Any, remote: Any) -> None:
    first, again = here.product("params/a", "same"), here.product("params/b", "same")
    here.commit("object", first.object_id)
    here.commit("object", again.object_id)
    push(here, remote.open())
    answer = httpx.get(f"{remote.url}/data/{first.sha1}", follow_redirects=True)
    assert answer.content == b"same"
    assert remote.counts["data_product"] == 2


def test_registry_defect_outputs_of_a_run_do_not_move_to_another(
    here: Any, second: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    for name in "abc":
        here.commit("code_run", here.run([], [here.product(f"params/{name}", name)], f"make {name}"))
    push(here, remote.open())
    pulled(second, remote, config)
    runs = {row.description: row.outputs for row in second.since(CodeRunRow, 0)}
    for name in "abc":
        (row,) = second.products("rich", [f"params/{name}"])
        with second.session() as session:
            assert runs[f"make {name}"] == [str(whole_of(session, int(row.object)).id)]


def test_registry_defect_component_written_product_is_pushed_with_its_run(here: Any, remote: Any) -> None:
    one = here.product("params/a", "a")
    here.describe(one)
    number = here.run([], [], "make a part")
    (part,) = [row for row in here.since(ObjectComponentRow, 0) if row.name == "table/part"]
    with here.writing() as session:
        from multiblast.registry.model.tables import CodeRunOutput

        session.add(CodeRunOutput(code_run_id=number, object_component_id=int(part.reference)))
    here.commit("object", one.object_id)
    push(here, remote.open())
    (sent,) = httpx.get(f"{remote.url}/api/code_run/").json()["results"]
    assert httpx.get(sent["outputs"][0]).json()["name"] == "table/part"


@pytest.mark.parametrize(
    "kind", ["keyword", "licence", "key_value", "issue", "object_component", "quality_controlled", "external_object"]
)
def test_registry_defect_everything_said_about_a_product_is_synced(
    here: Any, second: Any, remote: Any, config: Callable[[str], Path], kind: str
) -> None:
    one = here.product("params/a", "a")
    here.describe(one)
    here.commit("object", one.object_id)
    push(here, remote.open())
    pulled(second, remote, config)
    assert len(second.since(ROWS[kind], 0)) == len(here.since(ROWS[kind], 0)) > 0
    if kind == "issue":
        severities = {row.severity: len(row.component_issues) for row in second.since(ROWS[kind], 0)}
        assert severities == {2: 1, 5: 1}


def test_registry_defect_code_runs_are_pulled(
    here: Any, second: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    a, b = here.product("steps/a", "a"), here.product("params/b", "b")
    here.commit("code_run", here.run([a], [b], "from a to b"))
    push(here, remote.open())
    pulled(second, remote, config)
    (row,) = second.since(CodeRunRow, 0)
    assert (row.description, len(row.inputs), len(row.outputs)) == ("from a to b", 1, 1)


def test_registry_defect_private_products_stay(here: Any, remote: Any) -> None:
    secret = here.product("params/secret", "secret bytes", public=False, description="secret words")
    open_one = here.product("params/open", "open")
    here.describe(secret, "secretword")
    here.commit("object", secret.object_id)
    here.commit("code_run", here.run([secret], [open_one]))
    report = push(here, remote.open())
    assert [o.result for o in report.outcomes] == [ItemResult.PRIVATE, ItemResult.DONE]
    told = "".join(httpx.get(f"{remote.url}/api/{kind}/?page_size=1000").text for kind in remote.counts)
    for word in (str(here.directory), "file:", "secret words", "secretword", secret.sha1, "worse", "doi.org"):
        assert word not in told
    assert "params/secret" in told  # the run's provenance says what it read
    assert b"secret bytes" not in [file.read_bytes() for file in remote.bucket.iterdir()]


def test_registry_defect_tokens_are_not_in_what_is_pushed(
    here: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    user = here.user()
    token = Secrets(here.directory).get("user rich")
    script = 'echo "${{LOCAL_TOKEN}}" > "$FDP_DATA_STORE/rich/results/x/0.0.1.txt"'
    text = f"run_metadata: {{script: '{script}', shell: sh, description: '${{{{LOCAL_TOKEN}}}}'}}\n"
    text += "write:\n- {data_product: results/x, file_type: txt, public: false}\n"
    done = run(config(text), here, user)
    commit(here, [done.uuid])
    assert push(here, remote.open()).exit_code == 0
    assert (here.directory / "data/rich/results/x/0.0.1.txt").read_text().strip() == token
    assert all(token.encode() not in file.read_bytes() for file in remote.bucket.iterdir())
    assert [path for path in (here.directory / "runs").rglob("*") if path.is_file() and token in path.read_text()] == []


def test_registry_defect_a_configuration_with_a_token_in_it_stays(here: Any, remote: Any) -> None:
    here.user()
    number = here.run([], [here.product("params/a", "a")], Secrets(here.directory).get("user rich"))
    here.commit("code_run", number)
    report = push(here, remote.open())
    assert [o.result for o in report.outcomes] == [ItemResult.FAILED]
    assert "token" in report.outcomes[0].reason
    assert list(remote.bucket.iterdir()) == []


def test_registry_defect_a_presigned_upload_is_verified(
    here: Any, second: Any, remote: Any, fair_s3: tuple[str, Path], config: Callable[[str], Path]
) -> None:
    """A storage that keeps other bytes than were sent is found out, and nothing is recorded of them."""

    class Flipping(QuietHandler):
        def do_PUT(self) -> None:
            body = bytearray(self.rfile.read(int(self.headers["Content-Length"])))
            body[0] ^= 1
            answer = httpx.put(fair_s3[0] + self.path, content=bytes(body), headers={"Host": self.headers["Host"]})
            self.send_response(answer.status_code)
            self.send_header("ETag", answer.headers["ETag"])
            self.send_header("Content-Length", "0")
            self.end_headers()

    here.commit("object", here.product("params/a", "right").object_id)
    with listening_with(Flipping) as between:
        remote.control(uploads=f"http://127.0.0.1:{between.server_port}")
        report = push(here, remote.open())
    assert [o.result for o in report.outcomes] == [ItemResult.FAILED]
    assert "keeps other bytes" in report.outcomes[0].reason
    assert remote.counts["storage_location"] == 0
    remote.control(uploads=fair_s3[0])
    assert push(here, remote.open()).exit_code == 0
    assert [o.result for o in pulled(second, remote, config).outcomes] == [ItemResult.DONE]


def test_registry_defect_a_file_that_changed_here_is_not_sent(here: Any, remote: Any) -> None:
    """What the store gave out for sending is checked: a file that changed on this disk is not sent as another."""
    one = here.product("params/a", "right")
    kept = here.files.get(one.sha1)
    (here.files.store.root / here.files.key(kept.sha256)).write_bytes(b"wrong")
    here.commit("object", one.object_id)
    report = push(here, remote.open())
    assert [o.result for o in report.outcomes] == [ItemResult.FAILED]
    assert "not the file the registry describes" in report.outcomes[0].reason
    assert remote.counts["storage_location"] == 0


def test_registry_defect_a_file_deleted_here_is_restored_by_a_pull(
    here: Any, second: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    pushed(here, remote, "a", "b")
    pulled(second, remote, config)
    gone = next(second.files.store.list("files/")).key
    second.files.store.delete([gone])
    report = pulled(second, remote, config)
    assert sorted(o.result for o in report.outcomes) == [ItemResult.KNOWN, ItemResult.RESTORED]
    assert second.files.store.exists(gone)


def test_registry_defect_servers_that_hang_are_given_up(remote: Any) -> None:
    from multiblast.errors import StoreError
    from multiblast.registry.remotes.connection import RetryPolicy

    remote.fail("GET /api/namespace", times=99, delay_s=1.0)
    end = remote.open(limits=RetryPolicy(timeout_s=0.2, attempts=2, first_wait_s=0.01))
    with pytest.raises(StoreError, match=r"did not answer within 0\.2 s, 2 times"):
        end.products("rich", ["a"])


def test_registry_defect_what_fails_once_is_tried_again(
    here: Any, second: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    remote.fail("POST /api/(object|storage_location|data/)", times=2, status=503)
    pushed(here, remote, "a")
    remote.fail("GET", times=2, drop=True)
    assert pulled(second, remote, config).exit_code == 0


def test_registry_defect_a_broken_download_goes_on_where_it_broke(
    here: Any, second: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    content = bytes(range(256)) * 4096
    here.commit("object", here.product("params/a", content).object_id)
    push(here, remote.open())
    remote.fail("GET /data/", times=2, cut=True)
    report = pulled(second, remote, config)
    assert [o.result for o in report.outcomes] == [ItemResult.DONE]
    assert second.files.holds(here.product("params/a", content).sha1)


def test_registry_defect_transfers_are_not_one_after_the_other(
    here: Any, second: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    remote.fail("POST /api/data/", times=8, delay_s=1.0)
    pushed(here, remote, *"abcdefgh")
    assert remote.control()["most_at_once"] > 2
    remote.fail("GET /data/", times=8, delay_s=1.0)
    assert pulled(second, remote, config).exit_code == 0
    assert remote.control()["most_at_once"] > 2


def test_registry_defect_a_killed_download_goes_on_where_it_stopped(
    here: Any, second: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    """What came before is not fetched again: it would not fit, for it is another at the remote now."""
    content = bytes(range(256)) * 4096
    one = here.product("params/a", content)
    here.commit("object", one.object_id)
    push(here, remote.open())
    part = second.directory / "incoming" / f"{one.sha1}.part"
    part.parent.mkdir()
    part.write_bytes(content[:500_000])
    (remote.bucket / one.sha1).write_bytes(bytes(500_000) + content[500_000:])
    assert [o.result for o in pulled(second, remote, config).outcomes] == [ItemResult.DONE]
    assert second.files.holds(one.sha1)
    assert not part.exists()


def test_registry_defect_one_failed_item_does_not_end_the_rest(
    here: Any, second: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    pushed(here, remote, "a", "b", "c")
    bad = here.product("params/b", "b").sha1
    (remote.bucket / bad).unlink()
    report = pulled(second, remote, config)
    assert sorted((o.item[12:13], o.result) for o in report.outcomes) == [
        ("a", ItemResult.DONE),
        ("b", ItemResult.FAILED),
        ("c", ItemResult.DONE),
    ]
    assert second.products("rich", ["params/b"]) == []


def test_registry_defect_hashes_are_checked_also_when_nothing_is_fetched(
    here: Any, second: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    pushed(here, remote, "a")
    pulled(second, remote, config)
    (kept,) = second.files.store.list("files/")
    (second.files.store.root / kept.key).write_bytes(b"cut")
    report = pulled(second, remote, config)
    assert [o.result for o in report.outcomes] == [ItemResult.RESTORED]
    assert second.files.store.read(kept.key) == b"a"


def test_registry_defect_deleting_an_old_project_breaks_no_push(here: Any, remote: Any, tmp_path: Path) -> None:
    """Nothing is kept in a project's directory that a push needs."""
    old = tmp_path / "project"
    old.mkdir()
    (old / "file").write_text("a")
    from multiblast.registry.local.records import record_product
    from multiblast.registry.model.names import ProductName

    one = record_product(here, ProductName("rich", "params/a", "1.0.0"), old / "file", file_type="csv")
    (old / "file").unlink()
    old.rmdir()
    here.commit("object", one.object_id)
    gone = here.product("params/gone", "gone")
    here.commit("object", gone.object_id)
    delete(here, "rich:params/gone@1.0.0", [], force=True)
    assert [o.result for o in push(here, remote.open()).outcomes] == [ItemResult.DONE]
