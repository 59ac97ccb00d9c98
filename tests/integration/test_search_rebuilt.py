"""A database is replaced while something reads it: what is found then is kept under no name."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlmodel import select

from multiblast.coupling import StoreCoupling
from multiblast.database import Failure, Result
from multiblast.errors import ConflictError
from multiblast.grown.refused_ways import RefusedWays
from multiblast.installation import Installation
from multiblast.reports import Formatting
from multiblast.search import Resolver, SearchRun, read_submission
from multiblast.search.context import QUERY_FILE
from multiblast.search.orders import Order, is_done, perform
from multiblast.search.subject_names import keep_names
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.settings import GrownRules
from multiblast.stores import LocalStore
from multiblast.targets import Targets
from multiblast.targets.makeblastdb import build_database
from tests.support.people import ADMINISTRATOR
from tests.support.sequences import distinct_proteins, fasta

_CHANGED = "changed while it was searched: restart the job"
_PROGRAMS = ("blastp", "blast_formatter", "blastdbcmd")
_SUBJECTS = distinct_proteins()[-60:]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A targets root with a database ``db``; beside it is ``new``, what will take its place."""
    build(tmp_path / "root" / "demo" / "examples" / "blast", _SUBJECTS)
    build(tmp_path / "new", list(reversed(_SUBJECTS)))
    return tmp_path / "root"


def build(directory: Path, subjects: list[Sequence]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "in.fasta").write_text(fasta(subjects))
    build_database(directory / "in.fasta", directory, "db", molecule="protein")


def replacement(tmp_path: Path) -> str:
    """Return the command of a shell that replaces the database, as an administrator may: file by file, in place."""
    return f"cp {tmp_path}/new/db.p?? {tmp_path}/root/demo/examples/blast/"


def programs(directory: Path, name: str, first: str, condition: str = "true") -> Path:
    """Return a directory with BLAST+, one program of which does something first, under a condition."""
    directory.mkdir()
    for program in _PROGRAMS:
        (directory / program).symlink_to(str(shutil.which(program)))
    real = (directory / name).readlink()
    (directory / name).unlink()
    (directory / name).write_text(
        f'#!/bin/sh\nif [ "$1" != -version ] && {condition}; then {first}; fi\nexec {real} "$@"\n'
    )
    (directory / name).chmod(0o755)
    return directory


def prepared(services: Services, queries: list[Sequence]) -> SearchRun:
    submission = read_submission(query=fasta(queries), program="blastp", targets=["demo/examples/db"])
    return services.queries.run(services.queries.submit(ADMINISTRATOR, submission).job_id)


def kept(services: Services) -> list[str]:
    with services.database.read() as session:
        return [*session.exec(select(Result.key)), *session.exec(select(Failure.key))]


@pytest.mark.parametrize("then", ["", "; kill -SEGV $$"], ids=["and goes on", "and crashes"])
def test_what_is_found_in_a_database_that_was_replaced_meanwhile_is_not_kept(
    make_services: Callable[..., Services], root: Path, tmp_path: Path, then: str
) -> None:
    """Neither as the result of the one that it was, nor is it the sequences' fault if BLAST+ crashes by it."""
    once = tmp_path / "once"
    directory = programs(tmp_path / "bin", "blastp", f"touch {once}; {replacement(tmp_path)}{then}", f"[ ! -e {once} ]")
    services = make_services(root=root, directory=directory, cores=1)
    run = prepared(services, _SUBJECTS[:8])
    with pytest.raises(ConflictError, match=_CHANGED):
        run.execute()
    assert kept(services) == []
    state = services.queries.searched_job(run.job_id)
    assert (state.status, _CHANGED in state.reason) == ("failed", True)
    services.queries.restart(ADMINISTRATOR, run.job_id)
    assert services.queries.run(run.job_id).execute().status == "complete"


def test_replaced_database_does_not_switch_off_the_search_of_parts(
    make_services: Callable[..., Services], root: Path, tmp_path: Path
) -> None:
    """It is compared with what the whole gave before."""
    directory = programs(tmp_path / "bin", "blastp", replacement(tmp_path), 'echo "$*" | grep -q part0')
    services = make_services(root=root, directory=directory, cores=1)
    services.queries._engine.grown = GrownRules(checked_share=1)
    build(root / "demo" / "examples" / "blast", _SUBJECTS[:-1])
    queries = [Sequence(one.defline, one.residues[: one.length * 3 // 4]) for one in _SUBJECTS[5:9]]
    prepared(services, queries).execute()
    build(root / "demo" / "examples" / "blast", _SUBJECTS)
    run = prepared(services, queries)
    assert run.plan().known_before
    assert run.execute().status == "complete"
    assert RefusedWays(services.database).list() == []


def test_order_whose_database_is_replaced_meanwhile_is_given_back(
    make_services: Callable[..., Services], root: Path, tmp_path: Path
) -> None:
    services = make_services(root=root)
    job = services.queries.jobs.query(prepared(services, _SUBJECTS[:1]).job_id)
    data = b">q1\n%b\n" % _SUBJECTS[0].residues
    inputs, targets = {QUERY_FILE: hashlib.sha256(data).hexdigest()}, (("examples", "db"),)
    order = Order(job.id, job.search_key, "blastp", {}, "demo", targets, inputs)
    services.store.put(order.reads[0], data)
    directory = programs(tmp_path / "bin", "blastp", replacement(tmp_path))
    resolver = Resolver(Installation(directory=directory, cores=1), Targets(root))
    with pytest.raises(ConflictError, match=_CHANGED):
        perform(order, resolver, StoreCoupling(services.store), "there")
    assert is_done(services.store, order) is None


def test_report_of_a_database_that_is_replaced_while_it_is_made_fails(
    make_services: Callable[..., Services], root: Path, tmp_path: Path
) -> None:
    directory = programs(tmp_path / "bin", "blast_formatter", replacement(tmp_path))
    services = make_services(root=root, directory=directory)
    job = prepared(services, _SUBJECTS[:2]).execute()
    report = services.reports.submit(ADMINISTRATOR, job.job_id, Formatting.read("0"))
    with pytest.raises(ConflictError, match=_CHANGED):
        services.reports.run(report).execute()
    assert services.reports.lookup(ADMINISTRATOR, report).status == "failed"


def test_names_of_a_database_that_is_replaced_while_they_are_read_are_not_kept(root: Path, tmp_path: Path) -> None:
    class ReplacingStore(LocalStore):
        """Has the database replaced when it is asked whether the names are there."""

        def exists(self, key: str) -> bool:
            for file in (tmp_path / "new").glob("db.p*"):
                shutil.copyfile(file, root / "demo" / "examples" / "blast" / file.name)
            return super().exists(key)

    store = ReplacingStore(tmp_path / "store")
    with pytest.raises(ConflictError, match="replaced while its names were read"):
        keep_names(store, [Targets(root).resolve("demo", "examples", "db")])
    assert list(store.list()) == []
