"""Formatters run side by side on the cores that a machine was given, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from multiblast.reports.blast_formatter import BlastFormatter


@pytest.mark.parametrize("processes", [1, 2])
def test_no_more_formatters_run_at_a_time_than_there_are_processes(processes: int, tmp_path: Path) -> None:
    log, program = tmp_path / "log", tmp_path / "formatter"
    program.write_text(f"#!/bin/sh\necho 1 >> {log}\nsleep 0.3\necho -1 >> {log}\n")
    program.chmod(0o755)
    archives = [tmp_path / f"{number}.asn1" for number in range(4)]
    printed = list(BlastFormatter(str(program), processes).print_each(archives, []))
    assert printed == [archive.with_suffix(".part") for archive in archives]
    changes = [int(line) for line in log.read_text().split()]
    assert max(sum(changes[:end]) for end in range(len(changes) + 1)) <= processes
