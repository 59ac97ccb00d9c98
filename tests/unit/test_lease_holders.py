"""Holders of leases: of those on this machine it is known which still live."""

from __future__ import annotations

import os
import subprocess
import sys

from multiblast.results.holders import is_gone, new_holder, new_process_run, process_lives


def test_holder_that_ended_is_gone_before_its_parent_has_reaped_it() -> None:
    command = [sys.executable, "-c", "from multiblast.results import new_holder; print(new_holder())"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        holder = process.stdout.read().strip()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # until it has ended, and leave it a zombie
        assert is_gone(holder)
        assert process_lives(holder) is False


def test_holder_that_lives_is_not_gone() -> None:
    assert not is_gone(new_holder())
    assert process_lives(new_process_run())
