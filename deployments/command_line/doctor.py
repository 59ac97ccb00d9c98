"""``multiblast doctor``: what is wrong here, and what to do about it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict

import typer
from rich.text import Text
from sqlalchemy.exc import SQLAlchemyError

from deployments import environment
from deployments.command_line import display
from deployments.command_line.arguments import Json
from deployments.diagnosis import diagnose_gateway, diagnose_server, diagnose_sites
from deployments.server import answers, running_server, use
from multiblast.environment import GATEWAY, SITE_KEY
from multiblast.errors import MultiblastError
from multiblast.installation import Installation
from multiblast.services import Services
from multiblast.targets import Targets
from multiblast.upkeep.diagnosis import Finding, Verdict, diagnose, diagnose_machine
from multiblast.upkeep.plugin_diagnosis import diagnose_plugins

_STYLES = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red"}


def doctor(json: Json = False) -> None:
    """Check everything that is needed, and say what to do; ends with code 1 if something does not work."""
    with display.working("Looking at everything …"):
        findings = list(_examine())
    if json:
        display.print_json([asdict(finding) for finding in findings])
    else:
        table = display.table_of("", "what", "found", "what to do", overflow="fold")
        for finding in findings:
            verdict = Text(finding.verdict, _STYLES[finding.verdict])
            table.add_row(verdict, finding.name, Text(finding.detail), Text(finding.remedy))
        display.console.print(table)
    if any(finding.verdict is Verdict.FAIL for finding in findings):
        raise typer.Exit(1)


def _examine() -> Iterator[Finding]:
    environment.apply()
    if url := os.environ.get(GATEWAY):
        yield from _examine_elsewhere(url)
        return
    api_url = os.environ.get("PREFECT_API_URL") or running_server()
    if not api_url:
        yield Finding("Prefect", Verdict.WARN, "no server runs", "make up starts one; commands start one when needed")
        services = Services.embedded()
    else:
        use(api_url)  # with its password, before Prefect is imported: it would start a server of its own
        from prefect import __version__

        yield from diagnose_server(api_url, __version__)
        if not answers(api_url):
            return
        yield from _look_at_server()
        try:
            from blocks.services import services as of_blocks

            services = of_blocks()
        except (MultiblastError, ValueError) as error:
            yield Finding("blocks", Verdict.FAIL, str(error), "mend the blocks named default, in Prefect under Blocks")
            return
    yield from diagnose(services.database, services.store, services.installation, services.targets)
    yield from diagnose_plugins(services.policy.plugins)
    with suppress(SQLAlchemyError):  # that the job database is away has been said
        yield from diagnose_sites(services.gateway.sites, services.policy.gateway)


def _examine_elsewhere(url: str) -> Iterator[Finding]:
    """Look at a machine that works for others, whose records and storage it does not reach."""
    from prefect import __version__

    yield from diagnose_gateway(url, os.environ.get(SITE_KEY, ""))
    if api_url := os.environ.get("PREFECT_API_URL"):
        yield from diagnose_server(api_url, __version__)
    else:
        yield Finding("Prefect", Verdict.FAIL, "its address is not known", "set PREFECT_API_URL")
    yield from diagnose_machine(Installation(), Targets.own())


def _look_at_server() -> Iterator[Finding]:
    from prefect.client.orchestration import get_client

    from deployments import register

    with get_client(sync_client=True) as client:
        documents = {(d.block_type_name, d.name) for d in client.read_block_documents()}
    names = [str(block._block_type_name) for block in register.block_classes()]  # noqa: SLF001 - the only place where Prefect has it
    missing = [name for name in names if (name, "default") not in documents]
    remedy = "make up registers them" if missing else ""
    detail = f"no document default of: {', '.join(missing)}" if missing else f"{len(names)} named default"
    yield Finding("blocks", Verdict.FAIL if missing else Verdict.OK, detail, remedy)
    if register.workers_online():
        yield Finding("worker", Verdict.OK, f"of the work pool {register.POOL}")
    else:
        command = f"make up, or: prefect worker start --pool {register.POOL}"
        yield Finding("worker", Verdict.FAIL, f"none is online in the work pool {register.POOL}", command)
