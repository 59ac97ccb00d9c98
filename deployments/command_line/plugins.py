"""``multiblast plugins``: which there are, where they come from, what they need; and the jobs that they do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from deployments.command_line import display
from deployments.command_line.actions import add_actions
from deployments.command_line.arguments import Json
from deployments.command_line.plugin_runs import add_runs
from deployments.command_line.session import local_policy
from multiblast.errors import InvalidInputError, MultiblastError, Problem
from multiblast.plugins.catalogue import Catalogue
from multiblast.plugins.environments import Environments
from multiblast.plugins.installer import Fetched, Installed, Installer
from multiblast.plugins.licences import is_allowed, licences
from multiblast.plugins.pages import page, pages
from multiblast.plugins.plugin import Plugin
from multiblast.plugins.qhana import import_plugins, qhana_folder
from multiblast.plugins.scaffold import write_plugin
from multiblast.plugins.sources import Broken, Skipped
from multiblast.plugins.tools import tool_version
from multiblast.settings import PluginRules

plugins = typer.Typer(no_args_is_help=True)

_Name = Annotated[str, typer.Argument(help="A plugin, or NAME@VERSION for an older one.", show_default=False)]
_Names = Annotated[list[str] | None, typer.Argument(help="Plugins. Default: all but our own.", show_default=False)]
_Place = Annotated[
    str, typer.Argument(help="A folder, a script, or git+URL[@REF][#subdirectory=DIRECTORY].", show_default=False)
]


def _rules() -> PluginRules:
    return local_policy().plugins


@plugins.command("list")
def list_plugins(
    skipped: Annotated[bool, typer.Option("--skipped", help="Also what is not taken for a plugin, and why.")] = False,
    versions: Annotated[bool, typer.Option("--all", help="Every version, not only the newest.")] = False,
    json: Json = False,
) -> None:
    """List plugins and where they come from, and what is broken and why."""
    catalogue = Catalogue(_rules())
    found, broken, left_out = catalogue.look()
    shown = found if versions else list({plugin.name: plugin for plugin in reversed(found)}.values())[::-1]
    rows = [_row(plugin) for plugin in shown]
    if json:
        facts: dict[str, Any] = {"plugins": rows, "broken": [_broken_row(one) for one in broken]}
        if skipped:
            facts["skipped"] = [{"path": str(one.path), "reason": one.reason} for one in left_out]
        display.print_json(facts)
        return
    display.print_rows(rows, json=False, columns=("name", "version", "type", "title", "source"))
    _print_broken(broken)
    if skipped:
        _print_skipped(left_out)


@plugins.command("show")
def show(name: _Name, json: Json = False) -> None:
    """Show a plugin: its page, where it is, and whether what it needs is there."""
    plugin = Catalogue(_rules()).get(name)
    facts = _row(plugin) | {"path": str(plugin.path), "digest": plugin.digest, **_readiness(plugin)}
    if json:
        display.print_json(facts | {"table": plugin.description.model_dump(mode="json", exclude_defaults=True)})
        return
    typer.echo(page(plugin))
    for key in ("path", "source", "digest", "environment", "tool"):
        display.console.print(Text.assemble((f"{key}: ", "bold"), str(facts[key])))


@plugins.command("add")
def add(place: _Place) -> None:
    """Look for plugins in a folder, a script or a git repository from now on; a repository is fetched and pinned."""
    place, found, broken = Installer(_rules()).add(place)
    for plugin in found:
        display.console.print(Text(f"{plugin.identifier}: {plugin.description.title}"))
    _print_broken(broken)
    display.console.print(Text(f"{place} was added. What its plugins need: multiblast plugins install"))
    if not found:
        raise typer.Exit(1)
    _offer()


@plugins.command("remove")
def remove(
    place: Annotated[str, typer.Argument(help="A place as it was added, or a plugin of it.", show_default=False)],
) -> None:
    """Stop looking for plugins in a place that was added; nothing in it is removed."""
    display.console.print(Text(f"{Installer(_rules()).remove(place)} was removed"))
    _offer()


@plugins.command("install")
def install(
    names: _Names = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Use only packages that were fetched before.")] = False,
    json: Json = False,
) -> None:
    """Fetch git repositories, make the environments of plugins, and say which packages of Debian their tools need.

    The exit code is 1 if a plugin is not ready then.
    """
    installer = Installer(_rules())
    if dry_run:
        _report(installer.try_install(names or ()), json=json, dry_run=True)
        return
    fetched: list[Fetched | Installed] = [] if offline else list(installer.fetch())
    try:
        _report([*fetched, *installer.install(names or (), offline=offline)], json=json)
    finally:
        _offer()


@plugins.command("update")
def update(
    names: Annotated[list[str] | None, typer.Argument(help="Plugins. Default: all.", show_default=False)] = None,
    json: Json = False,
) -> None:
    """Fetch what git lines stand for now, and the newest packages that plugins allow; no other command does."""
    try:
        _report(Installer(_rules()).update(names or ()), json=json)
    finally:
        _offer()


@plugins.command("import-qhana")
def import_qhana(
    place: Annotated[
        str, typer.Argument(help="A folder with plugins of QHAna, or git+URL[@REF][#subdirectory=DIRECTORY].")
    ],
    runner: Annotated[
        str, typer.Option(help="Likewise, where QHAna's runner is. Default: beside the plugins, else its repository.")
    ] = "",
    network: Annotated[bool, typer.Option("--network", help="Let these plugins use the network.")] = False,
    json: Json = False,
) -> None:
    """Import plugins of QHAna, with an environment for each; imported again, they are replaced by what is there now.

    The exit code is 1 if one cannot be imported.
    """
    rules = _rules()
    rows, imported = [], 0
    for one in import_plugins(place, runner, network=network, rules=rules):
        rows.append(asdict(one) | {"directory": str(one.directory or "")})
        imported += bool(one.plugin)
        if not json:
            said = Text(f"{one.module}: {one.plugin}") if one.plugin else Text.assemble(f"{one.module}: ", one.problem)
            display.console.print(said)
    if imported:
        Installer(rules).add(str(qhana_folder()))
    if json:
        display.print_json(rows)
    if imported < len(rows) or not rows:
        if not rows:
            display.print_errors([f"there is no plugin of QHAna in {place}"])
        raise typer.Exit(1)


@plugins.command("licences")
def list_licences(
    allow: Annotated[
        list[str] | None,
        typer.Option(help="A licence that is allowed, by its SPDX name; may be repeated. Default: the policy's."),
    ] = None,
    json: Json = False,
) -> None:
    """List the licences of plugins, of all packages in their environments, and of their tools.

    The exit code is 1 if one is not allowed.
    """
    rules = _rules()
    allowed = allow or rules.licences
    rows, unmade = licences(Catalogue(rules).all(), Environments())
    forbidden = [row for row in rows if not is_allowed(row.licence, allowed)]
    facts = [
        asdict(row) | {"plugins": ", ".join(row.plugins), "allowed": "no" if row in forbidden else "yes"}
        for row in rows
    ]
    display.print_rows(facts, json=json, columns=("kind", "name", "licence", "allowed", "plugins"))
    if unmade:
        display.say(f"without their packages, as they are not installed: {', '.join(unmade)}")
    if forbidden:
        display.print_errors(f"{row.name}: {row.licence} is not allowed" for row in forbidden)
        raise typer.Exit(1)


@plugins.command("new")
def new(
    name: Annotated[str, typer.Argument(help="What to call it.", show_default=False)],
    script: Annotated[bool, typer.Option("--script/--command", help="A Python script, or a command.")] = True,
    into: Annotated[Path, typer.Option(help="The directory to make it in.")] = Path(),
) -> None:
    """Write a plugin that works, with its test, for you to change."""
    for path in write_plugin(name, into, kind="script" if script else "command"):
        display.console.print(Text(str(path)))
    display.console.print(Text(f"Try it: pytest {into / name}    Use it: multiblast plugins add {into / name}"))


@plugins.command("docs")
def docs(
    name: Annotated[str, typer.Argument(help="A plugin.", show_default=False)] = "",
    everything: Annotated[bool, typer.Option("--all", help="Of all plugins.")] = False,
) -> None:
    """Print the page of a plugin, in Markdown."""
    if bool(name) == everything:
        raise InvalidInputError(Problem("name a plugin, or say --all"))
    catalogue = Catalogue(_rules())
    typer.echo(pages(catalogue.newest()) if everything else page(catalogue.get(name)), nl=False)


def _row(plugin: Plugin) -> dict[str, Any]:
    table = plugin.description
    source = {"place": plugin.source.place, "kind": str(plugin.source.kind), "commit": plugin.source.commit}
    return {
        "name": table.name,
        "version": table.version,
        "type": table.type,
        "title": table.title,
        "tags": list(table.tags),
        "source": str(plugin.source),
        "where": source,
    }


def _readiness(plugin: Plugin) -> dict[str, str]:
    """Say whether the environment and the tool of a plugin are there."""
    facts = {}
    try:
        environment = Environments().find(plugin)
        is_needed = environment is None or environment.python is not None
        missing = f"not made yet: multiblast plugins install {plugin.name}"
        facts["environment"] = (environment.digest if environment else missing) if is_needed else "needs none"
        facts["tool"] = tool_version(plugin, environment) or "needs none"
    except MultiblastError as error:
        facts.setdefault("environment", str(error))
        facts.setdefault("tool", str(error))
    return facts


def _broken_row(one: Broken) -> dict[str, Any]:
    return {"place": one.place, "source": str(one.source), "problems": [str(problem) for problem in one.problems]}


def _print_broken(broken: Iterable[Broken]) -> None:
    for one in broken:
        display.console.print(Text.assemble(("broken: ", "bold red"), f"{one.place}: {one.reason}"))


def _print_skipped(skipped: Iterable[Skipped]) -> None:
    for one in skipped:
        display.console.print(Text(f"skipped: {one.path}: {one.reason}", "dim"))


def _report(found: Iterable[Fetched | Installed], *, json: bool, dry_run: bool = False) -> None:
    """Print what was done as it is done; exit with 1 if something is missing."""
    rows: list[dict[str, Any]] = []
    is_complete = True
    for one in found:
        rows.append(asdict(one))
        problems = ([one.problem] if one.problem else []) if isinstance(one, Fetched) else one.problems
        is_complete = is_complete and not problems
        if not json:
            display.console.print(Text(_fetched(one) if isinstance(one, Fetched) else _installed(one, dry_run)))
            for problem in problems:
                display.console.print(Text.assemble(("  missing: ", "bold red"), problem))
    if json:
        display.print_json(rows)
    if not is_complete:
        raise typer.Exit(1)


def _fetched(one: Fetched) -> str:
    if one.problem:
        return one.line
    moved = f", before {one.before[:12]}" if one.before not in {"", one.commit} else ""
    return f"{one.line}: commit {one.commit[:12]}{moved}"


def _installed(one: Installed, dry_run: bool) -> str:
    words = [one.plugin]
    if one.environment:
        moved = f", before {one.before[:12]}" if one.before not in {"", one.environment} else ""
        words.append(f"environment {one.environment[:12]}{' (dry run)' if dry_run else ''}{moved}")
        words.append("packages: " + (" ".join(one.packages) or "none"))
    if one.tool:
        words.append(f"tool {one.tool}")
    is_empty = len(words) == 1 and not one.problems
    return f"{one.plugin}: nothing to install" if is_empty else "; ".join(words)


def _offer() -> None:
    """Renew the forms of plugins at the server that runs, if one does: it need not know of it at once."""
    from deployments.server import find_prefect

    if not ((found := find_prefect()) and found.api_url):
        return
    with display.working("Renewing the forms …"):
        from tasks.plugin_deployments import offer_plugins

        try:
            offered = offer_plugins()
        except Exception as error:  # noqa: BLE001 - the server is away or not ours: the next rescan does it
            display.say(f"the forms are renewed at the next rescan of targets, as the server said: {error}")
            return
    for word, names in (("new", offered.made), ("gone", offered.removed)):
        if names:
            display.say(f"forms that are {word}: {', '.join(names)}")
    for name, problem in offered.problems.items():
        display.print_errors([f"{name} has no form: {problem}"])


add_runs(plugins)
add_actions(plugins, "plugins")
