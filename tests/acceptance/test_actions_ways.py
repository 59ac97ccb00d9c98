"""Every action of the catalogue: as a method, as a command, and as a flow if it is what runs.

``search``, ``report`` and ``jobs restart`` run flows themselves: that is tested with a server of their own.
"""

from __future__ import annotations

import asyncio
import gc
import io
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from deployments.command_line.actions import GROUPS, door_of
from deployments.server import PrefectServer
from multiblast.actions.catalogue import actions_of
from multiblast.database import JobStatus
from multiblast.sequences import read_fasta
from multiblast.settings import PluginRules, Policy
from tests.support.people import ADMINISTRATOR
from tests.support.plugins import SORT, write_plugin

ROOT = Path(__file__).resolve().parents[2]

# Prefect leaves the sockets of a run's clients to the garbage collector, which is made to come while they are forgiven.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@dataclass
class World:
    """Services with a searched job and its report, and the ways to them."""

    services: Any
    runner: CliRunner
    loop: asyncio.Runner
    job: str
    report: str
    target: str
    plugin: str = ""
    lines: str = ""

    def flow(self, name: str, /, **parameters: Any) -> Any:
        from prefect.flows import load_flow_from_entrypoint

        deployments = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())["deployments"]
        entrypoint = next(item["entrypoint"] for item in deployments if item["name"] == name)
        return self.loop.run(load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)(**parameters))

    def command(self, *words: str) -> Any:
        from deployments.command_line import app

        done = self.runner.invoke(app, list(words), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self.command(*words))

    def new_job(self, number: int) -> str:
        """Record a job that waits."""
        from multiblast.search import read_submission

        query = f">n{number}\n{'MKVLAAGIVQ' * (number + 2)}\n"
        return str(self.services.queries.submit(self.ann, read_submission(query=query, targets=[self.target])).job_id)

    def new_plugin_job(self, number: int) -> str:
        """Record a plugin job that waits."""
        inputs = {"text": [f"data:text/plain,line%20{number}"]}
        return str(self.services.plugin_jobs.submit(self.ann, "sort-lines", inputs, {"order": "down"}))

    @property
    def ann(self) -> Any:
        return self.services.accounts.requester("ann")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, temporary_prefect: str) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("MULTIBLAST_HOME", str(home))
        patch.setenv("MULTIBLAST_USER", "ann")
        patch.chdir(ROOT)
        from prefect.settings import PREFECT_API_URL, temporary_settings

        from blocks.services import using
        from deployments.command_line.demo import build_demo_targets
        from multiblast.services import Services

        build_demo_targets(home / "targets")
        services = Services.embedded()
        write_plugin(home / "plugins", SORT)
        services.policy = Policy(plugins=PluginRules(folders=(str(home / "plugins"),)))
        patch.setattr("multiblast.services.Services.embedded", lambda _root=None: services)
        (home / "lines.txt").write_text("pear\napple\n")
        settings = temporary_settings({PREFECT_API_URL: temporary_prefect})
        with settings, using(services), asyncio.Runner() as loop:
            yield _fill(services, loop, str(home / "lines.txt"))
        services.database.close()
    gc.collect()


def _fill(services: Any, loop: asyncio.Runner, lines: str) -> World:
    world = World(services, CliRunner(), loop, "", "", "demo/examples/proteins", lines=lines)
    query = (ROOT / "examples" / "data" / "protein_query.fasta").read_text().split(">")
    found = world.flow("submit-query", query=">" + ">".join(query[9:11]), targets=[world.target], user="ann")
    world.job = found.job_id
    world.report = world.flow("make-report", job=world.job, format="7", user="ann").report_id
    world.plugin = world.flow("run-plugin", plugin="sort-lines", inputs={"text": lines}, user="ann").job_id
    return world


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


def _list(w: World) -> None:
    returned = [item.to_json() for item in w.services.queries.list_jobs(w.ann)]
    assert returned == w.json("jobs", "list", "--json")
    assert w.job in {item["queryJobID"] for item in returned}


def _list_reports(w: World) -> None:
    returned = [item.to_json() for item in w.services.reports.list_jobs(w.ann, query_job_id=w.job)]
    assert returned == w.json("reports", "list", "--job", w.job, "--json")
    assert [item["reportJobID"] for item in returned] == [w.report]


def _list_plugins(w: World) -> None:
    returned = [item.to_json() for item in w.services.plugin_jobs.list_jobs(w.ann, plugin="sort-lines")]
    assert returned == w.json("plugins", "jobs", "--plugin", "sort-lines", "--json")
    assert w.plugin in [item["pluginJobID"] for item in returned]


def _lookup(kind: str) -> Callable[[World], None]:
    def look(w: World) -> None:
        job = {"jobs": w.job, "reports": w.report, "plugins": w.plugin}[kind]
        returned = w.services.job_door(job).lookup(w.ann, job).to_json()
        assert returned == w.json(kind, "job" if kind == "plugins" else "show", job)
        assert returned["status"] == "complete"

    return look


def _restart(w: World) -> None:
    job = w.new_job(20)
    for number, act in enumerate(
        (
            lambda: w.services.queries.restart(w.ann, job),
            lambda: w.flow("restart-job", job=job, user="ann"),
        )
    ):
        w.services.queries.cancel(w.ann, job)
        act()
        assert w.services.queries.lookup(w.ann, job).status == ("queued", "complete")[number]


def _restart_report(w: World) -> None:
    from multiblast.database import JobStatus

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


def _update(w: World, job: str) -> None:
    service = w.services.job_door(job)
    assert service.update(w.ann, job, summary="one").to_json() == {"summary": "one"}
    assert w.json("jobs", "update", job, "--description", "two") == {"summary": "one", "description": "two"}
    assert w.json("jobs", "update", job, "--summary", "") == {"description": "two"}


def _unlink(w: World, job: str, look: Callable[[], object]) -> None:
    service = w.services.job_door(job)
    assert service.unlink(w.ann, job) is True
    look()
    assert "not in the list any more" in w.command("jobs", "unlink", job)
    look()


def _unlink_query(w: World) -> None:
    job = w.new_job(30)
    _unlink(w, job, lambda: w.new_job(30))


def _unlink_report(w: World) -> None:
    _unlink(w, w.report, lambda: w.services.reports.lookup(w.ann, w.report))


def _query(w: World) -> None:
    with w.services.queries.query(w.ann, w.job) as stream:
        returned = stream.read()
    assert returned == w.command("jobs", "query", w.job).encode()


def _result(w: World) -> None:
    output = io.BytesIO()
    assert w.services.queries.result(w.ann, w.job, output) == 2
    returned = output.getvalue()
    assert returned == w.command("jobs", "result", w.job).encode()


def _errors(w: World, job: str) -> None:
    returned = w.services.job_door(job).errors(w.ann, job).to_json()
    assert returned == w.json("jobs", "errors", job)
    assert returned["stderr"] == ""


def _history(w: World, job: str) -> None:
    events = [event.to_json() for event in w.services.job_door(job).history(w.ann, job)]
    assert events == w.json("jobs", "history", job, "--json")
    assert events[-1]["toStatus"] == "complete"


def _status(w: World) -> None:
    asked = [w.job, w.report, w.plugin]
    unknown, doors = [*asked, "0" * 32], (w.services.queries, w.services.reports, w.services.plugin_jobs)
    returned = {key: value for door in doors for key, value in door.statuses(w.ann, unknown).items()}
    assert returned == w.json("status", *asked) == w.json("jobs", "status", *asked)
    assert returned == dict.fromkeys(asked, "complete")


def _targets(w: World) -> None:
    returned = w.services.queries.targets()
    assert returned == w.json("targets", "--json")
    assert returned == {"demo": {"examples": {"naTargets": ["nucleotides"], "aaTargets": ["proteins"]}}}


def _cancel(w: World) -> None:
    jobs = [w.new_job(number) for number in (40, 41, 42)]
    w.services.queries.cancel(w.ann, jobs[0])
    w.flow("cancel-job", job=jobs[1], user="ann")
    w.command("jobs", "cancel", jobs[2])
    assert set(w.services.queries.statuses(w.ann, jobs).values()) == {"cancelled"}


def _cancel_report(w: World) -> None:
    reports = [
        w.services.reports.create(w.ann, {"queryJobID": w.job, "blastConfig": {"formatType": number}}).report_job_id
        for number in (1, 2, 3)
    ]
    w.services.reports.cancel(w.ann, reports[0])
    w.flow("cancel-job", job=reports[1], user="ann")
    w.command("jobs", "cancel", reports[2])
    assert set(w.services.reports.statuses(w.ann, reports).values()) == {"cancelled"}


def _cancel_plugin(w: World) -> None:
    jobs = [w.new_plugin_job(number) for number in (40, 41, 42)]
    w.services.plugin_jobs.cancel(w.ann, jobs[0])
    w.flow("cancel-job", job=jobs[1], user="ann")
    w.command("plugins", "cancel", jobs[2])
    assert set(w.services.plugin_jobs.statuses(w.ann, jobs).values()) == {"cancelled"}


def _pin(w: World, job: str) -> None:
    service = w.services.job_door(job)
    for act, pinned in (
        (lambda: service.pin(w.ann, job), True),
        (lambda: service.pin(w.ann, job, pinned=False), False),
        (lambda: w.command("jobs", "pin", job), True),
        (lambda: w.command("jobs", "pin", job, "--unpin"), False),
    ):
        act()
        assert service.lookup(w.ann, job).pinned is pinned


def _share(w: World, job: str) -> None:
    """With each token somebody else reads the job; ended ones are worthless."""
    from multiblast.errors import NotAllowedError

    service = w.services.job_door(job)
    tokens = [service.share(w.ann, job), w.command("jobs", "share", job).strip()]
    w.runner.env["MULTIBLAST_SHARES"] = " ".join(tokens)
    words = {w.job: ("jobs", "show"), w.report: ("reports", "show"), w.plugin: ("plugins", "job")}[job]
    assert w.json(*words, job, "--user", "bob", "--no-link")["status"] == "complete"
    del w.runner.env["MULTIBLAST_SHARES"]
    for token in tokens:
        bob = w.services.accounts.requester("bob", share_tokens=[token])
        assert service.lookup(bob, job, link=False).status == "complete"
    assert "2 tokens are worthless now" in w.command("jobs", "end-shares", job)
    with pytest.raises(NotAllowedError):
        w.services.accounts.requester("bob", share_tokens=tokens[:1])


def _link_guest(w: World) -> None:
    def with_a_job(token: str) -> str:
        guest = w.services.accounts.requester(guest_token=token)
        share = w.services.queries.share(w.ann, w.job)
        invited = w.services.accounts.requester(guest_token=token, share_tokens=[share])
        w.services.queries.lookup(invited, w.job)
        assert len(w.services.queries.list_jobs(guest)) == 1
        return token

    assert w.services.accounts.link_guest(with_a_job(w.services.accounts.new_guest()), "eve").moved == 1
    token = with_a_job(w.command("guests", "new").strip())
    w.runner.env["MULTIBLAST_GUEST"] = token
    assert "0 jobs moved to eve, 1 were there already" in w.command("guests", "link", "eve")
    del w.runner.env["MULTIBLAST_GUEST"]


def _compare(w: World) -> None:
    """Nothing changed: all ways say so."""
    from multiblast.errors import ConflictError

    for act in (
        lambda: w.services.queries.compare(w.ann, w.job),
        lambda: w.flow("compare-databases", job=w.job, user="ann"),
        lambda: w.command("jobs", "compare", w.job),
    ):
        with pytest.raises(ConflictError, match="nothing to compare"):
            act()


def _files(w: World) -> None:
    returned = [file.to_json() for file in w.services.reports.files(w.ann, w.report)]
    assert returned == w.json("reports", "files", w.report, "--json")
    assert [file["name"] for file in returned] == ["report.tsv", "report.zip"]


def _file(w: World) -> None:
    with w.services.reports.file(w.ann, w.report, "report.tsv", line_range="1-3") as stream:
        returned = stream.read()
    command = w.command("reports", "get", w.report, "report.tsv", "--lines", "1-3")
    assert returned == command.encode()
    assert returned.startswith(b"# BLASTP 2.")


def _plugin_files(w: World) -> None:
    returned = [file.to_json() for file in w.services.plugin_jobs.files(w.ann, w.plugin)]
    assert returned == w.json("plugins", "files", w.plugin, "--json")
    assert [file["name"] for file in returned] == ["sorted.txt"]


def _plugin_file(w: World) -> None:
    with w.services.plugin_jobs.file(w.ann, w.plugin, "sorted.txt") as stream:
        assert stream.read() == w.command("plugins", "get", w.plugin, "sorted.txt").encode() == b"apple\npear\n"


def _expire(w: World) -> None:
    from dataclasses import asdict

    returned = asdict(w.services.expiry.run(dry_run=True))
    assert returned == asdict(w.flow("expire-results", dry_run=True)) == w.json("expire", "--dry-run")["expired"]
    assert returned["query_jobs"] == []


def _verify(w: World) -> None:
    from dataclasses import asdict

    returned = asdict(w.services.storage_upkeep.verify())
    assert returned == asdict(w.flow("verify-storage")) == w.json("verify")
    assert not any(returned.values())


WAYS: dict[str, Callable[[World], None]] = {
    "jobs create": _create,
    "jobs list": _list,
    "jobs show": _lookup("jobs"),
    "jobs restart": _restart,
    "jobs update": lambda w: _update(w, w.job),
    "jobs unlink": _unlink_query,
    "jobs query": _query,
    "jobs result": _result,
    "jobs errors": lambda w: _errors(w, w.job),
    "jobs history": lambda w: _history(w, w.job),
    "jobs status": _status,
    "jobs cancel": _cancel,
    "jobs pin": lambda w: _pin(w, w.job),
    "jobs share": lambda w: _share(w, w.job),
    "jobs end-shares": lambda w: _share(w, w.job),
    "jobs compare": _compare,
    "reports create": _create_report,
    "reports list": _list_reports,
    "reports show": _lookup("reports"),
    "reports restart": _restart_report,
    "reports update": lambda w: _update(w, w.report),
    "reports unlink": _unlink_report,
    "reports files": _files,
    "reports get": _file,
    "reports errors": lambda w: _errors(w, w.report),
    "reports history": lambda w: _history(w, w.report),
    "reports status": _status,
    "reports cancel": _cancel_report,
    "reports pin": lambda w: _pin(w, w.report),
    "reports share": lambda w: _share(w, w.report),
    "reports end-shares": lambda w: _share(w, w.report),
    "plugins create": _create_plugin,
    "plugins list": _list_plugins,
    "plugins show": _lookup("plugins"),
    "plugins restart": _restart_plugin,
    "plugins update": lambda w: _update(w, w.plugin),
    "plugins unlink": lambda w: _unlink(w, w.plugin, lambda: _create_plugin(w)),
    "plugins files": _plugin_files,
    "plugins get": _plugin_file,
    "plugins errors": lambda w: _errors(w, w.plugin),
    "plugins history": lambda w: _history(w, w.plugin),
    "plugins status": _status,
    "plugins cancel": _cancel_plugin,
    "plugins pin": lambda w: _pin(w, w.plugin),
    "plugins share": lambda w: _share(w, w.plugin),
    "plugins end-shares": lambda w: _share(w, w.plugin),
}
ACTIONS = [f"{group} {one.name}" for group in GROUPS for one in actions_of(door_of(group))]


@pytest.mark.parametrize("action", ACTIONS)
def test_action_does_the_same_in_all_ways(action: str, world: World) -> None:
    WAYS[action](world)


@pytest.mark.parametrize("act", [_targets, _link_guest, _expire, _verify])
def test_what_is_no_action_on_a_job_does_the_same_in_all_ways(act: Callable[[World], None], world: World) -> None:
    act(world)


def test_commands_are_requested_by_the_user_or_guest_of_the_environment(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In a service for others, where nobody without a name may do anything."""
    from blocks.services import using
    from deployments.command_line import session
    from multiblast.errors import NotAllowedError
    from multiblast.settings import Policy

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

    from blocks.services import using
    from multiblast.errors import NotAllowedError
    from multiblast.settings import Policy

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


def test_targets_root_changes_the_databases_and_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from deployments.command_line import session
    from deployments.command_line.demo import build_demo_targets
    from multiblast.settings import Policy

    build_demo_targets(tmp_path)
    chosen = replace(world.services, policy=Policy(keep_days=7))
    monkeypatch.setattr("multiblast.services.Services.embedded", lambda: chosen)
    found = session.local_services(tmp_path)
    assert found.targets.root == tmp_path
    assert found.targets.layout.pattern == chosen.targets.layout.pattern
    for place in ("database", "store", "installation", "limits", "policy"):
        assert getattr(found, place) is getattr(chosen, place)


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
