"""Targets: registered BLAST+ databases, looked up by name and known by content."""

from __future__ import annotations

from multiblast.targets.database import BlastDatabase, database_argument, in_canonical_order, mixture
from multiblast.targets.deflines import has_own_ids, name_subjects, ordinal_of, subject_names, subject_titles
from multiblast.targets.layout import DEFAULT_LAYOUT, Layout
from multiblast.targets.targets import Targets

__all__ = [
    "DEFAULT_LAYOUT",
    "BlastDatabase",
    "Layout",
    "Targets",
    "database_argument",
    "has_own_ids",
    "in_canonical_order",
    "mixture",
    "name_subjects",
    "ordinal_of",
    "subject_names",
    "subject_titles",
]
