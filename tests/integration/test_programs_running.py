"""Running real programs: their ends, their limits, and that nothing outlives us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from multiblast.errors import FailureClass, ProgramError
from multiblast.installation import Installation
from multiblast.programs import BLAST_ENVIRONMENT, ONE_BY_ONE, Program
from tests.support.processes import is_running, wait_for


def _written(path: Path) -> list[int]:
    """Return the process ids that a program writes into a file, once they are there."""
    wait_for(lambda: path.exists() and path.read_text().endswith("\n"))
    return [int(word) for word in path.read_text().split()]


def _gone(pids: list[int], within_s: float = 2.0) -> bool:
    deadline = time.monotonic() + within_s
    while any(map(is_running, pids)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _family(pids: Path) -> list[str]:
    """A program with a child of its own, both of which sleep."""
    return ["sh", "-c", f"sleep 60 & echo $$ $! > {pids}; wait"]


def test_program_that_ends_well_is_told(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = Program(["sh", "-c", "echo result; echo warning >&2"], stdout=out).run()
    assert (done.command[0], done.stderr) == ("sh", "warning\n")
    assert out.read_text() == "result\n"
    assert 0 < done.seconds < 20


def test_program_reads_a_file(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"from a file")
    Program(["cat"], stdin=tmp_path / "in", stdout=tmp_path / "out").run()
    assert (tmp_path / "out").read_bytes() == b"from a file"


def test_program_without_input_does_not_wait_for_any(tmp_path: Path) -> None:
    Program(["cat"], stdout=tmp_path / "out", timeout_s=10).run()
    assert (tmp_path / "out").read_bytes() == b""


def test_program_gets_words_as_they_are(tmp_path: Path) -> None:
    """No shell looks at them."""
    odd = ["$HOME", "a;b", "`id`", "two words", "*", "", "ä\n"]
    Program(["printf", "%s|", *odd], stdout=tmp_path / "out").run()
    assert (tmp_path / "out").read_text() == "|".join(odd) + "|"


def test_program_gets_our_environment_and_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "1")
    Program(["sh", "-c", "echo $OURS $MORE"], stdout=tmp_path / "out", environment={"MORE": "2"}).run()
    assert (tmp_path / "out").read_text() == "1 2\n"


def test_variables_that_change_results_of_blast_are_not_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "output"
    for name in ("ADAPTIVE_CBS", "OLD_FSC", "BATCH_SIZE"):
        monkeypatch.setenv(name, "7")
    for environment, expected in ((BLAST_ENVIRONMENT, []), (ONE_BY_ONE, ["BATCH_SIZE=1"])):
        Program(["env"], stdout=output, environment=environment).run()
        lines = output.read_text().splitlines()
        assert [line for line in lines if line.startswith(("ADAPTIVE_CBS", "OLD_FSC", "BATCH_SIZE"))] == expected


@pytest.mark.parametrize(
    ("command", "failure"),
    [
        ("exit 1", FailureClass.BAD_QUERY_OR_OPTIONS),
        ("exit 2", FailureClass.DATABASE),
        ("exit 3", FailureClass.ENGINE),
        ("exit 4", FailureClass.OUT_OF_MEMORY),
        ("exit 5", FailureClass.NETWORK),
        ("exit 6", FailureClass.OUTPUT),
        ("exit 77", FailureClass.UNKNOWN),
        ("kill -9 $$", FailureClass.OUT_OF_MEMORY),
        ("kill -15 $$", FailureClass.KILLED),
        ("kill -11 $$", FailureClass.CRASHED),
        ("kill -6 $$", FailureClass.CRASHED),
        ("echo std::bad_alloc >&2; exit 255", FailureClass.OUT_OF_MEMORY),
        ("echo Error: Out of memory >&2; exit 3", FailureClass.OUT_OF_MEMORY),
    ],
)
def test_failure_has_its_class(command: str, failure: FailureClass) -> None:
    with pytest.raises(ProgramError) as raised:
        Program(["sh", "-c", command]).run()
    assert raised.value.failure_class is failure
    assert raised.value.command == ("sh", "-c", command)


def test_failure_keeps_code_and_last_words() -> None:
    with pytest.raises(ProgramError, match=r"^sh failed, bad query or options \(exit 1\): the reason$") as raised:
        Program(["sh", "-c", "echo first >&2; echo the reason >&2; exit 1"]).run()
    assert (raised.value.exit_code, raised.value.stderr) == (1, "first\nthe reason\n")


def test_failure_by_a_signal_has_its_number() -> None:
    with pytest.raises(ProgramError) as raised:
        Program(["sh", "-c", "kill -15 $$"]).run()
    assert raised.value.exit_code == -signal.SIGTERM


def test_failure_keeps_the_end_of_much_talk() -> None:
    with pytest.raises(ProgramError) as raised:
        Program(["sh", "-c", "yes complaint | head -c 1000000 >&2; echo last >&2; exit 1"]).run()
    assert len(raised.value.stderr) == 65536
    assert raised.value.stderr.endswith("last\n")


def test_failure_survives_words_in_no_encoding() -> None:
    with pytest.raises(ProgramError, match="exit 1"):
        Program(["sh", "-c", r"printf '\377\376' >&2; exit 1"]).run()


def test_missing_program_is_named() -> None:
    with pytest.raises(ProgramError, match=r"no-such-program: .* install it or set its directory") as raised:
        Program(["no-such-program"]).run()
    assert (raised.value.failure_class, raised.value.exit_code) == (FailureClass.MISSING_PROGRAM, 127)


def test_file_that_is_no_program_is_named(tmp_path: Path) -> None:
    (tmp_path / "blastp").write_text("not executable")
    with pytest.raises(ProgramError) as raised:
        Program([str(tmp_path / "blastp")]).run()
    assert raised.value.failure_class is FailureClass.MISSING_PROGRAM


def test_time_limit_ends_a_program_and_its_children(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(ProgramError, match="time limit reached") as raised:
        Program(_family(tmp_path / "pids"), timeout_s=0.5).run()
    assert raised.value.failure_class is FailureClass.TIME_LIMIT
    assert time.monotonic() - began < 3
    assert _gone(_written(tmp_path / "pids"))


def test_time_limit_leaves_quick_programs_alone() -> None:
    assert Program(["true"], timeout_s=30).run().seconds < 20


def test_cancellation_ends_a_program_and_its_children_within_2_s(tmp_path: Path) -> None:
    cancelled = threading.Event()
    threading.Timer(0.5, cancelled.set).start()
    with pytest.raises(ProgramError, match="cancelled") as raised:
        Program(_family(tmp_path / "pids"), cancelled=cancelled.is_set).run()
    assert raised.value.failure_class is FailureClass.CANCELLED
    assert _gone(_written(tmp_path / "pids"))


def test_question_for_cancellation_that_fails_does_not_let_the_program_go() -> None:
    """Such as a database that is away for a moment: the limit still holds."""

    def broken() -> bool:
        raise OSError("the database is away")

    with pytest.raises(ProgramError, match="time limit reached"):
        Program(["sleep", "60"], cancelled=broken, timeout_s=1.5).run()


def test_leaving_kills_what_still_runs(tmp_path: Path) -> None:
    with Program(_family(tmp_path / "pids")):
        pids = _written(tmp_path / "pids")
        assert all(map(is_running, pids))
    assert _gone(pids)


def test_program_that_ended_takes_its_children_along(tmp_path: Path) -> None:
    Program(["sh", "-c", f"sleep 60 & echo $! > {tmp_path / 'pids'}"]).run()
    assert _gone(_written(tmp_path / "pids"))


def test_programs_die_with_a_parent_killed_by_9(tmp_path: Path) -> None:
    command = ["sh", "-c", f"echo $$ > {tmp_path / 'pids'}; exec sleep 60"]
    code = f"from multiblast.programs import BLAST_ENVIRONMENT, ONE_BY_ONE, Program\nProgram({command!r}).run()"
    with subprocess.Popen([sys.executable, "-c", code]) as parent:
        pids = _written(tmp_path / "pids")
        assert all(map(is_running, pids))
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert _gone(pids)


def test_following_reads_what_a_program_writes_to_its_end(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["sh", "-c", "for number in 1 2 3; do echo $number; sleep 0.15; done"]
    with Program(command, stdout=out) as program, program.follow(out) as stream:
        assert b"".join(iter(lambda: stream.read(100), b"")) == b"1\n2\n3\n"
        program.finish()


def test_following_gives_what_is_there_before_the_end(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with Program(["sh", "-c", "echo first; sleep 60"], stdout=out) as program, program.follow(out) as stream:
        assert stream.read(100) == b"first\n"
        assert program._process.poll() is None


def test_many_programs_at_once_leave_nothing_open() -> None:
    Program(["true"]).run()
    before = set(Path("/proc/self/fd").iterdir())
    threads = [threading.Thread(target=lambda: Program(["true"]).run()) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(Path("/proc/self/fd").iterdir()) <= before


def test_program_beside_an_older_one_of_its_name_is_that_of_blast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian calls BLAST+'s rpsblast rpsblast+, and has an older rpsblast; the order of the path is kept."""
    own, system = tmp_path / "own", tmp_path / "system"
    for program in (own / "blastp", system / "blastp", system / "rpsblast", system / "rpsblast+"):
        program.parent.mkdir(exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{own}:{system}")
    assert Installation().program("rpsblast") == str(system / "rpsblast+")
    assert Installation().program("blastp") == str(own / "blastp")
    assert Installation(directory=system).program("blastp") == str(system / "blastp")


def test_nice_program_lets_others_have_the_cores_first() -> None:
    with Program(["sleep", "60"], niceness=19) as running:
        pid = running._process.pid
        assert os.getpriority(os.PRIO_PROCESS, pid) == 19
        group = Path(f"/proc/{pid}/autogroup")  # the kernel may be built without
        assert not group.exists() or group.read_text().split()[-1] == "19"
