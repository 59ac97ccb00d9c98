"""The command of a search, made from a search plugin's table; there is no shell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from multiblast.plugins.description import PLACEHOLDER, Conditional

Words = Mapping[str, Sequence[str]]
"""What stands for each placeholder, such as ``inputs.queries`` or ``threads``."""


def filled(command: Sequence[str | Conditional], words: Words) -> list[str]:
    """Return a command with its placeholders filled: a word that is just one of several words becomes these."""
    return [
        word
        for part in command
        if isinstance(part, str) or _holds(part, words)
        for template in ((part,) if isinstance(part, str) else part.words)
        for word in _filled(template, words)
    ]


def _holds(part: Conditional, words: Words) -> bool:
    room, name, wanted = part.condition
    values = words.get(f"{room}.{name}", ())
    return bool(values) and (values[0] == wanted if wanted is not None else values[0] not in {"", "false"})


def _filled(template: str, words: Words) -> Iterator[str]:
    whole = PLACEHOLDER.fullmatch(template)
    if whole:
        yield from words[template[1:-1]]
        return
    yield PLACEHOLDER.sub(lambda found: " ".join(words[found[0][1:-1]]), template)
