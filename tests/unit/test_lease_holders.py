"""Holders of leases: of those on this machine it is known which still live."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from multiblast.results.holders import is_at_work, is_gone, new_holder, new_process_run, process_lives


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
    assert is_at_work(new_holder())

    assert process_lives(new_process_run())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may hide processes")
@pytest.mark.parametrize("hidepid", [1, 2])
def test_holder_of_another_user_whose_processes_are_hidden_is_not_gone(hidepid: int) -> None:
    """As on many machines that people share."""
    code = f"""
import os
from multiblast.results.holders import is_at_work, is_gone, new_holder
new_holder()  # as long as it may look at itself
os.setgroups([])
os.setgid(12345)
os.setuid(12345)
holder = {new_holder()!r}
machine, _, rest = holder.split("-", 2)
print(is_gone(holder), is_at_work(holder), is_gone(f"{{machine}}-{{1 << 22}}-{{rest}}"))
"""
    hidden = f"mount -t proc -o hidepid={hidepid} proc /proc && exec {shlex.join([sys.executable, '-c', code])}"
    command = ["unshare", "-m", "sh", "-c", hidden]
    found = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert found.stdout == "False False True\n"
