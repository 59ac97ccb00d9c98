"""Write the reference of all settings and environment variables: ``python docs/reference/make_blocks.py``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from deployments.register import block_classes
from multiblast.environment import ENVIRONMENT

PAGE = Path(__file__).with_name("settings.md")

INTRODUCTION = """# Settings

*Made by `docs/reference/make_blocks.py` from the blocks in `blocks/`, and from `multiblast/settings.py` and
`multiblast/environment.py`.*

Settings are fields of Prefect blocks: forms under *Blocks* in the browser, or a few lines of Python as below. The
blocks called `default` count; `make up` registers them with the defaults, which are also what holds without a server.
A running worker sees a change within a minute.

Python, and Prefect's own commands, need the address of the server, here that of `make up`:

```console
$ export PREFECT_API_URL=http://127.0.0.1:4200/api
$ export PREFECT_API_AUTH_STRING="$(cat ~/.local/share/multiblast/prefect/login)"  # with PROFILE=full
```
"""

VARIABLES = """## Environment variables

Read by commands and workers; Prefect's own (`PREFECT_API_URL`, …) and BLAST+'s are described in their manuals.

| Variable | Default | Meaning |
|---|---|---|"""


def page() -> str:
    """Return the whole page."""
    return "\n".join([INTRODUCTION, *map(_block, block_classes()), VARIABLES, *_variables(), ""])


def _variables() -> Iterator[str]:
    for name, text in ENVIRONMENT.items():
        meaning, _, default = text.partition(" Default: ")
        yield f"| `{name}` | {default.removesuffix('.')} | {meaning} |"


def _block(block: Any) -> str:
    lines = [
        f"## {block.get_block_type_slug()}\n",
        f"{block.get_description()}\n",
        "| Field | Default | Meaning |",
        "|---|---|---|",
    ]
    lines += [f"| {' | '.join(cells)} |" for cells in _rows(block.model_fields)]
    lines += ["", (block.get_code_example() or "").strip(), ""]
    if hasattr(block, "public"):
        usual, public = (dict(_values(settings)) for settings in (block(), block.public()))
        differing = [f"{name} {_default(value)}" for name, value in public.items() if value != usual[name]]
        lines += [f"`public()` sets {', '.join(differing)}; all else is as by default.", ""]
    return "\n".join(lines)


def _rows(fields: Mapping[str, FieldInfo], above: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield a row for each field, and for each field of the settings that it holds."""
    for name, field in fields.items():
        default = field.get_default(call_default_factory=True)
        inner = getattr(default, "__pydantic_fields__", None)
        if inner:
            yield from _rows(inner, f"{above}{name}.")
        elif not name.startswith("_"):
            default, meaning = (text.replace("|", r"\|") for text in (_default(default), field.description or ""))
            yield f"`{above}{name}`", default, meaning


def _values(settings: BaseModel, above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each field of settings, and of the settings that they hold, with its value."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from _values(value, f"{above}{name}.")
        elif not name.startswith("_"):
            yield f"`{above}{name}`", value


def _default(value: Any) -> str:
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"`{value}`" if value or value == 0 else "none"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
