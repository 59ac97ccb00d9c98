"""Every action of the catalogue: as a method, as a command, and as a flow if it is what runs.

``search``, ``report`` and ``jobs restart`` run flows themselves: that is tested with a server of their own.
"""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from blocks.services import using
from deployments.command_line import session
from deployments.command_line.actions import GROUPS, door_of
from deployments.server import PrefectServer
from multiblast.actions.catalogue import actions_of
from multiblast.database import JobStatus
from multiblast.errors import ConflictError, NotAllowedError
from multiblast.sequences import read_fasta
from multiblast.settings import Policy
from tests.support.people import ADMINISTRATOR
from tests.support.ways import ROOT, World, opened_world

# Prefect leaves the sockets of a run's clients to the garbage collector, which is made to come while they are forgiven.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, temporary_prefect: str) -> Iterator[World]:
    with opened_world(tmp_path_factory.mktemp("home"), temporary_prefect) as world:
        yield world


def door(w: World, group: str) -> Any:
    return w.services.job_door(w.mine(group))


def _create(w: World) -> None:
    config = {
        "jobConfig": {"site": "demo", "targets": [{"targetDisplayName": "examples", "targetFile": "proteins"}]},
        "blastConfig": {"tool": "blastp"},
    }
    with w.services.queries.query(w.ann, w.job) as stream:
        assert w.services.queries.create(w.ann, config, stream.read()).query_job_id == w.job


def _create_report(w: World) -> None:
    config = {"queryJobID": w.job, "blastConfig": {"formatType": 7}}
    assert w.services.reports.create(w.ann, config).report_job_id == w.report


def _list(w: World, group: str) -> None:
    filters, words = {
        "jobs": ({}, ["jobs", "list"]),
        "reports": ({"query_job_id": w.job}, ["reports", "list", "--job", w.job]),
        "plugins": ({"plugin": "sort-lines"}, ["plugins", "jobs", "--plugin", "sort-lines"]),
    }[group]
    returned = [item.to_json() for item in door(w, group).list_jobs(w.ann, **filters)]
    assert returned == w.json(*words, "--json")
    key = {"jobs": "queryJobID", "reports": "reportJobID", "plugins": "pluginJobID"}[group]
    assert w.mine(group) in [item[key] for item in returned]


def _lookup(w: World, group: str) -> None:
    returned = door(w, group).lookup(w.ann, w.mine(group)).to_json()
    assert returned == w.json(group, "job" if group == "plugins" else "show", w.mine(group))
    assert returned["status"] == "complete"


def _restart(w: World) -> None:
    job = w.new_job(20)
    for restart, status in (
        (lambda: w.services.queries.restart(w.ann, job), "queued"),
        (lambda: w.flow("restart-job", job=job, user="ann"), "complete"),
    ):
        w.services.queries.cancel(w.ann, job)
        restart()
        assert w.services.queries.lookup(w.ann, job).status == status


def _restart_report(w: World) -> None:
    for act in (
        lambda: w.services.reports.restart(w.ann, w.report),
        lambda: w.flow("restart-job", job=w.report, user="ann"),
    ):
        w.services.queries.jobs.move_report(w.report, JobStatus.COMPLETE)
        w.services.queries.jobs.move_report(w.report, JobStatus.EXPIRED)
        act()
    assert w.services.reports.lookup(w.ann, w.report).status == "complete"


def _create_plugin(w: World) -> None:
    assert w.json("plugins", "run", "sort-lines", w.lines, "--json")["pluginJobID"] == w.plugin
    config = {"plugin": "sort-lines", "inputs": {"text": "data:text/plain,pear%0Aapple%0A"}}
    assert w.services.plugin_jobs.create(w.ann, config).plugin_job_id == w.plugin


def _restart_plugin(w: World) -> None:
    job = w.new_plugin_job(1)
    for act in (
        lambda: w.services.plugin_jobs.restart(w.ann, job),
        lambda: w.flow("restart-job", job=job, user="ann"),
        lambda: w.command("plugins", "restart", job),
    ):
        if w.services.plugin_jobs.lookup(w.ann, job).status == "complete":
            w.services.queries.jobs.move_plugin(job, JobStatus.EXPIRED)
        else:
            w.services.plugin_jobs.cancel(w.ann, job)
        act()
    assert w.services.plugin_jobs.lookup(w.ann, job).status == "complete"


def _update(w: World, group: str) -> None:
    job = w.mine(group)
    assert door(w, group).update(w.ann, job, summary="one").to_json() == {"summary": "one"}
    assert w.json("jobs", "update", job, "--description", "two") == {"summary": "one", "description": "two"}
    assert w.json("jobs", "update", job, "--summary", "") == {"description": "two"}


def _unlink(w: World, group: str) -> None:
    job = w.new_job(30) if group == "jobs" else w.mine(group)
    again: dict[str, Callable[[], object]] = {
        "jobs": lambda: w.new_job(30),
        "reports": lambda: w.services.reports.lookup(w.ann, job),
        "plugins": lambda: _create_plugin(w),
    }
    assert door(w, group).unlink(w.ann, job) is True
    again[group]()
    assert "not in the list any more" in w.command("jobs", "unlink", job)
    again[group]()


def _query(w: World) -> None:
    with w.services.queries.query(w.ann, w.job) as stream:
        returned = stream.read()
    assert returned == w.command("jobs", "query", w.job).encode()


def _result(w: World) -> None:
    output = io.BytesIO()
    assert w.services.queries.result(w.ann, w.job, output) == 2
    returned = output.getvalue()
    assert returned == w.command("jobs", "result", w.job).encode()


def _errors(w: World, group: str) -> None:
    returned = door(w, group).errors(w.ann, w.mine(group)).to_json()
    assert returned == w.json("jobs", "errors", w.mine(group))
    assert returned["stderr"] == ""


def _history(w: World, group: str) -> None:
    events = [event.to_json() for event in door(w, group).history(w.ann, w.mine(group))]
    assert events == w.json("jobs", "history", w.mine(group), "--json")
    assert events[-1]["toStatus"] == "complete"


def _status(w: World, _group: str) -> None:
    asked = [w.job, w.report, w.plugin]
    unknown, doors = [*asked, "0" * 32], (w.services.queries, w.services.reports, w.services.plugin_jobs)
    returned = {key: value for door in doors for key, value in door.statuses(w.ann, unknown).items()}
    assert returned == w.json("status", *asked) == w.json("jobs", "status", *asked)
    assert returned == dict.fromkeys(asked, "complete")


def _targets(w: World) -> None:
    returned = w.services.queries.targets()
    assert returned == w.json("targets", "--json")
    assert returned == {"demo": {"examples": {"naTargets": ["nucleotides"], "aaTargets": ["proteins"]}}}


def _cancel(w: World, group: str) -> None:
    new = {"jobs": w.new_job, "reports": w.new_report, "plugins": w.new_plugin_job}[group]
    jobs = [new(number) for number in (40, 41, 42)]
    door(w, group).cancel(w.ann, jobs[0])
    w.flow("cancel-job", job=jobs[1], user="ann")
    w.command("plugins" if group == "plugins" else "jobs", "cancel", jobs[2])
    assert set(door(w, group).statuses(w.ann, jobs).values()) == {"cancelled"}


def _pin(w: World, group: str) -> None:
    service, job = door(w, group), w.mine(group)
    for act, pinned in (
        (lambda: service.pin(w.ann, job), True),
        (lambda: service.pin(w.ann, job, pinned=False), False),
        (lambda: w.command("jobs", "pin", job), True),
        (lambda: w.command("jobs", "pin", job, "--unpin"), False),
    ):
        act()
        assert service.lookup(w.ann, job).pinned is pinned


def _share(w: World, group: str) -> None:
    """With each token somebody else reads the job; ended ones are revoked."""
    service, job = door(w, group), w.mine(group)
    tokens = [service.share(w.ann, job), w.command("jobs", "share", job).strip()]
    w.runner.env["MULTIBLAST_SHARES"] = " ".join(tokens)
    assert (
        w.json(group, "job" if group == "plugins" else "show", job, "--user", "bob", "--no-link")["status"]
        == "complete"
    )
    del w.runner.env["MULTIBLAST_SHARES"]
    for token in tokens:
        bob = w.services.accounts.requester("bob", share_tokens=[token])
        assert service.lookup(bob, job, link=False).status == "complete"
    assert "2 tokens are revoked" in w.command("jobs", "end-shares", job)
    with pytest.raises(NotAllowedError):
        w.services.accounts.requester("bob", share_tokens=tokens[:1])


def _link_guest(w: World) -> None:
    def with_a_job(token: str) -> str:
        guest = w.services.accounts.requester(guest_token=token)
        w.services.queries.link(guest, w.job)
        assert len(w.services.queries.list_jobs(guest)) == 1
        return token

    assert w.services.accounts.link_guest(with_a_job(w.services.accounts.new_guest()), "eve").moved == 1
    token = with_a_job(w.command("guests", "new").strip())
    w.runner.env["MULTIBLAST_GUEST"] = token
    assert "0 jobs moved to eve, 1 were there already" in w.command("guests", "link", "eve")
    del w.runner.env["MULTIBLAST_GUEST"]


def _compare(w: World) -> None:
    """Nothing changed: all ways say so."""
    for act in (
        lambda: w.services.queries.compare(w.ann, w.job),
        lambda: w.flow("compare-databases", job=w.job, user="ann"),
        lambda: w.command("jobs", "compare", w.job),
    ):
        with pytest.raises(ConflictError, match="nothing to compare"):
            act()


def _files(w: World, group: str) -> None:
    returned = [file.to_json() for file in door(w, group).files(w.ann, w.mine(group))]
    assert returned == w.json(group, "files", w.mine(group), "--json")
    there = {"reports": ["report.tsv", "report.zip"], "plugins": ["sorted.txt"]}
    assert [file["name"] for file in returned] == there[group]


def _report_file(w: World) -> None:
    with w.services.reports.file(w.ann, w.report, "report.tsv", line_range="1-3") as stream:
        returned = stream.read()
    command = w.command("reports", "get", w.report, "report.tsv", "--lines", "1-3")
    assert returned == command.encode()
    assert returned.startswith(b"# BLASTP 2.")


def _plugin_file(w: World) -> None:
    with w.services.plugin_jobs.file(w.ann, w.plugin, "sorted.txt") as stream:
        assert stream.read() == w.command("plugins", "get", w.plugin, "sorted.txt").encode() == b"apple\npear\n"


def _expire(w: World) -> None:
    returned = asdict(w.services.expiry.run(dry_run=True))
    assert returned == asdict(w.flow("expire-results", dry_run=True)) == w.json("expire", "--dry-run")["expired"]
    assert returned["query_jobs"] == []


def _verify(w: World) -> None:
    returned = asdict(w.services.storage_upkeep.verify())
    assert returned == asdict(w.flow("verify-storage")) == w.json("verify")
    assert not any(returned.values())


OF_ANY_JOB: dict[str, Callable[[World, str], None]] = {
    "list": _list,
    "show": _lookup,
    "update": _update,
    "unlink": _unlink,
    "files": _files,
    "errors": _errors,
    "history": _history,
    "status": _status,
    "cancel": _cancel,
    "pin": _pin,
    "share": _share,
    "end-shares": _share,
}
OF_ONE_KIND: dict[str, Callable[[World], None]] = {
    "jobs create": _create,
    "jobs restart": _restart,
    "jobs query": _query,
    "jobs result": _result,
    "jobs compare": _compare,
    "reports create": _create_report,
    "reports restart": _restart_report,
    "reports get": _report_file,
    "plugins create": _create_plugin,
    "plugins restart": _restart_plugin,
    "plugins get": _plugin_file,
}
ACTIONS = [f"{group} {one.name}" for group in GROUPS for one in actions_of(door_of(group))]


@pytest.mark.parametrize("action", ACTIONS)
def test_action_does_the_same_in_all_ways(action: str, world: World) -> None:
    if action in OF_ONE_KIND:
        OF_ONE_KIND[action](world)
    else:
        group, name = action.split()
        OF_ANY_JOB[name](world, group)


@pytest.mark.parametrize("act", [_targets, _link_guest, _expire, _verify])
def test_what_is_no_action_on_a_job_does_the_same_in_all_ways(act: Callable[[World], None], world: World) -> None:
    act(world)


def test_commands_are_requested_by_the_user_or_guest_of_the_environment(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In a service for others, where nobody without a name may do anything."""
    public = replace(world.services, policy=Policy.public())
    monkeypatch.setattr(session, "local_services", lambda _root=None: public)
    monkeypatch.setattr(session, "_services", lambda _root, **_: public)
    for find in ("start_prefect", "find_prefect"):
        monkeypatch.setattr(session, find, PrefectServer)
    monkeypatch.chdir(tmp_path)
    query = tmp_path / "query.fasta"
    query.write_text(">q\nMKVLAAGIVQMKVLAAGIVQMKVLAAGIVQ\n")
    search = ["search", str(query), "--target", world.target, "--format", "6"]
    accounts = public.accounts
    token = accounts.new_guest()
    with using(public):
        for variable, value, who in (
            ("MULTIBLAST_USER", "eve", accounts.requester("eve")),
            ("MULTIBLAST_GUEST", token, accounts.requester(guest_token=token)),
        ):
            monkeypatch.delenv("MULTIBLAST_USER", raising=False)
            monkeypatch.setenv(variable, value)
            assert "wrote results/report.tsv" in world.command(*search)
            (job,) = {item.query_job_id for item in public.queries.list_jobs(who)} - {world.job}
            (report,) = public.reports.list_jobs(who, query_job_id=job)
            assert "wrote results/report.json" in world.command("report", job, "--format", "15")
            assert len(public.reports.list_jobs(who, query_job_id=job)) == 2
            assert report.status == "complete"
        monkeypatch.delenv("MULTIBLAST_GUEST")
        with pytest.raises(NotAllowedError):
            world.command("report", job, "--format", "5")


@pytest.mark.long
def test_what_a_form_of_a_public_service_accepts_can_be_read_by_whoever_sent_it(world: World) -> None:
    from prefect.blocks.system import Secret

    public = replace(world.services, policy=Policy.public())
    accounts, search = public.accounts, {"query": ">q\nMKVLAAGIVGMKVLAAGIVGMKVLAAGIVG\n", "targets": [world.target]}
    token = accounts.new_guest()
    Secret(value=token).save("public-guest", _sync=True)
    with using(public):
        for user, who in (
            ("bob", accounts.requester("bob")),
            ("secret:public-guest", accounts.requester(guest_token=token)),
        ):
            job = world.flow("submit-query", **search, user=user).job_id
            assert [item.query_job_id for item in public.queries.list_jobs(who)] == [job]
            report = world.flow("make-report", job=job, format="6", user=user).report_id
            assert next(file.name for file in public.reports.files(who, report)) == "report.tsv"
        before = len(public.queries.list_jobs(ADMINISTRATOR))
        with pytest.raises(NotAllowedError, match="give a user's name"):
            world.flow("submit-query", query=">r\nMKVLAAGIVMMKVLAAGIVMMKVL\n", targets=[world.target])
        assert len(public.queries.list_jobs(ADMINISTRATOR)) == before


def test_restart_after_a_database_changed_tells_what_changed(world: World) -> None:
    """With ids that last, hits are compared; without, the run says why not, and succeeds all the same."""
    place = Path(world.services.targets.root) / "demo" / "examples" / "blast"
    proteins = read_fasta(ROOT / "examples" / "data" / "protein_query.fasta")
    first, second = (sequence.residues.decode() for sequence in list(proteins)[8:10])

    def build(name: str, *options: str, sequences: dict[str, str]) -> None:
        fasta = place / f"{name}.fasta"
        fasta.write_text("".join(f">{title}\n{residues}\n" for title, residues in sequences.items()))
        command = ["makeblastdb", "-in", fasta, "-dbtype", "prot", "-out", place / name, *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        world.services.targets.rescan()

    for name, *options in (("named", "-parse_seqids"), ("numbered",)):
        build(name, *options, sequences={"one": first})
        found = world.flow("submit-query", query=f">q\n{first}\n", targets=[f"demo/examples/{name}"], user="ann")
        build(name, *options, sequences={"one": first, "two": first, "three": second})
        assert world.flow("restart-job", job=found.job_id, user="ann") == found.job_id
        (kept,) = world.services.store.list(f"comparisons/{found.job_id}")
        lines = world.services.store.read(kept.key).decode().splitlines()
        assert [line.split("\t")[2:4] for line in lines[1:]] == [["two", "gained"]]
