"""Which coupling counts, and what is said of one that is not known."""

from __future__ import annotations

from contextlib import closing
from itertools import combinations
from pathlib import Path

import pytest

from multiblast.coupling import Chosen, FilesystemCoupling, StoreCoupling, choose, connect
from multiblast.errors import InvalidInputError, StoreError
from multiblast.stores import LocalStore, MemoryStore, open_store
from multiblast.stores.http import HttpStore

_NAMES = {
    "this run": "s3://run/x",
    "MULTIBLAST_COUPLING": "https",
    "the plugin's configuration": "memory",
    "the block": "s3",
    "the default": "filesystem",
}


@pytest.mark.parametrize(("first", "second"), list(combinations(_NAMES, 2)))
def test_choice_of_two_is_the_first_in_precedence(first: str, second: str) -> None:
    told = {source: _NAMES[source] if source in {first, second} else "" for source in _NAMES}
    run, variable, configured, block, _ = told.values()
    chosen = choose(run, {"MULTIBLAST_COUPLING": variable}, configured, block)
    assert (chosen.name, chosen.source) == (_NAMES[first].partition("://")[0], first)


def test_choice_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTIBLAST_COUPLING", "https")
    assert str(choose()) == "https (from MULTIBLAST_COUPLING)"
    assert choose("s3://bucket/prefix") == Chosen("s3", "this run", "s3://bucket/prefix")


@pytest.mark.parametrize("word", ["carrier-pigeon", "pigeon://loft", "zip", "Filesystem"])
def test_unknown_coupling_is_refused_with_the_known_ones(word: str) -> None:
    with pytest.raises(InvalidInputError, match=r"no coupling .* one of filesystem, s3, https, .*memory") as refusal:
        choose("", {}, word)
    assert "the plugin's configuration says so" in str(refusal.value)


@pytest.mark.parametrize("word", ["gs", "gs://bucket"])
def test_coupling_without_its_driver_is_refused_with_what_to_install(word: str) -> None:
    with pytest.raises(
        InvalidInputError, match=r"gs:// needs a driver .*: Please install gcsfs .*\(this run says so\)"
    ):
        choose(word)


def test_filesystem_is_where_results_are_kept(tmp_path: Path) -> None:
    chosen = choose("filesystem")
    assert isinstance(connect(chosen, LocalStore(tmp_path)), FilesystemCoupling)
    assert type(connect(chosen, MemoryStore())) is StoreCoupling


def test_place_of_its_own_is_opened(tmp_path: Path) -> None:
    coupling = connect(choose("memory://elsewhere"), LocalStore(tmp_path))
    assert isinstance(coupling, StoreCoupling)
    assert (coupling.name, coupling.store) == ("memory", open_store("memory://elsewhere"))


def test_word_without_a_place_is_of_the_store_where_results_are(tmp_path: Path) -> None:
    assert connect(choose("memory"), MemoryStore()).name == "memory"
    with closing(HttpStore("http://127.0.0.1:9/gateway", lambda _afresh: "a grant")) as behind_a_gateway:
        assert connect(choose("https"), behind_a_gateway).name == "https"
    with pytest.raises(StoreError, match=r"coupling s3 \(from this run\): .* such as s3://PLACE/DIRECTORY"):
        connect(choose("s3"), LocalStore(tmp_path))
