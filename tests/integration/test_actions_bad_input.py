"""Bad input for every action: told by key, and nothing changed in the database or the store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from multiblast.accounts import Requester
from multiblast.database import QueryJob, ReportJob
from multiblast.database.metadata import METADATA
from multiblast.errors import ConflictError, InvalidInputError, MultiblastError, NotAllowedError, NotFoundError
from multiblast.search import SearchedJob, StoreKey
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.settings import QueryLimits

ANN = Requester("ann")
NOBODY = "0" * 32

Dump = dict[str, list[tuple[Any, ...]]]


def dump(services: Services) -> tuple[Dump, list[str]]:
    """Every row of every table, and every key of the store."""
    with services.database.read() as session:
        tables = {
            table.name: sorted(tuple(map(repr, row)) for row in session.connection().execute(table.select()))
            for table in METADATA.sorted_tables
        }
    return tables, sorted(item.key for item in services.store.list())


@pytest.fixture
def services(
    make_services: Callable[..., Services], search_whole: Callable[..., SearchedJob], proteins: list[Sequence]
) -> Services:
    services = make_services()
    services.limits = QueryLimits(sequences=3)
    fasta = b"".join(sequence.canonical for sequence in proteins[8:10]).decode()
    job = search_whole(services, fasta, user="ann")
    report = services.reports.create(ANN, {"queryJobID": job.job_id}).report_job_id
    services.reports.run(report).execute()
    return services


def ids(services: Services) -> tuple[str, str]:
    with services.database.read() as session:
        query = session.exec(select(QueryJob.id).where(QueryJob.sequences > 1)).one()
        return query, session.exec(select(ReportJob.id)).one()


def config(**changes: Any) -> dict[str, Any]:
    """Return a good request, with ``path__to__part=value`` put in."""
    request: dict[str, Any] = {
        "jobConfig": {
            "site": "demo",
            "targets": [{"targetDisplayName": "examples", "targetFile": "proteins"}],
            "query": ">a\nMKVLAAGIVGLLLAQWERTYIP\n",
        },
        "blastConfig": {"tool": "blastp"},
    }
    for path, value in changes.items():
        part: Any = request
        *steps, last = path.split("__")
        for step in steps:
            part = part[int(step)] if step.isdigit() else part.setdefault(step, {})
        part[last] = value
    return request


CREATE: dict[str, tuple[dict[str, Any], set[str]]] = {
    "nothing": ({}, {"jobConfig", "blastConfig"}),
    "no part of the job": (
        {"jobConfig": {}, "blastConfig": {}},
        {"jobConfig.site", "jobConfig.targets", "blastConfig.tool"},
    ),
    "a list for an object": ({"jobConfig": [], "blastConfig": "blastp"}, {"jobConfig", "blastConfig"}),
    "an unknown field": (config(color="red"), {"color"}),
    "an unknown part": (config(jobConfig__project="x"), {"jobConfig.project"}),
    "no targets": (config(jobConfig__targets=[]), {"jobConfig.targets"}),
    "a target without file": (
        config(jobConfig__targets=[{"targetDisplayName": "examples"}]),
        {"jobConfig.targets[0].targetFile"},
    ),
    "an unknown target": (
        config(jobConfig__targets=[{"targetDisplayName": "examples", "targetFile": "../../etc/passwd"}]),
        {"jobConfig.targets[0]"},
    ),
    "a target of the other molecule": (
        config(jobConfig__targets=[{"targetDisplayName": "examples", "targetFile": "nucleotides"}]),
        {"jobConfig.targets[0]"},
    ),
    "an unknown site": (config(jobConfig__site="nowhere"), {"jobConfig.targets[0]"}),
    "no query": (config(jobConfig__query="  "), {"jobConfig.query"}),
    "a number for a query": (config(jobConfig__query=7), {"jobConfig.query"}),
    "letters that are none": (config(jobConfig__query=">a\nMK!V\n"), {"jobConfig.query"}),
    "an empty sequence": (config(jobConfig__query=">a\n>b\nMKV\n"), {"jobConfig.query"}),
    "too many sequences": (config(jobConfig__query=">a\nMKVWWW\n" * 4), {"jobConfig.query"}),
    "no tool": (config(blastConfig={}), {"blastConfig.tool"}),
    "an unknown tool": (config(blastConfig__tool="rm"), {"blastConfig.tool"}),
    "an unknown option": (config(blastConfig__out="/etc/passwd"), {"blastConfig.out"}),
    "a bad value": (config(blastConfig__eValue="low"), {"blastConfig.eValue"}),
    "a word for a switch": (config(jobConfig__addToUserCollection="no"), {"jobConfig.addToUserCollection"}),
    "a long summary": (config(userMeta__summary="x" * 513), {"userMeta.summary"}),
    "several at once": (
        config(jobConfig__site="", blastConfig__eValue="low", userMeta__summary="x" * 513),
        {"jobConfig.site", "blastConfig.eValue", "userMeta.summary"},
    ),
}

REPORT: dict[str, tuple[dict[str, Any], set[str]]] = {
    "nothing": ({}, {"queryJobID"}),
    "an unknown format": ({"blastConfig": {"formatType": 19}}, {"blastConfig.formatType"}),
    "an unknown option": ({"blastConfig": {"out": "x"}}, {"blastConfig.out"}),
    "fields of another format": (
        {"blastConfig": {"formatType": 5, "formatFields": ["std"]}},
        {"blastConfig.formatFields"},
    ),
    "an unknown field": ({"format": 5}, {"format"}),
    "a long summary": ({"userMeta": {"summary": "x" * 513}}, {"userMeta.summary"}),
}


def test_create_query_tells_each_problem_by_its_key(services: Services) -> None:
    before = dump(services)
    for name, (request, keys) in CREATE.items():
        with pytest.raises(InvalidInputError) as caught:
            services.queries.create(ANN, request)
        assert set(caught.value.by_key) >= keys, name
        assert caught.value.general == [], name
    assert dump(services) == before


def test_create_query_takes_the_query_from_one_place_only(services: Services) -> None:
    before = dump(services)
    for request, query in ((config(), ">b\nMKV\n"), (config(jobConfig__query=""), StoreKey("uploads/none.fasta"))):
        with pytest.raises(InvalidInputError) as caught:
            services.queries.create(ANN, request, query)
        assert set(caught.value.by_key) == {"jobConfig.query"}
    assert dump(services) == before


def test_create_report_tells_each_problem_by_its_key(services: Services) -> None:
    query, _ = ids(services)
    before = dump(services)
    for name, (request, keys) in REPORT.items():
        with pytest.raises(InvalidInputError) as caught:
            services.reports.create(ANN, {"queryJobID": query, **request} if name != "nothing" else request)
        assert set(caught.value.by_key) >= keys, name
    assert dump(services) == before


def test_every_action_refuses_bad_input_and_changes_nothing(services: Services) -> None:
    query, report = ids(services)
    jobs, reports, accounts = services.queries, services.reports, services.accounts
    refused: dict[str, tuple[type[MultiblastError], set[str], Callable[[], object]]] = {
        "list: status": (
            InvalidInputError,
            {"status", "first", "count"},
            lambda: jobs.list_jobs(ANN, status="done", first=0, count=-1),
        ),
        "list reports": (InvalidInputError, {"status"}, lambda: reports.list_jobs(ANN, status="done")),
        "lookup": (NotFoundError, set(), lambda: jobs.lookup(ANN, NOBODY)),
        "lookup: a path": (NotFoundError, set(), lambda: jobs.lookup(ANN, "../../etc/passwd")),
        "lookup of the other kind": (NotFoundError, set(), lambda: jobs.lookup(ANN, report)),
        "restart": (ConflictError, set(), lambda: jobs.restart(ANN, query)),
        "restart report": (ConflictError, set(), lambda: reports.restart(ANN, report)),
        "update": (InvalidInputError, {"summary"}, lambda: jobs.update(ANN, query, summary="x" * 513)),
        "update report": (InvalidInputError, {"summary"}, lambda: reports.update(ANN, report, summary="x" * 513)),
        "update by nobody": (InvalidInputError, {"user"}, lambda: jobs.update(Requester(administrator=True), query)),
        "unlink": (NotFoundError, set(), lambda: jobs.unlink(ANN, NOBODY)),
        "query": (NotFoundError, set(), lambda: jobs.query(ANN, NOBODY)),
        "result": (NotFoundError, set(), lambda: jobs.result(ANN, NOBODY, None)),  # type: ignore[arg-type]  # never written
        "errors": (NotFoundError, set(), lambda: jobs.errors(ANN, NOBODY)),
        "history": (NotFoundError, set(), lambda: jobs.history(ANN, NOBODY)),
        "bulk status": (InvalidInputError, set(), lambda: jobs.statuses(ANN, [NOBODY] * 100_001)),
        "cancel": (ConflictError, set(), lambda: jobs.cancel(ANN, query)),
        "cancel report": (ConflictError, set(), lambda: reports.cancel(ANN, report)),
        "pin": (NotFoundError, set(), lambda: jobs.pin(ANN, NOBODY)),
        "share": (InvalidInputError, {"lasts"}, lambda: jobs.share(ANN, query, lasts=timedelta(days=-1))),
        "report of nothing": (NotFoundError, set(), lambda: reports.create(ANN, {"queryJobID": NOBODY})),
        "files": (NotFoundError, set(), lambda: reports.files(ANN, query)),
        "file: no range": (
            InvalidInputError,
            {"byteRange"},
            lambda: reports.file(ANN, report, "report.txt", byte_range="all"),
        ),
        "file: backwards": (
            InvalidInputError,
            {"lineRange"},
            lambda: reports.file(ANN, report, "report.txt", line_range="9-2"),
        ),
        "file: two ranges": (
            InvalidInputError,
            {"lineRange"},
            lambda: reports.file(ANN, report, "report.txt", line_range="1-2", byte_range="1-2"),
        ),
        "file: a path": (NotFoundError, set(), lambda: reports.file(ANN, report, "../../secret")),
        "link guest: token": (NotAllowedError, set(), lambda: accounts.link_guest("guess", "ann")),
        "link guest: name": (InvalidInputError, {"user"}, lambda: accounts.link_guest("guess", "guest:x")),
        "user: guest's name": (InvalidInputError, {"user"}, lambda: accounts.requester("guest:1")),
        "user: blanks": (InvalidInputError, {"user"}, lambda: accounts.requester(" ann")),
        "user: both": (InvalidInputError, {"user"}, lambda: accounts.requester("ann", guest_token="x")),  # noqa: S106 - no token
        "share token": (NotAllowedError, set(), lambda: accounts.requester("ann", share_tokens=["guess"])),
    }
    before = dump(services)
    for name, (kind, keys, act) in refused.items():
        with pytest.raises(kind) as caught:
            act()
        if isinstance(caught.value, InvalidInputError):
            assert set(caught.value.by_key) == keys, name
    assert dump(services) == before


def test_action_on_an_unfinished_job_says_what_to_wait_for(services: Services) -> None:
    job = services.queries.create(ANN, config()).query_job_id
    before = dump(services)
    for act in (
        lambda: services.queries.result(ANN, job, None),  # type: ignore[arg-type]  # never written
        lambda: services.reports.create(ANN, {"queryJobID": job}),
        lambda: services.queries.restart(ANN, job),
    ):
        with pytest.raises(ConflictError, match="queued"):
            act()
    assert dump(services) == before
