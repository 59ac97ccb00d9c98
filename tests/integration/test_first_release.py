"""What the first release kept is read, searched no more, and reported again byte for byte."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import delete

from multiblast.database import ReportJob
from multiblast.reports import Formatting
from multiblast.search import read_submission
from multiblast.services import Services

ARCHIVE = Path(__file__).parents[1] / "data" / "first_release.tar.xz"
PROGRAM_VERSION = "2.12.0+"  # that its results are of


@dataclass
class Kept:
    """An installation as the first release left it."""

    services: Services
    facts: dict[str, Any]

    @property
    def jobs(self) -> dict[str, str]:
        """The id of each program's job."""
        found: dict[str, str] = self.facts["jobs"]
        return found

    def report_files(self) -> dict[str, bytes]:
        """Return the first file of each report."""
        alice = self.services.accounts.requester("alice")
        found = {}
        for report in self.facts["reports"]:
            with self.services.reports.file(alice, report["id"], report["file"]) as stream:
                found[f"{report['job']} {report['format']}"] = stream.read()
        return found


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    home = tmp_path / "first_release"
    monkeypatch.setenv("MULTIBLAST_HOME", str(home))
    services = Services.embedded()
    with closing(services.database):
        yield Kept(services, json.loads((home / "facts.json").read_text()))


def test_first_release_job_lists_and_tokens_are_read(kept: Kept) -> None:
    services, share = kept.services, kept.facts["share"]
    alice = services.accounts.requester("alice")
    listed = {job.query_job_id: job for job in services.queries.list_jobs(alice)}
    assert set(listed) == set(kept.jobs.values())
    assert listed[kept.jobs["blastp"]].user_meta.summary == "an old blastp"  # type: ignore[union-attr]  # it has one
    guest = services.accounts.requester(guest_token=kept.facts["guest"])
    assert [job.query_job_id for job in services.queries.list_jobs(guest)] == [kept.jobs["blastn"]]
    reader = services.accounts.requester(share_tokens=[share])
    details = services.queries.lookup(reader, kept.jobs["blastp"])
    assert (details.status, details.sequences, details.blast_config["tool"]) == ("complete", 5, "blastp")
    assert [event.to_status for event in services.queries.history(alice, kept.jobs["blastp"])][-1] == "complete"


def test_first_release_reports_are_made_again_byte_for_byte(kept: Kept) -> None:
    """Also by ids that are computed anew: the same request gives the same report job."""
    services = kept.services
    if services.installation.version("blastp") != PROGRAM_VERSION:
        pytest.skip(f"its results are of BLAST+ {PROGRAM_VERSION}, which formats them")
    before = kept.report_files()
    with services.database.write() as session:
        session.exec(delete(ReportJob))
    alice = services.accounts.requester("alice")
    for report in kept.facts["reports"]:
        formatting = Formatting.read(report["format"])
        report_id = services.reports.submit(alice, kept.jobs[report["job"]], formatting)
        assert report_id == report["id"]
        assert not services.reports.run(report_id).execute().reused
    after = kept.report_files()
    changed = [name for name, content in after.items() if _results(name, content) != _results(name, before[name])]
    assert all(_results(name, content) for name, content in after.items())
    assert changed == []


def test_first_release_sequences_are_known(kept: Kept) -> None:
    services = kept.services
    if services.installation.version("blastp") != PROGRAM_VERSION:
        pytest.skip(f"its results are of BLAST+ {PROGRAM_VERSION}, and those of another version are others")
    alice = services.accounts.requester("alice")
    with services.queries.query(alice, kept.jobs["blastp"]) as stream:
        query = stream.read().decode()
    submission = read_submission(
        query=query, program="blastp", targets=["old/small/proteins"], options={"evalue": 1e-3}, user="alice"
    )
    recorded = services.queries.submit(alice, submission)
    assert recorded.job_id == kept.jobs["blastp"]
    plan = services.queries.run(recorded.job_id).plan()
    assert (plan.distinct, plan.known) == (4, 4)


def _results(name: str, content: bytes) -> list[bytes]:
    """Return what a report says; XML names the database by its path, and the page's script may have learned more."""
    if name.endswith("html"):
        return re.findall(rb'<script[^>]*-data"[^>]*>[^<]*', content)
    return [line for line in content.split(b"\n") if b"old/small/blast/" not in line]
