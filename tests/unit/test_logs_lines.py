"""Log lines of services say what they are about: job, sequence, run; for people or as JSON."""

from __future__ import annotations

import json
import logging
import sys
from contextvars import Context
from typing import Any

from deployments.logs import JsonLines, PlainLines
from multiblast.log_lines import set_job


def record(message: str = "searched", **extra: Any) -> logging.LogRecord:
    made = logging.LogRecord("multiblast.search", logging.INFO, __file__, 1, message, (), None)
    made.__dict__.update(extra)
    return made


def test_plain_line_names_what_it_is_about() -> None:
    line = PlainLines().format(record(job="a1", child="b2", flow_run_id="c3", task_run_id="d4"))
    assert line.endswith(" | INFO    | multiblast.search - searched job=a1 child=b2 flow_run=c3 task_run=d4")


def test_json_line_is_one_object_on_one_line() -> None:
    line = JsonLines().format(record("two\nlines", job="a1", child="b2", flow_run_id="c3"))
    assert "\n" not in line
    told = json.loads(line)
    assert (told["message"], told["job"], told["child"], told["flow_run"]) == ("two\nlines", "a1", "b2", "c3")
    assert told["time"].endswith("+00:00")
    assert "task_run" not in told


def test_line_has_the_job_that_was_noted() -> None:
    def within() -> str:
        set_job("a1")
        return JsonLines().format(record())

    assert json.loads(Context().run(within))["job"] == "a1"
    assert "job" not in json.loads(Context().run(JsonLines().format, record()))


def test_line_keeps_a_traceback() -> None:
    try:
        raise ValueError("so bad")  # noqa: TRY301 - its traceback is wanted
    except ValueError:
        failed = record(exc_info=sys.exc_info())
    assert "so bad" in json.loads(JsonLines().format(failed))["traceback"]
    assert PlainLines().format(failed).endswith("ValueError: so bad")
