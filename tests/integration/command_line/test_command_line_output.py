"""Commands do their work wherever their output goes: into a full disk, a pipe that nobody reads, an old terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.places import ROOT

PROTEIN = "MKVLAAGIVGLLLAQWERTYIPMKVLAAGIVGLLLAQWERTYIP"
TARGET = ("--target", "demo/examples/proteins")

Done = subprocess.CompletedProcess[bytes]


@pytest.fixture
def run(targets_root: Path, tmp_path: Path) -> Callable[..., Done]:
    """``run("search", …, wrapped="…", encoding="latin-1", stdout=…)``: a command as a process, in a home of its own."""
    home = {**os.environ, "MULTIBLAST_HOME": str(tmp_path / "home")}

    def command(*words: object, wrapped: str = 'exec "$@"', encoding: str = "utf-8", **more: Any) -> Done:
        line = [sys.executable, "-m", "multiblast", *map(str, words), "--targets-root", str(targets_root)]
        environment = {**home, "PYTHONIOENCODING": encoding}
        more = {"stdout": subprocess.PIPE, **more}
        wrapper = ["sh", "-c", wrapped, "sh", *line]
        return subprocess.run(wrapper, cwd=ROOT, env=environment, stderr=subprocess.PIPE, check=False, **more)

    return command


@pytest.fixture
def search(tmp_path: Path) -> tuple[object, ...]:
    """The words of a search of so many sequences that not all are listed, with a report."""
    query = tmp_path / "query.fasta"
    query.write_text("".join(f">\u03b2{number}\n{PROTEIN}\n" for number in range(51)))
    return ("search", query, *TARGET, "--format", "6", "--out", tmp_path / "out")


@pytest.mark.parametrize("words", [("search",), ("search", "--json"), ("targets",), ("targets", "--json")])
def test_output_into_a_full_disk_is_a_message(
    run: Callable[..., Done], search: tuple[object, ...], words: tuple[str, ...]
) -> None:
    words = (*(search if words[0] == "search" else words[:1]), *words[1:])
    done = run(*words, wrapped='exec "$@" >/dev/full')
    assert (done.stderr, done.returncode) == (b"error: standard output: No space left on device\n", 1)


def test_output_that_is_closed_stops_no_command(run: Callable[..., Done]) -> None:
    done = run("targets", wrapped='exec "$@" >&-')
    assert (done.stderr, done.returncode) == (b"", 0)


def test_output_that_nobody_reads_stops_no_report(
    run: Callable[..., Done], search: tuple[object, ...], tmp_path: Path
) -> None:
    """As after `| head`."""
    unread, written = os.pipe()
    os.close(unread)
    done = run(*search, stdout=written)
    os.close(written)
    assert (done.stderr, done.returncode) == (b"", 0)
    assert (tmp_path / "out" / "report.tsv").exists()


def test_letters_that_a_terminal_does_not_know_are_written_otherwise(
    run: Callable[..., Done], search: tuple[object, ...], tmp_path: Path
) -> None:
    done = run(*search, encoding="latin-1")
    assert (done.stderr, done.returncode) == (b"", 0)
    assert b"\\u03b20" in done.stdout
    assert b"\\u2026 and 1 more" in done.stdout
    assert (tmp_path / "out" / "report.tsv").exists()
