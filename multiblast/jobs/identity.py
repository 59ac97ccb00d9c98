"""Job ids: the hash of a job's configuration and query.

Wrapping, line ends and the order of targets change nothing; any change of a
residue, a title, the order of sequences, an option, the program, a target or
the site changes the id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from multiblast.ids import Canonical, digest, digests

_SCHEMA = 1
_QUERY = f"query/{_SCHEMA}"
_sequence = digests("sequence/1")


@dataclass(frozen=True, slots=True, order=True)
class TargetName:
    """A target of a search by its name and its database's: the design's ``targetDisplayName``, ``targetFile``."""

    display: str
    file: str


@dataclass(frozen=True, slots=True)
class JobConfig:
    """What, beside the sequences, makes a query job what it is; options are those that differ from the defaults."""

    site: str
    program: str
    options: Mapping[str, Canonical]
    targets: frozenset[TargetName]

    @property
    def digest(self) -> str:
        """The configuration's own digest."""
        targets = [[target.display, target.file] for target in sorted(self.targets)]
        value: dict[str, Canonical] = {
            "site": self.site,
            "program": self.program,
            "options": self.options,
            "targets": targets,
        }
        return digest(f"config/{_SCHEMA}", value)

    def query_id(self, sequences: Iterable[str]) -> str:
        """Return the job id for sequences given by their `sequence_digest`, in order."""
        return _query_id(self.digest, sequences)

    def child_ids(self, sequences: Iterable[str]) -> Iterator[str]:
        """Yield for each sequence the id of the job one would get by submitting it alone."""
        of = digests(_QUERY, self.digest)
        return (of(_digest_of([sequence])) for sequence in sequences)


def sequence_digest(canonical: bytes) -> str:
    """Return the digest of one sequence with its title (canonical FASTA), as it counts for job ids."""
    return _sequence(canonical)


def report_id(query_job_id: str, formatting: Mapping[str, Canonical]) -> str:
    """Return the id of a report job: the query job and the formatter's options that are not default."""
    return digest(f"report/{_SCHEMA}", [query_job_id, formatting])


def plugin_job_id(facts: Mapping[str, Canonical]) -> str:
    """Return the id of a plugin job: its plugin, tool, environment and parameters, and its inputs' digests."""
    return digest(f"plugin-job/{_SCHEMA}", facts)


def _query_id(config: str, sequences: Iterable[str]) -> str:
    return digest(_QUERY, [config, _digest_of(sequences)])


def _digest_of(sequences: Iterable[str]) -> str:
    # Hashed one after the other, so that a query of any length needs no list.
    hasher = hashlib.blake2b(digest_size=16)
    for sequence in sequences:
        hasher.update(bytes.fromhex(sequence))
    return hasher.hexdigest()
