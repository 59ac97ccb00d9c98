"""Plugins of Qiita: what they ask for over their own protocol, and how one is run."""

from multiblast.gateway.qiita.chunks import Chunk, Chunks
from multiblast.gateway.qiita.jobs import Artifact, QiitaJobs, QiitaWork
from multiblast.gateway.qiita.named import check_command, check_type, describe_plugin, named_plugin, read_work
from multiblast.gateway.qiita.plugin import Output, QiitaPlugin, QiitaPluginError, register_plugin, run_plugin
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
    "check_command",
    "check_type",
    "describe_plugin",
    "named_plugin",
    "read_work",
    "register_plugin",
    "run_plugin",
]
