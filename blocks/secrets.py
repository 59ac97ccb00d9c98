"""Secrets: texts in Prefect's Secret blocks, by the blocks' names."""

from __future__ import annotations

from prefect.blocks.system import Secret


def load_secret(name: str) -> str:
    """Return the text in a Secret block, or raise a `ValueError`."""
    return str(Secret.load(name, _sync=True).get())  # type: ignore[call-arg, union-attr]  # added by Prefect's decorator
