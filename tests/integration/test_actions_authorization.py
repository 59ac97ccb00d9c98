"""Who may do what: every action for every kind of requester."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from multiblast.accounts import Requester
from multiblast.database import QueryJob
from multiblast.errors import ConflictError, InvalidInputError, MultiblastError, NotAllowedError
from multiblast.search import SearchedJob
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.settings import Policy
from tests.support.people import ADMINISTRATOR

REQUESTERS = ("owner", "other user", "guest", "guest linked", "holder of a share", "administrator")
LINKED = {"owner", "guest linked", "administrator"}
READERS = LINKED | {"holder of a share"}
ALL = set(REQUESTERS)
NAMED = ALL - {"holder of a share"}

Act = Callable[["House", Requester], object]


@dataclass
class House:
    """Services with one complete query job and one complete report of it, both of the owner."""

    services: Services
    query: str
    report: str


def request(house: House) -> dict[str, object]:
    return {"queryJobID": house.query, "blastConfig": {"formatType": 6}, "addToUserCollection": False}


def config(query: str) -> dict[str, Any]:
    return {
        "jobConfig": {
            "site": "demo",
            "targets": [{"targetDisplayName": "examples", "targetFile": "proteins"}],
            "query": query,
        },
        "blastConfig": {"tool": "blastp"},
    }


ACTIONS: dict[str, tuple[set[str], Act]] = {
    # action: (who may, how it is done)
    "query list": (ALL, lambda h, r: h.services.queries.list_jobs(r)),
    "query create": (NAMED, lambda h, r: h.services.queries.create(r, config(">x\nMKVLAAGIVGLLLAQWERTYIP\n"))),
    "query lookup": (READERS, lambda h, r: h.services.queries.lookup(r, h.query, link=False)),
    "query restart": (LINKED, lambda h, r: h.services.queries.restart(r, h.query)),
    "query update": (LINKED, lambda h, r: h.services.queries.update(r, h.query, summary="mine")),
    "query unlink": (LINKED, lambda h, r: h.services.queries.unlink(r, h.query)),
    "query get query": (READERS, lambda h, r: h.services.queries.query(r, h.query).close()),
    "query get result": (READERS, lambda h, r: h.services.queries.result(r, h.query, io.BytesIO())),
    "query get errors": (READERS, lambda h, r: h.services.queries.errors(r, h.query)),
    "query history": (READERS, lambda h, r: h.services.queries.history(r, h.query)),
    "query targets": (ALL, lambda h, _: h.services.queries.targets()),
    "query cancel": (LINKED, lambda h, r: h.services.queries.cancel(r, h.query)),
    "query pin": (LINKED, lambda h, r: h.services.queries.pin(r, h.query)),
    "query share": (LINKED, lambda h, r: h.services.queries.share(r, h.query)),
    "query end shares": (LINKED, lambda h, r: h.services.queries.end_shares(r, h.query)),
    "report list": (ALL, lambda h, r: h.services.reports.list_jobs(r)),
    "report create": (READERS, lambda h, r: h.services.reports.create(r, request(h))),
    "report lookup": (READERS, lambda h, r: h.services.reports.lookup(r, h.report, link=False)),
    "report restart": (LINKED, lambda h, r: h.services.reports.restart(r, h.report)),
    "report update": (LINKED, lambda h, r: h.services.reports.update(r, h.report, summary="mine")),
    "report unlink": (LINKED, lambda h, r: h.services.reports.unlink(r, h.report)),
    "report files": (READERS, lambda h, r: h.services.reports.files(r, h.report)),
    "report file": (READERS, lambda h, r: h.services.reports.file(r, h.report, "report.tsv").close()),
    "report errors": (READERS, lambda h, r: h.services.reports.errors(r, h.report)),
    "report history": (READERS, lambda h, r: h.services.reports.history(r, h.report)),
    "report cancel": (LINKED, lambda h, r: h.services.reports.cancel(r, h.report)),
    "report pin": (LINKED, lambda h, r: h.services.reports.pin(r, h.report)),
    "report share": (LINKED, lambda h, r: h.services.reports.share(r, h.report)),
    "report end shares": (LINKED, lambda h, r: h.services.reports.end_shares(r, h.report)),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Where the house that all tests get a copy of stands, once it is built."""
    return {"place": tmp_path_factory.mktemp("house") / "home"}


@pytest.fixture
def house(
    make_services: Callable[..., Services],
    search_whole: Callable[..., SearchedJob],
    proteins: list[Sequence],
    built: dict[str, Any],
    tmp_path: Path,
) -> House:
    if "query" in built:
        shutil.copytree(built["place"], tmp_path / "home")
    services = make_services()
    services.policy = Policy(administrators=frozenset({"admin"}), trust_unnamed=False)
    if "query" not in built:
        fasta = b"".join(sequence.canonical for sequence in proteins[8:10]).decode()
        built["query"] = search_whole(services, fasta, user="ann").job_id
        request = {"queryJobID": built["query"], "blastConfig": {"formatType": 6}}
        built["report"] = services.reports.create(services.accounts.requester("ann"), request).report_job_id
        services.reports.run(built["report"]).execute()
        services.database.close()
        shutil.copytree(tmp_path / "home", built["place"])
    return House(services, built["query"], built["report"])


def requester(house: House, name: str) -> Requester:
    accounts = house.services.accounts
    if name == "guest linked":
        token = accounts.new_guest()
        guest = accounts.requester(guest_token=token)
        house.services.queries.link(guest, house.query)
        house.services.reports.link(guest, house.report)
        return guest
    if name == "holder of a share":
        return accounts.requester(
            share_tokens=[
                house.services.queries.share(accounts.requester("ann"), house.query),
                house.services.reports.share(accounts.requester("ann"), house.report),
            ]
        )
    if name == "guest":
        return accounts.requester(guest_token=accounts.new_guest())
    return accounts.requester({"owner": "ann", "other user": "bob", "administrator": "admin"}[name])


@pytest.mark.parametrize("who", REQUESTERS)
def test_actions_are_allowed_to_those_in_the_table_only(house: House, who: str) -> None:
    """One house serves all actions of a requester; refusing comes before anything else."""
    asks = requester(house, who)
    allowed = set()
    for action, (_, act) in ACTIONS.items():
        if action in {"query unlink", "report unlink"}:
            continue  # they would take the link away that the others need
        try:
            act(house, asks)
        except NotAllowedError:
            continue
        except ConflictError:
            pass  # allowed, and not possible with a complete job
        allowed.add(action)
    for action in ("report unlink", "query unlink"):
        try:
            ACTIONS[action][1](house, asks)
        except NotAllowedError:
            continue
        allowed.add(action)
    assert allowed == {action for action, (may, _) in ACTIONS.items() if who in may}


def test_what_is_accepted_can_be_read_by_whoever_submitted_it(house: House) -> None:
    """Under the public policy too: who could not read it has nothing accepted."""
    house.services = replace(house.services, policy=Policy.public())
    accounts, queries = house.services.accounts, house.services.queries
    asked, hidden = config(">x\nMKVLAAGIVGLLLAQWERTYIP\n"), config(">y\nMKVLAAGIVGLLLAQWERTYIQ\n")
    hidden["jobConfig"]["addToUserCollection"] = False
    for who in (accounts.requester("bob"), accounts.requester(guest_token=accounts.new_guest())):
        job = queries.create(who, asked).query_job_id
        assert queries.lookup(who, job, link=False).query_job_id == job
        with pytest.raises(InvalidInputError, match="addToUserCollection"):
            queries.create(who, hidden)
    nobody, before = accounts.requester(), len(queries.list_jobs(ADMINISTRATOR))
    with pytest.raises(NotAllowedError, match="give a user's name"):
        queries.create(nobody, asked)
    assert len(queries.list_jobs(ADMINISTRATOR)) == before


@pytest.mark.parametrize("who", REQUESTERS)
def test_bulk_status_tells_only_what_one_may_read(house: House, who: str) -> None:
    asks = requester(house, who)
    expected = {house.query: "complete"} if who in READERS else {}
    assert house.services.queries.statuses(asks, [house.query, "0" * 32]) == expected


def test_reader_of_a_query_reads_its_sequences_and_reports(house: House) -> None:
    """A child and a report need no share of their own."""
    share = house.services.queries.share(house.services.accounts.requester("ann"), house.query)
    asks = house.services.accounts.requester("bob", share_tokens=[share])
    children = house.services.queries.lookup(asks, house.query, link=False).children or ()
    child = house.services.queries.lookup(asks, children[0].query_job_id, link=False)
    assert child.parents == (house.query,)
    assert house.services.reports.files(asks, house.report)


def test_reader_of_a_sequence_does_not_read_its_parent(house: House) -> None:
    ann = house.services.accounts.requester("ann")
    children = house.services.queries.lookup(ann, house.query).children or ()
    share = house.services.queries.share(house.services.accounts.requester("admin"), children[0].query_job_id)
    asks = house.services.accounts.requester("bob", share_tokens=[share])
    assert house.services.queries.lookup(asks, children[0].query_job_id).parents is None
    with pytest.raises(NotAllowedError):
        house.services.queries.lookup(asks, house.query)


def test_shares_that_were_ended_are_refused(house: House) -> None:
    ann = house.services.accounts.requester("ann")
    token = house.services.queries.share(ann, house.query)
    assert house.services.queries.end_shares(ann, house.query) == 1
    with pytest.raises(NotAllowedError, match="unknown or has expired"):
        house.services.accounts.requester("bob", share_tokens=[token])


def test_unnamed_requester_is_nobody_unless_the_policy_trusts_them(house: House) -> None:
    with pytest.raises(NotAllowedError):
        house.services.queries.lookup(house.services.accounts.requester(), house.query)
    own = Services(
        house.services.database,
        house.services.store,
        house.services.installation,
        house.services.targets,
        house.services.limits,
    )
    assert own.queries.lookup(own.accounts.requester(), house.query).status == "complete"
    assert [item.query_job_id for item in own.queries.list_jobs(own.accounts.requester())]


def test_action_on_an_unknown_job_says_that_there_is_none(house: House) -> None:
    admin = house.services.accounts.requester("admin")
    unknown = House(house.services, "0" * 32, "0" * 32)
    names = [name for name in ACTIONS if name.rpartition(" ")[2] not in {"list", "targets"} and name != "query create"]
    for name in names:
        with pytest.raises(MultiblastError, match=r"no (query|report) job '0{32}'"):
            ACTIONS[name][1](unknown, admin)


def test_lookup_adds_the_job_to_the_list_unless_one_opts_out(house: House) -> None:
    ann, service = house.services.accounts.requester("ann"), house.services.queries
    listed = [item.query_job_id for item in service.list_jobs(ann)]
    children = service.lookup(ann, house.query).children or ()
    child = children[0].query_job_id
    service.lookup(ann, child, link=False)
    assert [item.query_job_id for item in service.list_jobs(ann)] == listed
    service.lookup(ann, child)
    assert {item.query_job_id for item in service.list_jobs(ann)} == {*listed, child}


def test_share_that_is_taken_back_leaves_nothing_with_its_holder(house: House) -> None:
    """Not even what a holder with a name has looked up; nor may they do more than read until then."""
    ann, accounts = house.services.accounts.requester("ann"), house.services.accounts
    for door, job in ((house.services.queries, house.query), (house.services.reports, house.report)):
        asks = accounts.requester("bob", share_tokens=[door.share(ann, job)])
        assert door.lookup(asks, job).status == "complete"
        assert door.list_jobs(asks) == []
        with pytest.raises(NotAllowedError):
            door.pin(asks, job)
        if job == house.query:
            made = house.services.reports.create(asks, {"queryJobID": job, "blastConfig": {"formatType": 7}})
            assert house.services.reports.lookup(asks, made.report_job_id).status == "queued"
            assert house.services.reports.list_jobs(asks) == []
        door.end_shares(ann, job)
        with pytest.raises(NotAllowedError):
            door.lookup(accounts.requester("bob"), job)


def test_parent_alone_is_linked_when_it_is_created(house: House) -> None:
    with house.services.database.read() as session:
        children = session.get_one(QueryJob, house.query).sequences
    assert children == 2
    listed = house.services.queries.list_jobs(house.services.accounts.requester("ann"))
    assert [item.query_job_id for item in listed] == [house.query]
