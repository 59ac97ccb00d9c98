"""How our blocks look among others in Prefect's catalogue."""

from __future__ import annotations

from pydantic import HttpUrl

# Of Prefect's own block for files: a logo must be on the web, and not all who run this are.
LOGO = HttpUrl(
    "https://raw.githubusercontent.com/PrefectHQ/prefect/420d0d6a78bb6df1fc18bcf188fdad43c1d22ea9"
    "/assets/block-logos/filesystem.png"
)
DOCUMENTATION = HttpUrl("https://docs.prefect.io/v3/concepts/blocks")
