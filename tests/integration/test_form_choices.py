"""What a form of a search lets one choose."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import build_error_obj, validate

from flows import submit_query
from multiblast.installation import Installation
from multiblast.options import PROGRAMS, ProgramName, options_for
from multiblast.services import Services
from multiblast.targets import BlastDatabase
from tasks import maintenance


def _schema(databases: list[BlastDatabase], before: dict[str, Any] | None = None) -> dict[str, Any]:
    schema = before or {
        "type": "object",
        "properties": {
            "query": {"default": "", "type": "string"},
            "query_file": {"default": "", "type": "string"},
            "targets": {"title": "targets", "description": "The databases.", "default": [], "type": "array"},
        },
    }
    deployment: Any = SimpleNamespace(name="submit-blastp", parameter_openapi_schema=schema)
    return cast("dict[str, Any]", maintenance._with_choices(deployment, databases, Installation()))


def test_targets_are_required_in_the_form_and_titles_are_told(services: Services) -> None:
    protein = services.targets.resolve("demo", "examples", "proteins")
    schema = _schema([protein])
    targets = schema["properties"]["targets"]
    assert schema["required"] == ["targets"]
    assert targets["minItems"] == 1
    assert "default" not in targets
    assert targets["items"]["enum"] == ["demo/examples/proteins"]
    assert targets["description"] == f"The databases.\n\nOffered: demo/examples/proteins: {protein.title}"


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({}, "query"),
        ({"query": ""}, "query"),
        ({"query": "", "query_file": ""}, "query"),
        ({"query": "", "options": {"in_pssm": ""}}, "query"),
        ({"query": ">a\nMKV\n"}, ""),
        ({"query": "", "query_file": "some.fasta"}, ""),
        ({"query_file": "some.fasta"}, ""),
        ({"query": "", "options": {"in_pssm": "a profile"}}, ""),
    ],
)
def test_form_wants_a_query_or_a_file_and_says_so_at_the_query(given: dict[str, Any], wrong: str) -> None:
    """By Prefect's own check, which its form shows; other fields have nothing to do with it."""
    problems = build_error_obj(validate({"targets": ["demo/examples/proteins"], **given}, _schema([])))
    found = {problem["property"] for problem in problems["errors"]}
    assert found == ({wrong} if wrong else set())


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


@pytest.mark.parametrize("program", PROGRAMS)
def test_form_has_only_the_options_of_the_installed_version_and_is_valid_left_alone(program: ProgramName) -> None:
    schema = parameter_schema(getattr(submit_query, f"submit_{program}")).model_dump()
    deployment: Any = SimpleNamespace(name=f"submit-{program}", parameter_openapi_schema=schema)
    form = maintenance._with_choices(deployment, [], Installation())
    assert form is not None
    there = options_for(program).declared_in(Installation().version(program))
    (definition,) = form["definitions"].values()
    assert set(definition["properties"]) == {"program", *there}
    sent = {"query": ">a\nMKV\n", "targets": ["a/b/c"], "options": form["properties"]["options"]["default"]}
    assert build_error_obj(validate(sent, form)) == {"errors": [], "valid": True}
