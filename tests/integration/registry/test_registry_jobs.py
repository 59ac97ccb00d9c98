"""Jobs and reports that are recorded as code runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from prov.model import ProvDocument
from rocrate.rocrate import ROCrate

from multiblast.accounts import Requester
from multiblast.errors import ConflictError
from multiblast.registry.model.rows import CodeRunRow, ObjectRow
from multiblast.registry.sync.commands import commit, push
from multiblast.registry.sync.summary import ItemResult
from multiblast.registry.views.export import write_crate, write_prov
from multiblast.registry.views.info import info
from multiblast.registry.views.status import verify
from multiblast.reports import Formatting
from multiblast.search import read_submission
from multiblast.services import Services
from multiblast.targets.makeblastdb import build_database
from tests.support.people import ADMINISTRATOR

FASTA = ">a\nIYSLVCWPLDDPFSRPDMLSLSERMLDVWRGKQVAEDLSPLINQLSLADMIRSCERNETL\n"


@pytest.fixture
def job(submit: Callable[..., Any]) -> str:
    return str(submit(FASTA, user="rich").job_id)


def report(services: Services, job: str, **request: Any) -> str:
    formatting = Formatting.read(request.pop("outfmt", "6"), **request)
    report_id = services.reports.submit(Requester("rich"), job, formatting)
    return services.reports.run(report_id).execute().report_id


def test_registry_job_is_recorded_once(here: Any, services: Services, job: str) -> None:
    runs = {services.provenance.record(here, job) for _ in range(2)}
    (row,) = here.since(CodeRunRow, 0)
    assert runs == {row.uuid}
    names = here.products_of(row.inputs)
    assert "databases/examples/proteins" in names
    (query,) = [name for name in names if name.startswith("queries/")]
    assert info(here, f"demo:{query}@1.0.0")[0]["size_bytes"] > 0
    assert here.products_of(row.outputs) == {f"results/{job}"}


def test_registry_jobs_are_dated_when_they_were_begun(here: Any, services: Services, job: str) -> None:
    """As code runs of scripts are, so that an export may call it a start."""
    made = report(services, job)
    for one, begun in ((job, "in-progress"), (made, "queued")):  # a small report is made at once
        uuid = services.provenance.record(here, one)
        (row,) = here.find(CodeRunRow, [{"uuid": uuid}])
        history = services.queries.jobs.history(one)
        first, last = (next(event.at for event in events if event.to_status == status)
                       for events, status in ((history, begun), (history, "complete")))  # fmt: skip
        assert first <= row.run_date <= last


def test_registry_job_says_with_what_it_was_searched(here: Any, services: Services, job: str) -> None:
    services.provenance.record(here, job)
    (row,) = here.since(CodeRunRow, 0)
    texts = {}
    for field in ("model_config", "submission_script"):
        sha1 = info(here, here.read(ObjectRow, [row.field(field)])[0].uuid)[0]["sha1"]
        texts[field] = b"".join(here.files.stream(sha1)).decode()
    fingerprint = services.targets.resolve("demo", "examples", "proteins").fingerprint
    assert yaml.safe_load(texts["model_config"]) == {
        "program": "blastp",
        "program_version": services.installation.version("blastp"),
        "databases": {"demo/examples/proteins": fingerprint},
        "options": {},
    }
    command = texts["submission_script"].split()
    assert "blastp" in command[0]
    assert command[command.index("-db") + 1].endswith("demo/examples/blast/proteins")


def test_registry_job_searched_with_another_database_is_another_run(
    here: Any, make_services: Callable[..., Services], tmp_path: Path
) -> None:
    root = tmp_path / "targets"
    directory = root / "own" / "t" / "blast"
    directory.mkdir(parents=True)
    services = make_services(root=root)
    for text in (FASTA, FASTA.replace(">", ">x")):
        (tmp_path / "db.fasta").write_text(text)
        build_database(tmp_path / "db.fasta", directory, "db", molecule="protein", title="db")
        recorded = services.queries.submit(
            Requester(administrator=True), read_submission(query=FASTA, targets=["own/t/db"])
        )
        services.queries.run(recorded.job_id).execute()
        services.provenance.record(here, recorded.job_id)
    assert len(here.since(CodeRunRow, 0)) == 2
    versions = [row.version for row in here.products("own", ["databases/*"])]
    assert len(set(versions)) == 2


def test_registry_job_that_is_not_complete_is_not_recorded(here: Any, services: Services) -> None:
    submission = read_submission(query=FASTA, targets=["demo/examples/proteins"])
    recorded = services.queries.submit(Requester(administrator=True), submission)
    with pytest.raises(ConflictError, match="is queued"):
        services.provenance.record(here, recorded.job_id)


def test_registry_report_is_recorded_with_its_files(here: Any, services: Services, job: str) -> None:
    services.provenance.record(here, job)
    made = report(services, job)
    runs = {services.provenance.record(here, made) for _ in range(2)}
    assert len(runs) == 1
    _, row = here.since(CodeRunRow, 0)
    assert {f"results/{job}", "databases/examples/proteins"} < here.products_of(row.inputs)
    (name,) = here.products_of(row.outputs)
    assert name.startswith(f"reports/{made}/")
    (product,) = here.products("demo", [name])
    (told,) = info(here, f"demo:{name}@{product.version}")
    with services.reports.file(ADMINISTRATOR, made, name.rpartition("/")[2]) as file:
        assert b"".join(here.files.stream(told["sha1"])) == file.read()
    assert {one["description"].split()[0] for one in told["code_runs"]} == {"blastp", "report"}


def test_registry_report_exports_are_valid_and_whole(here: Any, services: Services, job: str, tmp_path: Path) -> None:
    """The libraries read them again without loss, and every file in them is the one that is described."""
    services.provenance.record(here, job)
    code_run = services.provenance.record(here, report(services, job, outfmt="5"))
    write_prov(here, code_run, tmp_path / "prov.json")
    document = ProvDocument.deserialize(str(tmp_path / "prov.json"), format="json")
    assert document.unified() == ProvDocument.deserialize(content=document.serialize(format="json")).unified()
    activities = [
        str(one.identifier.localpart) for one in document.get_records() if one.get_type().localpart == "Activity"
    ]
    assert code_run in activities
    write_crate(here, code_run, tmp_path / "crate")
    crate = ROCrate(tmp_path / "crate")
    files = [entity for entity in crate.data_entities if entity.type == "File"]
    assert {Path(file.id).suffix for file in files} >= {".fasta", ".xml", ".yaml", ".sh"}
    assert all((tmp_path / "crate" / file.id).stat().st_size == int(file["contentSize"]) for file in files)
    assert verify(here).exit_code == 0
    (kept,) = here.files.store.list(f"files/{files[0]['sha256'][:2]}/{files[0]['sha256']}")
    (here.files.store.root / kept.key).write_bytes(b"changed")
    assert verify(here).exit_code == 1


def test_registry_report_goes_to_the_remote_with_its_search(
    here: Any, services: Services, job: str, remote: Any
) -> None:
    services.provenance.record(here, job)
    commit(here, [services.provenance.record(here, report(services, job))])
    assert [(one.result, one.reason) for one in push(here, remote.open()).outcomes] == [(ItemResult.DONE, "")]
    assert remote.counts["code_run"] == 2
