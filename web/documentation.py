"""The page ``/api``: what the OpenAPI document says, for people, without anything from elsewhere."""

from __future__ import annotations

from html import escape
from typing import Any

_STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
code,pre{background:#8882;border-radius:4px;padding:.1em .3em}pre{padding:1em;overflow:auto}
h3{margin:1.6em 0 .2em}p,h3,td{overflow-wrap:anywhere}td,th{text-align:left;padding:.1em 1em .1em 0;vertical-align:top}
@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}a{color:#8bf}}"""

_START = """# a token of your own, if you have no account
TOKEN=$(curl -s -X POST {base}guests | sed 's/.*"guestID":"\\([^"]*\\)".*/\\1/')

# what can be searched
curl -s {base}query/targets

# search, wait, and see the job
CONFIG='{{"jobConfig": {{"site": "demo", "targets": [{{"targetDisplayName": "examples", "targetFile": "proteins"}}]}},
         "blastConfig": {{"tool": "blastp"}}}}'
JOB=$(curl -s -H "Authorization: Bearer $TOKEN" -F "config=$CONFIG" -F query=@query.fasta {base}query/jobs |
      sed 's/.*"queryJobID":"\\([^"]*\\)".*/\\1/')
curl -s -H "Authorization: Bearer $TOKEN" -H 'Prefer: wait=30' {base}query/jobs/$JOB

# a report in any of BLAST+'s formats (here 6, tabular), and its file
REPORT=$(curl -s -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
         -d "{{\\"queryJobID\\": \\"$JOB\\", \\"blastConfig\\": {{\\"formatType\\": 6}}}}" {base}report/jobs |
         sed 's/.*"reportJobID":"\\([^"]*\\)".*/\\1/')
curl -s -H "Authorization: Bearer $TOKEN" -H 'Prefer: wait=30' {base}report/jobs/$REPORT
curl -s -H "Authorization: Bearer $TOKEN" {base}report/jobs/$REPORT/files/report.tsv
"""


def documentation(document: dict[str, Any], base: str) -> str:
    """Return the page that documents the API.

    Args:
        document: The OpenAPI document.
        base: The address of the service, as the reader knows it.
    """
    routes = [
        _route(method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    return f"""<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>multiblast: HTTP API</title>
<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><h1>multiblast: HTTP API</h1>
<p>{escape(document["info"]["description"])} For programs: <a href="openapi.json">openapi.json</a>.</p>
<h2>From nothing to a report</h2><pre>{escape(_START.format(base=base))}</pre><h2>All routes</h2>{"".join(routes)}
</body></html>"""


def _route(method: str, path: str, operation: dict[str, Any]) -> str:
    text = escape(operation.get("description", operation.get("summary", ""))).replace("\n\n", "<br>")
    rows = "".join(
        f"<tr><td><code>{escape(one['name'])}</code><td>{escape(one.get('description', ''))}"
        for one in operation.get("parameters", [])
    )
    codes = ", ".join(operation["responses"])
    return (
        f"<h3><code>{method.upper()} {escape(path)}</code></h3><p>{text}</p>"
        f"{f'<table>{rows}</table>' if rows else ''}<p>Answers: {codes}.</p>"
    )
