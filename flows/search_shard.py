"""Help with a large job that another worker runs."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field

from tasks.search import search_part

_Counted = Annotated[int, Field(ge=1)]


@flow(name="search-shard", flow_run_name="part {part} of {of} of {job:.8}")
async def search_shard(
    job: str, part: _Counted = 1, of: _Counted = 1, site: str = "", coupling: str = ""
) -> State[Any]:
    """Search batches of a job in progress that nobody has come to yet, until none is left.

    Started by the run of a large job on as many other workers as may help. Queries and results travel through the
    result storage; a worker without the job's databases leaves the work to the others.

    Args:
        job: The query job's id.
        part: Which helper this is, from 1 on; each begins at another place.
        of: How many helpers there are.
        site: A site elsewhere that does the searches; claiming, splitting and storing stay here.
        coupling: How files reach the site: `https`, `filesystem`, or the URL of a store. Empty: as is configured.

    Returns:
        A state whose message says how much was done.
    """
    return await search_part(job, part, of, site, coupling)
