"""What our blocks share: how they look among others in Prefect's catalogue, and how they are loaded and saved."""

from __future__ import annotations

from typing import Any, Self

from prefect.blocks.core import Block
from prefect.settings import get_current_settings
from pydantic import HttpUrl

from multiblast.errors import InvalidInputError


class OurBlock(Block):
    """What all blocks of ours share."""

    # Of Prefect's own block for files: a logo must be on the web, and not all who run this are.
    _logo_url = HttpUrl(
        "https://raw.githubusercontent.com/PrefectHQ/prefect/420d0d6a78bb6df1fc18bcf188fdad43c1d22ea9"
        "/assets/block-logos/filesystem.png"
    )
    _documentation_url = HttpUrl("https://docs.prefect.io/v3/concepts/blocks")

    @classmethod
    def named(cls, name: str) -> Self:
        """Return the block of this name, or raise a `ValueError`."""
        return cls.load(name, _sync=True)  # type: ignore[call-arg, return-value]  # added by Prefect's decorator

    def save(self, *given: Any, **more: Any) -> Any:
        """Save a block, as Prefect's own method does, at a server that is there for others, too.

        Raises:
            InvalidInputError: none is named: Prefect would start one for itself, and the service never hear of it.
        """
        if not get_current_settings().api.url:
            message = (
                "no Prefect server is named to save this at: export PREFECT_API_URL, "
                "which is http://127.0.0.1:4200/api for that of `make up`"
            )
            raise InvalidInputError(message)
        return super().save(*given, **more)
