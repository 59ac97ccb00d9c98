"""Server, registration and worker each by itself in the foreground, as containers and service managers want them."""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from ipaddress import ip_address
from threading import Thread
from types import FrameType
from urllib.parse import quote

from blocks.flat_documents import one_place
from deployments import environment, logs, processes
from deployments.processes import Background, wait_for
from deployments.server import ServerError, answers, ask, started_server
from multiblast.environment import GATEWAY, SITE_KEY, WORKER
from multiblast.files import own_scratch
from multiblast.orphans import start_with_parent
from multiblast.settings import own_queue

_START_LIMIT_S = 300
_STOP_LIMIT_S = 30
_SCAN_EVERY_S = 60  # of databases: a tenth of a second of computing where there are thousands
_RUNS_PER_CORE = 4  # most of a run is waiting; what computes in it has its own limits
_RESULT_STORAGE = "/block_types/slug/blast-result-storage/block_documents/name/default"
_WORKER = [sys.executable, "-m", "deployments.warm_worker"]


def serve(host: str, port: int) -> int:
    """Become a Prefect server."""
    environment.apply_for_service()
    command = _server(host, port)
    os.execv(command[0], command)  # noqa: S606 - no shell, by design


def serve_web(host: str, port: int) -> int:
    """Be the HTTP service; it finds a Prefect server whenever there is one."""
    environment.apply_for_service()
    logs.configure()
    from deployments.command_line.session import local_services
    from deployments.run_starter import RunStarter
    from web.application import make_application
    from web.server import make_server

    starter = RunStarter(lambda: os.environ.get("PREFECT_API_URL", "") or started_server())
    try:
        listener = socket.create_server((host, port), backlog=2048)
    except OSError as error:
        remedy = "choose another host or port"
        raise ServerError(f"{host}:{port} cannot be listened at: {error.strerror}; {remedy}") from error
    with listener, own_scratch():
        sys.stdout.write(f"http://{host}:{listener.getsockname()[1]}/api\n")
        sys.stdout.flush()
        services = local_services()
        Thread(target=services.targets.keep_renewing, args=(_SCAN_EVERY_S,), name="targets", daemon=True).start()
        if services.policy.trust_unnamed and not ip_address(listener.getsockname()[0]).is_loopback:
            message = "others can reach this service, and everybody without a name may do everything: see trust_unnamed"
            logging.getLogger("multiblast.http").warning(message)
        make_server(make_application(services, starter)).run(sockets=[listener])
    return 0


def work(queues: Sequence[str] = ()) -> int:
    """Be a worker of the server at ``PREFECT_API_URL``, once it has its work pool.

    Args:
        queues: The only work queues that it takes runs from, such as those that plugins name; by default all of ours.
    """
    environment.apply_for_service()
    if queues:  # beside another worker on this machine, perhaps
        os.environ.setdefault(WORKER, f"{environment.worker_name()}-{'-'.join(queues)}")
    _wait_for_server()
    _make_own_queue()
    for queue in queues:
        _make_queue(queue, "For workers that are told to take it")
    if storage := _task_result_storage():
        os.environ.setdefault("PREFECT_DEFAULT_RESULT_STORAGE_BLOCK", storage)
    return supervise([*_WORKER, *_worker(queues)])


def work_for(site: str) -> int:
    """Be a worker of a site, which searches for another installation with this machine's BLAST+ and databases."""
    environment.apply_for_service()
    missing = [name for name in (GATEWAY, SITE_KEY) if not os.environ.get(name)]
    if missing:
        raise ServerError(f"set {' and '.join(missing)}: `multiblast sites add {site}` there says what they are")
    _wait_for_server()
    os.environ.setdefault("MULTIBLAST_CHECKOUT", str(environment.CHECKOUT))
    from deployments import register

    register.offer_orders(site)
    name = os.environ.setdefault(WORKER, environment.worker_name())
    # One order at a time: each has all cores.
    options = ["--pool", site, "--type", "process", "--name", name, "--limit", "1"]
    return supervise([*_WORKER, "worker", "start", *options])


def supervise(command: list[str], limit_s: float = _STOP_LIMIT_S) -> int:
    """Run a worker; once asked to end, let it and its runs end, but not for longer than a time.

    A run that lost its server tries for minutes to report to it.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    process = start_with_parent(command)
    worker = processes.running("worker", process.pid)
    try:
        return process.wait()
    finally:
        worker.stop(limit_s)


def register() -> int:
    """Register all that is ours at the server at ``PREFECT_API_URL``; may be repeated."""
    environment.apply_for_service()
    os.environ.setdefault("MULTIBLAST_CHECKOUT", str(environment.CHECKOUT))
    _wait_for_server()
    from deployments import register

    register.register_blocks()
    register.create_pool()
    register.watch_runs()
    register.deploy()
    register.offer_databases()
    register.offer_plugins()
    return 0


def serve_all(host: str, port: int) -> int:
    """Run a server and a worker until asked to stop, or until one of them ends."""
    environment.apply_for_service()
    os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    signal.signal(signal.SIGTERM, _stop)
    started = [_started("server", _server(host, port))]
    try:
        register()
        _make_own_queue()
        started.append(_started("worker", [*_WORKER, *_worker()]))
        wait_for(lambda: not all(process.alive for process in started), math.inf, every_s=1)
    finally:
        for process in reversed(started):
            process.stop(_STOP_LIMIT_S)
    return 1


def _started(name: str, command: list[str]) -> Background:
    return processes.running(name, subprocess.Popen(command).pid)


def _server(host: str, port: int) -> list[str]:
    return [sys.executable, "-m", "deployments.prefect_server", host, str(port)]


def _worker(only: Sequence[str] = ()) -> list[str]:
    name, limit = os.environ[WORKER], str(_RUNS_PER_CORE * len(os.sched_getaffinity(0)))
    chosen = (*(only or (*environment.queues(), "default")), own_queue(name))
    queues = [word for queue in chosen for word in ("--work-queue", queue)]
    options = ["--pool", environment.POOL, "--type", "process", "--name", name, "--limit", limit]
    return ["worker", "start", *options, *queues]


def _make_own_queue() -> None:
    """Have a work queue that is this worker's alone, once there is the work pool."""
    name = os.environ.setdefault(WORKER, environment.worker_name())
    api_url, pool = os.environ["PREFECT_API_URL"], f"/work_pools/{environment.POOL}"
    if not wait_for(lambda: _is_there(api_url, pool), _START_LIMIT_S, every_s=0.5):
        raise ServerError(f"{api_url} has no work pool {environment.POOL!r}: run `python -m deployments register`")
    _make_queue(own_queue(name), "What only this worker takes")


def _make_queue(name: str, description: str) -> None:
    """Have a work queue in the work pool, which is there."""
    api_url, queues = os.environ["PREFECT_API_URL"], f"/work_pools/{environment.POOL}/queues"
    if not _is_there(api_url, f"{queues}/{quote(name)}"):
        ask(api_url, queues, {"name": name, "description": description})


def _is_there(api_url: str, path: str) -> bool:
    try:
        ask(api_url, path)
    except (OSError, ValueError):
        return False
    return True


def _task_result_storage() -> str:
    """Return the block for what Prefect caches of tasks: that of our results, if they are in a bucket's block."""
    try:
        data = ask(os.environ["PREFECT_API_URL"], _RESULT_STORAGE)["data"]
    except (OSError, ValueError, KeyError):  # not registered yet: then on the worker's disk
        return ""
    place = str(one_place("url", "directory")(data).get("url", ""))
    return place.removeprefix("block:") if place.startswith("block:") else ""


def _wait_for_server() -> None:
    api_url = os.environ.get("PREFECT_API_URL", "")
    if not api_url:
        raise ServerError("no server is known: set PREFECT_API_URL, e.g. to http://server:4200/api")
    if not wait_for(lambda: answers(api_url), _START_LIMIT_S, every_s=0.5):
        raise ServerError(f"no Prefect server answers at {api_url} (from PREFECT_API_URL)")


def _stop(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)
