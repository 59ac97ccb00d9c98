"""Templates, and what pages load: everything in them is escaped, and they load nothing from elsewhere."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from multiblast.errors import NotFoundError

_HERE = Path(__file__).parent
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",  # without it, a browser does not say where a form comes from
    "Cache-Control": "no-store",
}
_TEMPLATES = Environment(
    loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_STATIC = {
    "pages.css": "text/css",
    "submit.js": "text/javascript",
    "job.js": "text/javascript",
    "overview.js": "text/javascript",
    "report.js": "text/javascript",
}


def render(template: str, *, code: int = 200, **facts: Any) -> HTMLResponse:
    """Return a page; the template finds the facts by their names."""
    return HTMLResponse(_TEMPLATES.get_template(template).render(**facts), code, headers=_HEADERS)


def static_answer(name: str) -> Response:
    """Return the answer with a file that pages load.

    Raises:
        NotFoundError: there is none of this name.
    """
    found = _static(name)
    if found is None:
        raise NotFoundError("file", name[:60], "see /")
    text, media_type = found
    return Response(text, media_type=media_type, headers={"Cache-Control": "max-age=300"})


@cache
def _static(name: str) -> tuple[str, str] | None:
    """Return the text and the type of a file that pages load; the HTML report's style and script serve here too."""
    if name not in _STATIC:
        return None
    report = files("multiblast.reports.html")
    if name == "report.js":
        return report.joinpath("page.js").read_text("utf-8"), _STATIC[name]
    text = (_HERE / "static" / name).read_text("utf-8")
    return (report.joinpath("page.css").read_text("utf-8") if name == "pages.css" else "") + text, _STATIC[name]
