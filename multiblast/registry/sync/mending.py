"""Bringing back files that are missing or were changed."""

from __future__ import annotations

from collections.abc import Sequence

from multiblast.errors import MultiblastError
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.rows import Endpoint
from multiblast.registry.sync.pull import Pull
from multiblast.registry.sync.summary import ItemResult, Outcome, TransferSummary


def mend(registry: Registry, damaged: TransferSummary, remotes: Sequence[Endpoint]) -> TransferSummary:
    """Fetch every file that `verify` found missing or changed from the first of some remotes that has it.

    What is there stays until the right bytes are here.
    """
    summary = TransferSummary()
    reasons = {one.item: one.reason for one in damaged.outcomes if one.result == ItemResult.FAILED}
    for remote in remotes:
        before = remote.requests
        lacking = reasons.keys() - {one.item for one in summary.outcomes}
        try:
            places = remote.holding(lacking)
        except MultiblastError as error:
            summary.notes.append(f"{remote.name} could not be asked: {error}")
            continue
        for sha1, place in sorted(places.items()):
            try:
                size_bytes = Pull(registry, remote).fetch(place, again=True)
            except MultiblastError as error:
                reasons[sha1] = str(error)
            else:
                summary.outcomes.append(Outcome(sha1, ItemResult.RESTORED, f"from {remote.name}", size_bytes))
        summary.requests += remote.requests - before
    done = {one.item for one in summary.outcomes}
    summary.outcomes += [Outcome(sha1, ItemResult.FAILED, why) for sha1, why in reasons.items() if sha1 not in done]
    registry.adopt(done)
    return summary
