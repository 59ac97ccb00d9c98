"""All options, each declared once; a form shows those that its program has, in this order."""

from __future__ import annotations

from multiblast.options.declarations import expert, filters, profiles, scores, search, translation
from multiblast.options.option import Option

__all__ = ["OPTIONS"]

OPTIONS: tuple[Option, ...] = (
    *search.OPTIONS,
    *profiles.OPTIONS,
    *translation.OPTIONS,
    *scores.OPTIONS,
    *filters.OPTIONS,
    *expert.OPTIONS,
)
