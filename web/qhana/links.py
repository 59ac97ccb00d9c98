"""Addresses at ``/qhana``; those of tasks and files are sealed, and open to whoever has them."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import Depends, Request

from multiblast.database import PluginJob
from multiblast.environment import HTTP_URL
from multiblast.gateway.grants import GrantKeys
from multiblast.ids import is_id
from multiblast.plugins.plugin import Plugin
from web.service import ServiceOfRequest

TASK_S = 30 * 24 * 3600
FILE_S = 24 * 3600
_FILE_URL = re.compile(r"/qhana/files/([0-9a-f]{32})-([0-9]{1,6})/\?file-id=([A-Za-z0-9_-]{1,120})")


def identifier_of(plugin: Plugin) -> str:
    """Return what QHAna calls a plugin: ``mafft@1-0-0``."""
    return f"{plugin.name}@{plugin.description.version}".replace(".", "-")


@dataclass(frozen=True, slots=True)
class Links:
    """Makes addresses, and knows its own again.

    Attributes:
        base: The address of the service.
    """

    keys: GrantKeys
    base: str

    def plugin(self, plugin: Plugin, part: str = "") -> str:
        """Return the address of a plugin, or of a part of it such as ``process/``."""
        return f"{self.base}/qhana/plugins/{quote(identifier_of(plugin), safe='@')}/{part}"

    def task(self, job_id: str, *parts: str) -> str:
        """Return the address of a task, or of a part of it, with which anybody may read it and answer for a month."""
        path = "".join(f"{quote(part, safe='')}/" for part in parts)
        return (
            f"{self.base}/qhana/tasks/{job_id}/{path}?{urlencode({'access': self._sealed(f'task:{job_id}', TASK_S)})}"
        )

    def opens_task(self, job_id: str, access: str) -> bool:
        """Return whether what came with an address of a task is ours, and still good."""
        return self._is_good(f"task:{job_id}", access)

    def file(self, job_id: str, number: int, output: Mapping[str, Any]) -> str:
        """Return the address of an output, with which anybody may download it for a day."""
        sealed = self._sealed(_output(job_id, number, output), FILE_S)
        return f"{self.base}/qhana/files/{job_id}-{number}/?{urlencode({'file-id': sealed})}"

    def opens_file(self, job: PluginJob, number: int, file_id: str) -> bool:
        """Return whether what came with the address of a file is ours, and still good."""
        there = 1 <= number <= len(job.outputs)
        return there and self._is_good(_output(job.id, number, job.outputs[number - 1]), file_id)

    def own_file(self, url: str) -> tuple[str, int, str] | None:
        """Return the job, the number of the output and the seal that an address of ours names; else None."""
        if not url.startswith(self.base):
            return None
        found = _FILE_URL.fullmatch(url.removeprefix(self.base))
        return (found[1], int(found[2]), found[3]) if found and is_id(found[1]) else None

    def _sealed(self, text: str, lasts_s: int) -> str:
        # In steps of an hour, so that the same address is given again for a while, and can be known again.
        until = (int(time.time()) + lasts_s) // 3600 * 3600 + 3600
        return f"{until}-{self.keys.seal(f'{until}:{text}')}"

    def _is_good(self, text: str, sealed: str) -> bool:
        until, _, seal = sealed.partition("-")
        is_future = until.isascii() and until.isdecimal() and len(until) < 15 and int(until) > time.time()  # noqa: PLR2004 - no time is longer
        return is_future and self.keys.is_sealed(f"{until}:{text}", seal)


def _output(job_id: str, number: int, output: Mapping[str, Any]) -> str:
    return f"file:{job_id}:{number}:{output['sha256']}"


async def _links(request: Request, service: ServiceOfRequest) -> Links:
    base = os.environ.get(HTTP_URL, "") or str(request.base_url)
    return Links(service.gateway.keys, base.rstrip("/"))


LinksOfRequest = Annotated[Links, Depends(_links)]
