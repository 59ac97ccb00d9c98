"""When Python looks for objects that only refer to each other; others it frees at once."""

from __future__ import annotations

import gc


def collect_rarely() -> None:
    """Leave alone what is there now, as all that was imported, and look rarely from now on.

    Hardly anything here is of that kind, and to look for it would take a tenth of the time of a large search.
    """
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    gc.enable()
