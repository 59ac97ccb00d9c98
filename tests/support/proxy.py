"""Debian's nginx before a gateway, configured by the page on machines elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.support.servers import free_ports

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "let-another-machine-compute.md"
_STORE = "/home/blast/.local/share/multiblast/store/"


class NoNginxError(Exception):
    """It is not here, and cannot be had."""


def find_nginx(place: Path) -> str:
    """Return the program of Debian's package, which need not be installed; what is unpacked is put at a place."""
    if found := shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin"):
        return found
    text = "apt-get download nginx && dpkg --extract nginx*.deb . && usr/sbin/nginx -v"
    done = subprocess.run(["sh", "-c", text], cwd=place, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoNginxError(done.stderr.strip())
    return str(place / "usr" / "sbin" / "nginx")


def head_of(place: Path) -> str:
    """Return how a configuration begins: all that is written is below a place."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {place}/{kind};\n" for kind in kinds)
    user = "user root;\n" if os.geteuid() == 0 else ""
    head = f"{user}daemon off;\npid {place}/nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n"
    return f"{head}{temporary}"


@contextmanager
def running_nginx(nginx: str, place: Path, configuration: str) -> Iterator[None]:
    """Run nginx until the end of the block."""
    (place / "nginx.conf").write_text(configuration)
    with subprocess.Popen([nginx, "-p", str(place), "-e", "stderr", "-c", str(place / "nginx.conf")]) as process:
        try:
            deadline = time.monotonic() + 20
            while not (place / "nginx.pid").exists() and time.monotonic() < deadline:
                assert process.poll() is None
                time.sleep(0.05)
            yield
        finally:
            process.terminate()


@contextmanager
def accelerating(nginx: str, place: Path, gateway: str, store: Path) -> Iterator[str]:
    """Run nginx before a gateway, with the location of the page as it stands; give the gateway's address there."""
    (snippet,) = re.findall(r"```nginx\n(.*?)```", _PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert _STORE in snippet
    [port] = free_ports(1)
    passing = f"location / {{ proxy_pass {gateway.removesuffix('/gateway')}; }}\nclient_max_body_size 110m;\n"
    server = f"server {{\nlisten 127.0.0.1:{port};\n{passing}{snippet.replace(_STORE, f'{store}/')}}}\n"
    with running_nginx(nginx, place, f"{head_of(place)}{server}}}\n"):
        yield f"http://127.0.0.1:{port}/gateway"


def processor_s(process: psutil.Process, action: Callable[[], object]) -> float:
    """Return how many seconds of the processor a process took while something was done."""
    before = process.cpu_times()
    action()
    after = process.cpu_times()
    return after.user - before.user + after.system - before.system
