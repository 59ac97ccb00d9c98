"""The design's own examples, with its own field names."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from multiblast.accounts import Requester
from multiblast.actions import Queries, error_answer
from multiblast.database import JobStatus
from multiblast.errors import InvalidInputError, NotAllowedError
from multiblast.services import Services
from multiblast.targets import Targets
from multiblast.targets.makeblastdb import build_database
from tests.support.places import EXAMPLES

ANN = Requester("ann")

ONE = ">First\nIYSLVCWPLDDPFSRPDMLSLSERMLDVWRGKQVAEDLSPLINQLSLADMIRSCERNETL\n"
THREE = (
    ONE
    + """>Second
QKQRAYLRSMEEKARERRRIFIQNEQARLERFAKERAERQTTTTTTTTATTPTTTTPTTT
TPTTTPTTTKAPGIP
>Third
YRPQNSSVDTVTSEQSIPVWMYGLVLLLLLSVGLLTCLSLLLSYKLKQLKVASCADSSTA
TSEPFHNVYVTTSSHYSSPYGLRREVPASPRCPPSPYPVFFKEPFVNMTA
"""
)


@pytest.fixture
def services(make_services: Callable[..., Services]) -> Services:
    return make_services()


@pytest.fixture
def queries(services: Services) -> Queries:
    return services.queries


def config(query: str, **others: Any) -> dict[str, Any]:
    return {
        "jobConfig": {
            "site": "demo",
            "targets": [{"targetDisplayName": "examples", "targetFile": "proteins"}],
            "query": query,
        },
        "blastConfig": {"tool": "blastp", "eValue": "1e-5"},
        **others,
    }


def test_create_answers_the_id(queries: Queries) -> None:
    answer = queries.create(ANN, config(ONE)).to_json()
    assert list(answer) == ["queryJobID"]
    assert re.fullmatch("[0-9a-f]{32}", answer["queryJobID"])
    assert queries.create(ANN, config(ONE)).to_json() == answer


def test_single_sequence_makes_a_parent_alone(queries: Queries) -> None:
    job = queries.create(ANN, config(ONE)).query_job_id
    assert "children" not in queries.lookup(ANN, job).to_json()


def test_three_sequences_make_a_parent_and_three_children(queries: Queries) -> None:
    single = queries.create(ANN, config(ONE)).query_job_id
    job = queries.create(ANN, config(THREE)).query_job_id
    children = queries.lookup(ANN, job).to_json()["children"]
    assert [(child["position"], child["title"], child["status"]) for child in children] == [
        (1, "First", "queued"),
        (2, "Second", "queued"),
        (3, "Third", "queued"),
    ]
    assert children[0]["queryJobID"] == single


def test_lookup_answers_what_the_design_shows(queries: Queries, services: Services) -> None:
    job = queries.create(ANN, config(ONE, userMeta={"summary": "Some blast job"})).query_job_id
    services.queries.run(job).execute()
    answer = queries.lookup(ANN, job).to_json()
    created_on = answer.pop("createdOn")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", created_on)
    assert answer == {
        "queryJobID": job,
        "status": "complete",
        "site": "demo",
        "jobConfig": {
            "site": "demo",
            "targets": [{"targetDisplayName": "examples", "targetFile": "proteins"}],
        },
        "blastConfig": {"tool": "blastp", "eValue": 1e-05},
        "userMeta": {"summary": "Some blast job"},
        "sequences": 1,
        "pinned": False,
    }


def test_configuration_that_was_looked_up_makes_the_same_job(queries: Queries) -> None:
    job = queries.create(ANN, config(ONE)).query_job_id
    found = queries.lookup(ANN, job).to_json()
    request = {"jobConfig": {**found["jobConfig"], "query": ONE}, "blastConfig": found["blastConfig"]}
    assert queries.create(ANN, request).query_job_id == job


def test_list_answers_newest_first_filtered_and_paged(queries: Queries, services: Services) -> None:
    meta = [{"summary": "A blast job"}, {"summary": "Another blast job.", "description": "This job will fail."}, {}]
    made = [
        queries.create(ANN, {**config(f">s{n}\n{'MKVLAAGIV' * (n + 3)}\n"), "userMeta": words}).query_job_id
        for n, words in enumerate(meta)
    ]
    services.queries.jobs.move_query([made[1]], JobStatus.FAILED, "no")
    answers = [item.to_json() for item in queries.list_jobs(ANN)]
    assert [(item["queryJobID"], item["status"], item["site"]) for item in answers] == [
        (made[2], "queued", "demo"),
        (made[1], "failed", "demo"),
        (made[0], "queued", "demo"),
    ]
    assert [item.get("userMeta") for item in answers] == [None, meta[1], meta[0]]
    assert {"queryJobID", "status", "site", "createdOn"} == set(answers[0])
    assert [item.query_job_id for item in queries.list_jobs(ANN, status="failed")] == [made[1]]
    assert queries.list_jobs(ANN, site="PlasmoDB") == []
    assert [item.query_job_id for item in queries.list_jobs(ANN, first=2, count=1)] == [made[1]]


def test_bulk_status_drops_unknown_ids(queries: Queries, services: Services) -> None:
    queued = queries.create(ANN, config(ONE)).query_job_id
    complete = queries.create(ANN, config(THREE)).query_job_id
    services.queries.run(complete).execute()
    services.queries.jobs.move_query([queued], JobStatus.QUEUED)
    asked = [queued, complete, "748ba381dd81bb8de615319837ffa350", "not an id", "'; drop table link; --"]
    found = queries.statuses(ANN, asked)
    assert found == {queued: services.queries.jobs.query(queued).status, complete: "complete"}


def test_targets_answer_the_tree_of_the_design(make_services: Callable[..., Services], tmp_path: Path) -> None:
    root = tmp_path / "targets"
    source = EXAMPLES / "proteins.fasta.gz"
    place = root / "PlasmoDB" / "PfalciparumGB4" / "blast"
    build_database(source, place, "PfalciparumGB4AnnotatedProteins", molecule="protein")
    genes = EXAMPLES / "nucleotides.fasta.gz"
    build_database(genes, place, "PfalciparumGB4Genome", molecule="nucleotide")
    build_database(genes, root / "PlasmoDB" / "Pberghei" / "blast", "PbergheiESTs", molecule="nucleotide")
    services = replace(make_services(), targets=Targets(root))
    assert services.queries.targets() == {
        "PlasmoDB": {
            "Pberghei": {"naTargets": ["PbergheiESTs"]},
            "PfalciparumGB4": {
                "naTargets": ["PfalciparumGB4Genome"],
                "aaTargets": ["PfalciparumGB4AnnotatedProteins"],
            },
        }
    }


def test_query_comes_back_as_it_was_sent(queries: Queries) -> None:
    job = queries.create(ANN, config(THREE.replace("\n", "\r\n"))).query_job_id
    with queries.query(ANN, job) as stream:
        text = stream.read().decode()
    assert [line for line in text.splitlines() if line.startswith(">")] == [">First", ">Second", ">Third"]
    children = queries.lookup(ANN, job).children or ()
    with queries.query(ANN, children[1].query_job_id) as stream:
        assert stream.read().decode().startswith(">Second\nQKQRAYLRSMEEK")


def test_result_is_one_archive_of_all_sequences(queries: Queries, services: Services) -> None:
    job = queries.create(ANN, config(THREE)).query_job_id
    services.queries.run(job).execute()
    output = io.BytesIO()
    assert queries.result(ANN, job, output) == 3
    assert output.getvalue().count(b"Blast4-archive ::= {") == 3
    assert b'"Query_3"' in output.getvalue()


def test_reports_answers_what_the_design_shows(queries: Queries, services: Services) -> None:
    job = queries.create(ANN, config(ONE)).query_job_id
    services.queries.run(job).execute()
    reports = services.reports
    words = {"summary": "some report job summary"}
    created = reports.create(ANN, {"queryJobID": job, "blastConfig": {"formatType": 7}, "userMeta": words}).to_json()
    assert list(created) == ["reportJobID"]
    report = created["reportJobID"]
    assert [item.to_json() for item in reports.list_jobs(ANN, query_job_id=job)] == [
        {"reportJobID": report, "queryJobID": job, "status": "queued", "userMeta": words}
    ]
    assert reports.list_jobs(ANN, query_job_id="0" * 32) == []
    services.reports.run(report).execute()
    files = [file.to_json() for file in reports.files(ANN, report)]
    assert [file["name"] for file in files] == ["report.tsv", "report.zip"]
    assert all(set(file) == {"name", "size"} and file["size"] > 0 for file in files)
    assert reports.statuses(ANN, [report, job]) == {report: "complete"}
    assert reports.lookup(ANN, report).to_json()["blastConfig"] == {"formatType": 7}
    assert reports.errors(ANN, report).stderr == ""


def test_report_file_is_read_whole_by_bytes_and_by_lines(queries: Queries, services: Services) -> None:
    job = queries.create(ANN, config(ONE)).query_job_id
    services.queries.run(job).execute()
    reports = services.reports
    report = reports.create(ANN, {"queryJobID": job}).report_job_id
    services.reports.run(report).execute()

    def part(**ranges: str) -> bytes:
        with reports.file(ANN, report, "report.txt", **ranges) as stream:
            return stream.read()

    whole = part()
    lines = whole.splitlines(keepends=True)
    assert part(byte_range="0-9") == whole[:10]
    assert part(byte_range="10-") == whole[10:]
    assert part(byte_range="-7") == whole[-7:]
    assert part(byte_range=f"5-{len(whole) + 100}") == whole[5:]
    assert part(byte_range=f"{len(whole)}-") == b""
    assert part(line_range="1-1") == lines[0]
    assert part(line_range="3-5") == b"".join(lines[2:5])
    assert part(line_range="4-") == b"".join(lines[3:])
    assert part(line_range="-2") == b"".join(lines[:2])
    assert part(line_range=f"{len(lines) + 1}-") == b""


def test_metadata_is_changed_and_cleared_part_by_part(queries: Queries) -> None:
    job = queries.create(ANN, config(ONE, userMeta={"summary": "a", "description": "b"})).query_job_id
    changed = queries.update(ANN, job, summary="c")
    assert changed is not None
    assert changed.to_json() == {"summary": "c", "description": "b"}
    cleared = queries.update(ANN, job, summary="")
    assert cleared is not None
    assert cleared.to_json() == {"description": "b"}
    assert queries.update(ANN, job, description="") is None
    assert "userMeta" not in queries.lookup(ANN, job).to_json()


def test_errors_answer_status_message_and_problems_by_key(queries: Queries) -> None:
    bad = config(ONE)
    bad["jobConfig"]["targets"][0]["targetFile"] = "nothing"
    with pytest.raises(InvalidInputError) as caught:
        queries.create(ANN, bad)
    answer = error_answer(caught.value)
    assert set(answer) == {"status", "message", "errors"}
    assert answer["status"] == "invalid-input"
    assert answer["errors"]["general"] == []
    assert list(answer["errors"]["byKey"]) == ["jobConfig.targets[0]"]
    assert error_answer(NotAllowedError("no")) == {"status": "forbidden", "message": "no"}


def test_submission_may_opt_out_of_the_list(queries: Queries) -> None:
    request = config(ONE)
    request["jobConfig"]["addToUserCollection"] = False
    queries.create(ANN, request)
    assert queries.list_jobs(ANN) == []


def test_restart_names_the_targets_root_below_which_a_job_was_searched(services: Services, tmp_path: Path) -> None:
    job = services.queries.create(ANN, config(ONE)).query_job_id
    services.queries.run(job).execute()
    services.queries.jobs.move_query([job], JobStatus.EXPIRED)
    (tmp_path / "empty").mkdir()
    elsewhere = replace(services, targets=Targets(tmp_path / "empty"))
    root = re.escape(str(services.targets.root))
    with pytest.raises(InvalidInputError, match=f"no site 'demo'.*\n.*below {root}: `--targets-root {root}`"):
        elsewhere.queries.restart(ANN, job)
    services.queries.restart(ANN, job)
    assert services.queries.run(job).execute().status == "complete"
