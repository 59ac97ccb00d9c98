"""Searches of samples: which queries may have more subjects than BLAST+ keeps."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from multiblast.grown.alias import argument_of, write_alias
from multiblast.grown.candidates import Counted, Sample, hits_in, samples
from multiblast.grown.difference import Difference
from multiblast.grown.known_hits import Run
from multiblast.options import Options
from multiblast.targets import BlastDatabase


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
        found = samples(self.options, self.difference.sequences)
        for sample in found:
            known = {key: one.hits for key, one in before.items() if one.halvings == sample.halvings}
            passing = [key for key, hits in known.items() if hits <= sample.most_hits]
            self._decide(sample, known, self._hits(passing, sample, of_new=True))
        left = {key: 0 for key in self.queries if key not in self.counted}
        for sample in found:
            left = self._decide(sample, left, self._hits(left, sample))

    def _decide(self, sample: Sample, counts: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
        """Decide of queries by their hits in a sample, known and more; return those that are left in doubt."""
        doubtful = {}
        for key, count in counts.items():
            hits = count + more.get(key, 0)
            if sample.most_hits < hits < sample.full:
                doubtful[key] = hits
                continue
            self.counted[key] = Counted(hits, sample.halvings)
            if hits >= sample.full:
                self.full.append(key)
        return doubtful

    def _hits(self, keys: Collection[str], sample: Sample, *, of_new: bool = False) -> dict[str, int]:
        """Return how many hits queries have in what is new of a sample, or in what it adds to the smaller ones."""
        if not keys:
            return {}
        # Samples of different states have to be independent of each other.
        seed = " ".join(database.fingerprint for database in self.databases)
        subjects = sample.of_new(seed, self.difference.added) if of_new else sample.added(seed)
        if not subjects.count():
            return {}
        alias = write_alias(self.databases, self.difference.size, subjects, self.directory, f"sample{sample.halvings}")
        query, output = self.directory / "sample.fasta", self.directory / "sample.out"
        query.write_bytes(b"".join(b">%d\n%b\n" % (at, self.queries[key]) for at, key in enumerate(keys)))
        command = [self.options.program, "-query", str(query), "-db", argument_of(alias)]
        self.run([*command, *sample.arguments(self.evalue)], output)
        found = hits_in(output)
        return {key: found[str(at)] for at, key in enumerate(keys)}
