"""Defaults and limits: where things are kept and how large one job may be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from multiblast.molecules import Molecule

_MIB = 1 << 20

_Limit = Annotated[int, Field(ge=0)]
_URL = r"[a-z][a-z0-9+.-]*://[^/?#@\s]+(@[^/?#@\s]+)?(/[^#\s]*)?(\?[^#\s]*)?"
_Place = Annotated[str, Field(pattern=rf"^(https://|{_URL}( -> {_URL})?)$")]
_Prefix = Annotated[str, Field(pattern=r"^([A-Za-z0-9_][A-Za-z0-9._-]*/)+$")]


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


QUEUED = "Queued"
"""The state of a run that waits for the turn of its job."""

LARGE_QUEUE = "large"
"""The work queue of large jobs, and of those of users of whom enough jobs run."""


def own_queue(worker: str) -> str:
    """Return the work queue of which only this worker takes runs."""
    return f"on-{worker}"


class _Settings(BaseModel):
    """Settings are never changed in place, and a misspelt one is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class QueryLimits(_Settings):
    """How much one job may ask for; 0 means no limit.

    The defaults suit one's own machine; `public` is for a service open to everybody.
    """

    sequences: _Limit = Field(default=1_000_000, description="Most sequences in one job. 0: no limit.")
    query_bytes: _Limit = Field(
        default=256 * _MIB,
        description="Largest query in bytes, after decompression, or file that a plugin gets by its URL. 0: no limit.",
    )
    longest_nucleotide: _Limit = Field(
        default=100 * _MIB, description="Longest nucleotide sequence, in letters. 0: no limit."
    )
    longest_protein: _Limit = Field(default=_MIB, description="Longest protein sequence, in letters. 0: no limit.")
    results: _Limit = Field(
        default=0,
        description="Most results that one job can produce, counted as (sequences + 1) x max_target_seqs. 0: no limit.",
    )

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

    def longest(self, molecule: Molecule) -> int:
        """Return the letters one sequence may have."""
        return self.longest_nucleotide if molecule == Molecule.NUCLEOTIDE else self.longest_protein


class UserLimits(_Settings):
    """How much one user may have; 0 means no limit."""

    jobs_queued: _Limit = Field(
        default=0, description="Query jobs that one user may have waiting or running. 0: no limit."
    )
    sequences_per_day: _Limit = Field(
        default=0, description="Sequences that one user may submit within 24 hours. 0: no limit."
    )
    bytes_kept: _Limit = Field(
        default=0, description="Bytes of results and reports that are kept for one user. 0: no limit."
    )

    @classmethod
    def public(cls) -> UserLimits:
        """Return the limits of a public service."""
        return cls(jobs_queued=20, sequences_per_day=2_000, bytes_kept=1 << 30)


class NoticeRules(_Settings):
    """Where notices of finished jobs may be sent: to public addresses over https, and where else these allow."""

    hosts: tuple[str, ...] = Field(
        default=(),
        description="The only hosts that notices may be sent to; *.example.org stands for every host below "
        "example.org. Empty: any host.",
    )
    loopback: bool = Field(default=True, description="Allow notices to this machine itself, also over plain http.")
    private: bool = Field(
        default=False,
        description="Allow notices to private networks, also over plain http to a numeric address.",
    )


class HttpRules(_Settings):
    """What the HTTP service lets in, and from where."""

    body_bytes: int = Field(
        default=280 * _MIB, ge=1024, description="Largest body of a request, in bytes; more is refused unread."
    )
    guests: bool = Field(default=True, description="Let anybody become a guest, with a token and a job list.")
    origins: tuple[str, ...] = Field(
        default=(),
        description="Web sites whose pages may call the service, such as https://example.org; * is every one.",
    )
    user_header: str = Field(
        default="",
        description="Header in which a proxy says whom it has authenticated. It counts only beside the header "
        "X-Proxy-Secret with what MULTIBLAST_PROXY_SECRET holds. Empty: no proxy is trusted.",
    )
    ids_suffice: bool = Field(
        default=False,
        description="Let everybody with an account read a job whose id they know, on the surface of Multi-Blast 1.x. "
        "Ids can be computed from what is searched.",
    )
    redirect_s: int = Field(
        default=0,
        ge=0,
        le=7 * 24 * 3600,
        description="Seconds for which a signed link works to which the download of a report's file is redirected, "
        "where the storage is a bucket that clients reach. 0: files are streamed through the service.",
    )
    small_search_s: float = Field(
        default=2.0,
        ge=0,
        le=60,
        description="Searches that take about so many seconds of one core, or less, are done by the service itself, as "
        "small reports are: a run of Prefect's would take longer to start. 0: each search is a run.",
    )
    runs_url: str = Field(
        default="",
        pattern=r"^(https?://\S+)?$",
        description="Address of Prefect's pages, to which the pages of administrators link. Empty: they do not.",
    )
    links: dict[str, str] = Field(
        default={
            r"^(?:sp|tr)\|([A-Z0-9]+)\|": "https://www.uniprot.org/uniprotkb/{}",
            r"^([OPQ][0-9][A-Z0-9]{3}[0-9]|[A-NR-Z][0-9](?:[A-Z][A-Z0-9]{2}[0-9]){1,2})$": "https://www.uniprot.org/uniprotkb/{}",
            r"^([XYNW]P_[0-9]+(?:\.[0-9]+)?)$": "https://www.ncbi.nlm.nih.gov/protein/{}",
            r"^([XN][MR]_[0-9]+(?:\.[0-9]+)?|N[CGTWZ]_[0-9]+(?:\.[0-9]+)?)$": "https://www.ncbi.nlm.nih.gov/nuccore/{}",
        },
        description="Where pages link names of hits to: a regular expression, and an address in which {} is its group. "
        "The first that fits counts.",
    )
    databases: dict[str, str] = Field(
        default={},
        description="Names of databases for clients of NCBI's, such as nr, and what each is: SITE/TARGET/DATABASE.",
    )

    @classmethod
    def public(cls) -> HttpRules:
        """Return the rules of a public service."""
        return cls(body_bytes=4 * _MIB)


class QiitaPluginRules(_Settings):
    """A plugin of Qiita that may be run, installed on the machines of the workers."""

    version: str = Field(description="As the plugin calls it.")
    start: tuple[str, ...] = Field(min_length=1, description="Its START_SCRIPT, as the words of a command.")
    environment: dict[str, str] = Field(default={}, description="Variables that it needs; it sees no others but PATH.")
    description: str = Field(default="", description="What it does.")


class GatewayRules(_Settings):
    """How machines elsewhere fetch and push files."""

    enabled: bool = Field(
        default=False, description="Let machines elsewhere fetch and push the files of their jobs at /gateway."
    )
    sites: tuple[str, ...] = Field(
        default=(), description="Sites, added by `multiblast sites add`, that search batches of large jobs for us."
    )
    coupling: str = Field(
        default="",
        description="How files reach what sites do: `filesystem`, `https`, or the URL of a store, such as "
        "`s3://BUCKET/PREFIX`, unless a run or MULTIBLAST_COUPLING says otherwise. Empty: by the gateway, where a "
        "machine knows one.",
    )
    redirect_s: int = Field(
        default=0,
        ge=0,
        le=7 * 24 * 3600,
        description="Seconds for which a signed link works to which fetching is redirected, where the storage is a "
        "bucket that machines elsewhere reach. 0: files are streamed through the service.",
    )
    accelerated: str = Field(
        default="",
        pattern=r"^(/[A-Za-z0-9._-]+)*$",
        description="Internal location of the nginx before the service, such as /stored, from which it sends files of "
        "the storage's directory itself (X-Accel-Redirect). Empty: the service sends them.",
    )
    qiita_plugins: dict[str, QiitaPluginRules] = Field(
        default={},
        description="Plugins of Qiita that runs may start, by the names that they call themselves: version, start (the "
        "words of a command), environment and description. All others are refused.",
    )
    qiita_reads: tuple[_Prefix, ...] = Field(
        default=("uploads/",),
        description="Prefixes of keys in the storage, such as uploads/, below which lies what such runs may read.",
    )


class PluginRules(_Settings):
    """Where plugins are looked for, and what they may do; `multiblast plugins add` names further places."""

    folders: tuple[str, ...] = Field(
        default=(),
        description="Folders with plugins: directories with a plugin.toml, and Python scripts with a plugin's table.",
    )
    git: tuple[str, ...] = Field(
        default=(),
        description="Git repositories with plugins, each written git+URL[@REF][#subdirectory=DIRECTORY].",
    )
    packages: bool = Field(
        default=True,
        description="Look for plugins in installed Python packages, under the entry points multiblast.plugins.",
    )
    sandbox: Literal["auto", "bwrap", "none"] = Field(
        default="auto",
        description="How plugins are confined: by bwrap of Debian's bubblewrap, which has to work; auto: by it where "
        "it works; none: they may do what the worker's user may.",
    )
    qhana: bool = Field(
        default=False,
        description="Offer plugins at /qhana, too, in the form of QHAna's plugin runner. Whoever has the link of a "
        "task there may read it and answer what it asks.",
    )
    licences: tuple[str, ...] = Field(
        default=(),
        description="Licences that plugins, their packages and tools may have, by their SPDX names, such as MIT. "
        "Empty: any.",
    )


class GrownRules(_Settings):
    """When a database that has grown is searched only in what is new of it, by results of an earlier state."""

    enabled: bool = Field(
        default=True,
        description="Search only what is new of a database, and what was found before, for sequences whose results of "
        "an earlier state are kept: where the programs and options are those for which that was compared.",
    )
    checked_share: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Share of such sequences that are searched whole as well and compared. A difference switches the "
        "way off until an administrator allows it again.",
    )
    sequences: _Limit = Field(
        default=20_000_000,
        description="Most sequences of a database whose states are compared: the first search of a state reads all "
        "of them, about 2 s per million. 0: no limit.",
    )
    new_share: float = Field(
        default=0.5, ge=0, le=1, description="Largest share of new and changed sequences with which a part is searched."
    )


class Policy(_Settings):
    """Who may do what, and how long things are kept.

    The defaults suit one's own machine; `public` is for a service open to everybody.
    """

    administrators: frozenset[str] = Field(default=frozenset(), description="Users who may see and do everything.")
    trust_unnamed: bool = Field(
        default=True,
        description="Let anybody who gives no name do everything, as suits your own machine. Turn this off where "
        "others can reach the service.",
    )
    keep_days: int = Field(default=30, ge=1, description="Days for which a result is kept after its last use.")
    batches_at_a_time: _Limit = Field(
        default=0,
        description="Batches that may be searched at the same time, on all machines together; users take turns. "
        "0: no limit.",
    )
    large_job_s: _Limit = Field(
        default=600,
        description="Estimated computing time, in seconds of one core, from which a job counts as large: it waits "
        "behind small jobs, and other workers help with it. 0: no job counts as large.",
    )
    jobs_at_a_time: _Limit = Field(
        default=0,
        description="Query jobs that one user may have running; further ones wait behind everybody else's, as large "
        "jobs do. 0: no limit.",
    )
    helpers: _Limit = Field(default=8, description="Most workers that help with one large job.")
    users: UserLimits = Field(default=UserLimits(), description="Limits for each user.")
    notices: NoticeRules = Field(default=NoticeRules(), description="Where notices of finished jobs may be sent.")
    references: tuple[_Place, ...] = Field(
        default=(),
        description="Places from which a file may be fetched that somebody names by its URL, such as "
        "https://example.org/data or s3://BUCKET/PREFIX: what is below them. https:// alone is every public host; "
        "hosts that are named may be private ones. A place that is another one for this machine is written "
        "https://example.org/data -> http://10.0.0.5/data. Empty: only files and store:KEY.",
    )
    http: HttpRules = Field(default=HttpRules(), description="What the HTTP service lets in.")
    gateway: GatewayRules = Field(default=GatewayRules(), description="How machines elsewhere reach files.")
    plugins: PluginRules = Field(default=PluginRules(), description="Where plugins come from, and what they may do.")
    grown: GrownRules = Field(
        default=GrownRules(), description="When only what is new of a grown database is searched."
    )
    names_in_runs: bool = Field(
        default=True,
        description="Show names of sequences and of their best hits on the pages of runs in Prefect, which everybody "
        "who reaches Prefect can read. Turn this off where queries are private.",
    )
    provenance: bool = Field(
        default=False, description="Record every completed job and report as a code run in the registry."
    )

    @classmethod
    def public(cls) -> Policy:
        """Return the policy of a public service."""
        return cls(
            trust_unnamed=False,
            names_in_runs=False,
            jobs_at_a_time=4,
            users=UserLimits.public(),
            notices=NoticeRules(loopback=False),
            http=HttpRules.public(),
        )
