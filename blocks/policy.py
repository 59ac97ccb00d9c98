"""The block of who may do what, and how long things are kept."""

from __future__ import annotations

from pydantic import Field, model_validator

from blocks.appearance import OurBlock
from blocks.flat_documents import nested
from multiblast.settings import Policy

_FLAT = {
    "administrators": "administrators",
    "trust_unnamed": "trust_unnamed",
    "keep_days": "keep_days",
    "batches_at_a_time": "batches_at_a_time",
    "large_job_s": "large_job_s",
    "jobs_at_a_time": "jobs_at_a_time",
    "helpers": "helpers",
    "provenance": "provenance",
    "jobs_queued": "users.jobs_queued",
    "sequences_a_day": "users.sequences_per_day",
    "bytes_kept": "users.bytes_kept",
    "notice_hosts": "notices.hosts",
    "notices_to_loopback": "notices.loopback",
    "notices_to_private": "notices.private",
}


class ServicePolicy(OurBlock):
    """Who may do what, and how long things are kept. The defaults suit one's own machine."""

    _block_type_name = "BLAST service policy"
    _block_type_slug = "blast-service-policy"
    _description = "Who may do what with BLAST jobs, how much, and how long results are kept."
    _code_example = """
Set limits for a service that is open to everybody:
```python
from blocks.policy import ServicePolicy

ServicePolicy.public().save("default", overwrite=True)
```
Look at a policy:
```python
from blocks.policy import ServicePolicy

policy = ServicePolicy.load("BLOCK_NAME").policy
```
"""

    policy: Policy = Field(default=Policy(), description="Who may do what, and how long things are kept.")

    _read_flat = model_validator(mode="before")(nested("policy", _FLAT))

    @classmethod
    def public(cls) -> ServicePolicy:
        """Return the policy of a public service."""
        return cls(policy=Policy.public())
