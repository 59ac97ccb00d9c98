"""Write the reference of all actions on jobs: ``python docs/reference/make_actions.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args, get_origin

from deployments.command_line.actions import OTHER_NAMES
from multiblast.actions import Queries, Reports
from multiblast.actions.answers import Answer
from multiblast.actions.catalogue import Action, actions_of
from multiblast.actions.plugin_jobs import PluginJobs

PAGE = Path(__file__).with_name("actions.md")

INTRODUCTION = """# Actions

*Made by `docs/reference/make_actions.py` from the methods that `multiblast.actions` marks as actions.*

Everything one can do with query, report and plugin jobs. Each action is one method of the domain, and a command that
calls it.
What starts or stops a run is a flow too: a form in Prefect's browser interface, with [these parameters](flows.md).

In Python the methods are those of a `multiblast.services.Services`, and the first argument is who requests it:

```python
from multiblast.services import Services

services = Services.embedded()
me = services.accounts.requester("ann")
for job in services.queries.list_jobs(me, status="complete"):
    print(job.to_json())
```

Commands are those of `multiblast`; `--help` after each lists its options. `--user NAME` says whose list it is about.
What only reads or changes a record answers at once: that is no flow run.
"""


def page() -> str:
    """Return the whole page; what follows the tables is written by hand, and kept."""
    by_hand = PAGE.read_text(encoding="utf-8").partition("\n<!-- by hand from here on -->\n")[2]
    tables = (("Query jobs", "queries", Queries), ("Report jobs", "reports", Reports))
    parts = [INTRODUCTION, *(_table(*one) for one in (*tables, ("Plugin jobs", "plugin_jobs", PluginJobs)))]
    return "\n".join(parts) + "\n<!-- by hand from here on -->\n" + by_hand


def _table(title: str, place: str, door: type) -> str:
    lines = [f"## {title}\n", "| Action | Method | Command | Flow | Answer |", "|---|---|---|---|---|"]
    group = {"queries": "jobs", "plugin_jobs": "plugins"}.get(place, place)
    for one in actions_of(door):
        flow = f"`{one.flow}`" if one.flow else ""
        command = one.command or f"{group} {OTHER_NAMES.get(group, {}).get(one.name, one.name)}"
        cells = [one.name, f"`{place}.{one.method}`", f"`{command}`", flow, _answer(one)]
        lines.append("| " + " | ".join(cells).replace("|  |", "| |") + " |")
    return "\n".join(lines) + "\n"


def _answer(one: Action) -> str:
    return one.answer or _shape(one.returns) or "nothing"


def _shape(kind: Any) -> str:
    """Return the shape of an answer in JSON: ``{field, field?}``, where ? is a field that may be left out."""
    if get_origin(kind) is list:
        return f"`[{_shape(get_args(kind)[0]).strip('`')}]`"
    for answer in (kind, *get_args(kind)):
        if isinstance(answer, type) and issubclass(answer, Answer):
            fields = answer.model_fields.values()
            return "`{" + ", ".join(f"{field.alias}{'' if field.is_required() else '?'}" for field in fields) + "}`"
    return ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")
