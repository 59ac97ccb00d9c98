"""Which language a visitor reads, of those that a plugin's table has."""

from __future__ import annotations

from contextlib import suppress

from fastapi import Request

from multiblast.plugins.description import Description

_MOST = 20


def language_of(request: Request, description: Description) -> str:
    """Return the language of a plugin's texts that a browser wants most (``Accept-Language``); empty for as they are.

    Tables are written in English: whoever wants that before others gets the texts as they are.
    """
    for wanted in _wanted(request.headers.get("accept-language", "")):
        if wanted == "en" or wanted.startswith("en-"):
            return ""
        for language in description.text:
            if wanted == language.lower() or wanted.partition("-")[0] == language.lower():
                return language
    return ""


def _wanted(header: str) -> list[str]:
    """Return the languages of a header, the best first: those of equal weight in their order."""
    found: list[tuple[float, str]] = []
    for part in header.lower().split(",")[:_MOST]:
        language, *options = (word.strip() for word in part.split(";"))
        weight = 1.0
        for option in options:
            if option.startswith("q="):
                with suppress(ValueError):
                    weight = float(option[2:])
        if language and weight > 0:
            found.append((weight, language))
    return [language for _, language in sorted(found, key=lambda pair: -pair[0])]
