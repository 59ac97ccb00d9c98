"""What plugins take in: the files that texts stand for, each at the port that takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multiblast.accounts import Requester
from multiblast.actions.plugin_sources import ANY, Offer, PluginSources, Taken
from multiblast.errors import InvalidInputError, Problem, collecting
from multiblast.plugins.chains import Made
from multiblast.plugins.description import Description
from multiblast.plugins.ports import Input


@dataclass
class PluginInputs:
    """Gives texts that name inputs to the ports of plugins.

    Attributes:
        sources: Finds what texts stand for.
    """

    sources: PluginSources

    def beginning(self, requester: Requester, text: str, *, likely: bool = True) -> tuple[list[Made], list[Made]]:
        """Return what a chain from a text begins with, and what there is besides: see `multiblast.plugins.chains`.

        Of a query job it begins with the hits; its query and subjects are there besides. Of a file it begins with what
        that is likely to mean, or with anything that is written so.
        """
        offers = self.sources.offers(requester, text, "source")
        made = [Made(offer.likely() if likely else offer.data, offer.content) for offer in offers]
        hits = [one for one in made if one.data.startswith("hits/")]
        return (hits, [one for one in made if one not in hits]) if hits else (made, [])

    def resolve(
        self,
        requester: Requester,
        description: Description,
        inputs: Mapping[str, Sequence[str]] | Sequence[str],
        *,
        files_under: Path | None = None,
    ) -> tuple[list[dict[str, Any]], dict[str, list[str]]]:
        """Get what a plugin is to take in.

        Args:
            requester: Who names it.
            description: The plugin's table.
            inputs: Texts by port; or texts alone, each of which goes to every port that it fits.
            files_under: The only directory that paths may lead into; None allows any path.

        Returns:
            The rows of a job's inputs, in the order of the ports, and the texts by port.

        Raises:
            InvalidInputError: with every problem, by port.
        """
        problems: list[Problem] = []
        named = self._by_port(requester, description, inputs, problems, files_under)
        if problems and not isinstance(inputs, Mapping):  # what is missing then is what was wrong
            raise InvalidInputError(problems)
        rows: list[dict[str, Any]] = []
        for port, declared in description.inputs.items():
            texts = named.get(port, [])
            if not texts and declared.required:
                problems.append(Problem(f"this is needed: {_wanted(declared)}", f"inputs.{port}"))
            if len(texts) > 1 and not declared.many:
                problems.append(Problem(f"one is needed here, and {len(texts)} are given", f"inputs.{port}"))
                continue
            for text in texts:
                with collecting(problems):
                    rows.append(self._take(requester, text, port, declared, files_under).at(port))
        if problems:
            raise InvalidInputError(problems)
        return rows, {port: texts for port, texts in named.items() if texts}

    def _by_port(
        self,
        requester: Requester,
        description: Description,
        inputs: Mapping[str, Sequence[str]] | Sequence[str],
        problems: list[Problem],
        files_under: Path | None,
    ) -> dict[str, list[str]]:
        if isinstance(inputs, Mapping):
            reason = f"{description.name} has no such input; it has {', '.join(description.inputs) or 'none'}"
            problems += [Problem(reason, f"inputs.{port}") for port in inputs if port not in description.inputs]
            return {port: [text for text in texts if text.strip()] for port, texts in inputs.items()}
        named: dict[str, list[str]] = {}
        for text in inputs:
            with collecting(problems):
                offers = self.sources.offers(requester, text, files_under=files_under)
                for port in _free_ports(description, text, offers, named):
                    named.setdefault(port, []).append(text)
        return named

    def _take(self, requester: Requester, text: str, port: str, declared: Input, files_under: Path | None) -> Taken:
        offers = self.sources.offers(requester, text, f"inputs.{port}", files_under=files_under)
        for offer in offers:
            if offer.fits(declared):
                return offer.take()
        raise InvalidInputError(
            Problem(f"{text!r} is {found(offers)}, and here goes {_wanted(declared)}", f"inputs.{port}")
        )


def _free_ports(
    description: Description, text: str, offers: Sequence[Offer], named: Mapping[str, Sequence[str]]
) -> list[str]:
    """Return the ports that take what a text stands for, beside what is named for them already."""
    fitting = [port for port, declared in description.inputs.items() if any(one.fits(declared) for one in offers)]
    if not fitting:
        taken = "; ".join(f"{port}: {_wanted(one)}" for port, one in description.inputs.items()) or "nothing"
        reason = f"{text!r} is {found(offers)}, which {description.name} does not take: it takes {taken}"
        raise InvalidInputError(Problem(reason, "inputs"))
    free = [port for port in fitting if description.inputs[port].many or not named.get(port)]
    if not free:
        reason = f"{text!r} is one too many: {description.name} takes one as {' and '.join(fitting)}"
        raise InvalidInputError(Problem(reason, "inputs"))
    return free


def found(offers: Sequence[Offer | Made]) -> str:
    """Return in words what a text can stand for; of a file of which only the form is known, that."""
    return ", ".join(dict.fromkeys(one.content if one.data == ANY else f"{one.data} ({one.content})" for one in offers))


def _wanted(port: Input) -> str:
    content = " or ".join(port.content)
    return f"{port.data} ({content})" if content != "*" else port.data
