"""Defaults and limits: where things are kept and how much one job may ask for."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["WORKER", "NoticeRules", "Policy", "QueryLimits", "UserLimits", "home", "own_queue"]

_MIB = 1 << 20

WORKER = "MULTIBLAST_WORKER"
"""The environment variable that tells a run the name of its worker."""


def home() -> Path:
    """Return the one directory under which everything is kept, whether or not it exists yet.

    It is ``$MULTIBLAST_HOME``, else ``multiblast`` in the user's data directory
    (``$XDG_DATA_HOME``, else ``~/.local/share``).
    """
    if chosen := os.environ.get("MULTIBLAST_HOME"):
        return Path(chosen).expanduser().absolute()
    data = os.environ.get("XDG_DATA_HOME", "")
    base = Path(data) if os.path.isabs(data) else Path.home() / ".local" / "share"  # noqa: PTH117 - of the text, before it is a path
    return base / "multiblast"


def own_queue(worker: str) -> str:
    """Return the work queue of which only this worker takes runs."""
    return f"on-{worker}"


class QueryLimits(BaseModel):
    """How much one job may ask for; 0 means no limit.

    The defaults suit one's own machine; `public` is for a service open to everybody.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sequences: int = Field(default=10_000, ge=0, description="Sequences in one job.")
    query_bytes: int = Field(default=100 * _MIB, ge=0, description="Bytes of one query, unpacked if it was compressed.")
    longest_nucleotide: int = Field(default=100 * _MIB, ge=0, description="Letters of one nucleotide sequence.")
    longest_protein: int = Field(default=_MIB, ge=0, description="Letters of one protein sequence.")
    results: int = Field(default=0, ge=0, description="Results one job may give: (sequences + 1) x max_target_seqs.")

    @classmethod
    def public(cls) -> QueryLimits:
        """Return the limits of a public service."""
        return cls(
            sequences=100,
            query_bytes=3 * _MIB,
            longest_nucleotide=1_048_576,
            longest_protein=102_400,
            results=10_000,
        )

    def longest(self, molecule: str) -> int:
        """Return the letters one sequence of ``molecule`` ("nucleotide" or "protein") may have."""
        return self.longest_nucleotide if molecule == "nucleotide" else self.longest_protein


class UserLimits(BaseModel):
    """How much one user may have; 0 means no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    jobs_queued: int = Field(default=0, ge=0, description="Query jobs of one user that wait or run.")
    sequences_a_day: int = Field(default=0, ge=0, description="Sequences one user may submit in 24 hours.")
    bytes_kept: int = Field(default=0, ge=0, description="Bytes of results and reports kept for one user.")

    @classmethod
    def public(cls) -> UserLimits:
        """Return the limits of a public service."""
        return cls(jobs_queued=20, sequences_a_day=2_000, bytes_kept=1 << 30)


class NoticeRules(BaseModel):
    """Where notices of ended jobs may go: to public addresses by https, and where else these say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hosts: tuple[str, ...] = Field(default=(), description="The only hosts, such as *.example.org. Empty: any.")
    loopback: bool = Field(default=True, description="Whether to this machine too, also by http.")
    private: bool = Field(default=False, description="Whether to private networks too, also by http to an address.")


class Policy(BaseModel):
    """Who may do what, and how long things are kept.

    The defaults suit one's own machine; `public` is for a service open to everybody.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    administrators: frozenset[str] = Field(default=frozenset(), description="Users who may do everything.")
    trust_unnamed: bool = Field(
        default=True, description="Whether somebody who gives no name may do everything, as on one's own machine."
    )
    keep_days: int = Field(default=30, ge=1, description="Days after its last use that a result is kept.")
    batches_at_a_time: int = Field(
        default=0,
        ge=0,
        description="Batches that may be searched at a time; users take turns. 0: any number.",
    )
    large_job_s: int = Field(
        default=600,
        ge=0,
        description="Seconds of one core's work that make a job large: it waits behind small ones, and other workers "
        "help with it. 0: no job is large.",
    )
    jobs_at_a_time: int = Field(
        default=0,
        ge=0,
        description="Query jobs of one user that run before more of them wait, as large ones do, behind everybody's "
        "others. 0: any number.",
    )
    helpers: int = Field(default=8, ge=0, description="Workers that help with one large job, at most.")
    users: UserLimits = Field(default=UserLimits(), description="How much one user may have.")
    notices: NoticeRules = Field(default=NoticeRules(), description="Where notices of ended jobs may go.")
    provenance: bool = Field(
        default=False,
        description="Whether every job and report is recorded as a code run in the registry once it is complete.",
    )

    @classmethod
    def public(cls) -> Policy:
        """Return the policy of a public service."""
        return cls(
            trust_unnamed=False, jobs_at_a_time=4, users=UserLimits.public(), notices=NoticeRules(loopback=False)
        )
