"""A machine elsewhere searches: it reaches the gateway only, and what comes of it is what comes of searching here."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from multiblast.coupling import FilesystemCoupling, InputCache, Reference, StoreCoupling
from multiblast.database import BatchRun, Ticket
from multiblast.errors import ConflictError, MultiblastError, NotAllowedError, ProgramError
from multiblast.installation import Installation
from multiblast.reports import Formatting
from multiblast.search import Resolver, SearchedJob, elsewhere, orders, read_submission
from multiblast.search.elsewhere import Elsewhere, GivenBackError
from multiblast.search.orders import STDOUT, Order, fetch_output, is_done, perform
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.stores import LocalStore, MemoryStore, open_store
from multiblast.stores.http import HttpStore
from multiblast.targets import Targets
from multiblast.targets.makeblastdb import build_database
from tests.support.couriers import FullDiskCourier, HereCourier
from tests.support.gateway import gateway, granted
from tests.support.people import ADMINISTRATOR
from tests.support.places import EXAMPLES


@pytest.fixture
def root(targets_root: Path, tmp_path: Path) -> Path:
    """A copy of the databases at another place, as another machine has them."""
    return Path(shutil.copytree(targets_root, tmp_path / "elsewhere" / "databases"))


@pytest.fixture
def courier(services: Services, root: Path) -> Iterator[HereCourier]:
    with gateway(services) as url:
        yield HereCourier(url, services.gateway.sites.add("giessen"), root, InputCache(root.with_name("inputs")))


def submit(services: Services, query: str, program: str = "blastp", **options: Any) -> str:
    submission = read_submission(query=query, program=program, targets=["demo/examples/proteins"], options=options)
    return services.queries.submit(ADMINISTRATOR, submission).job_id


def run(services: Services, courier: HereCourier, job_id: str) -> SearchedJob:
    at = Elsewhere(services.gateway, services.queries.jobs, "giessen", courier, patience_s=5)
    return replace(services.queries.run(job_id), start_search=at.start).execute()


def searched(services: Services, courier: HereCourier, query: str, **options: Any) -> SearchedJob:
    return run(services, courier, submit(services, query, **options))


def fasta(sequences: list[Sequence]) -> str:
    return "".join(sequence.canonical.decode() for sequence in sequences)


def report(services: Services, job_id: str, number: int) -> bytes:
    made = services.reports.run(services.reports.submit(ADMINISTRATOR, job_id, Formatting.read(number))).execute()
    with services.reports.file(ADMINISTRATOR, made.report_id, made.files[0].name) as stream:
        return stream.read()


def runs(services: Services) -> list[BatchRun]:
    with services.database.read() as session:
        return list(session.exec(select(BatchRun)))


def test_search_elsewhere_gives_what_a_search_here_gives(
    services: Services,
    courier: HereCourier,
    make_services: Callable[..., Services],
    search_whole: Callable[..., SearchedJob],
    proteins: list[Sequence],
) -> None:
    job = searched(services, courier, fasta(proteins))
    here = make_services("another")
    same = search_whole(here, fasta(proteins))
    assert (job.status, job.searched, len(job.rows)) == ("complete", same.searched, len(proteins))
    for number in (0, 5, 6, 15):
        assert report(services, job.job_id, number) == report(here, same.job_id, number)
    assert {one.host for one in runs(services)} == {"elsewhere"}
    assert [found.key for found in services.store.list("orders/")] == []  # what came of it is in the results
    transfers = services.gateway.tickets.transfers(job.job_id)
    assert {(row.verb, row.outcome) for row in transfers} >= {("grant", "done"), ("fetch", "done"), ("push", "done")}
    with services.database.read() as session:
        assert all(ticket.revoked_at for ticket in session.exec(select(Ticket)))


def test_what_a_search_writes_beside_its_result_comes_back_too(
    services: Services, courier: HereCourier, make_services: Callable[..., Services], proteins: list[Sequence]
) -> None:
    options = {"program": "psiblast", "num_iterations": 2, "out_pssm": True, "out_ascii_pssm": True}
    job = searched(services, courier, fasta(proteins[:1]), **options)
    kept = sorted(services.store.read(found.key) for found in services.store.list("outputs/"))
    assert (job.status, len(kept)) == ("complete", 2)
    here = make_services("another")
    here.queries.run(submit(here, fasta(proteins[:1]), **options)).execute()
    assert kept == sorted(here.store.read(found.key) for found in here.store.list("outputs/"))


def test_order_whose_run_was_killed_is_sent_again(
    services: Services, courier: HereCourier, proteins: list[Sequence]
) -> None:
    courier.lost = 2
    job = searched(services, courier, fasta(proteins[:1]))
    assert (job.status, len(courier.sent), len({order.id for order in courier.sent})) == ("complete", 3, 1)


@pytest.mark.parametrize("why", ["another database", "no database", "nobody there", "killed again and again"])
def test_what_a_site_does_not_do_is_done_by_others(
    services: Services, courier: HereCourier, proteins: list[Sequence], why: str
) -> None:
    if why == "another database":
        place = courier.root / "demo" / "examples" / "blast"
        build_database(EXAMPLES / "protein_query.fasta", place, "proteins", molecule="protein")
    elif why == "no database":
        shutil.rmtree(courier.root)
    courier.is_deaf = why == "nobody there"
    courier.lost = 100 if why == "killed again and again" else 0
    job_id = submit(services, fasta(proteins[:2]))
    with pytest.raises(GivenBackError, match="giessen"):
        run(services, courier, job_id)
    services.queries.restart(ADMINISTRATOR, job_id)
    done = services.queries.run(job_id).execute()
    assert (done.status, done.searched) == ("complete", 2)


def slow_blastp(directory: Path, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let blastp take its time, here and elsewhere."""
    directory.mkdir()
    real, script = Installation.program, directory / "blastp"
    script.write_text(
        f'#!/bin/sh\n[ "$1" = -version ] || sleep {seconds}\nexec {real(Installation(), "blastp")} "$@"\n'
    )
    script.chmod(0o755)
    monkeypatch.setattr(
        Installation, "program", lambda self, name: str(script) if name == "blastp" else real(self, name)
    )


def test_order_that_takes_its_time_is_not_thought_dead(
    services: Services, courier: HereCourier, proteins: list[Sequence], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elsewhere, "_SILENT_S", 2.5)
    monkeypatch.setattr(orders, "ALIVE_EVERY_S", 0.5)
    slow_blastp(courier.root.with_name("programs"), 6, monkeypatch)
    job = searched(services, courier, fasta(proteins[:1]))
    assert (job.status, len(courier.sent)) == ("complete", 1)


def test_slow_transfer_of_a_result_is_a_sign_of_life(
    services: Services, courier: HereCourier, proteins: list[Sequence], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elsewhere, "_SILENT_S", 2.5)
    monkeypatch.setattr(orders, "ALIVE_EVERY_S", 0.5)
    push = StoreCoupling.push

    def slowly(self: StoreCoupling, path: Path, key: str) -> Reference:
        time.sleep(5)
        return push(self, path, key)

    monkeypatch.setattr(StoreCoupling, "push", slowly)
    job = searched(services, courier, fasta(proteins[:1]))
    assert (job.status, len(courier.sent)) == ("complete", 1)


def test_disk_that_is_full_elsewhere_loses_nothing(services: Services, root: Path, proteins: list[Sequence]) -> None:
    with gateway(services) as url:
        courier = FullDiskCourier(
            url, services.gateway.sites.add("giessen"), root, InputCache(root.with_name("inputs"))
        )
        job = searched(services, courier, fasta(proteins))
    assert (job.status, len(job.rows)) == ("complete", len(proteins))
    assert courier.sent[0].id == courier.sent[1].id != courier.sent[2].id
    assert re.search(r"no space left .* free some, or set TMPDIR to a larger disk", courier.printed[0].splitlines()[-1])
    assert [found.key for found in services.store.list("orders/")] == []


def test_failure_elsewhere_is_narrowed_down_as_one_here(
    services: Services, courier: HereCourier, proteins: list[Sequence], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that fails at one sequence: the others are found all the same."""
    directory = courier.root.with_name("programs")
    directory.mkdir()
    real, script = Installation.program, directory / "blastp"
    guilty, program = proteins[1].residues.decode()[:40], real(Installation(), "blastp")
    script.write_text(
        f"""#!/bin/bash
for word; do
    case "$word" in
    */query.fasta) ! grep -q {guilty} "$word" || {{ echo "bad_alloc" >&2; exit 4; }} ;;
    esac
done
exec {program} "$@"
"""
    )
    script.chmod(0o755)
    monkeypatch.setattr(
        Installation, "program", lambda self, name: str(script) if name == "blastp" else real(self, name)
    )
    job_id = submit(services, fasta(proteins[:4]))
    with suppress(MultiblastError):
        run(services, courier, job_id)
    job = services.queries.searched_job(job_id)
    assert [bool(row.hits) for row in job.rows] == [True, False, True, True]
    assert job.status == "failed"


def test_cancelled_job_ends_its_order(services: Services, courier: HereCourier, proteins: list[Sequence]) -> None:
    courier.is_deaf = True
    job_id = submit(services, fasta(proteins[:1]))
    threading.Timer(1.0, lambda: services.queries.cancel(ADMINISTRATOR, job_id)).start()
    with pytest.raises(ProgramError, match="cancelled"):
        run(services, courier, job_id)
    assert len(courier.stopped) == 1
    with services.database.read() as session:
        [ticket] = session.exec(select(Ticket))
    with pytest.raises(NotAllowedError):
        services.gateway.tickets.grant(ticket.id, "giessen")


def test_order_that_was_changed_on_its_way_is_refused(
    services: Services, courier: HereCourier, proteins: list[Sequence]
) -> None:
    searched(services, courier, fasta(proteins[:1]))
    [order] = courier.sent
    writes = {**order.to_json(), "formatter": ["-outfmt", "6", "-out", "x"]}
    for told in ({**order.to_json(), "more": 1}, {"program": "blastp"}, {**order.to_json(), "targets": 5}, writes):
        with pytest.raises(ConflictError, match="no order"):
            Order.from_json(told)
    services.store.put(order.reads[0], b">q1\nWWWWWWWWWW\n")
    resolver = Resolver(Installation(cores=1), Targets(courier.root))
    with pytest.raises(ConflictError, match="not what was sent"):
        perform(order, resolver, StoreCoupling(services.store), "here")
    assert is_done(services.store, order) is None


def test_what_a_site_says_of_an_order_is_checked(
    services: Services, courier: HereCourier, proteins: list[Sequence]
) -> None:
    searched(services, courier, fasta(proteins[:1]))
    [order] = courier.sent
    told: dict[str, Any] = {"host": "there", "seconds": 1.5, "stderr": "", "outputs": {"stdout.zst": ""}}
    wrong: list[dict[str, Any]] = [
        {"outputs": {"../../pssm.txt": ""}},
        {"outputs": {"query.fasta": ""}},
        {"outputs": {"stdout.zst": "x"}},
        {"failure": "of no kind"},
        {"seconds": "long"},
        {"seconds": -1},
        {"host": "x" * 300},
        {"stderr": "x" * (1 << 20)},
        {"more": 1},
    ]
    for more in ({}, *wrong):
        services.store.put(f"{order.prefix}done.json", json.dumps(told | more).encode())
        assert (is_done(services.store, order) is None) == bool(more)


@pytest.mark.parametrize(
    "number", [5, 7, 13, *(pytest.param(n, marks=pytest.mark.long) for n in (0, 6, 15, 16, 17, 18))]
)
def test_report_that_is_formatted_elsewhere_is_the_same(
    services: Services,
    courier: HereCourier,
    search_whole: Callable[..., SearchedJob],
    proteins: list[Sequence],
    number: int,
) -> None:
    """It names the place of the database here. Of 13, which has many files, all is done here."""
    program = "blastn" if number in {17, 18} else "blastp"
    query = (EXAMPLES / "nucleotide_query.fasta").read_text() if program == "blastn" else fasta(proteins[:4])
    job = search_whole(services, query, program=program)
    report_id = services.reports.submit(ADMINISTRATOR, job.job_id, Formatting.read(number))
    at = Elsewhere(services.gateway, services.queries.jobs, "giessen", courier, patience_s=5)
    made = replace(services.reports.run(report_id), at=at).execute()
    elsewhere = {file.name: services.store.read(file.key) for file in made.files}
    assert len(courier.sent) == (0 if number == 13 else 1)
    services.store.delete(file.key for file in made.files)
    again = services.reports.run(report_id).execute()
    assert {file.name: services.store.read(file.key) for file in again.files} == elsewhere


@pytest.mark.parametrize("way", ["filesystem", "file", "memory", "https"])
def test_order_by_any_coupling_gives_the_same_bytes(
    services: Services, courier: HereCourier, proteins: list[Sequence], tmp_path: Path, way: str
) -> None:
    """The order is one that was done before, put anew where this coupling has its files."""
    searched(services, courier, fasta(proteins[:2]))
    order, found = courier.sent[0], []
    data = b"".join(b">q%d\n%b\n" % (n, one.residues) for n, one in enumerate(proteins[:2], start=1))
    order = replace(order, inputs={"query.fasta": hashlib.sha256(data).hexdigest()})
    resolver = Resolver(Installation(cores=1), Targets(courier.root, cache=tmp_path / "known"))
    with _coupling(way, services, courier, order, tmp_path) as tried:
        for by in (StoreCoupling(MemoryStore(), courier.cache), tried):
            by.store.put(f"{order.prefix}query.fasta", data)
            done = perform(order, resolver, by, "here")
            path = tmp_path / "archive"
            fetch_output(by.store, order, done, STDOUT, path)
            found.append(path.read_bytes())
    assert found[0] == found[1]
    assert found[0].startswith(b"Blast4-archive")


@contextmanager
def _coupling(
    way: str, services: Services, courier: HereCourier, order: Order, tmp_path: Path
) -> Iterator[StoreCoupling]:
    if way == "filesystem":
        yield FilesystemCoupling(LocalStore(tmp_path / "shared"), courier.cache)
        return
    if way == "https":
        token = granted(services, writes=[order.prefix], replaces=True)
        with closing(HttpStore(courier.url, lambda _afresh: token)) as store:
            yield StoreCoupling(store, courier.cache, "https")
        return
    yield StoreCoupling(
        open_store({"file": f"file://{tmp_path}/files", "memory": "memory://orders"}[way]), courier.cache
    )
