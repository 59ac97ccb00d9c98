"""Two registries that push to a third one at the same time: none overwrites or hides what the other says."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Barrier, Event
from typing import Any

import pytest

from multiblast.registry.model.rows import ROWS, DataProductRow
from multiblast.registry.remotes.public_view import PublicView
from multiblast.registry.sync.commands import push
from multiblast.registry.sync.summary import ItemResult


class _Met(PublicView):
    """Somebody else does something while the first file is on its way."""

    meanwhile: Callable[[], object] | None = None

    def upload(self, kept: Any, content: Any) -> bool:
        if meanwhile := self.meanwhile:
            self.meanwhile = None
            meanwhile()
        return super().upload(kept, content)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize(
    ("content", "result"), [("theirs", ItemResult.CONFLICT), ("ours", ItemResult.KNOWN)], ids=["other", "same"]
)
def test_registry_version_that_another_pushes_meanwhile_is_compared(
    locals_: Callable[..., Any], new_database: Callable[[str], str], kind: str, content: str, result: ItemResult
) -> None:
    here, other, hub = locals_("one"), locals_("two"), locals_("hub", new_database(kind))
    for registry, bytes_ in ((here, "ours"), (other, content)):
        registry.commit("object", registry.product("params/a", bytes_).object_id)
    remote = _Met(hub)
    remote.meanwhile = lambda: push(other, PublicView(hub))
    (outcome,) = push(here, remote).outcomes
    assert (outcome.result, hub.newest("data_product")) == (result if content == "theirs" else ItemResult.DONE, 1)
    assert ("nothing was overwritten" in outcome.reason) == (content == "theirs")


def test_registry_pushes_at_the_same_moment_both_succeed(
    locals_: Callable[..., Any], new_database: Callable[[str], str]
) -> None:
    """Whatever both have, as namespace, author and file type, is made by one of them and found by the other."""
    url, ways = new_database("postgresql"), range(4)
    barrier = Barrier(len(ways))
    hubs = [locals_(f"hub{number}", url) for number in ways]

    def send(number: int) -> list[tuple[ItemResult, str]]:
        here = locals_(f"site{number}")
        author = here.author("Ann", "https://orcid.org/0000-0001")
        for name in range(20):
            product = here.product(f"params/{number}/{name}", f"{number} {name}", authors=[author])
            here.commit("object", product.object_id)
        barrier.wait()
        return [(one.result, one.reason) for one in push(here, PublicView(hubs[number])).outcomes]

    for hub in hubs:
        hub.newest("object")  # opened
    with ThreadPoolExecutor(len(ways)) as pool:
        done = [one for outcomes in pool.map(send, ways) for one in outcomes]
    assert set(done) == {(ItemResult.DONE, "")}
    assert len(hubs[0].since(DataProductRow, 0)) == 20 * len(ways)
    for shared in ("namespace", "author", "file_type"):
        rows = [row.fields for row in hubs[0].since(ROWS[shared], 0)]
        assert len(rows) == 1, rows


def test_registry_records_at_the_same_moment_both_succeed(
    locals_: Callable[..., Any], new_database: Callable[[str], str]
) -> None:
    """As of runs that end together on several machines, and read the same database."""
    url, ways = new_database("postgresql"), range(4)
    registries, barrier = [locals_(f"worker{number}", url) for number in ways], Barrier(len(ways), timeout=20)
    for registry in registries:
        registry.newest("object")  # opened

    def record(number: int) -> set[int]:
        made = set[int]()
        for name in range(10):
            barrier.wait()
            made.add(
                registries[number].product(f"databases/{name}", f"the same {name}", namespace=f"of{name}").product_id
            )
        return made

    with ThreadPoolExecutor(len(ways)) as pool:
        done = list(pool.map(record, ways))
    assert len(done[0]) == 10
    assert all(made == done[0] for made in done)


def test_registry_row_that_is_committed_late_is_no_older_than_what_was_seen(
    locals_: Callable[..., Any], new_database: Callable[[str], str]
) -> None:
    """A pull looks only for rows that are newer than the newest one it saw, by their numbers."""
    url = new_database("postgresql")
    first, second, reader = locals_("one", url), locals_("two", url), locals_("three", url)
    began, end, seen = Event(), Event(), dict[str, int]()

    def slowly() -> None:
        with first.transaction():
            first.author("Slow")
            began.set()
            end.wait(30)

    def quickly() -> None:
        second.author("Quick")

    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(slowly)
        assert began.wait(30)
        quick = pool.submit(quickly)
        wait([quick], timeout=0.5)
        seen["newest"] = reader.newest("author")
        end.set()
        slow.result()
        quick.result()
    assert len(reader.since(ROWS["author"], seen["newest"])) == 2
