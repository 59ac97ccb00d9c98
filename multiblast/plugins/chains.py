"""Chains: which plugins, one after the other, lead from what there is to what is wanted.

Each takes in something that the one before it made, and may take in besides what there was from the beginning or what
any before made. Only the shortest chains count. Of several, that with most plugins tagged ``usual`` is meant, if it is
the only one with so many; else they are all listed, and which one is meant must be said: nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from multiblast.errors import InvalidInputError, NotFoundError, Problem
from multiblast.plugins.catalogue import Catalogue
from multiblast.plugins.description import Description
from multiblast.plugins.kinds import matches, resolved
from multiblast.plugins.plugin import Plugin
from multiblast.plugins.ports import Input

USUAL = "usual"
_LONGEST = 6


@dataclass(frozen=True, slots=True)
class Made:
    """Something that there is, or that a plugin makes: what it means, how it is written, and by which step.

    Attributes:
        step: 0 for what there is from the beginning, else the number of the step in the chain.
        port: The output of the step.
    """

    data: str
    content: str
    step: int = 0
    port: str = ""

    def fits(self, port: Input) -> bool:
        """Return whether a port takes it."""
        return port.takes(self.data, self.content)


@dataclass(frozen=True, slots=True)
class Link:
    """One step of a chain: a plugin, and for each of its inputs what it takes in."""

    plugin: Plugin
    inputs: tuple[tuple[str, Made], ...]


Chain = tuple[Link, ...]
"""The steps from what there is to what is wanted."""


def inputs_of(link: Link, source: str, jobs: Sequence[str]) -> dict[str, list[str]]:
    """Return what a link takes in, by port, as `multiblast.actions.plugin_sources` reads it.

    Args:
        link: The step.
        source: What the chain begins with.
        jobs: The plugin jobs of the steps before.
    """
    return {port: [f"plugin:{jobs[made.step - 1]}/{made.port}" if made.step else source] for port, made in link.inputs}


def shown(chain: Chain) -> str:
    """Return a chain as people read it: ``hit-sequences → mafft → fasttree``."""
    return " → ".join(link.plugin.name for link in chain)


def find_chains(
    plugins: Iterable[Plugin], have: Sequence[Made], besides: Sequence[Made], want: str, through: Sequence[str] = ()
) -> list[Chain]:
    """Return the shortest chains, those that are meant first.

    Args:
        plugins: Those to choose from.
        have: What there is; the first step takes in one of these.
        besides: What there is, too.
        want: The data type that the last step must make, or the name of the last plugin.
        through: Names of plugins that must be in the chain, in this order.
    """
    choice = [one for one in plugins if one.description.inputs and one.description.search is None]
    found: list[Chain] = []
    beginnings: list[tuple[Chain, tuple[Made, ...], tuple[Made, ...]]] = [((), tuple(have), (*have, *besides))]
    for _ in range(_LONGEST):
        longer = []
        for chain, last, there in beginnings:
            for plugin in choice:
                if any(link.plugin.name == plugin.name for link in chain) or not (
                    inputs := _inputs(plugin.description, last, there)
                ):
                    continue
                made = tuple(_outputs(plugin.description, dict(inputs), len(chain) + 1))
                longer.append(((*chain, Link(plugin, inputs)), made, (*made, *there)))
        found = [chain for chain, made, _ in longer if _leads_to(chain, made, want) and _goes_through(chain, through)]
        if found:
            break
        beginnings = longer
    return sorted(found, key=lambda chain: (-_usual(chain), shown(chain)))


def reachable(plugins: Iterable[Plugin], have: Sequence[Made]) -> list[str]:
    """Return what kinds of things chains can lead to from what there is, without their sub-types, in order.

    To each there may be a chain: `find_chains` finds it, or that the plugins do not fit one after the other.
    """
    left = [one.description for one in plugins if one.description.inputs and one.description.search is None]
    there = list(have)
    found: set[str] = set()
    while fed := [one for one in left if _inputs(one, there, there)]:
        for description in fed:
            left.remove(description)
            inputs = dict(_inputs(description, there, there))
            there += _outputs(description, inputs, 1)
        found = {one.data.partition("/")[0] for one in there if one.step}
    return sorted(found - {one.data.partition("/")[0] for one in have})


def the_chain(chains: Sequence[Chain], want: str) -> Chain:
    """Return the one chain that is meant.

    Raises:
        NotFoundError: there is none.
        InvalidInputError: there are several.
    """
    if not chains:
        raise NotFoundError("chain of plugins to", want, "see: multiblast plugins list")
    if len(chains) > 1 and _usual(chains[0]) == _usual(chains[1]):
        several = "; ".join(shown(chain) for chain in chains[:10])
        raise InvalidInputError(Problem(f"there are several ways, name plugins of one of them: {several}", "through"))
    return chains[0]


def following(catalogue: Catalogue, made: Sequence[Made]) -> list[tuple[Plugin, str]]:
    """Return the newest plugins that go on with what there is alone, each with the input that takes it."""
    found = []
    for plugin in catalogue.newest():
        inputs = _inputs(plugin.description, made, made)
        if inputs and plugin.description.search is None:
            found.append((plugin, inputs[0][0]))
    return found


def _inputs(description: Description, last: Sequence[Made], there: Sequence[Made]) -> tuple[tuple[str, Made], ...]:
    """Return what a plugin takes in of what there is; nothing if something lacks, or it takes nothing of the last."""
    inputs = {}
    for name, port in description.inputs.items():
        for one in (*last, *there):
            if one.fits(port):
                inputs[name] = one
                break
        else:
            if port.required:
                return ()
    return tuple(inputs.items()) if any(one in last for one in inputs.values()) else ()


def _outputs(description: Description, inputs: dict[str, Made], step: int) -> Iterator[Made]:
    for name, port in description.outputs.items():
        yield Made(resolved(port.data, {key: [one.data] for key, one in inputs.items()}), port.content, step, name)


def _leads_to(chain: Chain, made: Sequence[Made], want: str) -> bool:
    return chain[-1].plugin.name == want or any(matches(one.data, want) for one in made)


def _goes_through(chain: Chain, through: Sequence[str]) -> bool:
    names = iter(link.plugin.name for link in chain)
    return all(name in names for name in through)


def _usual(chain: Chain) -> int:
    return sum(USUAL in link.plugin.description.tags for link in chain)
