"""What a command is given as an argument: a pipe is copied, and nothing of that stays."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from multiblast.files import own_scratch

FASTA = ">a\nMKVLAAGIVG\n"
SPOOL = """
import resource, signal, sys
from pathlib import Path
from deployments.command_line.arguments import spooled
if limit := int(sys.argv[1]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
print(spooled(Path("-")), flush=True)
if len(sys.argv) > 2:
    signal.pause()
"""


def environment(directory: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(directory)}


def test_copy_of_a_pipe_is_removed_at_the_end(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SPOOL, "0"]
    done = subprocess.run(command, input=FASTA, capture_output=True, text=True, env=environment(tmp_path), check=True)
    assert Path(done.stdout.strip()).is_relative_to(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_copy_of_a_pipe_is_removed_after_its_command_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the next that needs a directory for temporary files; until the command is killed, it stays."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with subprocess.Popen(
        [sys.executable, "-c", SPOOL, "0", "wait"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(tmp_path),
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(FASTA)
        process.stdin.close()
        copy = Path(process.stdout.readline().strip())
        with own_scratch():
            assert copy.read_text() == FASTA
        process.kill()
    with own_scratch():
        assert not copy.exists()
    assert list(tmp_path.iterdir()) == []


def test_copy_of_a_pipe_that_does_not_fit_names_the_disk(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SPOOL, "1000"]
    done = subprocess.run(
        command, input=FASTA * 1000, capture_output=True, text=True, env=environment(tmp_path), check=False
    )
    assert f"no space left for temporary files in {tmp_path}" in done.stderr
    assert list(tmp_path.iterdir()) == []
