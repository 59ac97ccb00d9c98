"""The plugins that come with multiblast are sound."""

from __future__ import annotations

from pathlib import Path

import pytest

from multiblast.plugins.catalogue import described
from multiblast.plugins.pages import page
from multiblast.plugins.plugin import Source, SourceKind
from multiblast.plugins.sources import BUILT_IN, Candidate

PLACES = sorted(path for path in BUILT_IN.iterdir() if not path.name.startswith(("_", ".")))


@pytest.mark.parametrize("path", PLACES, ids=lambda path: path.name)
def test_plugin_of_our_own_is_sound(path: Path) -> None:
    plugin = described(Candidate(path, Source(SourceKind.BUILT_IN, "multiblast")))
    assert plugin.name == path.stem.replace("_", "-")
    assert plugin.description.license
    assert plugin.description.title in page(plugin)
