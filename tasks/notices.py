"""Notices and webhooks: sent by runs, and signed with a secret that Prefect keeps."""

from __future__ import annotations

import secrets
from contextlib import suppress

from prefect.blocks.system import Secret

from blocks.secrets import load_secret
from blocks.services import services
from multiblast.upkeep.notices import SentNotices

_SIGNING_SECRET = "multiblast-notices"  # noqa: S105 - the name of the block that holds it


def send_notices() -> SentNotices:
    """Send the notices of jobs that have ended, and what webhooks are to hear; return what became of the notices."""
    sent = services().notices.send(signing_secret)
    services().webhooks.send(signing_secret)
    return sent


def signing_secret() -> str:
    """Return what notices are signed with, from a Secret block that is made when first needed."""
    with suppress(ValueError):
        return load_secret(_SIGNING_SECRET)
    with suppress(ValueError):  # another process has just made it
        Secret(value=secrets.token_urlsafe(32)).save(_SIGNING_SECRET, _sync=True)  # type: ignore[call-arg]  # added by Prefect's decorator
    return load_secret(_SIGNING_SECRET)
