"""Run a plugin of Qiita that the administrator has named."""

from __future__ import annotations

from typing import Any

from prefect import flow

from tasks.page import problems_on_page
from tasks.qiita import run_qiita_plugin as run_plugin
from tasks.qiita import show_outputs, stopped_with_its_run


@flow(name="run-qiita-plugin", flow_run_name="{plugin:.60}: {command:.60}")
async def run_qiita_plugin(  # noqa: PLR0913, PLR0917 - the fields of a form
    plugin: str,
    command: str,
    parameters: dict[str, Any] = {},  # noqa: B006 - Prefect's forms need a plain default; it is never changed
    inputs: dict[str, Any] = {},  # noqa: B006
    preparations: dict[str, Any] = {},  # noqa: B006
    most_gb: float = 100.0,
    timeout_h: float = 24.0,
) -> list[dict[str, Any]]:
    """Run a plugin of Qiita on files of the storage, on the machine of the worker.

    Only plugins that `policy.gateway.qiita_plugins` names are run. What one makes lies below uploads/qiita/RUN/ in the
    storage; the run's page shows it as references.

    Args:
        plugin: The name of the plugin.
        command: Which of its commands, as the plugin calls it.
        parameters: Parameters of the command, by name; an artifact is given by its number, such as "1".
        inputs: Artifacts by number, each with its type and the keys of its files by Qiita's type of file, such as
            {"1": {"type": "FASTQ", "files": {"raw_forward_seqs": ["uploads/reads.fastq.gz"]}}}.
        preparations: Keys of the files of preparations by number, such as
            {"1": {"prep-file": "uploads/prep.tsv", "sample-file": "uploads/samples.tsv"}}.
        most_gb: How many gigabytes it may make.
        timeout_h: After how many hours it is stopped.

    Returns:
        The references to what it made, each with the output, its type and the type of the file.
    """
    async with problems_on_page(), stopped_with_its_run():
        outputs = run_plugin(plugin, command, parameters, inputs, preparations, most_gb, timeout_h)
    return await show_outputs(outputs)
