"""Every block of ours meets Prefect's standard for blocks, and works unregistered."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest
from prefect.blocks.core import Block
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.testing.standard_test_suites import BlockStandardTestSuite
from pydantic import ValidationError

import blocks
from blocks.appearance import OurBlock
from blocks.database import JobDatabase
from blocks.installation import BlastInstallation
from blocks.limits import BlastQueryLimits
from blocks.policy import ServicePolicy
from blocks.registry import LocalRegistry, RemoteRegistry
from blocks.storage import ResultStorage
from multiblast import settings
from multiblast.errors import InvalidInputError
from multiblast.installation import Installation
from multiblast.stores import LocalStore

_BLOCKS = [
    value
    for module in pkgutil.iter_modules(blocks.__path__)
    for _, value in inspect.getmembers(importlib.import_module(f"blocks.{module.name}"), inspect.isclass)
    if issubclass(value, OurBlock) and value.__module__ == f"blocks.{module.name}" and value is not OurBlock
]


@pytest.mark.parametrize("block", _BLOCKS)
class TestEveryBlock(BlockStandardTestSuite):
    @pytest.fixture
    def block(self, request: pytest.FixtureRequest) -> type[Block]:
        return request.param  # type: ignore[no-any-return]  # of the list above

    def test_has_a_valid_image(self, block: type[Block]) -> None:
        """One that Prefect ships; the suite's own test looks at its size on the web."""
        assert str(block._logo_url).startswith("https://raw.githubusercontent.com/PrefectHQ/prefect/")


def test_block_is_not_saved_at_a_server_that_prefect_starts_for_itself() -> None:
    """The service would never hear of it: one that was to be protected would stay open, and nobody be the wiser."""
    with temporary_settings({PREFECT_API_URL: None}), pytest.raises(InvalidInputError, match="export PREFECT_API_URL"):
        ServicePolicy.public().save("default", overwrite=True)


def test_unregistered_blocks_keep_everything_in_our_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTIBLAST_HOME", str(tmp_path))
    store = ResultStorage().store()
    assert isinstance(store, LocalStore)
    assert store.root == tmp_path / "store"
    assert JobDatabase().database().url == f"sqlite:///{tmp_path / 'jobs.sqlite'}"


def test_storage_in_a_directory_keeps_to_it(tmp_path: Path) -> None:
    store = ResultStorage(url=str(tmp_path / "elsewhere")).store()
    assert isinstance(store, LocalStore)
    assert store.root == tmp_path / "elsewhere"


def test_database_block_hides_its_password() -> None:
    block = JobDatabase(url="postgresql+psycopg://user:hidden@host/name")
    assert "hidden" not in repr(block)
    assert "hidden" not in repr(block.database())


def test_blocks_have_the_values_of_the_settings_they_hold() -> None:
    assert ServicePolicy().policy == settings.Policy()
    assert ServicePolicy.public().policy == settings.Policy.public()
    assert BlastQueryLimits().limits == settings.QueryLimits()
    assert BlastQueryLimits.public().limits == settings.QueryLimits.public()
    assert BlastInstallation().installation == Installation()


def test_misspelt_setting_is_refused() -> None:
    with pytest.raises(ValidationError, match="keep_day"):
        ServicePolicy(policy={"keep_day": 3})


def test_no_directory_of_programs_means_the_path() -> None:
    assert BlastInstallation(installation={"directory": ""}).installation.directory is None


@pytest.mark.parametrize(
    ("flat", "url"),
    [
        ({"directory": "", "s3_bucket": ""}, ""),
        ({"directory": "/data", "s3_bucket": ""}, "/data"),
        ({"directory": "/data", "s3_bucket": "results"}, "block:s3-bucket/results"),
        ({"directory": "/data", "s3_bucket": "results", "url": "memory:new"}, "memory:new"),
    ],
)
def test_place_of_a_flat_document_becomes_one_url(flat: dict[str, str], url: str) -> None:
    assert ResultStorage.model_validate(flat).url == url
    registry = {
        ("files" if name == "directory" else "files_url" if name == "url" else name): flat[name] for name in flat
    }
    assert LocalRegistry.model_validate(registry).files_url == url
    assert RemoteRegistry.model_validate(registry).files_url == url
