"""Read the local registry: what is recorded of something, how it came to be, what a configuration means."""

from __future__ import annotations

from typing import Any, Literal

from prefect import flow

from tasks.provenance import check_readable, record_job
from tasks.requesters import requester
from tasks.tending import (
    export_item,
    generate_working,
    read_info,
    show_export,
    show_graph,
    show_info,
    show_working,
)


@flow(name="generate-config", flow_run_name="generate config")
async def generate_config(config: str, target: str = "", user: str = "") -> str:
    """Say what a configuration means in the present state of the local registry. Nothing in it is left to look up.

    Args:
        config: The path of the config.yaml on the machine of the worker.
        target: Where to write the working configuration. Empty means to show it only.
        user: Who it is for, as bound with config-registry. Empty means who was bound last.

    Returns:
        The working configuration.
    """
    text = generate_working(config, target, user)
    await show_working(text)
    return text


@flow(name="registry-info", flow_run_name="about {item}")
async def registry_info(item: str) -> list[dict[str, Any]]:
    """Show what is recorded of something.

    Args:
        item: NAMESPACE:NAME@VERSION, the UUID of a code run, the SHA-1 of a file, or its path.

    Returns:
        Its fields, its details and the code runs it came from.
    """
    told = read_info(item)
    await show_info(item, told)
    return told


@flow(name="show-provenance", flow_run_name="provenance of {item}")
async def show_provenance(item: str) -> str:
    """Show how something came to be, as a picture.

    Args:
        item: NAMESPACE:NAME@VERSION, the UUID of a code run, or the path of a file.

    Returns:
        The picture, as SVG.
    """
    return await show_graph(item)


@flow(name="export-provenance", flow_run_name="export {item}")
async def export_provenance(item: str, format: Literal["RO-Crate", "PROV-JSON", "SVG"] = "RO-Crate") -> str:  # noqa: A002 - what it is
    """Copy the provenance of something, as other programs and people read it, to a file of its own.

    Args:
        item: NAMESPACE:NAME@VERSION, the UUID of a code run, or the path of a file.
        format: An RO-Crate has the files and the code runs, as a .zip; PROV-JSON is W3C's; SVG is a picture.

    Returns:
        Where the file is; it is removed after a day or so.
    """
    place = export_item(item, {"RO-Crate": ".zip", "PROV-JSON": ".json", "SVG": ".svg"}[format])
    await show_export(item, place)
    return place


@flow(name="record-provenance", flow_run_name="record {job:.8}")
async def record_provenance(job: str, user: str = "") -> str:
    """Record a complete query or report job as a code run: query, databases, options, commands and files.

    Args:
        job: The query or report job's id.
        user: Who asks, and may read the job: a user's name, or secret:NAME of a guest.

    Returns:
        The code run's UUID.
    """
    check_readable(requester(user), job)
    run = record_job(job)
    await show_graph(run)
    return run
