"""Plugins: tools of others, each described by one table and run as a process of its own."""

from typing import TYPE_CHECKING

from multiblast.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from multiblast.plugins.description import Description
    from multiblast.plugins.plugin import Plugin, Source, SourceKind
    from multiblast.plugins.table_files import read_script, read_table

__all__ = ["Description", "Plugin", "Source", "SourceKind", "read_script", "read_table"]

__getattr__ = lazy_exports(__name__)
