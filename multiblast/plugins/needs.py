"""Which plugins a plugin calls: those that its table needs, by name or by what they are."""

from __future__ import annotations

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from multiblast.errors import ConflictError, NotFoundError
from multiblast.plugins.catalogue import Catalogue
from multiblast.plugins.chains import USUAL
from multiblast.plugins.description import Description, Need


def resolved_needs(catalogue: Catalogue, description: Description) -> dict[str, str]:
    """Return the identifier of the plugin that each need of a table means now, by the need's name.

    Raises:
        NotFoundError: there is none that is required.
        ConflictError: several fit, of which not just one has the tag ``usual``.
    """
    found: dict[str, str] = {}
    for name, need in description.needs.items():
        fitting = [plugin for plugin in catalogue.all() if _fits(plugin.description, need)]
        usual = [plugin for plugin in fitting if USUAL in plugin.description.tags] or fitting
        if len(names := {plugin.name for plugin in usual}) > 1:
            listed = ", ".join(sorted(names))
            raise ConflictError(
                f"{description.name} needs a plugin as {name!r}, and several fit: {listed}: name one of them"
            )
        if usual:
            found[name] = usual[0].identifier  # the newest version
        elif need.required:
            raise NotFoundError("plugin", need.name or ", ".join(need.tags) or name, f"{description.name} needs it")
    return found


def _fits(description: Description, need: Need) -> bool:
    tags = {*description.tags}
    is_named = need.name in {"", description.name} and need.type in {"", description.type}
    is_tagged = all((tag[1:] not in tags) if tag.startswith("!") else tag in tags for tag in need.tags)
    version = Version(description.version)
    return is_named and is_tagged and SpecifierSet(need.version).contains(version, prereleases=version.is_prerelease)
