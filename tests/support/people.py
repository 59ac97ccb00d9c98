"""Who acts in tests."""

from __future__ import annotations

from multiblast.accounts import Requester

__all__ = ["ADMINISTRATOR"]

ADMINISTRATOR = Requester(administrator=True)
"""May do everything, and has no list of jobs."""
