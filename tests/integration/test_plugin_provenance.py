"""Plugin jobs as code runs of the registry: back to the database that was searched, and to the code."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from multiblast.actions.plugin_jobs import PluginJobs
from multiblast.errors import NotFoundError
from multiblast.registry.local.registry import Registry, open_database
from multiblast.registry.views.export import write_crate
from multiblast.registry.views.graph import provenance
from multiblast.search import SearchedJob
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.settings import PluginRules, Policy
from multiblast.stores import LocalStore
from tests.support.people import ADMINISTRATOR
from tests.support.plugins import SORT, write_plugin
from tests.support.sequences import fasta

NAMES = """
name = "names-of-hits"
version = "1.0.0"
title = "Names of hits"
inputs.hits = { data = "hits/*", content = ["text/tab-separated-values"] }
outputs.names = { data = "lines", content = "text/plain" }
run = { command = ["cut", "-f", "2", "{inputs.hits}"], stdout = "names" }
"""


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = Registry(
        open_database(f"sqlite:///{tmp_path / 'registry.sqlite'}", own=True),
        LocalStore(tmp_path / "files"),
        tmp_path / "registry",
        own=True,
    )
    with closing(opened):
        yield opened


@pytest.fixture
def jobs(services: Services, tmp_path: Path, registry: Registry) -> PluginJobs:
    for table in (NAMES, SORT):
        write_plugin(tmp_path / "plugins", table)
    services.policy = Policy(plugins=PluginRules(folders=(str(tmp_path / "plugins"),)))
    services.registry = lambda: registry
    return services.plugin_jobs


def test_what_a_plugin_made_leads_back_to_database_and_code(  # noqa: PLR0913, PLR0917 - what it is made of
    jobs: PluginJobs,
    services: Services,
    registry: Registry,
    submit: Callable[..., SearchedJob],
    proteins: list[Sequence],
    tmp_path: Path,
) -> None:
    """Two plugins after a search: each is a code run, recorded with all that it is made of; the crate is valid."""
    searched = submit(fasta(proteins[:1])).job_id
    first = jobs.submit(ADMINISTRATOR, "names-of-hits", [f"job:{searched}"])
    jobs.execute(first)
    facts = jobs.jobs.plugin(first).facts | {"repository": "https://example.org/tools.git", "commit": "c" * 40}
    jobs.jobs.note_plugin(first, facts=facts)
    second = jobs.submit(ADMINISTRATOR, "sort-lines", {"text": [f"plugin:{first}/names"]})
    jobs.execute(second)
    run = services.provenance.record(registry, second)
    assert services.provenance.record(registry, second) == run  # once
    (output,) = jobs.jobs.plugin(second).outputs
    item = f"plugins:outputs/{second}/sorted/sorted.txt@0.0.0+{output['sha256'][:32]}"
    nodes, _, _ = provenance(registry, item)
    shown = " ".join(str(node) for node in nodes)
    for expected in ("sort-lines@1.0.0", "names-of-hits@1.0.0", "blastp search", "databases/examples/proteins"):
        assert expected in shown
    write_crate(registry, item, tmp_path / "crate")
    assert "c" * 40 in (tmp_path / "crate" / "ro-crate-metadata.json").read_text()
    command = [sys.executable, str(Path(__file__).parent / "registry" / "validate_crate.py"), "cache", "crate"]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout.splitlines()[-1])[1] == []  # the rules that it breaks


def test_a_product_of_the_registry_is_taken_in(jobs: PluginJobs, services: Services, registry: Registry) -> None:
    first = jobs.submit(ADMINISTRATOR, "sort-lines", ["data:text/plain,b%0Aa%0A"])
    jobs.execute(first)
    services.provenance.record(registry, first)
    product = f"product:plugins:outputs/{first}/sorted/sorted.txt@${{{{LATEST}}}}"
    again = jobs.submit(ADMINISTRATOR, "sort-lines", [product], {"order": "down"})
    jobs.execute(again)
    with jobs.file(ADMINISTRATOR, again, "sorted.txt") as stream:
        assert stream.read() == b"b\na\n"
    with pytest.raises(NotFoundError, match="no data product"):
        jobs.submit(ADMINISTRATOR, "sort-lines", ["product:plugins:no/such@1.0.0"])
