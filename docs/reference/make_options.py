"""Write the reference of all options: ``python docs/reference/make_options.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from multiblast.molecules import DatabaseKind
from multiblast.options import EXCLUDED, EXCLUDED_OF, PROGRAMS, options_for

PAGE = Path(__file__).with_name("options.md")

INTRODUCTION = """# Options

*Made by `docs/reference/make_options.py` from the declarations in `multiblast/options/`.*

Options have BLAST+'s names. The spelling of a `blastConfig` (JSON for programs) is accepted too and stands beside each.
An option that is left empty, or given the value that the program would use by itself, does not count as given:
the job stays the same. What the installed program's own `-help` says is compared with this page's declarations
by the tests.
"""


def page() -> str:
    """Return the whole page."""
    parts = [INTRODUCTION, *(_program(program) for program in PROGRAMS), _left_out()]
    return "\n".join(parts)


def _program(program: str) -> str:
    model = options_for(program)
    target = f"{model.database_kind} sequence".replace(f"{DatabaseKind.PROFILE} sequence", DatabaseKind.PROFILE)
    schema = model.model_json_schema()
    lines = [
        f"## {program}\n",
        f"{schema['description']} Queries are {model.query_molecule} sequences, targets {target} databases.\n",
        "| Option | blastConfig | Values | Default | Meaning |",
        "|---|---|---|---|---|",
    ]
    for name in model.declared:
        field = schema["properties"][name]
        cells = (f"`{name}`", f"`{model.declared[name].config}`", _values(field), _default(field), field["description"])
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _values(field: dict[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(f"`{choice}`" for choice in field["enum"])
    kind = {"integer": "whole number", "number": "number", "boolean": "yes or no", "string": "text"}[field["type"]]
    limits = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    # Limits of the machine's integers say nothing to a reader.
    shown = [f"{sign} {field[key]}" for key, sign in limits.items() if key in field and abs(field[key]) < 2**31 - 1]
    return " ".join([kind, *shown])


def _default(field: dict[str, Any]) -> str:
    value = field.get("default", "")
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value == "" else f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _left_out() -> str:
    reasons: dict[str, list[str]] = {}
    for name, reason in EXCLUDED.items():
        reasons.setdefault(reason, []).append(f"`{name}`")
    for program, own in EXCLUDED_OF.items():
        for name, reason in own.items():
            reasons.setdefault(reason, []).append(f"`{name}` of {program}")
    rows = [f"| {', '.join(names)} | {reason[0].upper()}{reason[1:]}. |" for reason, names in reasons.items()]
    return "\n".join(["## Options that cannot be chosen\n", "| Options | Why |", "|---|---|", *rows]) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")
