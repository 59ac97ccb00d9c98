"""How many requests an exchange takes, and how much memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multiblast.registry.model.tables import KeyValue, Keyword
from multiblast.registry.remotes.public_view import PublicView
from multiblast.registry.sync.commands import pull, push
from multiblast.registry.sync.summary import ItemResult

READ_ALL = "read:\n- {data_product: 'params/*', use: {namespace: rich}}\n"
ONE_BY_ONE = "read:\n" + "".join(
    f"- {{data_product: params/p{number}, use: {{namespace: rich}}}}\n" for number in range(100)
)
PRODUCTS = 100
NEW, REPEATED = 250, 25  # requests; of each new file two are for the file itself


@pytest.mark.long
def test_registry_pull_stays_within_its_requests(
    here: Any, second: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    with here.transaction():
        first = here.product("steps/first", "first")
        for tens in range(0, PRODUCTS, 10):
            some = [here.product(f"params/p{number}", f"content {number}") for number in range(tens, tens + 10)]
            here.commit("code_run", here.run([first], some, f"make {tens}"))
            with here.writing() as session:
                session.add_all(Keyword(object_id=one.object_id, keyphrase="word") for one in some)
                session.add_all(KeyValue(object_id=one.object_id, key="k", value="v") for one in some)
    assert push(here, remote.open()).exit_code == 0
    remote.control(forget=True)
    user = second.user()
    report = pull(config(READ_ALL), second, remote.open(), user)
    assert report.count(ItemResult.DONE) == PRODUCTS
    assert len(remote.log) + PRODUCTS <= report.requests <= NEW  # with those to the storage
    for text in (READ_ALL, ONE_BY_ONE):
        remote.control(forget=True)
        again = pull(config(text), second, remote.open(), user)
        assert again.count(ItemResult.KNOWN) == PRODUCTS
        assert len(remote.log) == again.requests <= REPEATED


@pytest.mark.long
def test_registry_pull_keeps_memory_flat(
    here: Any, locals_: Callable[[str], Any], config: Callable[[str], Path]
) -> None:
    """Ten times the products, and a file of 48 MiB as well, need hardly more memory."""
    with here.transaction():
        for number in range(120):
            here.product(f"params/p{number}", f"content {number}")
        here.product("params/big", bytes(48 << 20))
    peaks: list[int] = []
    for name, text in (("few", READ_ALL.replace("params/*", "params/p11*")), ("all", READ_ALL)):
        registry = locals_(name)
        user = registry.user()
        tracemalloc.start()
        report = pull(config(text), registry, PublicView(here), user)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert report.exit_code == 0
    assert len(report.outcomes) == 121
    assert peaks[1] < peaks[0] + (8 << 20)
