"""What commands that tests run are about, and what they print."""

from __future__ import annotations

from dataclasses import dataclass

A, B = "MKVLAAGIVGLLLAQWERTYIPMKVLAAGIVGLLLAQWERTYIP", "SLSTRNLTSKSNNKRAFLISTADARIAWAEVKDELSLQLTYYW"
TARGET = ("--target", "demo/examples/proteins")


@dataclass
class Printed:
    """What a command printed, and its exit code; standard error on one line."""

    code: int
    out: str
    err: str
