"""The disk that work is done on, and what is said when it is full."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from multiblast.errors import StoreError


@contextmanager
def working_space() -> Iterator[None]:
    """Say in plain words that the disk of temporary files is full, if that is what ends the block.

    Raises:
        StoreError: it is.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        place = tempfile.gettempdir()
        raise StoreError(
            f"no space left for temporary files in {place}: free some, or set TMPDIR to a larger disk"
        ) from error
