"""What a form of a search lets one choose."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from multiblast.services import Services
from multiblast.targets import BlastDatabase
from tasks import maintenance


def _schema(databases: list[BlastDatabase], before: dict[str, Any] | None = None) -> dict[str, Any]:
    schema = before or {
        "type": "object",
        "properties": {
            "query": {"default": "", "type": "string"},
            "targets": {"title": "targets", "description": "The databases.", "default": [], "type": "array"},
        },
    }
    deployment: Any = SimpleNamespace(name="submit-blastp", parameter_openapi_schema=schema)
    return cast("dict[str, Any]", maintenance._with_choices(deployment, databases))


def test_targets_are_required_in_the_form_and_titles_are_told(services: Services) -> None:
    protein = services.targets.resolve("demo", "examples", "proteins")
    schema = _schema([protein])
    targets = schema["properties"]["targets"]
    assert schema["required"] == ["targets"]
    assert targets["minItems"] == 1
    assert "default" not in targets
    assert targets["items"]["enum"] == ["demo/examples/proteins"]
    assert targets["description"] == f"The databases.\n\nOffered: demo/examples/proteins: {protein.title}"


def test_form_lets_choose_databases_of_one_site_alone(services: Services) -> None:
    """One job searches one site, so that each site has a list of its own; a site that is gone leaves none."""
    protein = services.targets.resolve("demo", "examples", "proteins")
    both = _schema([replace(protein, site="lab"), protein])
    choices = both["properties"]["targets"]["anyOf"]
    assert [(one["title"], one["items"]["enum"]) for one in choices] == [
        ("targets of demo", ["demo/examples/proteins"]),
        ("targets of lab", ["lab/examples/proteins"]),
    ]
    assert _schema([protein], both) == _schema([protein])
