"""What an administrator does with plugins: add and remove places, install, pin and update."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from multiblast.errors import InvalidInputError, MultiblastError, NotFoundError, Problem
from multiblast.plugins.catalogue import Catalogue, imports_of, unknown_imports
from multiblast.plugins.environments import Environment, Environments, Lock
from multiblast.plugins.git_sources import Checkouts, GitSource
from multiblast.plugins.licences import is_allowed, licences
from multiblast.plugins.plugin import Plugin, SourceKind
from multiblast.plugins.records import Configuration, Places, write_places
from multiblast.plugins.requirements import requirements_of
from multiblast.plugins.sources import Broken, Sources
from multiblast.plugins.tools import tool_version
from multiblast.programs import Program, clean_command
from multiblast.settings import PluginRules

_LOOK = "import importlib.util, sys; print(*(n for n in sys.argv[1:] if importlib.util.find_spec(n) is None))"
_LOOK_S = 60.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """A git line: its commit, or what is wrong with it.

    Attributes:
        before: The commit that was pinned; empty if none was.
    """

    line: str
    commit: str = ""
    before: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Installed:
    """A plugin that was installed, or would be, or cannot be.

    Attributes:
        plugin: Name and version.
        environment: The digest of its environment; empty if it needs none.
        before: The one that it had; empty if it had none.
        packages: What is in it, as ``name==version``.
        tool: The version of its tool; empty if it has none.
        problems: What is missing; none if it can be run.
    """

    plugin: str
    environment: str = ""
    before: str = ""
    packages: tuple[str, ...] = ()
    tool: str = ""
    problems: tuple[str, ...] = ()


def _may_be_renewed(plugin: Plugin) -> bool:
    """Whether there is something to renew: our own plugins without packages change with multiblast only."""
    return plugin.source.kind is not SourceKind.BUILT_IN or bool(requirements_of(plugin).lines)


class Installer:
    """Installs plugins.

    Args:
        rules: What the policy says.
        directory: See `Sources`.
    """

    def __init__(self, rules: PluginRules | None = None, directory: Path | None = None) -> None:
        self._rules, self._directory = rules or PluginRules(), directory
        self.catalogue = Catalogue(rules, directory)
        self.environments = Environments(directory)
        self._checkouts = Checkouts(directory)

    def fetch(self) -> Iterator[Fetched]:
        """Fetch the repositories of git lines that are not there."""
        for line in Sources(self._rules, self._directory).git_lines():
            try:
                source = GitSource.parse(line)
                if self._checkouts.find(source) is None:
                    yield Fetched(line, self._checkouts.ensure(source)[1])
            except MultiblastError as error:
                yield Fetched(line, problem=str(error))

    def install(self, names: Sequence[str] = (), *, offline: bool = False) -> Iterator[Installed]:
        """Make the environments of plugins, and say what is missing; without names those of all but our own."""
        for plugin in self._named(self.catalogue, names):
            yield self._install(plugin, offline=offline)

    def try_install(self, names: Sequence[str] = ()) -> Iterator[Fetched | Installed]:
        """Say what `fetch` and `install` would do; nothing is changed or kept."""
        missing = []
        for line in Sources(self._rules, self._directory).git_lines():
            try:
                if self._checkouts.find(GitSource.parse(line)) is None:
                    missing.append(line)
            except InvalidInputError as error:
                yield Fetched(line, problem=str(error))
        with TemporaryDirectory(prefix="plugins-") as scratch:
            elsewhere = Path(scratch)
            for line in missing:
                try:
                    yield Fetched(line, Checkouts(elsewhere).ensure(GitSource.parse(line))[1])
                except MultiblastError as error:
                    yield Fetched(line, problem=str(error))
            of_git = Catalogue(PluginRules(git=tuple(missing), packages=False), elsewhere)
            yield from (self._try(plugin) for plugin in self._named_in(self.catalogue, of_git, names))

    def update(self, names: Sequence[str] = ()) -> Iterator[Fetched | Installed]:
        """Fetch what git lines stand for now, and renew the locks of plugins that have one; and pin both."""
        plugins = self._named(self.catalogue, names) if names else []
        lines = {plugin.source.place for plugin in plugins if plugin.source.kind is SourceKind.GIT}
        for line in Sources(self._rules, self._directory).git_lines():
            if not names or line in lines:
                yield self._update_line(line)
        chosen = self._named(self.catalogue, names) if names else filter(_may_be_renewed, self.catalogue.all())
        # All looked up before the first is renewed: several may have the same requirements, and so change together.
        for plugin, before in [(plugin, self._known(plugin)) for plugin in chosen]:
            if not names and not before:
                continue
            try:
                self.environments.lock(plugin, renew=True)
            except MultiblastError as error:
                yield Installed(plugin.identifier, before=before, problems=(str(error),))
            else:
                yield self._install(plugin, offline=False, before=before)

    def _known(self, plugin: Plugin) -> str:
        """Return the digest of a plugin's environment; empty if it has none yet, or its requirements are no good."""
        try:
            found = self.environments.find(plugin)
        except InvalidInputError:
            return ""
        return found.digest if found else ""

    def add(self, place: str) -> tuple[str, list[Plugin], list[Broken]]:
        """Look for plugins in a folder, script or git line from now on.

        Returns:
            How the place is written, its plugins, and what is broken of them.

        Raises:
            InvalidInputError: it is no such place, or there is nothing in it.
            GitError: the repository cannot be fetched.
        """
        places = Configuration.read(self._directory).sources
        if place.startswith("git+"):
            source = GitSource.parse(place)
            place = str(source)
            self._checkouts.ensure(source)
            places = places.model_copy(update={"git": tuple(dict.fromkeys((*places.git, place)))})
        else:
            path = Path(place).expanduser().absolute()
            if not path.exists():
                if "://" in place:
                    raise InvalidInputError(Problem(f"a repository of git is written git+{place}", place))
                raise InvalidInputError(Problem("there is no such folder or script", str(path)))
            place = str(path)
            places = places.model_copy(update={"folders": tuple(dict.fromkeys((*places.folders, place)))})
        before = Configuration.read(self._directory).sources
        write_places(places, self._directory)
        plugins, broken, _ = self.catalogue.look()
        plugins = [plugin for plugin in plugins if plugin.source.place == place]
        broken = [one for one in broken if one.source.place == place]
        if not plugins and not broken:
            write_places(before, self._directory)
            raise InvalidInputError(Problem("there is no plugin in it: see docs/how-to/install-plugins.md", place))
        return place, plugins, broken

    def remove(self, name: str) -> str:
        """Look no more in a place that was added, given as it was or by a plugin that comes from it; return the place.

        Raises:
            NotFoundError: no such place was added.
        """
        places = Configuration.read(self._directory).sources
        spelt = {name, str(Path(name).expanduser().absolute())}
        plugins = [plugin for plugin in self.catalogue.all() if name in {plugin.name, plugin.identifier}]
        spelt |= {plugin.source.place for plugin in plugins}
        found = [place for place in (*places.folders, *places.git) if place in spelt]
        if not found:
            where = f"{name} comes from {plugins[0].source}, which was not added by a command" if plugins else ""
            raise NotFoundError("place of plugins", name, where or "see: multiblast plugins list")
        kept = {kind: tuple(place for place in all_ if place not in found) for kind, all_ in places}
        write_places(Places(**kept), self._directory)
        return ", ".join(found)

    def _update_line(self, line: str) -> Fetched:
        try:
            source = GitSource.parse(line)
            before = self._checkouts.find(source)
            return Fetched(line, self._checkouts.update(source)[1], before[1] if before else "")
        except MultiblastError as error:
            return Fetched(line, problem=str(error))

    @staticmethod
    def _named(catalogue: Catalogue, names: Iterable[str]) -> list[Plugin]:
        chosen = [catalogue.get(name) for name in names]
        return chosen or [one for one in catalogue.all() if one.source.kind is not SourceKind.BUILT_IN]

    def _named_in(self, ours: Catalogue, of_git: Catalogue, names: Sequence[str]) -> Iterator[Plugin]:
        """Yield plugins of either catalogue, by name or all but our own; a name is looked up in ours first."""
        if not names:
            yield from self._named(ours, ())
            yield from (plugin for plugin in of_git.all() if plugin.source.kind is SourceKind.GIT)
        for name in names:
            try:
                yield ours.get(name)
            except NotFoundError:
                yield of_git.get(name)

    def _install(self, plugin: Plugin, *, offline: bool, before: str = "") -> Installed:
        try:
            lock = self.environments.lock(plugin, offline=offline)
            environment = self.environments.prepare(plugin, offline=offline)
        except MultiblastError as error:
            return self._result(plugin, None, Environment(), before, (str(error),))
        problems = (*_absent_modules(plugin, environment), *self._forbidden(plugin))
        return self._result(plugin, lock, environment, before, problems)

    def _try(self, plugin: Plugin) -> Installed:
        try:
            lock = self.environments.lock(plugin, keep=False)
        except MultiblastError as error:
            return self._result(plugin, None, Environment(), "", (str(error),))
        return self._result(plugin, lock, Environment(digest=lock.digest if lock else ""), "", ())

    @staticmethod
    def _result(
        plugin: Plugin, lock: Lock | None, environment: Environment, before: str, problems: tuple[str, ...]
    ) -> Installed:
        tool = ""
        try:
            tool = tool_version(plugin, environment)
        except MultiblastError as error:
            problems = (*problems, str(error))
        packages = tuple(lock.packages) if lock else ()
        return Installed(plugin.identifier, environment.digest, before, packages, tool, problems)

    def _forbidden(self, plugin: Plugin) -> Iterator[str]:
        rows, _ = licences([plugin], self.environments)
        for row in rows:
            if not is_allowed(row.licence, self._rules.licences):
                yield f"the licence of {row.name}, {row.licence}, is not among policy.plugins.licences"


def _absent_modules(plugin: Plugin, environment: Environment) -> Iterator[str]:
    """Yield what a script imports that its environment does not have: it would fail in each run."""
    if plugin.script is None or environment.python is None:
        return
    imported = imports_of(plugin.script)
    foreign = (
        {} if isinstance(imported, Problem) else {name: list(unknown_imports(plugin, [name])) for name in imported}
    )
    names = sorted(name for name, problems in foreign.items() if problems)
    if not names:
        return
    with TemporaryDirectory(prefix="plugin-") as scratch:
        printed = Path(scratch) / "printed.txt"
        # Apart from what the directory has, which would go before its packages.
        command = clean_command([str(environment.python), "-I", "-c", _LOOK, *names], {}, Path(scratch))
        Program(command, stdout=printed, timeout_s=_LOOK_S).run()
        for name in printed.read_text(encoding="utf-8").split():
            yield from map(str, foreign[name])
