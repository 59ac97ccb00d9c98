"""``multiblast registry``: pull, run, commit, push and the rest, at a terminal."""

from __future__ import annotations

import os
import secrets
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.markup import escape
from rich.table import Table

from deployments.command_line import display
from deployments.command_line.arguments import Job, Json, User
from deployments.command_line.registry_output import count, finish, print_answer, remove_confirmed
from deployments.command_line.session import local_services, requester
from deployments.server import running_server, use
from multiblast.errors import InvalidInputError
from multiblast.registry.api.addresses import PORT, api_address
from multiblast.registry.api.local_api import LocalApi
from multiblast.registry.local.descriptions import Description, describe
from multiblast.registry.local.registry import Registry
from multiblast.registry.local.secrets import TOKEN_VARIABLE, shown
from multiblast.registry.local.users import bind, binding, own_remote
from multiblast.registry.model.rows import Endpoint
from multiblast.registry.remotes.known import Remotes
from multiblast.registry.runs import execution
from multiblast.registry.sync import commands as sync_commands
from multiblast.registry.sync.collection import collect as collect_items
from multiblast.registry.sync.collection import delete
from multiblast.registry.sync.commands import commit as commit_items
from multiblast.registry.sync.mending import mend
from multiblast.registry.views.export import write_provenance
from multiblast.registry.views.info import info
from multiblast.registry.views.listing import list_items
from multiblast.registry.views.status import status as state_of
from multiblast.registry.views.status import verify
from web.registry.serving import listen, registry_server, serving

app = typer.Typer(
    no_args_is_help=True,
    help="""Exchange data and its provenance with FAIR data registries.

Begin with `config NAME` and `remote NAME URL`; then `pull config.yaml`, `run config.yaml`, `commit`, `push`.""",
)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
RemoteName = Annotated[str, typer.Option("--remote", help="The remote registry. Default: the user's, or the only one.")]
UserName = Annotated[str, typer.Option("--user", help="The user. Default: the one bound last.")]
ConfigFile = Annotated[Path, typer.Argument(help="The config.yaml.")]
Items = Annotated[list[str], typer.Argument(help="NAMESPACE:NAME@VERSION, UUID of a code run, or path of a file.")]
Item = Annotated[str, typer.Argument(help="NAMESPACE:NAME@VERSION, UUID of a code run, or path of a file.")]


def _registry() -> AbstractContextManager[Registry]:
    """Open the registry that the running server's blocks name, or the embedded one."""
    if api_url := running_server():
        use(os.environ.get("PREFECT_API_URL", "") or api_url)
        from tasks.registry import local_registry

        return local_registry()
    return closing(Registry.embedded())


def _remote(registry: Registry, name: str) -> AbstractContextManager[Endpoint]:
    """Open a remote that the running server's blocks name, or that the registry knows by name."""
    if running_server():
        from tasks.registry import open_remote

        return open_remote(registry, name)
    return closing(Remotes(registry).open(name or own_remote(registry)))


@app.command()
def config(
    name: Annotated[str, typer.Argument(help="The user, and the namespace unless --namespace says otherwise.")],
    namespace: Annotated[str, typer.Option(help="The namespace of the user's data products.")] = "",
    full_name: Annotated[str, typer.Option(help="The user's name as an author.")] = "",
    identifier: Annotated[str, typer.Option(help="A URL that identifies the user, such as an ORCID.")] = "",
    data_store: Annotated[Path, typer.Option(help="The directory for files of runs.")] = Path(),
    remote: RemoteName = "",
    json: Json = False,
) -> None:
    """Bind a user and a namespace to this directory as data store; several users may share one."""
    with _registry() as registry:
        user = bind(
            registry, name, data_store, namespace=namespace, full_name=full_name, identifier=identifier, remote=remote
        )
    print_answer(
        json, asdict(user), f"{user.username} works in namespace {user.namespace}; files are in {user.data_store}"
    )


@app.command("remote")
def name_remote(
    name: Annotated[str, typer.Argument(help="What to call it.")],
    url: Annotated[str, typer.Argument(help="The site of a FAIR registry, or another multiblast registry's database.")],
    files: Annotated[str, typer.Option(help="Of another multiblast registry: the directory or URL of its files.")] = "",
    ask_token: Annotated[bool, typer.Option("--token", help="Ask for the token to write with.")] = False,
    json: Json = False,
) -> None:
    """Name a remote registry. Its token comes from $MULTIBLAST_REGISTRY_TOKEN or is asked for, and kept apart."""
    token = os.environ.get(TOKEN_VARIABLE, "")
    if ask_token and not token:
        token = typer.prompt("Token", hide_input=True, err=True)
    with _registry() as registry:
        dropped = Remotes(registry).set(name, url, token, files)
    url, files = shown(url), shown(files)
    text = f"{name} is {url}" + ("; the token of its old address was dropped: set the new one with --token" * dropped)
    print_answer(json, {"name": name, "url": url, "files": files, "dropped_token": dropped}, text)


@app.command()
def generate(
    config: ConfigFile,
    target: Annotated[Path, typer.Argument(help="Where to write it.")],
    user: UserName = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Write the working configuration: nothing in it is left to look up."""
    with _registry() as registry:
        queries, who = local_services().registered_queries, binding(registry, user)
        working = execution.generate(config, target, registry, who, queries=queries, dry_run=dry_run)
    plain = {"inputs": [str(one.name) for one in working.inputs], "outputs": [str(one.name) for one in working.outputs]}
    print_answer(
        json,
        plain,
        working.text
        if dry_run
        else f"{target}: {count(len(working.inputs), 'input')}, {count(len(working.outputs), 'output')}",
    )


@app.command()
def pull(
    config: ConfigFile,
    remote: RemoteName = "",
    user: UserName = "",
    all_files: Annotated[bool, typer.Option(help="Fetch the files of the provenance too.")] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Bring what a configuration reads and registers, with its provenance, from the remote."""
    with _registry() as registry, _remote(registry, remote) as end:
        who = binding(registry, user)
        if dry_run:
            finish(sync_commands.plan_pull(config, registry, end, who), json)
        report = sync_commands.pull(config, registry, end, who, all_files=all_files)
    finish(report, json)


@app.command()
def register(config: ConfigFile, user: UserName = "", dry_run: DryRun = False, json: Json = False) -> None:
    """Record what a configuration registers, without asking a remote."""
    with _registry() as registry:
        finish(sync_commands.register_alone(config, registry, binding(registry, user), dry_run=dry_run), json)


@app.command()
def run(
    config: ConfigFile,
    user: UserName = "",
    dirty: Annotated[
        bool, typer.Option("--dirty", help="Run code with uncommitted changes; no commit is recorded then.")
    ] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Resolve a configuration, run its script or its query, and record the code run."""
    with _registry() as registry:
        who, queries = binding(registry, user), local_services().registered_queries
        if dry_run:
            finish(execution.plan_run(config, registry, who, queries=queries, dirty=dirty), json)
        done = execution.run(config, registry, who, queries=queries, server=serving, dirty=dirty)
    text = f"code run {done.uuid}, {done.seconds:.1f} s: {', '.join(done.outputs) or 'no outputs'}"
    print_answer(json, asdict(done), "\n".join([text, *(f"note: {note}" for note in done.notes)]))


@app.command()
def serve(
    port: Annotated[int, typer.Option(help="Default: 8000, or a free one.", min=0, max=65535)] = 0,
    user: UserName = "",
) -> None:
    """Serve the registry on this machine until stopped: pages to look at, and the API that languages record through."""
    with _registry() as registry, closing(listen(port)) as listener:
        who, key = binding(registry, user), secrets.token_urlsafe(16)
        site, number = api_address(listener.getsockname()[1]).removesuffix("api/"), listener.getsockname()[1]
        display.console.print(f"pages: {site}?key={key}\nAPI: {site}api/", markup=False, soft_wrap=True)
        if number != (port or PORT):
            display.console.print(f"note: port {PORT} is taken, and DataPipeline.jl looks there only")
        with suppress(KeyboardInterrupt):  # which is how it ends
            registry_server(LocalApi(registry, who), key).run(sockets=[listener])


@app.command("token")
def show_token(user: UserName = "") -> None:
    """Print the token of the registry's API: `export FDP_LOCAL_TOKEN=$(multiblast registry token)`."""
    with _registry() as registry:
        typer.echo(LocalApi(registry, binding(registry, user)).token)


@app.command()
def commit(items: Items, dry_run: DryRun = False, json: Json = False) -> None:
    """Mark code runs or files, with all their provenance, to be pushed."""
    with _registry() as registry:
        finish(commit_items(registry, items, dry_run=dry_run), json)


@app.command()
def uncommit(
    items: Annotated[list[str] | None, typer.Argument(help="What is not to be pushed.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Everything that was committed.")] = False,
    json: Json = False,
) -> None:
    """Take back a commit: what was pushed stays there, but is not looked at again."""
    if not items and not every:
        raise InvalidInputError("say what is not to be pushed, or --all")
    with _registry() as registry:
        finish(sync_commands.uncommit(registry, items or [], every=every), json)


@app.command("list")
def list_all(
    words: Annotated[list[str] | None, typer.Argument(help="Words of names or descriptions, or patterns.")] = None,
    json: Json = False,
) -> None:
    """List what is here; with words, what has all of them in name, description or keywords."""
    with _registry() as registry:
        found = list_items(registry, words or [])
    if json:
        display.print_json([asdict(one) for one in found])
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("item", "bytes", "", "description"):
        table.add_column(column, justify="right" if column == "bytes" else "left")
    for one in found:
        marks = " ".join(["committed"] * one.committed + ["private"] * (not one.public))
        text = one.description + (f" ({', '.join(one.keywords)})" if one.keywords else "")
        table.add_row(escape(one.item), f"{one.size_bytes:,}" if one.size_bytes else "", marks, escape(text))
    display.console.print(table)


@app.command("describe")
def describe_item(
    item: Item,
    keyword: Annotated[list[str] | None, typer.Option(help="A word to find it by; may be repeated.")] = None,
    licence: Annotated[list[str] | None, typer.Option(help="What may be done with it.")] = None,
    value: Annotated[list[str] | None, typer.Option(help="A fact, as KEY=VALUE.")] = None,
    component: Annotated[list[str] | None, typer.Option(help="The name of a part of it.")] = None,
    issue: Annotated[list[str] | None, typer.Option(help="What is wrong with it, or with the one --component.")] = None,
    severity: Annotated[int, typer.Option(help="Of the issues; the larger, the worse.")] = 1,
    controlled: Annotated[str, typer.Option(help="The item that shows that it was quality controlled.")] = "",
    json: Json = False,
) -> None:
    """Say something about a data product: keywords, licences, facts, parts, issues, quality control."""
    pairs = [text.partition("=") for text in value or []]
    if wrong := [key for key, equals, _ in pairs if not (key and equals)]:
        raise InvalidInputError(f"{wrong[0]!r} is no fact: write KEY=VALUE")
    parts = component or []
    said = Description(
        keyword or [], licence or [], {key: text for key, _, text in pairs}, parts, issue or [],
        parts[0] if len(parts) == 1 else "", severity, controlled,
    )  # fmt: skip
    with _registry() as registry:
        done = describe(registry, item, said)
    print_answer(json, {"item": item, "recorded": done}, "\n".join(done) or "nothing new")


@app.command()
def push(remote: RemoteName = "", dry_run: DryRun = False, json: Json = False) -> None:
    """Send what was committed, with its provenance and its public files, to the remote."""
    with _registry() as registry, _remote(registry, remote) as end:
        if dry_run:
            finish(sync_commands.plan_push(registry, end), json)
        report = sync_commands.push(registry, end)
    finish(report, json)


@app.command()
def status(
    items: Annotated[list[str] | None, typer.Argument(help="What to look at. Default: everything.")] = None,
    remote: RemoteName = "",
    local: Annotated[bool, typer.Option("--local", help="Do not ask the remote.")] = False,
    json: Json = False,
) -> None:
    """Say what is ahead of the remote, behind it, in conflict with it, missing or changed."""
    with _registry() as registry:
        if local or not Remotes(registry).names():
            report = state_of(registry, None, items or [])
        else:
            with _remote(registry, remote) as end:
                report = state_of(registry, end, items or [])
    finish(report, json)


@app.command()
def update(remote: RemoteName = "", dry_run: DryRun = False, json: Json = False) -> None:
    """Pull the newest version of everything that is here."""
    with _registry() as registry, _remote(registry, remote) as end:
        finish(sync_commands.update(registry, end, dry_run=dry_run), json)


@app.command("gc")
def collect(
    files: Annotated[bool, typer.Option("--files", help="Remove files too, except restricted ones.")] = False,
    every: Annotated[bool, typer.Option("--all", help="With --files: restricted ones too.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Remove what is synced, unless something that is not synced has it in its provenance."""
    with _registry() as registry, _remotes(registry) as remotes:
        work = partial(collect_items, registry, remotes, files=files, every=every)
        remove_confirmed(work, json, dry_run=dry_run, yes=yes or json)


@app.command("delete")
def remove(
    item: Item,
    force: Annotated[bool, typer.Option("--force", help="Even if no remote has it.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Remove one code run or file from the registry and the store."""
    with _registry() as registry, nullcontext([]) if force else _remotes(registry) as remotes:
        work = partial(delete, registry, item, remotes, force=force)
        remove_confirmed(work, json, dry_run=dry_run, yes=yes or json or force)


@app.command("info")
def inform(item: Item, json: Json = False) -> None:
    """Print what is recorded of something."""
    with _registry() as registry:
        found = info(registry, item)
    if json:
        display.print_json(found)
    else:
        display.console.print(yaml.safe_dump_all(found, sort_keys=False, allow_unicode=True), markup=False, end="")


@app.command("verify")
def verify_files(
    mend_files: Annotated[bool, typer.Option("--mend", help="Fetch what is missing or changed from a remote.")] = False,
    json: Json = False,
) -> None:
    """Compute every digest of every file again."""
    with _registry() as registry:
        report = verify(registry)
        if mend_files:
            with _remotes(registry) as remotes:
                report = mend(registry, report, remotes)
        finish(report, json)


@app.command()
def export(
    item: Item,
    target: Annotated[Path, typer.Argument(help="DIR or .zip: an RO-Crate; .json: W3C PROV; .svg: a picture.")],
    json: Json = False,
) -> None:
    """Write something's provenance for other programs and for people."""
    with _registry() as registry:
        write_provenance(registry, item, target)
    print_answer(json, {"item": item, "target": str(target)}, str(target))


@app.command()
def record(job: Job, user: User = "", json: Json = False) -> None:
    """Record a complete query or report job as a code run: query, databases, options, commands and files."""
    at = local_services()
    who = requester(at, user)
    job = at.whole_id(who, job)
    at.job_door(job).lookup(who, job, link=False)
    with _registry() as registry:
        run = at.provenance.record(registry, job)
    print_answer(json, {"job": job, "code_run": run}, f"code run {run}")


def _remotes(registry: Registry) -> AbstractContextManager[list[Endpoint]]:
    """Open every remote that there is."""
    if running_server():
        from tasks.registry import open_remotes

        return open_remotes(registry)
    return Remotes(registry).open_all()
