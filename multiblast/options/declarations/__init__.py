"""All options, each declared once; a form shows those that its program has, in this order."""

from __future__ import annotations

from multiblast.options.declarations import expert, filters, limits, profiles, translation, words_and_scores
from multiblast.options.option import Option

__all__ = ["OPTIONS"]

OPTIONS: tuple[Option, ...] = (
    *limits.OPTIONS,
    *profiles.OPTIONS,
    *translation.OPTIONS,
    *words_and_scores.OPTIONS,
    *filters.OPTIONS,
    *expert.OPTIONS,
)
