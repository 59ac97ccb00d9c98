"""Plugin jobs: recorded by what decides their outcome, done round by round, found again, expired and done anew."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from multiblast.accounts import Requester
from multiblast.actions.plugin_jobs import PluginJobs
from multiblast.database import JobStatus, Lease, PluginJob, utc_now
from multiblast.errors import (
    ConflictError,
    InvalidInputError,
    JobFailedError,
    MultiblastError,
    NotAllowedError,
    NotFoundError,
)
from multiblast.plugins.rounds import PluginError
from multiblast.plugins.workshop import job_id_of
from multiblast.search import SearchedJob
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.settings import PluginRules, Policy
from multiblast.upkeep.reconciliation import Reconciliation
from tests.support.people import ADMINISTRATOR
from tests.support.plugins import SORT, write_plugin
from tests.support.sequences import fasta

ANN, BOB = Requester("ann"), Requester("bob")

ASKING = """
name = "asking"
version = "1.0.0"
title = "Ask twice"
outputs.words = { data = "lines", content = "text/plain" }
run = { command = ["python3", "{plugin}/work.py"] }
"""
ASKS = """
import json, os, pathlib
request = json.load(open("request.json"))
answers = request["answers"]
events = open(os.environ["MULTIBLAST_EVENTS"], "a")
seen = pathlib.Path("state/seen")
seen.write_text((seen.read_text() if seen.exists() else "") + f"{request['round']},")
for step in ("first", "second"):
    if step not in answers:
        form = {"word": {"type": "text", "label": "A word"}, "times": {"type": "integer", "default": 2, "least": 1}}
        print(json.dumps({"ask": {"step": step, "title": f"The {step} word?", "parameters": form}}), file=events)
        raise SystemExit
words = " ".join(answers[step]["word"] * answers[step]["times"] for step in ("first", "second"))
pathlib.Path("outputs/words.txt").write_text(f"{words} {seen.read_text()}")
"""

CALLING = """
name = "calling"
version = "1.0.0"
title = "Let another one sort"
inputs.text = { content = ["text/plain"] }
outputs.numbered = { data = "lines", content = "text/plain" }
needs.sorter = { name = "sort-lines", version = ">=1,<2" }
run = { command = ["python3", "{plugin}/work.py"] }
"""
CALLS = """
import json, os, pathlib
request = json.load(open("request.json"))
events = open(os.environ["MULTIBLAST_EVENTS"], "a")
if "sort" not in request["answers"]:
    handed = pathlib.Path("outputs/../tmp/handed.txt")
    handed.write_text(pathlib.Path(request["inputs"]["text"][0]["path"]).read_text().upper())
    inputs = {"text": [str(handed.resolve())]}
    call = {"step": "sort", "plugin": "sorter", "inputs": inputs, "parameters": {"order": "down"}}
    print(json.dumps({"call": call}), file=events)
    raise SystemExit
lines = pathlib.Path(request["answers"]["sort"]["outputs"]["sorted"][0]).read_text().split()
pathlib.Path("outputs/numbered.txt").write_text("".join(f"{n} {line}\\n" for n, line in enumerate(lines, 1)))
"""

FAILING = """
name = "failing"
version = "1.0.0"
title = "Fail"
outputs.never = { data = "lines", content = "text/plain" }
parameters.why = { pattern = "[a-z ]+", default = "no reason" }
run = { command = ["python3", "-c", "import sys; sys.exit('because of {parameters.why}')"] }
"""

SLEEPING = """
name = "sleeping"
version = "1.0.0"
title = "Sleep"
outputs.never = { data = "lines", content = "text/plain" }
run = { command = ["sleep", "600"], stdout = "never" }
"""

TAKING = """
name = "taking"
version = "1.0.0"
title = "Take in what a search found"
inputs.hits = { data = "hits/*", content = ["text/tab-separated-values"] }
inputs.queries = { data = "sequences/protein", content = ["text/x-fasta"] }
inputs.subjects = { data = "subjects/*", content = ["text/x-fasta"] }
outputs.all = { data = "sequences/{subjects}", content = "text/x-fasta" }
run = { command = ["cat", "{inputs.queries}", "{inputs.subjects}"], stdout = "all" }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with plugins."""
    folder = tmp_path / "plugins"
    for table in (SORT, FAILING, SLEEPING, TAKING):
        write_plugin(folder, table)
    write_plugin(folder, ASKING, work=ASKS)
    write_plugin(folder, CALLING, work=CALLS)
    return folder


@pytest.fixture
def jobs(services: Services, folder: Path) -> PluginJobs:
    """The door of plugin jobs, with the plugins of a folder."""
    services.policy = Policy(plugins=PluginRules(folders=(str(folder),)))
    return services.plugin_jobs


@pytest.fixture
def lines(tmp_path: Path) -> str:
    """The path of a file with lines."""
    (tmp_path / "lines.txt").write_text("pear\napple\nfig\n")
    return str(tmp_path / "lines.txt")


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


def test_a_person_is_asked_and_the_job_goes_on_with_the_answers(jobs: PluginJobs) -> None:
    """Each round sees the answers so far and the state of the one before; a finished round is not done again."""
    job = jobs.submit(ANN, "asking")
    with pytest.raises(JobFailedError, match="paused"):
        jobs.execute(job)
    details = jobs.lookup(ANN, job)
    assert (details.status, [step.step_id for step in details.steps]) == ("paused", ["first"])
    assert details.steps[0].title == "The first word?"
    with pytest.raises(InvalidInputError, match=r"answers.word: this is needed[\s\S]*times"):
        jobs.answer(ANN, job, "first", {"times": 0})
    with pytest.raises(ConflictError, match="at step 'first'"):
        jobs.answer(ANN, job, "second", {"word": "x"})
    with pytest.raises(NotAllowedError):
        jobs.answer(BOB, job, "first", {"word": "x"})
    assert jobs.answer(ANN, job, "first", {"word": "ab"}) is not None
    with pytest.raises(JobFailedError, match="paused"):
        jobs.execute(job)
    jobs.answer(ANN, job, "second", {"word": "c", "times": 3})
    jobs.execute(job)
    assert read(jobs, job, "words.txt") == "abab ccc 1,2,3,"
    assert [step.cleared for step in jobs.lookup(ANN, job).steps] == [True, True]


def test_answers_stay_where_a_later_question_is_not_answered(jobs: PluginJobs) -> None:
    job = jobs.submit(ANN, "asking")
    with pytest.raises(JobFailedError, match="paused"):
        jobs.execute(job)
    jobs.answer(ANN, job, "first", {"word": "ab"})
    with pytest.raises(JobFailedError, match="paused"):
        jobs.execute(job)
    jobs.cancel(ANN, job)
    jobs.restart(ANN, job)
    with pytest.raises(JobFailedError, match="paused"):
        jobs.execute(job)
    assert [step.step_id for step in jobs.lookup(ANN, job).steps] == ["first", "second"]


def test_what_is_gone_of_answered_rounds_is_done_again(jobs: PluginJobs, services: Services) -> None:
    """A failed job keeps its answers, but not for ever what its rounds left behind."""
    job = jobs.submit(ANN, "asking")
    with pytest.raises(JobFailedError, match="paused"):
        jobs.execute(job)
    jobs.answer(ANN, job, "first", {"word": "ab"})
    jobs.cancel(ANN, job)
    services.storage_upkeep.sweep(utc_now() + timedelta(days=2))
    jobs.restart(ANN, job)
    with pytest.raises(JobFailedError, match="paused"):
        jobs.execute(job)
    assert [step.step_id for step in jobs.lookup(ANN, job).steps] == ["first"]


def test_a_job_that_runs_is_left_alone_and_one_whose_process_died_is_not(jobs: PluginJobs, services: Services) -> None:
    """It is held by a lease, whoever runs it and however long; two do not run it at once."""
    job = jobs.submit(ANN, "sleeping")
    run, other = jobs.run(job), jobs.run(job)
    assert run.begin()
    reconciliation = Reconciliation(services.database)
    assert reconciliation.run(lambda _: {}, utc_now() + timedelta(seconds=30)).queued == []
    later = utc_now() + timedelta(hours=1)
    with services.database.write() as session:
        session.exec(update(Lease).values(expires_at=later + timedelta(minutes=1)))
    assert reconciliation.run(lambda _: {}, later).queued == []
    run.close()
    assert reconciliation.run(lambda _: {}, later).queued == [job]
    assert other.begin()
    other.close()


def test_of_two_answers_at_once_one_counts(jobs: PluginJobs) -> None:
    job = jobs.submit(ANN, "asking")
    with pytest.raises(JobFailedError, match="paused"):
        jobs.execute(job)
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(jobs.answer, ANN, job, "first", {"word": word}) for word in "abcdefgh"]
        problems = [answer.exception() for answer in answers]
    assert [type(problem) for problem in problems if problem] == [ConflictError] * 7
    assert "abcdefgh"[problems.index(None)] == jobs.jobs.plugin(job).rounds[0]["answers"]["word"]
    assert [event.to_status for event in jobs.history(ANN, job)][-1] == "queued"


def test_a_cancelled_job_takes_the_one_that_it_called_with_it(jobs: PluginJobs, lines: str) -> None:
    """And what an old run still brings then is not taken."""
    job = jobs.submit(ANN, "calling", [lines])
    run = jobs.run(job)
    with closing(run):
        assert run.begin()
        stop = run.round(1)
        child = jobs.called(job, stop)
        jobs.cancel(ANN, job)
        assert jobs.jobs.plugin(child).status == JobStatus.CANCELLED
        with pytest.raises(ConflictError, match="was cancelled while it ran"):
            run.answer(1, {}, child=child)
    assert jobs.jobs.plugin(job).status == JobStatus.CANCELLED


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


def test_a_need_that_several_fit_is_not_guessed(jobs: PluginJobs, lines: str, folder: Path) -> None:
    by_tag = CALLING.replace('name = "sort-lines", version = ">=1,<2"', 'tags = ["sorter", "!slow"]')
    write_plugin(folder, by_tag.replace('"calling"', '"by-tag"'), work=CALLS)
    with pytest.raises(NotFoundError, match="by-tag needs it"):
        jobs.submit(ANN, "by-tag", [lines])
    for name, tags in (("one", '"sorter"'), ("two", '"sorter"'), ("three", '"sorter", "slow"')):
        write_plugin(
            folder, SORT.replace("sort-lines", name).replace("inputs.text", f"tags = [{tags}]\ninputs.text", 1)
        )
    with pytest.raises(ConflictError, match="several fit: one, two"):
        jobs.submit(ANN, "by-tag", [lines])
    table = folder / "two" / "plugin.toml"
    table.write_text(table.read_text().replace('"sorter"', '"sorter", "usual"'))
    assert jobs.jobs.plugin(jobs.submit(ANN, "by-tag", [lines])).facts["needs"] == {"sorter": "two@1.0.0"}


def test_a_plugin_calls_another_one_that_it_needs(jobs: PluginJobs, lines: str) -> None:
    """The called job is a job like any other, found again, and the first is made of it, too."""
    job = jobs.submit(ANN, "calling", [lines])
    jobs.execute(job)
    assert read(jobs, job, "numbered.txt") == "1 PEAR\n2 FIG\n3 APPLE\n"
    child = jobs.lookup(ANN, job).steps[0].plugin_job_id
    assert child is not None
    assert jobs.lookup(ANN, child).plugin == "sort-lines@1.0.0"
    assert read(jobs, child, "sorted.txt", ANN) == "PEAR\nFIG\nAPPLE\n"


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


def test_a_job_is_cancelled_while_it_runs(jobs: PluginJobs) -> None:
    job = jobs.submit(ANN, "sleeping")
    ended: list[BaseException] = []

    def execute() -> None:
        try:
            jobs.execute(job)
        except (PluginError, JobFailedError) as error:
            ended.append(error)

    thread = threading.Thread(target=execute)
    thread.start()
    while jobs.jobs.plugin(job).status != JobStatus.IN_PROGRESS:
        time.sleep(0.02)
    jobs.cancel(ANN, job)
    thread.join(20)
    assert ended
    assert not thread.is_alive()
    assert jobs.jobs.plugin(job).status == JobStatus.CANCELLED
    with pytest.raises(ConflictError, match="cancelled"):
        jobs.cancel(ANN, job)


def test_all_that_is_wrong_is_said_before_anything_is_recorded(jobs: PluginJobs, lines: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        jobs.submit(ANN, "sort-lines", {"text": [lines, lines], "txt": [lines]}, {"order": "sideways", "colour": "red"})
    assert {problem.key for problem in caught.value.problems} == {
        "inputs.text", "inputs.txt", "parameters.order", "parameters.colour",
    }  # fmt: skip
    with pytest.raises(InvalidInputError, match=r"inputs.text: this is needed: \* \(text/plain\)"):
        jobs.submit(ANN, "sort-lines")
    with pytest.raises(InvalidInputError, match="no file"):
        jobs.submit(ANN, "sort-lines", ["/no/such/file.txt"])
    with pytest.raises(InvalidInputError, match="only files below"):
        jobs.submit(ANN, "sort-lines", [lines], files_under=Path(lines).parent / "uploads")
    with pytest.raises(NotAllowedError, match="uploads/"):
        jobs.submit(ANN, "sort-lines", ["store:packs/secret"])
    with pytest.raises(NotFoundError, match="sort-lines"):
        jobs.submit(ANN, "sort-line", [lines])
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
    with pytest.raises(InvalidInputError, match="which sort-lines does not take"):
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


def test_what_a_living_job_has_is_not_swept(jobs: PluginJobs, lines: str, services: Services) -> None:
    job = jobs.submit(ANN, "asking")
    with pytest.raises(JobFailedError):
        jobs.execute(job)
    taking = jobs.submit(ANN, "sort-lines", [lines])
    services.storage_upkeep.sweep(utc_now() + timedelta(days=9))
    jobs.answer(ANN, job, "first", {"word": "a"})
    with pytest.raises(JobFailedError):
        jobs.execute(job)
    jobs.execute(taking)
    services.storage_upkeep.sweep(utc_now() + timedelta(days=9))
    assert services.storage_upkeep.verify().is_nothing
    assert read(jobs, taking, "sorted.txt") == "apple\nfig\npear\n"


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


DIRECTORY = """
name = "unpack"
version = "1.0.0"
title = "Make a directory of lines"
inputs.text = { content = ["text/plain"] }
outputs.files = { data = "files", content = "inode/directory" }
run = { command = ["split", "-l", "1", "{inputs.text}", "{outputs.files}/line-"] }
"""


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
    assert jobs.run(sort, coupling=coupling).begin()
    assert jobs.run(sort, coupling=coupling).round(1).end == "done"
    assert read(jobs, sort, "sorted.txt") == "apple\nfig\npear\n"
    (tmp_path / "home" / "plugins").mkdir(parents=True, exist_ok=True)
    (tmp_path / "home" / "plugins" / "plugins.toml").write_text(f'[plugins.unpack]\ncoupling = "{coupling}"\n')
    files = jobs.submit(ANN, "unpack", [f"plugin:{sort}/sorted"])
    jobs.execute(files)
    (written,) = jobs.fetch(ANN, files, tmp_path / "out")
    assert [path.read_text() for path in sorted(written.iterdir())] == ["apple\n", "fig\n", "pear\n"]
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
