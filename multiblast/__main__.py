"""The ``multiblast`` command: it hands over to the application, which stands around this package in the checkout."""

from __future__ import annotations

import gc
import importlib
import sys

_APPLICATION = "deployments.command_line"


def main() -> int:
    """Run the command line; return its exit code."""
    # What is imported stays: to look through it again and again takes a third of the time of a short command.
    gc.disable()
    try:
        # By name: this package is the domain, and must not import the floors above it.
        application = importlib.import_module(_APPLICATION)
    except ModuleNotFoundError as error:
        if error.name not in (_APPLICATION, "deployments"):
            raise
        sys.stderr.write(
            "The multiblast command works from a checkout of its repository, and only the library is installed here. "
            "In a checkout, type: make install && .venv/bin/multiblast --help\n"
        )
        return 2
    try:
        return int(application.main() or 0)
    finally:
        gc.freeze()  # nor is it looked through at the end, for what the end of the process frees anyway


if __name__ == "__main__":
    sys.exit(main())
