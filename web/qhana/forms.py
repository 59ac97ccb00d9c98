"""Micro frontends: forms made from a plugin's table, or from what a step asks, without scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from starlette.responses import HTMLResponse

from multiblast.plugins.parameters import Parameter
from multiblast.plugins.ports import Input

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title></head>
<body class="qhana-body">
<main class="qhana-microfrontend">
<h1>{title}</h1>
<p>{text}</p>
<form action="{action}" method="post" data-target="api" class="qhana-form" enctype="multipart/form-data">
{fields}
<div class="qhana-form-buttons"><button class="qhana-form-submit" type="submit" data-target="api">submit</button></div>
</form>
</main>
</body>
</html>
"""


def form_page(  # noqa: PLR0913, PLR0917 - what is on the page
    title: str,
    text: str,
    action: str,
    inputs: Mapping[str, Input],
    parameters: Mapping[str, Parameter],
    values: Mapping[str, str],
    origins: Sequence[str],
) -> HTMLResponse:
    """Return a page with a form, which pages of some web sites may show as a part of theirs.

    Args:
        title: Its heading.
        text: What is said below.
        action: Where the form is posted to.
        inputs: Fields for addresses of files, by name.
        parameters: Other fields.
        values: What is filled in already, by name.
        origins: The web sites.
    """
    fields = [_input(name, one, values.get(name, "")) for name, one in inputs.items()]
    fields += [_parameter(name, one, values.get(name)) for name, one in parameters.items()]
    shown = {"title": escape(title), "text": escape(text), "action": escape(action), "fields": "\n".join(fields)}
    framed = " ".join(("'self'", *origins))
    policy = f"default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors {framed}"
    return HTMLResponse(_PAGE.format(**shown), headers={"Content-Security-Policy": policy})


def _input(name: str, port: Input, value: str) -> str:
    kinds = f'data-input="{escape(port.data)}" data-content-type="{escape(" ".join(port.content))}"'
    needed = " required" if port.required else ""
    field = (
        f'<textarea id="{name}" name="{name}" data-input-type="data"{needed}>\n{escape(value)}</textarea>'
        if port.many
        else f'<input id="{name}" name="{name}" type="url" data-input-type="data" value="{escape(value)}"{needed}>'
    )
    button = (
        f'<button class="qhana-choose-file-button" type="button" data-input-id="{name}" {kinds} hidden>choose</button>'
    )
    return _labelled(name, port.label, port.help, field + button)


def _parameter(name: str, parameter: Parameter, value: str | None) -> str:
    given = value if value is not None else "" if parameter.default is None else str(parameter.default)
    needed = " required" if parameter.required else ""
    named = f'id="{name}" name="{name}"'
    if parameter.type == "choice":
        options = "".join(
            f'<option value="{escape(one)}"{" selected" if one == given else ""}>{escape(one)}</option>'
            for one in parameter.choices
        )
        field = f"<select {named}{needed}>{options}</select>"
    elif parameter.type == "flag":
        ticked = " checked" if given.lower() in {"true", "on", "1", "yes"} else ""
        # A box that is not ticked sends nothing: then the hidden field counts.
        field = f'<input type="hidden" name="{name}" value="false"><input {named} type="checkbox" value="true"{ticked}>'
    elif parameter.lines:
        field = f"<textarea {named}{needed}>\n{escape(given)}</textarea>"
    elif parameter.type in {"integer", "number"}:
        step = "1" if parameter.type == "integer" else "any"
        limits = "".join(
            f' {key}="{limit:g}"'
            for key, limit in (("min", parameter.least), ("max", parameter.most))
            if limit is not None
        )
        field = f'<input {named} type="number" step="{step}"{limits} value="{escape(given)}"{needed}>'
    else:
        field = f'<input {named} type="text" value="{escape(given)}"{needed}>'
    return _labelled(name, parameter.label, parameter.help, field)


def _labelled(name: str, label: str, text: str, field: str) -> str:
    said = f'<div id="{name}-description" class="qhana-input-description">{escape(text)}</div>' if text else ""
    return (
        f'<div class="qhana-form-field"><label class="qhana-form-label" for="{name}">{escape(label or name)}</label>'
        f'<div class="qhana-input-wrapper">{field}</div>{said}</div>'
    )
