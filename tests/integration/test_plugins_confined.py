"""What plugins try that they should not: each ends as its own plain failure, and nothing is left."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from multiblast.errors import FailureClass
from multiblast.plugins.confinement import confinement_check, what_prevents_it
from multiblast.plugins.rounds import GivenFile, PluginError
from tests.support.plugin_rounds import TEXT, given, run, script_plugin
from tests.support.processes import wait_for

OURS = """
import sys
from pathlib import Path
from tests.support.plugin_rounds import SOURCE, Plugin, read_script, run
here = Path(sys.argv[1])
plugin = Plugin(read_script((here / "probe.py").read_text(), "probe.py"), here / "probe.py", SOURCE)
run(plugin, here, sys.argv[2])"""
WRITE = "Path('outputs/text.txt').write_text(%s)\n"
bubblewrap = pytest.param(
    "bwrap", marks=pytest.mark.skipif(bool(what_prevents_it()), reason=f"no sandbox: {what_prevents_it()}")
)
each_way = pytest.mark.parametrize("sandbox", [bubblewrap, "none"])
confined = pytest.mark.parametrize("sandbox", [bubblewrap])
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are watched as on Linux")


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    yield
    after = [one for one in psutil.Process().children(recursive=True) if one.pid not in before]
    # A server of other tests may start workers of its own meanwhile.
    assert [one.cmdline() for one in after if one.ppid() not in before] == []


def failure(tmp_path: Path, body: str, sandbox: str, run_table: str = "", **settings: object) -> PluginError:
    with pytest.raises(PluginError) as caught:
        run(script_plugin(tmp_path, body, run=run_table), tmp_path, sandbox, **settings)
    return caught.value


@each_way
def test_secrets_of_ours_are_not_in_its_environment(
    tmp_path: Path, sandbox: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden-key")
    monkeypatch.setenv("PREFECT_API_KEY", "hidden-key")
    monkeypatch.setenv("MULTIBLAST_DATABASE_URL", "postgresql://hidden-key")
    body = WRITE % "'\\n'.join(f'{k}={v}' for k, v in os.environ.items())"

    made = run(script_plugin(tmp_path, body), tmp_path, sandbox).outputs[0].path.read_text()

    assert "hidden-key" not in made
    names = {line.partition("=")[0] for line in made.splitlines()}
    assert {name for name in names if not name.endswith("_NUM_THREADS")} - {"PWD", "LC_CTYPE", "SHLVL"} == {
        *("PATH", "LANG", "HOME", "TMPDIR", "MULTIBLAST_EVENTS"),
        *("PYTHONHASHSEED", "PYTHONDONTWRITEBYTECODE", "PYTHONNOUSERSITE"),
    }


@confined
def test_environments_of_other_processes_are_not_seen(
    tmp_path: Path, sandbox: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden-key")
    other = subprocess.Popen(["sleep", "60"])
    try:
        body = """
found = [p.read_bytes() for p in Path("/proc").glob("[0-9]*/environ")]
Path("outputs/text.txt").write_text(f"{len(found)} {sum(b'hidden-key' in one for one in found)}")
"""
        count, hits = run(script_plugin(tmp_path, body), tmp_path, sandbox).outputs[0].path.read_text().split()
    finally:
        other.kill()
        other.wait()
    assert (int(count) < 5, hits) == (True, "0")


@confined
@pytest.mark.parametrize("network", [False, True])
def test_sockets_reach_nobody_unless_the_table_asks_for_it(tmp_path: Path, sandbox: str, network: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        body = f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 5)\n" + WRITE % "'reached'"
        plugin = script_plugin(tmp_path, body, run=f"network = {str(network).lower()}")
        if network:
            assert run(plugin, tmp_path, sandbox).outputs[0].path.read_text() == "reached"
        else:
            with pytest.raises(PluginError, match=r"(?s)ended with code 1.*(unreachable|refused)") as caught:
                run(plugin, tmp_path, sandbox)
            assert caught.value.failure_class is FailureClass.UNKNOWN


@confined
def test_nothing_is_written_or_read_elsewhere(tmp_path: Path, sandbox: str) -> None:
    secret = tmp_path / "other" / "secret.txt"
    secret.parent.mkdir()
    secret.write_text("of another")
    home, setting = Path.home(), Path("/proc/sys/vm/overcommit_memory")
    body = f"""
places = ["/usr/x", "/etc/x", "/x", "/dev/x", "{home}/x", "{secret}", "{setting}", sys.argv[0]]
places += [path for path in Path("/proc").iterdir() if path.is_file() and not path.name.isdecimal()]
for place in map(Path, places):
    try:
        with place.open("r+" if place.is_relative_to("/proc") else "w"):
            print("wrote", place)
    except OSError:
        pass
for place in ["{secret}", "/etc/shadow", "/etc/gshadow", "/run", "/sys", "/var"]:
    if Path(place).exists():
        print("saw", place)
if Path("{home}").is_dir():
    print("home", *os.listdir("{home}"))
Path("/tmp/here").write_text("its own")
Path("outputs/text.txt").write_text("done")
"""

    end = run(script_plugin(tmp_path, body), tmp_path, sandbox)

    python = Path(sys.base_prefix)  # which may be there, as it runs the plugin
    seen = f"home {python.relative_to(home).parts[0]}" if python.is_relative_to(home) else "home"
    assert (set(end.log.splitlines()) - {seen}, secret.read_text()) == (set(), "of another")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "probe.py", "work"]
    assert not Path("/tmp/here").exists()  # noqa: S108 - its own


@each_way
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("os.symlink('/etc/passwd', 'outputs/text.txt')", "outputs/text.txt is a link"),
        ("os.rmdir('outputs'); os.symlink('/etc', 'outputs')", "outputs is a link"),
        ("os.mkfifo('outputs/text.txt')", "outputs/text.txt is a pipe"),
        ("import socket; s = socket.socket(socket.AF_UNIX); s.bind('outputs/text.txt')", "is a socket"),
        ("Path('outputs/text.txt').write_text('x'); os.chmod('outputs/text.txt', 0o4755)", "setuid"),
        ("Path('outputs/text.txt').write_text('x'); os.symlink('/etc', 'state/x')", "state/x is a link"),
        ("os.mkdir('outputs/text.txt')", "is a directory, it should be a file"),
        ("pass", "the output text is missing: write outputs/text.txt; there is nothing in outputs/"),
        ("Path('outputs/text.txt').touch()", "is empty"),
        ("say(output={'port': 'text', 'path': '../probe.py'})", "is not in the directory of the run"),
        ("say(output={'port': 'text', 'path': '/etc/passwd'})", "is not in the directory of the run"),
        ("os.symlink('/etc', 'a'); say(output={'port': 'text', 'path': 'a/passwd'})", "a is a link"),
        ("os.unlink(os.environ['MULTIBLAST_EVENTS']); os.symlink('/etc/passwd', os.environ['MULTIBLAST_EVENTS'])",
         "the output text is missing"),
    ],
)  # fmt: skip
def test_outputs_are_plain_files_of_its_own(tmp_path: Path, sandbox: str, body: str, reason: str) -> None:
    error = failure(tmp_path, body, sandbox)
    assert reason in error.reason


@confined
def test_inputs_are_read_only(tmp_path: Path, sandbox: str) -> None:
    table = TEXT + '[tool.multiblast.plugin.inputs.a]\ndata = "*"\n[tool.multiblast.plugin.inputs.b]\ndata = "*"\n'
    body = """
[one], [tree] = request["inputs"]["a"], request["inputs"]["b"]
done = []
for act in (lambda: open(one["path"], "w"), lambda: os.unlink(one["path"]), lambda: open(tree["path"] + "/new", "w"),
            lambda: os.chmod(one["path"], 0o777), lambda: os.rename(one["path"], one["path"] + "x")):
    try:
        act()
        done.append("done")
    except OSError:
        pass
Path("outputs/text.txt").write_text(f"{done} {Path(one['path']).read_text()} {os.listdir(tree['path'])}")
"""
    file = given(tmp_path / "input.txt", "as it was", "note", "text/plain")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "leaf").touch()
    tree = GivenFile(tmp_path / "tree", "tree", "note", "inode/directory")
    plugin = script_plugin(tmp_path, body, table)
    end = run(plugin, tmp_path, sandbox, inputs={"a": (file,), "b": (tree,)})
    assert end.outputs[0].path.read_text() == "[] as it was ['leaf']"


@each_way
def test_a_database_of_its_own_is_kept(tmp_path: Path, sandbox: str) -> None:
    body = """
import sqlite3
with sqlite3.connect(os.environ["MULTIBLAST_PLUGIN_DATABASE"].removeprefix("sqlite:///")) as database:
    database.execute("create table if not exists seen (at text)")
    database.execute("insert into seen values ('now')")
    Path("outputs/text.txt").write_text(str(database.execute("select count(*) from seen").fetchone()[0]))
"""
    place, plugin = tmp_path / "own", script_plugin(tmp_path, body)
    place.mkdir()
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        end = run(plugin, tmp_path / str(number), sandbox, database=f"sqlite:///{place}/kept.sqlite")
        assert end.outputs[0].path.read_text() == str(number)


def test_a_database_behind_the_network_needs_the_network(tmp_path: Path) -> None:
    error = failure(tmp_path, "pass", "none", database="postgresql://u:p@db.example.org/plugin")
    assert error.reason == "its database is behind the network: write network = true under [run], or use SQLite"


def test_hard_links_to_files_elsewhere_are_refused_and_others_taken(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("x")
    error = failure(tmp_path, f"os.link({str(tmp_path / 'elsewhere')!r}, 'outputs/text.txt')", "none")
    assert "hard link to a file elsewhere" in error.reason
    shutil.rmtree(tmp_path / "work")
    body = "Path('a').write_text('x')\nos.link('a', 'outputs/text.txt')"
    assert run(script_plugin(tmp_path, body), tmp_path, "none").outputs[0].size_bytes == 1


DAEMON = """
import signal
for depth in range(2):
    if os.fork():
        if depth == 0:
            time.sleep(0.3)
            Path("outputs/text.txt").write_text("done")
        os._exit(0)
    os.setsid()
os.environ.clear()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.execvp("/bin/sh", ["a daemon", "-c", "while :; do date >> %s; sleep 0.05; done"])
"""


@each_way
def test_a_daemon_ends_with_the_plugin(tmp_path: Path, sandbox: str) -> None:
    end = run(script_plugin(tmp_path, DAEMON % "state/beats"), tmp_path, sandbox)
    beats = tmp_path / "work/state/beats"
    size = beats.stat().st_size
    time.sleep(0.3)
    assert (end.outputs[0].size_bytes, beats.stat().st_size, size > 0) == (4, size, True)
    assert not [one for one in psutil.process_iter(["cmdline"]) if "a daemon" in (one.info["cmdline"] or [])]


@each_way
def test_daemons_end_when_our_process_is_killed(tmp_path: Path, sandbox: str) -> None:
    script_plugin(tmp_path, DAEMON.replace("time.sleep(0.3)", "time.sleep(60)") % "state/beats")
    process = subprocess.Popen([sys.executable, "-c", OURS, str(tmp_path), sandbox])
    beats = tmp_path / "work/state/beats"
    wait_for(beats.exists)
    process.kill()
    process.wait()
    wait_for(lambda: not [one for one in psutil.process_iter(["cmdline"]) if "a daemon" in (one.info["cmdline"] or [])])


def test_killing_the_process_above_it_frees_nothing(tmp_path: Path) -> None:
    """Without a sandbox a plugin can do so; in it that process is not to be seen."""
    body = "import subprocess, signal\nsubprocess.Popen(['sleep', '987654'], start_new_session=True)\n"
    error = failure(tmp_path, body + "os.kill(os.getppid(), signal.SIGKILL); time.sleep(60)", "none")
    assert error.failure_class is FailureClass.KILLED
    wait_for(lambda: not [one for one in psutil.process_iter(["cmdline"]) if "987654" in (one.info["cmdline"] or [])])


@each_way
@pytest.mark.parametrize(
    "body",
    [
        "file = open('state/x', 'wb')\nwhile True: file.write(bytes(100_000)); file.flush()",
        "for i in range(10**6): Path(f'tmp/{i}').write_bytes(os.urandom(1_000_000))",
        "while True: os.write(1, bytes(60_000))",
        "while True: os.write(2, bytes(60_000))",
    ],
    ids=["one file", "many files", "stdout", "stderr"],
)
def test_a_full_disk_is_prevented(tmp_path: Path, sandbox: str, body: str) -> None:
    error = failure(tmp_path, body, sandbox, "output_gb = 0.02")
    assert (error.failure_class, error.reason) == (FailureClass.OUTPUT, "it wrote more than 0.02 GB (run.output_gb)")
    assert len(error.stderr) <= 65536
    assert sum(path.stat().st_size for path in (tmp_path / "work").rglob("*") if path.is_file()) < 1e9


@each_way
def test_what_is_printed_to_an_output_counts(tmp_path: Path, sandbox: str) -> None:
    error = failure(tmp_path, "while True: os.write(1, bytes(60_000))", sandbox, 'output_gb = 0.01\nstdout = "text"')
    assert error.failure_class is FailureClass.OUTPUT


@pytest.mark.long
@each_way
def test_a_gigabyte_that_is_printed_takes_neither_disk_nor_memory(tmp_path: Path, sandbox: str) -> None:
    before = psutil.Process().memory_info().rss
    body = "for _ in range(1024): os.write(1, bytes(1 << 20)); os.write(2, b'e' * 10)\n" + WRITE % "'done'"
    end = run(script_plugin(tmp_path, body), tmp_path, sandbox)
    assert len(end.log) <= 65536
    assert psutil.Process().memory_info().rss - before < 50e6


@each_way
def test_sleeping_for_ever_ends_at_the_time_limit(tmp_path: Path, sandbox: str) -> None:
    started = time.monotonic()
    error = failure(tmp_path, "time.sleep(1e6)", sandbox, "timeout_s = 0.7")
    assert error.failure_class is FailureClass.TIME_LIMIT
    assert error.reason == "it took longer than 0.7 seconds (run.timeout_s)"
    assert time.monotonic() - started < 10


@each_way
def test_a_cancelled_run_ends_at_once(tmp_path: Path, sandbox: str) -> None:
    error = failure(tmp_path, "time.sleep(1e6)", sandbox, cancelled=lambda: True)
    assert (error.failure_class, error.reason) == (FailureClass.CANCELLED, "it was cancelled")


@each_way
def test_memory_is_limited_for_all_processes_together(tmp_path: Path, sandbox: str) -> None:
    body = "os.fork()\nos.fork()\nx = b'x' * 60_000_000\ntime.sleep(60)"
    error = failure(tmp_path, body, sandbox, "memory_gb = 0.15")
    assert error.failure_class is FailureClass.OUT_OF_MEMORY
    assert error.reason == "it used more than 0.15 GB of memory (run.memory_gb)"


@each_way
def test_processes_are_limited(tmp_path: Path, sandbox: str) -> None:
    body = "for _ in range(40):\n  if not os.fork(): time.sleep(60)\ntime.sleep(60)"
    error = failure(tmp_path, body, sandbox, "processes = 20")
    assert error.reason == "it ran more than 20 processes (run.processes)"


@each_way
@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        ("print('no such thing', file=sys.stderr); sys.exit(3)", FailureClass.UNKNOWN, "it ended with code 3"),
        ("os.abort()", FailureClass.CRASHED, "it was ended by SIGABRT"),
        ("os.kill(os.getpid(), 9)", FailureClass.OUT_OF_MEMORY, "it was killed, as the machine is out of memory"),
    ],
)
def test_a_bad_end_says_how(tmp_path: Path, sandbox: str, body: str, kind: FailureClass, reason: str) -> None:
    error = failure(tmp_path, f"print('before', file=sys.stderr, flush=True); {body}", sandbox)
    assert (error.failure_class, error.reason, error.stderr.splitlines()[0]) == (kind, reason, "before")
    assert not list((tmp_path / "work").glob("core*"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
@confined
def test_an_ordinary_user_is_confined_too(sandbox: str) -> None:
    nobody = pwd.getpwnam("nobody")
    become = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups", "--"]
    with TemporaryDirectory(dir="/var/tmp") as name:  # the tests' own directories are root's alone
        os.chown(name, nobody.pw_uid, nobody.pw_gid)
        paths = os.pathsep.join([str(Path(__file__).parents[2]), sysconfig.get_path("purelib")])
        environment = {"PATH": os.environ["PATH"], "HOME": name, "TMPDIR": name, "PYTHONPATH": paths}
        tried = "import os, sys, multiblast.plugins.rounds; sys.exit(not os.access(sys.executable, os.X_OK))"
        for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
            words = [*become, python]
            if not subprocess.run([*words, "-c", tried], check=False, env=environment).returncode:
                break
        else:
            pytest.skip("nobody may not enter the directory of this checkout, or of its Python")
        body = "ls /root/.[a-z]* /home; touch /usr/x /x; cat /proc/net/dev | wc -l; id -u"
        body = f"import subprocess; subprocess.run(['sh', '-c', {body!r}])\n" + WRITE % "'done'"
        ours = OURS.replace("run(plugin", "print(run(plugin", 1) + ".log)"
        script_plugin(Path(name), body)
        printed = subprocess.run(
            [*words, "-c", ours, name, sandbox], capture_output=True, text=True, check=False, env=environment
        )
    # Of the network only the loopback, and two lines of titles; of homes at most the Python that runs it.
    assert (printed.stdout.split()[-2:], printed.stderr) == (["3", str(nobody.pw_uid)], "")


@confined
def test_doctor_says_that_plugins_are_confined(sandbox: str) -> None:
    assert sandbox
    assert confinement_check() == (True, "each in a sandbox of its own, made by bubblewrap")
