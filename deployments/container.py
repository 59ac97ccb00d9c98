"""What a container runs: the plugins that its environment names are made ready, then the service that it is for."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from deployments import foreground
from deployments.server import ServerError
from multiblast.environment import CONTAINER_MODE, PLUGINS
from multiblast.plugins.installer import Fetched, Installed, Installer

_EVERYWHERE = "0.0.0.0"  # noqa: S104 - of a container, which publishes the ports it is started with
MODES: dict[str, Callable[[], int]] = {
    "server": lambda: foreground.serve(_EVERYWHERE, 4200),
    "worker": foreground.work,
    "web": lambda: foreground.serve_web(_EVERYWHERE, 4201),
    "register": foreground.register,
    "all": lambda: foreground.serve_all(_EVERYWHERE, 4200),
}
"""What a container can be for."""


def start() -> int:
    """Be what CONTAINER_MODE says, with the plugins of GIT_PLUGINS and of mounted folders.

    Raises:
        ServerError: there is no such mode, or a repository of GIT_PLUGINS cannot be fetched.
    """
    mode = os.environ.get(CONTAINER_MODE, "server")
    if mode not in MODES:
        raise ServerError(f"{CONTAINER_MODE} is {mode!r}: set it to {', '.join(MODES)}")
    if mode != "server":  # Prefect's own, which runs nothing
        prepare_plugins()
    return MODES[mode]()


def prepare_plugins() -> None:
    """Fetch repositories of plugins and make environments; what a plugin lacks is said, and stops nothing else.

    Raises:
        ServerError: a repository cannot be fetched: what was asked for would be missing without a word.
    """
    for folder in filter(None, os.environ.get(PLUGINS, "").split(os.pathsep)):
        if not Path(folder).exists() and os.access(Path(folder).parent, os.W_OK):
            Path(folder).mkdir()  # so that it is not listed as broken where nothing is mounted
    installer = Installer()
    failed = []
    for fetched in installer.fetch():
        _say(fetched)
        failed += [f"{fetched.line}: {fetched.problem}"] if fetched.problem else []
    if failed:
        raise ServerError(f"plugins cannot be fetched; mend GIT_PLUGINS or the network: {'; '.join(failed)}")
    for installed in installer.install():
        _say(installed)
    for broken in installer.catalogue.broken():
        _print(f"broken: {broken.place}: {broken.reason}")


def _say(one: Fetched | Installed) -> None:
    if isinstance(one, Fetched):
        _print(f"fetched {one.line}" + (f" at {one.commit[:12]}" if one.commit else ""))
        return
    _print(f"plugin {one.plugin} is " + (f"not ready: {'; '.join(one.problems)}" if one.problems else "ready"))


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
