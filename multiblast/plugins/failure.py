"""How the run of a plugin fails."""

from __future__ import annotations

from multiblast.errors import FailureClass, MultiblastError


class PluginError(MultiblastError):
    """A plugin failed, or what it made cannot be taken.

    Attributes:
        plugin: Its name and version.
        reason: What is wrong, and what to do about it.
        stderr: The last that it printed.
        failure_class: Why, in words that can be shown to a person.
    """

    def __init__(
        self, plugin: str, reason: str, stderr: str = "", failure_class: FailureClass = FailureClass.UNKNOWN
    ) -> None:
        """Name the plugin and say why."""
        self.plugin, self.reason, self.stderr, self.failure_class = plugin, reason, stderr, failure_class
        super().__init__(plugin, reason)

    def __str__(self) -> str:
        """Say what failed and why."""
        printed = f"; it printed: {self.stderr[-2000:].strip()}" if self.stderr.strip() else ""
        return f"the plugin {self.plugin} failed: {self.reason}{printed}"
