"""Chains of plugin jobs that run by themselves, whoever runs the first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from multiblast.accounts import Requester
from multiblast.actions.plugin_chains import PluginChains
from multiblast.database import JobKind, JobStatus
from multiblast.errors import ConflictError, JobFailedError, NotAllowedError, NotFoundError
from multiblast.jobs import Links
from multiblast.search import SearchedJob
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.settings import PluginRules, Policy
from tests.support.people import ADMINISTRATOR
from tests.support.plugins import write_plugin
from tests.support.sequences import fasta

ANN, BOB = Requester("ann"), Requester("bob")

ALIGN = """
name = "align-all"
version = "1.0.0"
title = "Align subjects"
tags = ["usual"]
inputs.hits = { data = "hits/*", content = ["text/tab-separated-values"] }
inputs.subjects = { data = "subjects/*", content = ["text/x-fasta"] }
outputs.alignment = { data = "pile/{subjects}", content = "text/x-fasta" }
run = { command = ["cat", "{inputs.subjects}"], stdout = "alignment" }
"""
GROW = """
name = "grow-tree"
version = "1.0.0"
title = "Grow a tree"
inputs.alignment = { data = "pile/*", content = ["text/x-fasta"] }
outputs.tree = { data = "shrub", content = "text/x-newick" }
run = { command = ["echo", "(a:1,b:2);"], stdout = "tree" }
"""
PAINT = """
name = "paint"
version = "1.0.0"
title = "Paint a tree"
inputs.tree = { data = "shrub", content = ["text/x-newick"] }
outputs.painting = { data = "painting", content = "text/plain" }
outputs.second = { data = "sketch", content = "text/plain" }
run = { command = ["cp", "-v", "{inputs.tree}", "{outputs.second}"], stdout = "painting" }
"""
SHOW = """
name = "show"
version = "1.0.0"
title = "Show a tree"
type = "visualization"
inputs.tree = { data = "shrub", content = ["text/x-newick"] }
outputs.page = { data = "page", content = "text/html" }
run = { command = ["echo", "<!doctype html><p>A tree"], stdout = "page" }
"""
TURN = """
name = "{name}"
version = "1.0.0"
title = "Make one thing of another"
inputs.given = {{ data = "{data}", content = ["text/x-fasta"] }}
outputs.made = {{ data = "{made}", content = "text/x-fasta" }}
run = {{ command = ["cat", "{{inputs.given}}"], stdout = "made" }}
"""
LACKING = """
name = "lacking"
version = "1.0.0"
title = "Needs what is not here"
tool = { command = ["no-such-tool"], pattern = "(.+)" }
inputs.tree = { data = "shrub", content = ["text/x-newick"] }
outputs.fruit = { data = "fruit", content = "text/plain" }
run = { command = ["no-such-tool"] }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with plugins that lead from hits to a painting."""
    for table in (ALIGN, GROW, PAINT, SHOW, LACKING):
        write_plugin(tmp_path / "plugins", table)
    return tmp_path / "plugins"


@pytest.fixture
def chains(services: Services, folder: Path) -> PluginChains:
    """Chains of the plugins of a folder."""
    services.policy = Policy(plugins=PluginRules(folders=(str(folder),)))
    return services.plugin_chains


@pytest.fixture
def searched(chains: PluginChains, submit: Callable[..., SearchedJob], proteins: list[Sequence]) -> str:
    """A query job of ann's."""
    assert chains
    return submit(fasta(proteins[:1]), user="ann").job_id


def test_all_that_can_be_made_of_a_search_is_offered(chains: PluginChains, searched: str) -> None:
    found = chains.offered(ANN, f"job:{searched}")
    offered = {one.to: (one.names, one.missing) for one in found if one.names[0] == "align-all"}
    assert offered == {
        ("pile",): (["align-all"], ()),
        ("shrub",): (["align-all", "grow-tree"], ()),
        ("painting", "sketch"): (["align-all", "grow-tree", "paint"], ()),
        ("fruit",): (["align-all", "grow-tree", "lacking"], ("lacking",)),
    }
    with pytest.raises(NotAllowedError):
        chains.offered(BOB, f"job:{searched}")


def test_a_chain_goes_on_by_itself_and_is_not_done_twice(chains: PluginChains, searched: str) -> None:
    """Each step is a job in the list of who began it; what is there already is taken as it is."""
    first, waiting = chains.begin(ANN, f"job:{searched}", "paint")
    assert [one.job_id for one in waiting] == [first]
    chains.execute(first)
    jobs = chains.descendants(searched)
    assert [job.plugin for job in jobs] == ["align-all", "grow-tree", "paint"]
    assert {job.status for job in jobs} == {JobStatus.COMPLETE}
    assert {one.plugin_job_id for one in chains.jobs.list_jobs(ANN)} == {job.id for job in jobs}
    for job in jobs:
        ((one, two, three),) = chains.steps(job.id)
        assert [step.job.id for step in (one, two, three) if step.job] == [job.id for job in jobs]
    assert not any(chains.is_under_way(job) for job in jobs)
    assert chains.begin(ANN, f"job:{searched}", "paint") == (first, [])
    assert chains.begin(ADMINISTRATOR, f"job:{searched}", "shrub") == (first, [])


def test_a_chain_goes_on_where_the_first_steps_are_there(chains: PluginChains, searched: str) -> None:
    first, _ = chains.begin(ANN, f"job:{searched}", "shrub")
    chains.execute(first)
    again, (waiting,) = chains.begin(ANN, f"job:{searched}", "paint")
    assert again == first
    assert chains.jobs.jobs.plugin(waiting.job_id).plugin == "paint"
    chains.execute(waiting.job_id)
    assert {job.status for job in chains.descendants(searched)} == {JobStatus.COMPLETE}


def test_a_step_that_cannot_be_done_is_named(chains: PluginChains, searched: str, folder: Path) -> None:
    with pytest.raises(ConflictError, match="multiblast plugins install lacking"):
        chains.begin(ANN, f"job:{searched}", "fruit")
    with pytest.raises(NotFoundError):
        chains.begin(ANN, f"job:{searched}", "gold")
    first, _ = chains.begin(ANN, f"job:{searched}", "shrub")
    (folder / "grow-tree" / "plugin.toml").rename(folder / "grow-tree" / "away.toml")
    chains.execute(first)
    ((_, second),) = chains.steps(first)
    assert second.job is None
    assert "no plugin 'grow-tree@1.0.0'" in second.problem
    (folder / "grow-tree" / "away.toml").rename(folder / "grow-tree" / "plugin.toml")
    first, (waiting,) = chains.begin(ANN, f"job:{searched}", "shrub")
    chains.execute(waiting.job_id)
    assert [job.plugin for job in chains.descendants(searched)] == ["align-all", "grow-tree"]


def test_pictures_are_made_of_each_step_where_that_is_wanted(chains: PluginChains, searched: str) -> None:
    first, _ = chains.begin(ANN, f"job:{searched}", "shrub", pictures=True)
    chains.jobs.execute(first)
    assert chains.is_under_way(chains.jobs.jobs.plugin(first))
    chains.execute(first)
    assert [job.plugin for job in chains.descendants(searched)] == ["align-all", "grow-tree", "show"]
    assert {job.status for job in chains.descendants(searched)} == {JobStatus.COMPLETE}
    assert not any(chains.is_under_way(job) for job in chains.descendants(searched))
    assert chains.begin(ANN, f"job:{searched}", "shrub", pictures=True) == (first, [])


def test_a_restarted_step_goes_on_with_its_chain(chains: PluginChains, searched: str) -> None:
    first, _ = chains.begin(ANN, f"job:{searched}", "shrub")
    chains.jobs.cancel(ANN, first)
    with pytest.raises(JobFailedError):
        chains.execute(first)
    assert chains.jobs.restart(ANN, first).plugin_job_id == first
    chains.execute(first)
    assert [job.plugin for job in chains.descendants(searched)] == ["align-all", "grow-tree"]


def test_the_newest_jobs_that_a_person_may_read_are_shown(chains: PluginChains, searched: str) -> None:
    """Whatever others have made of the same search before."""
    Links(chains.jobs.workshop.database).add("bob", searched, JobKind.QUERY)
    first, _ = chains.begin(BOB, f"job:{searched}", "paint")
    chains.execute(first)
    own = chains.jobs.submit(ANN, "align-all", [f"job:{searched}"])
    assert own == first
    assert [job.plugin for job in chains.descendants(searched, ANN, 2)] == ["align-all"]
    assert [job.plugin for job in chains.descendants(searched, BOB, 2)] == ["grow-tree", "paint"]


def test_a_chain_from_a_file_begins_with_what_is_in_it(chains: PluginChains, folder: Path, tmp_path: Path) -> None:
    """FASTA whose rows differ in length is no alignment: it is aligned first. What may be either is taken as it is."""
    write_plugin(folder, TURN.format(name="align-file", data="sequences/*", made="rows"))
    write_plugin(folder, TURN.format(name="root-rows", data="rows/*", made="root"))
    write_plugin(folder, TURN.format(name="count-genes", data="genes", made="number"))
    for name, text in {"rows": ">a\nMK-V\n>b\nMKLV\n", "sequences": ">a\nMKV\n>b\nMKLV\n"}.items():
        (tmp_path / f"{name}.fasta").write_text(text)

    def found(name: str, to: str) -> list[str]:
        return [link.plugin.name for link in chains.chain(ANN, str(tmp_path / f"{name}.fasta"), to)]

    assert found("rows", "root") == ["root-rows"]
    assert found("sequences", "root") == ["align-file", "root-rows"]
    assert found("sequences", "number") == ["count-genes"]
    with pytest.raises(NotFoundError, match=r"no chain of plugins to 'gold'; there is none from text/x-fasta"):
        found("sequences", "gold")
    with pytest.raises(NotFoundError, match="no plugin 'root-row'; did you mean root-rows"):
        chains.chain(ANN, str(tmp_path / "rows.fasta"), "root", ["root-row"])
