"""Plugins of QHAna, which run here unchanged: imported once, then described and started by an adapter."""

from multiblast.plugins.qhana.importing import Imported, import_plugins, qhana_folder

__all__ = ["Imported", "import_plugins", "qhana_folder"]
