"""What a search logs: its job in each line, a sequence where it is about one, and no line a sequence."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from multiblast.services import Services

ONE = ">one\nMKVLAAGIVGLCAKAYWQ\n"


def test_search_logs_a_line_a_step_with_its_job(
    services: Services, search_whole: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "multiblast")
    job = search_whole(services, ONE)
    child = services.queries.jobs.query(job.job_id).result_key
    assert {record.__dict__["job"] for record in caplog.records} == {job.job_id}
    said = [(record.getMessage().partition(" in ")[0], record.__dict__.get("child", "")) for record in caplog.records]
    assert said == [("runs now", ""), ("searched 1 sequences", child), ("is complete", "")]


def test_search_of_many_logs_no_line_a_sequence(
    services: Services, search_whole: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "multiblast")
    search_whole(services, "".join(f">s{n}\n{'MKVLAAGIVQ' * (n + 2)}\n" for n in range(20)))
    assert len(caplog.records) < 20 / 2
