"""How fast products are pushed and pulled, and with how many requests: ``bench_registry.py [PRODUCTS]``.

Over the FAIR registry that MULTIBLAST_TEST_FAIR_URL and MULTIBLAST_TEST_FAIR_TOKEN name; without them over the
registry server of the tests, with an S3 server behind it. Beside it fair-cli pulls the same into an empty local
registry, which is ours, where it can be installed; what it asks the remote is counted by the server of the tests.
"""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from multiblast.registry.api.local_api import LocalApi
from multiblast.registry.local.records import record_product
from multiblast.registry.local.registry import Registry, open_database
from multiblast.registry.local.users import bind
from multiblast.registry.model.local_tables import Staged
from multiblast.registry.model.names import ProductName
from multiblast.registry.model.rows import DataProductRow
from multiblast.registry.remotes.rest import RestRegistry
from multiblast.registry.sync.commands import pull, push
from multiblast.registry.sync.summary import TransferSummary
from multiblast.stores import LocalStore
from tests.support import fair_cli
from tests.support.language_clients import commit_all

_TOKEN = "01234567" * 5


def _registry(directory: Path) -> Registry:
    directory.mkdir()
    database = open_database(f"sqlite:///{directory / 'registry.sqlite'}")
    return Registry(database, LocalStore(directory / "store"), directory)


def _fill(registry: Registry, space: str, count: int) -> None:
    path = registry.directory / "content"
    with registry.transaction(), registry.session() as session:
        for number in range(count):
            path.write_text(f"{space} {number}\n" * 40)  # about 1 KiB
            name = ProductName(space, f"params/p{number}", "1.0.0")
            one = record_product(registry, name, path, file_type="csv")
            session.add(Staged(kind="object", row_id=one.object_id))


def _fair_cli(  # noqa: PLR0913, PLR0917 - what, where, and how it is counted
    directory: Path, count: int, space: str, url: str, token: str, log: Callable[[], int]
) -> None:
    """Let fair-cli pull everything, twice."""
    program = fair_cli.install(directory / "environment")
    if program is None:
        sys.stdout.write("fair-cli         cannot be installed here\n")
        return
    project, home, local = directory / "project", directory / "home", _registry(directory / "local")
    for made in (project, home):
        made.mkdir()
    config = "run_metadata: {description: look, script: 'true'}\nread:\n"
    (project / "config.yaml").write_text(config + "".join(f"- {{data_product: params/p{n}}}\n" for n in range(count)))
    commit_all(project, "https://github.com/group/model.git")
    api = LocalApi(local, bind(local, space, directory / "fair-data"))
    with fair_cli.session(program, project, home, api, f"{url.rstrip('/')}/api/", token, space) as client:
        for what in ("fair pull", "fair pull again"):
            before, started = log(), time.perf_counter()
            client.run("pull", "config.yaml")
            seconds = time.perf_counter() - started
            asked = log() - before
            sys.stdout.write(
                f"{what:<16} {count:>6,} products {seconds:>8.1f} s {count / seconds:>8.1f} products/s "
                + (f"{asked:>7,} requests ({asked / count:.1f} a product)\n" if asked else "\n")
            )
    assert len(local.since(DataProductRow, 0)) == count
    local.close()


def _timed(what: str, count: int, work: Callable[[], TransferSummary]) -> None:
    started = time.perf_counter()
    report = work()
    seconds = time.perf_counter() - started
    each = report.requests / count
    sys.stdout.write(
        f"{what:<16} {count:>6,} products {seconds:>8.1f} s {count / seconds:>8.1f} products/s "
        f"{report.requests:>7,} requests ({each:.1f} a product), exit code {report.exit_code}, "
        f"memory at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10:,} MiB\n"
    )


@contextmanager
def _server(directory: Path) -> Iterator[tuple[str, str]]:
    """Start the registry server of the tests; give its address and its token."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    bucket, port_file, token = directory / "s3" / "fair", directory / "port", _TOKEN
    bucket.mkdir(parents=True)
    rclone = [str(Path(sys.executable).with_name("rclone")), "serve", "s3", "--addr", f"127.0.0.1:{port}"]
    rclone += ["--config", os.devnull, "--auth-key", "key,secret", str(bucket.parent)]
    program = Path(__file__).parents[1] / "integration" / "registry" / "registry_server.py"
    server = [sys.executable, str(program), str(port_file), f"http://127.0.0.1:{port}", token]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(rclone, stderr=quiet) as storage, subprocess.Popen(server, stderr=quiet) as registry:
        while not port_file.exists():
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port_file.read_text()}", token
        storage.kill()
        registry.kill()


def main(count: int) -> None:
    """Print one line a step."""
    space = f"bench-{time.time_ns()}"
    with TemporaryDirectory(prefix="multiblast-bench-") as directory, ExitStack() as stack:
        here, there = _registry(Path(directory) / "here"), _registry(Path(directory) / "there")
        url, token = os.environ.get("MULTIBLAST_TEST_FAIR_URL", ""), os.environ.get("MULTIBLAST_TEST_FAIR_TOKEN", "")
        if not url:
            url, token = stack.enter_context(_server(Path(directory)))
        end = RestRegistry(url, token)
        _fill(here, space, count)
        config = Path(directory) / "config.yaml"
        config.write_text(f"read: [{{data_product: 'params/*', use: {{namespace: {space}}}}}]\n")
        user = bind(there, "bench", Path(directory) / "data")
        _timed("push", count, lambda: push(here, end))
        _timed("push again", count, lambda: push(here, end))
        _timed("pull", count, lambda: pull(config, there, end, user))
        _timed("pull again", count, lambda: pull(config, there, end, user))

        def log() -> int:
            known = httpx.post(f"{url}/control", json={}, timeout=60) if token == _TOKEN else None
            return len(known.json()["log"]) if known else 0

        _fair_cli(Path(directory), count, space, url, token, log)
        for one in (here, there, end):
            one.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
