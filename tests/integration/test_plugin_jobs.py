"""Plugin jobs: recorded by what decides their outcome, found again, expired and done anew."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from multiblast.accounts import Requester
from multiblast.actions.plugin_jobs import PluginJobs
from multiblast.database import JobStatus, PluginJob, utc_now
from multiblast.errors import (
    ConflictError,
    InvalidInputError,
    MultiblastError,
    NotAllowedError,
    NotFoundError,
)
from multiblast.plugins.rounds import PluginError
from multiblast.plugins.workshop import job_id_of
from multiblast.search import SearchedJob
from multiblast.sequences import Sequence
from multiblast.services import Services
from tests.support.people import ADMINISTRATOR
from tests.support.plugin_tables import DIRECTORY
from tests.support.plugins import SORT, write_plugin
from tests.support.sequences import fasta

ANN, BOB = Requester("ann"), Requester("bob")


def read(jobs: PluginJobs, job_id: str, name: str, who: Requester = ADMINISTRATOR) -> str:
    with jobs.file(who, job_id, name) as stream:
        return stream.read().decode()


def test_the_same_again_is_the_same_job_and_what_differs_is_another(
    jobs: PluginJobs, lines: str, folder: Path, tmp_path: Path
) -> None:
    """A changed parameter, byte of an input or file of the plugin makes another job; the name of the file does not."""
    first = jobs.submit(ANN, "sort-lines", {"text": [lines]})
    made = jobs.execute(first)
    assert made.status == JobStatus.COMPLETE
    assert read(jobs, first, "sorted.txt") == "apple\nfig\npear\n"
    assert jobs.begin(first) is None  # nothing is to be run
    assert jobs.submit(BOB, "sort-lines@1.0.0", [lines], {"order": "up"}) == first
    (tmp_path / "same.txt").write_bytes(Path(lines).read_bytes())
    assert jobs.submit(ANN, "sort-lines", [str(tmp_path / "same.txt")]) == first
    down = jobs.submit(ANN, "sort-lines", [lines], {"order": "down"})
    jobs.execute(down)
    assert read(jobs, down, "sorted.txt") == "pear\nfig\napple\n"
    (tmp_path / "same.txt").write_text("pear\napple\nFig\n")
    other = jobs.submit(ANN, "sort-lines", [str(tmp_path / "same.txt")])
    (folder / "sort-lines" / "README").write_text("Another file.")
    changed = jobs.submit(ANN, "sort-lines", [lines])
    assert len({first, down, other, changed}) == 4


def test_a_changed_plugin_does_no_job_that_was_recorded_before(jobs: PluginJobs, lines: str, folder: Path) -> None:
    job = jobs.submit(ANN, "sort-lines", [lines])
    (folder / "sort-lines" / "plugin.toml").write_text(SORT.replace("Sort lines", "Sort all lines"))
    with pytest.raises(ConflictError, match="its files changed"):
        jobs.execute(job)
    assert jobs.jobs.plugin(job).status == JobStatus.FAILED
    again = jobs.restart(ANN, job).plugin_job_id
    assert again != job
    assert jobs.execute(again).status == JobStatus.COMPLETE


def test_secrets_are_those_meant_for_the_plugin_and_private_values_stay_hidden(
    jobs: PluginJobs, folder: Path, services: Services
) -> None:
    table = SORT.replace("sort-lines", "keeping").replace(
        "[parameters.order]",
        '[parameters.token]\ntype = "secret"\ndefault = ""\n[parameters.pin]\nprivate = true\n[parameters.order]',
    )
    place = write_plugin(folder, table)
    text = ["data:text/plain,a"]
    for other in ("multiblast-notices", "plugin-other-token", "plugin-keeping"):
        with pytest.raises(InvalidInputError, match="begins with plugin-keeping-"):
            jobs.submit(ANN, "keeping", text, {"token": other, "pin": "1234"})
    job = jobs.submit(ANN, "keeping", text, {"token": "plugin-keeping-x", "pin": "1234"})
    hidden = {"token": "…", "pin": "…"}
    assert jobs.lookup(ANN, job).parameters == hidden
    (place / "plugin.toml").unlink()  # also once the plugin is gone
    assert jobs.lookup(ANN, job).parameters == hidden
    assert "1234" not in json.dumps(jobs.lookup(ANN, job).to_json())
    assert services.whole_id(ANN, job) == job


def test_what_a_job_takes_in_is_kept_as_long_as_it_may_be_needed(
    jobs: PluginJobs, lines: str, services: Services
) -> None:
    first = jobs.submit(ANN, "sort-lines", [lines])
    jobs.execute(first)
    with services.database.write() as session:
        session.exec(update(PluginJob).values(used_at=utc_now() - timedelta(days=29)))
    second = jobs.submit(ANN, "sort-lines", [f"plugin:{first}/sorted"], {"order": "down"})
    assert services.expiry.run(utc_now() + timedelta(days=5)).plugin_jobs == []
    assert jobs.execute(second).status == JobStatus.COMPLETE


def test_a_failure_says_why_and_what_was_printed(jobs: PluginJobs) -> None:
    job = jobs.submit(ANN, "failing", parameters={"why": "rain"})
    with pytest.raises(PluginError, match="because of rain"):
        jobs.execute(job)
    details = jobs.lookup(ANN, job)
    assert details.status == "failed"
    assert "because of rain" in (details.reason or "")
    assert "because of rain" in jobs.errors(ANN, job).stderr
    assert jobs.restart(ANN, job).plugin_job_id == job
    assert jobs.jobs.plugin(job).status == JobStatus.QUEUED


def test_all_that_is_wrong_is_said_before_anything_is_recorded(jobs: PluginJobs, lines: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        jobs.submit(ANN, "sort-lines", {"text": [lines, lines], "txt": [lines]}, {"order": "sideways", "colour": "red"})
    assert {problem.key for problem in caught.value.problems} == {
        "inputs.text", "inputs.txt", "parameters.order", "parameters.colour",
    }  # fmt: skip
    with pytest.raises(InvalidInputError, match=r"inputs.text: this is needed: \* \(text/plain\)"):
        jobs.submit(ANN, "sort-lines")
    with pytest.raises(InvalidInputError, match="is one too many: sort-lines takes one as text"):
        jobs.submit(ANN, "sort-lines", [lines, lines])
    with pytest.raises(InvalidInputError, match="is no input: write job:ID"):
        jobs.create(ANN, {"plugin": "sort-lines", "inputs": {"text": "/etc/passwd"}})
    with pytest.raises(InvalidInputError, match="no file"):
        jobs.submit(ANN, "sort-lines", ["/no/such/file.txt"])
    with pytest.raises(InvalidInputError, match="a job is written with what it is, as job:71413fc7"):
        jobs.submit(ANN, "sort-lines", ["71413fc7"])
    with pytest.raises(InvalidInputError, match="only files below"):
        jobs.submit(ANN, "sort-lines", [lines], files_under=Path(lines).parent / "uploads")
    with pytest.raises(NotAllowedError, match="uploads/"):
        jobs.submit(ANN, "sort-lines", ["store:packs/secret"])
    with pytest.raises(NotFoundError, match="sort-lines"):
        jobs.submit(ANN, "sort-line", [lines])
    assert jobs.list_jobs(ADMINISTRATOR) == []


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("some.fasta", b"", "is empty"),
        ("some.fa", b"MKV", "is no FASTA: it begins with 'MKV', not with '>'"),
        ("some.faa", gzip.compress(b">a\nMKV"), "is compressed with gzip: unpack it"),
        ("some.fasta.gz", gzip.compress(b">a\nMKV"), "is application/gzip, and here goes"),
    ],
)
def test_what_is_no_fasta_is_not_taken_in_as_fasta(
    jobs: PluginJobs, tmp_path: Path, name: str, data: bytes, what: str
) -> None:
    """Programs would say little of it, or find nothing in it."""
    write_plugin(tmp_path / "plugins", SORT.replace("sort-lines", "sort-fasta").replace("text/plain", "text/x-fasta"))
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InvalidInputError, match=rf"{re.escape(name)}' {re.escape(what)}"):
        jobs.submit(ANN, "sort-fasta", {"text": [str(tmp_path / name)]})
    assert jobs.list_jobs(ADMINISTRATOR) == []


def test_what_a_search_found_is_taken_in_by_types(
    jobs: PluginJobs, submit: Callable[..., SearchedJob], proteins: list[Sequence], services: Services
) -> None:
    """One text goes to all the inputs that it fits: hits, query and subjects of a query job."""
    searched = submit(fasta(proteins[:2])).job_id
    job = jobs.submit(ADMINISTRATOR, "taking", [f"job:{searched}"])
    jobs.execute(job)
    with services.queries.query(ADMINISTRATOR, searched) as stream:
        query = stream.read().decode()
    with services.reports.all_subjects(ADMINISTRATOR, searched) as stream:
        subjects = stream.read().decode()
    assert read(jobs, job, "all.fasta") == query + subjects
    assert subjects.count(">") > 2
    (output,) = jobs.files(ADMINISTRATOR, job)
    assert output.data_type == "sequences/protein"
    assert [item.plugin_job_id for item in jobs.list_jobs(ADMINISTRATOR, source=searched)] == [job]
    with pytest.raises(NotAllowedError):
        jobs.submit(BOB, "taking", [f"job:{searched}"])
    with pytest.raises(InvalidInputError, match=r"which sort-lines does not take: it takes text: \* \(text/plain\)"):
        jobs.submit(ADMINISTRATOR, "sort-lines", [f"job:{searched}"])


def test_outputs_expire_and_come_back_from_the_recipe(jobs: PluginJobs, lines: str, services: Services) -> None:
    job = jobs.submit(ANN, "sort-lines", [lines])
    jobs.execute(job)
    (output,) = jobs.jobs.plugin(job).outputs
    later = utc_now() + timedelta(days=services.policy.keep_days + 1)
    assert services.expiry.run(later, dry_run=True).plugin_jobs == [job]
    assert services.expiry.run(later).plugin_jobs == [job]
    services.storage_upkeep.sweep(later + timedelta(days=2))
    assert not services.store.exists(output["key"])
    with pytest.raises(ConflictError, match="expired"):
        read(jobs, job, "sorted.txt")
    assert jobs.restart(ANN, job).plugin_job_id == job
    jobs.execute(job)
    assert read(jobs, job, "sorted.txt") == "apple\nfig\npear\n"
    assert jobs.lookup(ANN, job).outputs_as_before is True


def test_others_see_a_job_that_was_shared_only(jobs: PluginJobs, lines: str, services: Services) -> None:
    job = jobs.submit(ANN, "sort-lines", [lines])
    jobs.execute(job)
    with pytest.raises(NotAllowedError):
        jobs.lookup(BOB, job)
    token = jobs.share(ANN, job)
    shared = services.accounts.requester("bob", share_tokens=[token])
    assert read(jobs, job, "sorted.txt", shared) == "apple\nfig\npear\n"
    assert [event.to_status for event in jobs.history(ANN, job)] == ["queued", "in-progress", "complete"]
    assert services.job_door(job) is jobs
    assert services.whole_id(ANN, job[:8]) == job
    assert json.dumps(jobs.lookup(ANN, job).to_json())


@pytest.mark.parametrize("coupling", ["", "filesystem", "memory://plugins", "file:///PLACE"])
def test_any_coupling_gives_the_same_job_and_bytes(  # noqa: PLR0913, PLR0917 - what it is made of
    jobs: PluginJobs, lines: str, folder: Path, coupling: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files and directories; named by the run, or by the configuration of the plugin."""
    monkeypatch.setenv("MULTIBLAST_HOME", str(tmp_path / "home"))
    coupling = coupling.replace("/PLACE", str(tmp_path / "place"))
    (tmp_path / "place").mkdir()
    write_plugin(folder, DIRECTORY)
    sort = jobs.submit(ANN, "sort-lines", [lines])
    with closing(jobs.run(sort, coupling=coupling)) as run:
        assert run.begin()
        assert run.round(1).end == "done"
    assert read(jobs, sort, "sorted.txt") == "apple\nfig\npear\n"
    (tmp_path / "home" / "plugins").mkdir(parents=True, exist_ok=True)
    (tmp_path / "home" / "plugins" / "plugins.toml").write_text(f'[plugins.unpack]\ncoupling = "{coupling}"\n')
    files = jobs.submit(ANN, "unpack", [f"plugin:{sort}/sorted"])
    jobs.execute(files)
    (written,) = jobs.fetch(ANN, files, tmp_path / "out")
    texts = ["apple\n", "fig\n", "pear\n"]
    assert [path.read_text() for path in sorted(written.iterdir())] == texts
    jobs.fetch(ANN, files, tmp_path / "out")  # the same is there
    min(written.iterdir()).write_text("mine\n")  # which changes nothing of the job
    with pytest.raises(ConflictError, match="is there already, and differs"):
        jobs.fetch(ANN, files, tmp_path / "out")
    jobs.fetch(ANN, files, tmp_path / "out", overwrite=True)
    assert [path.read_text() for path in sorted(written.iterdir())] == texts
    assert list((tmp_path / "out").iterdir()) == [written]
    assert (sort, files) == ("dd98d5906bb5d2a46479d87e2059ae99", "8efbfe484f4c971b21afa2265adfa185")


def test_another_version_of_the_tool_or_of_a_package_makes_another_job(
    jobs: PluginJobs, lines: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "our-sort"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    tool = 'tool = { command = ["our-sort", "--version"], pattern = "version ([0-9.]+)", requires = ">=1" }'
    write_plugin(
        folder, SORT.replace("sort-lines", "our-sort").replace("[parameters.order]", f"{tool}\n[parameters.order]")
    )
    ids = []
    for version in ("1.0", "1.0", "1.1"):
        program.write_text(f"#!/bin/sh\necho version {version}\n")
        program.chmod(0o755)
        ids.append(jobs.submit(ANN, "our-sort", [lines]))
    assert ids[0] == ids[1] != ids[2]
    program.write_text("#!/bin/sh\necho version 0.9\n")
    with pytest.raises(MultiblastError, match=r"0\.9"):
        jobs.submit(ANN, "our-sort", [lines])
    found = jobs.workshop.environments.find
    plugin = jobs.workshop.catalogue.get("sort-lines")
    facts = jobs.workshop.facts(plugin)
    monkeypatch.setattr(jobs.workshop.environments, "find", lambda one: replace(found(one), digest="another lock"))
    assert job_id_of(plugin, facts, {}, {}) != job_id_of(plugin, jobs.workshop.facts(plugin), {}, {})
