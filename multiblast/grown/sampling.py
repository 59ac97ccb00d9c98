"""Searches of samples: which queries may have more subjects than BLAST+ keeps."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from multiblast.grown.alias import argument_of, write_alias
from multiblast.grown.candidates import Counted, Sample, hits_in, preliminary_list, samples
from multiblast.grown.difference import Difference
from multiblast.grown.known_hits import Run
from multiblast.grown.oids import OidSet
from multiblast.options import Options
from multiblast.targets import BlastDatabase

STARTED = 5_000
"""In so many sequences one query is searched in the time in which a process starts."""


@dataclass
class Sampling:
    """Searches samples of the new state, first of what is new in it for queries of which an earlier one is known.

    Attributes:
        evalue: Of the search itself.
        queries: Their residues by key.
        counted: What the sample showed that decided of a query.
        full: The queries whose lists may be full.
    """

    options: Options
    databases: Sequence[BlastDatabase]
    difference: Difference
    directory: Path
    run: Run
    evalue: float
    queries: Mapping[str, bytes]
    counted: dict[str, Counted] = field(default_factory=dict)
    full: list[str] = field(default_factory=list)

    def decide(self, before: Mapping[str, Counted]) -> None:
        """Decide of each query.

        Args:
            before: What is known of some from an earlier state, in which no E-value was worse.
        """
        sequences, gone = self.difference.sequences, self._gone
        too_many = gone > preliminary_list(self.options) // 2
        self._search_new(samples(self.options, sequences), before)
        first = [key for key in self.queries if key not in self.counted]
        left = dict.fromkeys(first, 0)
        for smaller, sample in pairwise([None, *samples(self.options, sequences, 0 if too_many else gone)]):
            if sample is None or not left:
                break
            hits = self._hits(left, sample, sample.drawn(self._seed, without=smaller))
            left = self._decide(sample, {key: count + hits[key] for key, count in left.items()})
        if too_many:  # what was counted is of use in the next state
            self.full = list(dict.fromkeys([*self.full, *first]))

    @property
    def _gone(self) -> int:
        """How many sequences may have been in the earlier lists of queries of which no earlier sample is known.

        If one was full, what it dropped was no hit, and may be one now that others are gone.
        """
        difference = self.difference
        return difference.removed if difference.earlier_sequences > preliminary_list(self.options) else 0

    @cached_property
    def _seed(self) -> str:
        """What samples follow from: those of different states have to be independent of each other."""
        return " ".join(database.fingerprint for database in self.databases)

    def _search_new(self, found: Sequence[Sample], before: Mapping[str, Counted]) -> None:
        """Decide of those queries for which that is enough that is new of their sample, or of a larger one."""
        groups = list[tuple[Sample, dict[str, Sample]]]()
        new = self.difference.added.count()
        for sample in reversed(found):
            keys = [key for key, counted in before.items() if counted.halvings == sample.halvings]
            if keys and (not groups or len(keys) * new * (groups[-1][0].share - sample.share) > STARTED):
                groups.append((sample, {}))
            if keys:
                groups[-1][1].update(dict.fromkeys(keys, sample))
        for searched, of in groups:
            hits = self._hits(of, searched, searched.drawn(self._seed, among=self.difference.added))
            for key, sample in of.items():
                added = sample.thinned(hits[key], searched, f"{self._seed} {key}")
                self._decide(sample, {key: before[key].hits + added})

    def _decide(self, sample: Sample, counts: Mapping[str, int]) -> dict[str, int]:
        """Decide of queries by their hits in a sample; return those that are left in doubt."""
        for key, hits in counts.items():
            if hits <= sample.most_hits or hits >= sample.full:
                self.counted[key] = Counted(hits, sample.halvings)
            if hits >= sample.full:
                self.full.append(key)
        return {key: hits for key, hits in counts.items() if sample.most_hits < hits < sample.full}

    def _hits(self, keys: Collection[str], sample: Sample, subjects: OidSet) -> dict[str, int]:
        """Return how many hits each query has in some sequences of a sample."""
        if not subjects.count():
            return dict.fromkeys(keys, 0)
        alias = write_alias(self.databases, self.difference.size, subjects, self.directory, f"sample{sample.halvings}")
        query, output = self.directory / "sample.fasta", self.directory / "sample.out"
        query.write_bytes(b"".join(b">%d\n%b\n" % (at, self.queries[key]) for at, key in enumerate(keys)))
        command = [self.options.program, "-query", str(query), "-db", argument_of(alias)]
        self.run([*command, *sample.arguments(self.evalue)], output)
        found = hits_in(output)
        return {key: found[str(at)] for at, key in enumerate(keys)}
