"""Plugins of Qiita: what they ask for over their own protocol, and how one is run."""

from multiblast.gateway.qiita.chunks import Chunk, Chunks
from multiblast.gateway.qiita.jobs import Artifact, QiitaJobs, QiitaWork
from multiblast.gateway.qiita.named import named_plugin, read_work
from multiblast.gateway.qiita.plugin import Output, QiitaPlugin, QiitaPluginError, run_plugin
from multiblast.gateway.qiita.visit import QiitaVisit

__all__ = [
    "Artifact",
    "Chunk",
    "Chunks",
    "Output",
    "QiitaJobs",
    "QiitaPlugin",
    "QiitaPluginError",
    "QiitaVisit",
    "QiitaWork",
    "named_plugin",
    "read_work",
    "run_plugin",
]
