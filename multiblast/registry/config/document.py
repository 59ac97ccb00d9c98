"""YAML with the place of everything in it, so that an error can name file, line and key."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.events import CollectionEndEvent, CollectionStartEvent
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from multiblast.errors import InvalidInputError, Problem

_LARGEST_BYTES, _MOST_PLACES, _DEEPEST = 4 << 20, 100_000, 50  # with aliases a few lines can mean millions
_PLAIN = {"tag:yaml.org,2002:bool": {"true": True, "false": False}, "tag:yaml.org,2002:null": None}

_TOO_DEEP = f"this is nested more than {_DEEPEST} levels deep: no configuration is"


@dataclass(slots=True)
class Document:
    """The content of a YAML file.

    Attributes:
        name: The file.
        data: Mappings, lists, text, booleans and None; numbers and dates stay text, so that 1.10 is 1.10.
        lines: The 1-based line of each key, as in ``read[0].use.version``.
    """

    name: str
    data: Any
    lines: dict[str, int] = field(default_factory=dict)

    def problem(self, message: str, key: str) -> Problem:
        """Return a problem with file, key and line; a key that is not there has the line of what it would be in."""
        place = key
        while place and place not in self.lines:
            place = place[: max(place.rfind("."), place.rfind("["), 0)]
        return Problem(message, f"{self.name}: {key}" if key else self.name, line=self.lines.get(place, 0))


def read_document(path: Path) -> Document:
    """Read a YAML file of mappings, lists and plain values.

    Raises:
        InvalidInputError: it cannot be read, is no YAML, or has a key twice.
    """
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise InvalidInputError(f"{str(path)!r} is larger than {_LARGEST_BYTES:,} bytes: no configuration is")
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise InvalidInputError(f"cannot read {str(path)!r}: {reason}") from error
    try:
        _check_depth(text, path.name)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or "it is not YAML"
        raise InvalidInputError(
            Problem(f"this is no YAML: {reason}", path.name, line=mark.line + 1 if mark else 0)
        ) from error
    document = Document(path.name, {})
    problems: list[Problem] = []
    if node is not None:
        document.data = _plain(node, "", document, problems, set())
    if problems:
        raise InvalidInputError(problems)
    return document


def _check_depth(text: str, name: str) -> None:
    """Refuse what is nested too deep before it is composed: that recurses, and takes the square of the depth."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > _DEEPEST:
            mark = event.start_mark
            raise InvalidInputError(Problem(_TOO_DEEP, name, line=mark.line + 1 if mark else 0))


def _plain(node: Node, key: str, document: Document, problems: list[Problem], above: set[int]) -> Any:
    document.lines.setdefault(key, node.start_mark.line + 1)
    if len(document.lines) > _MOST_PLACES:
        raise InvalidInputError(document.problem("its aliases stand for more than any configuration has", ""))
    if len(above) > 4 * _DEEPEST:  # aliases in aliases
        raise InvalidInputError(document.problem(_TOO_DEEP, ""))
    if id(node) in above:  # an alias of something that it is in
        problems.append(document.problem("it refers to itself", key))
        return None
    inside = above | {id(node)}
    if isinstance(node, MappingNode):
        found: dict[str, Any] = {}
        for name, value in node.value:
            word = str(name.value)
            place = f"{key}.{word}" if key else word
            if word in found:
                document.lines[place] = name.start_mark.line + 1
                problems.append(document.problem("this key is given twice", place))
            document.lines[place] = name.start_mark.line + 1
            found[word] = _plain(value, place, document, problems, inside)
        return found
    if isinstance(node, SequenceNode):
        return [
            _plain(value, f"{key}[{number}]", document, problems, inside) for number, value in enumerate(node.value)
        ]
    if not isinstance(node, ScalarNode):
        problems.append(document.problem("this is nothing that a configuration has", key))
        return None
    meaning = _PLAIN.get(node.tag, node.value)
    if isinstance(meaning, dict):
        return meaning.get(node.value.lower(), node.value)
    return meaning
