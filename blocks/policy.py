"""The block of who may do what, and how long things are kept."""

from __future__ import annotations

from prefect.blocks.core import Block
from pydantic import Field

from blocks import appearance
from multiblast import settings

__all__ = ["ServicePolicy"]

_OWN = settings.Policy()


class ServicePolicy(Block):
    """Who may do what, and how long things are kept. The defaults suit one's own machine."""

    _block_type_name = "BLAST service policy"
    _block_type_slug = "blast-service-policy"
    _description = "Who may do what with BLAST jobs, how much, and how long results are kept."
    _logo_url = appearance.LOGO
    _documentation_url = appearance.DOCUMENTATION
    _code_example = """
Set limits for a service that is open to everybody:
```python
from blocks.policy import ServicePolicy

ServicePolicy.public().save("default", overwrite=True)
```
Look at a policy:
```python
from blocks.policy import ServicePolicy

policy = ServicePolicy.load("BLOCK_NAME").policy()
```
"""

    administrators: list[str] = Field(default=[], description="Users who may do everything.")
    trust_unnamed: bool = Field(
        default=_OWN.trust_unnamed,
        description="Whether somebody who gives no name may do everything, as on one's own machine.",
    )
    keep_days: int = Field(default=_OWN.keep_days, ge=1, description="Days after its last use that a result is kept.")
    batches_at_a_time: int = Field(
        default=_OWN.batches_at_a_time,
        ge=0,
        description="Batches that may be searched at a time; users take turns. 0: any number.",
    )
    large_job_s: int = Field(
        default=_OWN.large_job_s,
        ge=0,
        description="Seconds of one core's work that make a job large: it waits behind small ones, and other workers "
        "help with it. 0: no job is large.",
    )
    jobs_at_a_time: int = Field(
        default=_OWN.jobs_at_a_time,
        ge=0,
        description="Query jobs of one user that run before more of them wait, as large ones do, behind everybody's "
        "others. 0: any number.",
    )
    helpers: int = Field(default=_OWN.helpers, ge=0, description="Workers that help with one large job, at most.")
    provenance: bool = Field(
        default=_OWN.provenance,
        description="Whether every job and report is recorded as a code run in the registry once it is complete.",
    )
    jobs_queued: int = Field(default=0, ge=0, description="Query jobs of one user that wait or run. 0: any number.")
    sequences_a_day: int = Field(
        default=0, ge=0, description="Sequences one user may submit in 24 hours. 0: any number."
    )
    bytes_kept: int = Field(
        default=0, ge=0, description="Bytes of results and reports kept for one user. 0: any number."
    )
    notice_hosts: list[str] = Field(
        default=[], description="The only hosts that notices of ended jobs go to, such as *.example.org. Empty: any."
    )
    notices_to_loopback: bool = Field(
        default=_OWN.notices.loopback, description="Whether notices may go to this machine, also by http."
    )
    notices_to_private: bool = Field(
        default=_OWN.notices.private, description="Whether notices may go to addresses of private networks."
    )

    @classmethod
    def public(cls) -> ServicePolicy:
        """Return the policy of a public service."""
        policy = settings.Policy.public()
        loopback = policy.notices.loopback
        return cls(trust_unnamed=policy.trust_unnamed, notices_to_loopback=loopback, **policy.users.model_dump())

    def policy(self) -> settings.Policy:
        """Return the policy."""
        return settings.Policy(
            administrators=frozenset(self.administrators),
            trust_unnamed=self.trust_unnamed,
            keep_days=self.keep_days,
            batches_at_a_time=self.batches_at_a_time,
            provenance=self.provenance,
            large_job_s=self.large_job_s,
            jobs_at_a_time=self.jobs_at_a_time,
            helpers=self.helpers,
            users=settings.UserLimits(
                jobs_queued=self.jobs_queued, sequences_a_day=self.sequences_a_day, bytes_kept=self.bytes_kept
            ),
            notices=settings.NoticeRules(
                hosts=tuple(self.notice_hosts), loopback=self.notices_to_loopback, private=self.notices_to_private
            ),
        )
