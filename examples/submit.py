"""Search the sequences of a FASTA file from a script.

Usage: python examples/submit.py query.fasta [SITE/TARGET/DATABASE …]
"""

import asyncio
import sys

from deployments.server import start_prefect


async def main(query_file: str, targets: list[str]) -> None:
    """Submit, then print the job's id, its status and the best hit of each sequence."""
    from flows.submit_query import submit_query

    job = await submit_query(query_file=query_file, targets=targets, program="blastp", options={"evalue": 1e-5})
    print("job", job.job_id, "is", job.status)
    for row in job.rows:
        print(f"{row.name:24} {row.origin:9} {row.hits:5} hits   {row.best_hit:26} {row.evalue}")


if len(sys.argv) == 1:
    sys.exit(__doc__)
server = start_prefect()  # the one of `make up` if it runs, else a temporary one
server.wait(print)
asyncio.run(main(sys.argv[1], sys.argv[2:] or ["demo/examples/proteins"]))
