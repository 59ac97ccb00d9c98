"""``python -m deployments``: the same as ``multiblast service``, where the package is not on the path."""

from __future__ import annotations

import sys

from deployments.command_line import main

if __name__ == "__main__":
    sys.argv.insert(1, "service")
    sys.exit(main())
