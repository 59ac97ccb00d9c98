"""The pages of NCBI's server that its clients read with patterns of their own; each blank and line end counts."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

_PAGE = """<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html>
<head>
<title>NCBI Blast:</title>
</head>
<body>
{body}
</body>
</html>
"""
TEXT_START = "<p><!--\nQBlastInfoBegin\n\tStatus=READY\nQBlastInfoEnd\n--><p>\n<PRE>\n"
TEXT_END = "</PRE>\n"
HTML_START = "<!--\nQBlastInfoBegin\n\tStatus=READY\nQBlastInfoEnd\n-->\n"


def accepted(request_id: str, seconds: int) -> str:
    """Return the page of a search that was accepted, and may be ready in so many seconds."""
    return _PAGE.format(body=f"<!--QBlastInfoBegin\n    RID = {request_id}\n    RTOE = {seconds}\nQBlastInfoEnd\n-->")


def status(word: str, *, hits: bool | None = None, problem: str = "") -> str:
    """Return the page of a search that is ``WAITING``, ``READY``, ``FAILED`` or ``UNKNOWN``.

    Args:
        word: Which of these.
        hits: Whether it found something, if it is ready.
        problem: What is wrong.
    """
    blocks = [f"\tStatus={word}\n"]
    if hits is not None:
        blocks.append(f"\tThereAreHits={'yes' if hits else 'no'}\n")
    body = "\n".join(f"<!--\nQBlastInfoBegin\n{block}QBlastInfoEnd\n-->" for block in blocks)
    return _PAGE.format(body=f"{body}\n{_error([problem])}" if problem else body)


def refused(problems: Iterable[str]) -> str:
    """Return the page of a search that was refused; clients show what it says."""
    return _PAGE.format(body=_error(problems))


def listed(request_ids: Iterable[tuple[str, str]]) -> str:
    """Return the page of somebody's searches: ids and when they were submitted."""
    rows = "".join(f"<tr><td>{escape(one)}</td><td>{escape(at)}</td></tr>\n" for one, at in request_ids)
    return _PAGE.format(body=f"<table>\n{rows}</table>")


def _error(problems: Iterable[str]) -> str:
    text = "; ".join(" ".join(problem.split()) for problem in problems)
    return (
        '<ul id="msgR" class="msg"><li class="error">'
        f'<p class="error">Message ID#24 Error: {escape(text, quote=False)}</p></li></ul>'
    )
