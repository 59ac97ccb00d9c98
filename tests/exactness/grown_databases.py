"""Searches of a part of grown databases, compared with searches of the whole: ``make exactness ARGS="--grown 60"``.

A draw is a program, options of the table, a state of a database and a later one: with 1, 10 or 50 % more sequences, or
some removed or changed, of one or several volumes, with or without ids of their own, or a second database searched
with it. Some queries are searched in the earlier state, and in the later one both whole and as far as
`multiblast.grown` finds exact; each archive must be the same, byte for byte.
"""

from __future__ import annotations

import argparse
import gzip
import os
import random
import resource
import subprocess
import sys
import tempfile
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from multiblast.archive import DatabaseSize, split  # noqa: E402 - first make the checkout importable
from multiblast.errors import FailureClass, ProgramError  # noqa: E402
from multiblast.grown import (  # noqa: E402
    Counted,
    Difference,
    EarlierSearch,
    KnownResult,
    OidSet,
    Runs,
    partial_search,
)
from multiblast.grown.sampling import Sampling  # noqa: E402
from multiblast.options import Options, parse_options  # noqa: E402
from multiblast.search.context import SearchContext, SearchedSequence  # noqa: E402
from multiblast.sequences import read_fasta  # noqa: E402
from multiblast.targets import BlastDatabase, Targets  # noqa: E402

DATA = ROOT / "tests" / "data"
EXAMPLES = ROOT / "examples" / "data"
QUERIES, FEW_QUERIES = 24, 6
SHORTEST = 10
SEQUENCES, FAMILIES, LARGE_FAMILY, SHARE_OF_LARGE = 900, 3, 1200, 0.25
FEW_SEQUENCES = 150  # where everything is a hit (-evalue 1000): fewer than a list holds, or all would be refused
LETTERS = {"nucleotides": "ACGT", "proteins": "ACDEFGHIKLMNPQRSTVWY"}
CODONS = dict(zip("ARNDCQEGHILKMFPSTWYV", (
    "GCT CGT AAT GAT TGT CAA GAA GGT CAT ATT CTG AAA ATG TTT CCG AGC ACC TGG TAT GTG".split()  # noqa: SIM905 - a table
), strict=True))  # fmt: skip
PROTEIN_QUERY = {"blastp", "psiblast", "tblastn"}
PROTEIN_SUBJECT = {"blastp", "psiblast", "blastx"}

_SCORES = ("-matrix BLOSUM80 -gapopen 10 -gapextend 1", "-word_size 4", "-threshold 16", "-window_size 0")
_COMMON = (
    *("", "-evalue 1e-3", "-evalue 1000", "-max_target_seqs 1000", "-max_target_seqs 20", "-max_hsps 1"),
    *("-seg yes", "-seg yes -soft_masking true", "-lcase_masking", "-qcov_hsp_perc 40", "-xdrop_ungap 10"),
)
_ADJUSTED = ("-comp_based_stats 0", "-comp_based_stats 1", "-comp_based_stats 3", "-xdrop_gap 20 -xdrop_gap_final 40")
_LINKED = ("-sum_stats false", "-max_intron_length 500")
OPTIONS: dict[str, tuple[str, ...]] = {
    "blastp": (*_COMMON, *_SCORES, *_ADJUSTED, "-task blastp-fast", "-task blastp-short", "-use_sw_tback"),
    "psiblast": (*_COMMON, *_SCORES, *_ADJUSTED),
    "blastx": (*_COMMON, *_SCORES, *_ADJUSTED, *_LINKED, "-task blastx-fast", "-strand minus", "-query_gencode 11"),
    "tblastn": (*_COMMON, *_SCORES, *_ADJUSTED, *_LINKED, "-task tblastn-fast", "-db_gencode 11"),
    "tblastx": (*_COMMON, "-matrix BLOSUM80", "-threshold 16", "-strand plus", "-query_gencode 11 -db_gencode 4"),
    "blastn": (
        *("", "-task blastn", "-task dc-megablast", "-task blastn-short", "-evalue 1e-3", "-task blastn -evalue 1000"),
        *("-max_target_seqs 1000", "-max_hsps 1", "-dust no", "-task blastn -soft_masking false", "-strand minus"),
        *("-perc_identity 90", "-qcov_hsp_perc 50", "-word_size 16", "-task blastn -reward 1 -penalty -1"),
        *("-task blastn -xdrop_gap 40", "-no_greedy -gapopen 5 -gapextend 2", "-lcase_masking"),
        "-task blastn -gapopen 3 -gapextend 3",
    ),
}
GROWTH = {"1 %": (0.01, 0, 0), "10 %": (0.1, 0, 0), "50 %": (0.5, 0, 0), "second": (0.2, 0, 0)}
GROWTH |= {"-1 %": (0.03, 0.01, 0), "-10 %": (0.15, 0.1, 0), "changed": (0.02, 0, 0.02), "shrunk": (0.01, 0.1, 0)}
FORMS = ("plain", "ids", "volumes", "volumes ids", "version 4", "version 4 ids")
_console = Console(highlight=False, markup=False, soft_wrap=True)

Records = list[tuple[str, str]]


@dataclass(frozen=True)
class Draw:
    """One comparison; the same seed and number give the same one."""

    seed: str
    program: str
    options: str
    growth: str
    form: str


@dataclass
class Found:
    """What came of a draw: how many results were equal, and CPU seconds for both ways."""

    same: int = 0
    different: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    whole_s: float = 0
    partial_s: float = 0


def draw(seed: str, number: int, only: str = "") -> Draw:
    """Return a draw; programs and options take turns, so that each comes up."""
    rng = random.Random(f"{seed}-{number}")
    programs = [only] if only else list(OPTIONS)
    program = programs[number % len(programs)]
    options = OPTIONS[program][number // len(programs) % len(OPTIONS[program])]
    return Draw(f"{seed}-{number}", program, options, rng.choice(list(GROWTH)), rng.choice(FORMS))


def _mutated(rng: random.Random, sequence: str, rate: float, letters: str) -> str:
    return "".join(rng.choice(letters) if rng.random() < rate else letter for letter in sequence)


def pool(kind: str, rng: random.Random, *, few: bool = False) -> tuple[list[str], list[str]]:
    """Return sequences of proteins or nucleotides, with families of near-copies, and the ancestors of these.

    A ``few`` are fewer than the list of hits of a query holds.
    """
    letters = LETTERS[kind]
    texts = [gzip.decompress((EXAMPLES / f"{kind}.fasta.gz").read_bytes())]
    texts.append(gzip.decompress((DATA / f"exactness_{kind}.fasta.gz").read_bytes()))
    found = [one.residues.decode().upper() for text in texts for one in read_fasta(text)]
    if kind == "nucleotides":
        proteins = rng.sample(pool("proteins", rng)[0], 200)
        found += ["".join(CODONS.get(letter, "NNN") for letter in one[:600]) for one in proteins]
        found += ["".join(rng.choices(letters, k=rng.randint(200, 3000))) for _ in range(200)]
    found = rng.sample([one for one in found if one], min(len(found), FEW_SEQUENCES if few else SEQUENCES))
    sizes = [rng.randint(20, 100 if few else 150) for _ in range(FAMILIES)]
    sizes += [LARGE_FAMILY] * (not few and rng.random() < SHARE_OF_LARGE)
    ancestors = rng.sample([one for one in found if 60 < len(one) < 400], len(sizes))
    for ancestor, size in zip(ancestors, sizes, strict=True):
        found += [_mutated(rng, ancestor, rng.choice((0, 0.02, 0.1, 0.3)), letters) for _ in range(size)]
    rng.shuffle(found)
    return found, ancestors


def queries_of(known: tuple[list[str], list[str]], program: str, count: int, rng: random.Random) -> list[bytes]:
    """Return queries: known sequences, mutated, cut, masked, and some that are like nothing."""
    letters = LETTERS["proteins" if program in PROTEIN_QUERY else "nucleotides"]
    sequences, ancestors = known
    # Few of the large families, whose results are large.
    rare = set(ancestors)
    usual = [one for one in sequences if one not in rare]
    found = [_mutated(rng, one, 0.1, letters).encode() for one in ancestors[: count // 4]]
    while len(found) < count:
        one = _mutated(rng, rng.choice(usual)[:1000], rng.choice((0, 0.1, 0.3, 0.5)), letters)
        kind = rng.random()
        if kind < 0.1:
            one = one[: rng.randint(12, 40)]
        elif kind < 0.15:
            one = "".join(rng.choices(letters, k=rng.randint(50, 400)))
        elif kind < 0.3:
            at = rng.randrange(len(one))
            one = one[:at] + one[at : at + 40].lower() + one[at + 40 :]
        if len(one) > SHORTEST:
            found.append(one.encode())
    return list(dict.fromkeys(found))


@dataclass
class States:
    """An earlier state of a database, or of several, and the later one."""

    earlier: tuple[BlastDatabase, ...]
    later: tuple[BlastDatabase, ...]
    difference: Difference


def build_states(drawn: Draw, sequences: list[str], kind: str, directory: Path, rng: random.Random) -> States:
    """Build both states and say how they differ."""
    grown, removed, changed = GROWTH[drawn.growth]
    records = [(f"P{number:06d}.1 number {number}", one) for number, one in enumerate(sequences)]
    count = round(len(records) / (1 + grown))
    earlier, new = records[:count], records[count:]
    later = [record for record in earlier if rng.random() >= removed]
    later = [(title, _mutated(rng, one, 0.1, LETTERS[kind]) if rng.random() < changed else one) for title, one in later]
    if drawn.growth == "second":
        databases = {"a": earlier, "b": new}
        whole = [*later, *new]
    elif drawn.growth == "changed" or rng.random() < 0.3:
        whole = [*later, *new]
        rng.shuffle(whole)
        databases = {"a": earlier, "later": whole}
    else:
        whole = [*later, *new]
        databases = {"a": earlier, "later": whole}
    return write_states(directory, databases, whole, kind, drawn.form)


def write_states(directory: Path, databases: Mapping[str, Records], whole: Records, kind: str, form: str) -> States:
    """Build databases: ``a``, which is the earlier state, and beside it ``b``; or ``later``. The new state is whole."""
    for name, content in databases.items():
        _build(directory / "targets" / "grown" / "of" / "blast", name, content, kind, form)
    found = {one.name: one for one in Targets(directory / "targets", cache=directory / "cache").databases()}
    states = (found["a"], found["b"]) if "b" in databases else (found["later"],)
    return States((found["a"],), states, difference(databases["a"], whole))


def _build(directory: Path, name: str, records: Records, kind: str, form: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    text = "".join(f">{title}\n{residues}\n" for title, residues in records)
    command = ["makeblastdb", "-in", "-", "-title", name, "-out", name]
    command += ["-dbtype", "nucl" if kind == "nucleotides" else "prot"]
    command += ["-parse_seqids"] if "ids" in form else []
    command += (
        ["-max_file_sz", f"{len(text) // 4 // (4 if kind == 'nucleotides' else 1)}B"] if "volumes" in form else []
    )
    subprocess.run(command, cwd=directory, input=text.encode(), check=True, capture_output=True)


def difference(earlier: Records, later: Records) -> Difference:
    """Compare two states sequence by sequence."""
    places = {record: oid for oid, record in enumerate(later)}
    kept = [(oid, places[record]) for oid, record in enumerate(earlier) if record in places]
    added = OidSet(len(later))
    added.add(set(range(len(later))) - {new for _, new in kept})
    ones = array("I", [1] * len(kept))
    runs = Runs(array("I", [old for old, _ in kept]), array("I", [new for _, new in kept]), ones)
    return Difference(_size(later), _size(earlier), added, len(earlier) - len(kept), runs)


def _size(records: Records) -> DatabaseSize:
    return DatabaseSize(sum(len(residues) for _, residues in records), len(records))


def run(command: Sequence[str], output: Path, *, alone: bool = False) -> None:
    """Run a program of BLAST+."""
    environment = {**os.environ, "BLAST_USAGE_REPORT": "false", **({"BATCH_SIZE": "1"} if alone else {})}
    with output.open("wb") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, env=environment, check=False)
    if done.returncode:
        error = done.stderr.decode()
        raise ProgramError(list(command), done.returncode, error, FailureClass.BAD_QUERY_OR_OPTIONS)


def search(context: SearchContext, queries: Iterable[bytes], directory: Path, database: str = "") -> dict[bytes, bytes]:
    """Return the result of each query, searched as a job's batches are; in another database if one is given."""
    found = {}
    for group in context.by_independence([SearchedSequence("", one) for one in queries]):
        text = b"".join(b">q%d\n%b\n" % (number, one.residues) for number, one in enumerate(group, start=1))
        (directory / "query.fasta").write_bytes(text)
        command = context.command(context.options.program, directory, 1)
        if database:
            command[command.index("-db") + 1] = database
        archive = directory / "archive"
        run(command, archive, alone=not context.is_independent(group[0].residues))
        with archive.open("rb") as stream:
            for part in split(stream, context.database_size, context.options.strands):
                found[group[part.position].residues] = part.archive
    return found


def samples_of(options: Options, states: States, known: Mapping[bytes, bytes], directory: Path) -> dict[str, Counted]:
    """Return what samples of the earlier state show of some queries, as if it had itself grown out of another one."""
    archive = next(filter(None, known.values()), b"")
    if not archive:
        return {}
    then = states.difference.earlier_size
    everything = OidSet(then.sequences)
    everything.add(range(then.sequences))
    grown = Difference(then, DatabaseSize(0, 0), everything, 0, Runs())
    place = directory / "samples"
    place.mkdir()
    evalue = EarlierSearch(archive, linked=False).request.evalue
    sampling = Sampling(options, states.earlier, grown, place, run, evalue, {one.decode(): one for one in known})
    sampling.decide({})
    return sampling.counted


def compare(options: Options, states: States, queries: Sequence[bytes], directory: Path) -> Found:
    """Search whole and in part; return what came out."""
    found = Found()
    known = search(SearchContext("", "", options, states.earlier), queries, directory)
    context = SearchContext("", "", options, states.later)
    start = _cpu()
    whole = search(context, queries, directory)
    middle = _cpu()
    parts = directory / "parts"
    parts.mkdir()
    counted = samples_of(options, states, {one: known[one] for one in queries[::2]}, directory)
    results = [KnownResult(one.decode(), one, known[one], counted.get(one.decode())) for one in queries]
    partial = partial_search(options, states.later, states.difference, results, parts, run)
    found.refused.update(partial.refused.values())
    again = {}
    for part in partial.parts:
        again |= search(context, [key.encode() for key in part.keys], directory, part.database)
    found.whole_s, found.partial_s = middle - start, _cpu() - middle
    for query, archive in again.items():
        if archive == whole[query]:
            found.same += 1
        else:
            found.different.append(query.decode())
    return found


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def examine(drawn: Draw) -> Found:
    """Build the states of a draw and compare."""
    rng = random.Random(drawn.seed)
    options = parse_options(drawn.program, _read_options(drawn.options))
    kind = "proteins" if drawn.program in PROTEIN_SUBJECT else "nucleotides"
    known = pool(kind, rng, few="-evalue 1000" in drawn.options)
    asked = "proteins" if drawn.program in PROTEIN_QUERY else "nucleotides"
    like = known if asked == kind else _translated(known, asked)
    count = FEW_QUERIES if "-max_target_seqs 1000" in drawn.options else QUERIES
    with tempfile.TemporaryDirectory(prefix="multiblast-") as name:
        directory = Path(name)
        states = build_states(drawn, known[0], kind, directory, rng)
        return compare(options, states, queries_of(like, drawn.program, count, rng), directory)


def _translated(known: tuple[list[str], list[str]], asked: str) -> tuple[list[str], list[str]]:
    """Return what has hits among sequences of the other kind."""
    residues = {codon: residue for residue, codon in CODONS.items()}

    def other(one: str) -> str:
        if asked == "nucleotides":
            return "".join(CODONS.get(letter, "NNN") for letter in one)
        return "".join(residues.get(one[at : at + 3], "G") for at in range(0, len(one) - 2, 3))

    return [other(one) for one in known[0]], [other(one) for one in known[1]]


def _read_options(text: str) -> dict[str, str]:
    words, given = text.split(), dict[str, str]()
    while words:
        name = words.pop(0).removeprefix("-")
        value = words.pop(0) if words and (not words[0].startswith("-") or words[0][1:].isdigit()) else "true"
        given[name] = value
    return given


def main() -> int:
    """Draw, compare and say what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grown", type=int, default=60, help="how many draws")
    parser.add_argument("--first", type=int, default=0, help="the number of the first draw")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--program", default="", choices=["", *OPTIONS], help="this program alone")
    parser.add_argument("--only", type=int, help="this draw alone")
    parser.add_argument("--shown", action="store_true", help="name each draw")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    numbers = range(arguments.first, arguments.first + arguments.grown) if arguments.only is None else [arguments.only]
    total, by_program = Found(), dict[str, list[float]]()
    with ProcessPoolExecutor(arguments.workers) as workers:
        draws = [draw(str(arguments.seed), number, arguments.program) for number in numbers]
        for future in as_completed(futures := {workers.submit(examine, one): one for one in draws}):
            drawn, found = futures[future], future.result()
            total.same += found.same
            total.different += found.different
            total.refused.update(found.refused)
            counts = by_program.setdefault(drawn.program, [0, 0, 0, 0, 0])
            new = (found.same, len(found.different), found.refused.total(), found.whole_s, found.partial_s)
            counts[:] = [old + more for old, more in zip(counts, new, strict=True)]
            if arguments.only is not None or arguments.shown:
                counted = f"{found.same} same, {len(found.different)} different, {found.refused.total()} refused"
                _console.print(
                    f"{drawn.seed}: {drawn.program} {drawn.options}, {drawn.growth}, {drawn.form}: {counted}"
                )
            if found.different:
                _console.print(f"{drawn.seed}: {drawn.program} {drawn.options}, {drawn.growth}, {drawn.form}")
                _console.print("".join(f"  {query}\n" for query in found.different), end="")
    for reason, times in total.refused.most_common():
        _console.print(f"refused {times} times: {reason}")
    for program, (same, different, refused, whole_s, partial_s) in sorted(by_program.items()):
        counted = f"{same} same, {different} different, {refused} refused"
        _console.print(f"{program}: {counted}; {partial_s:.1f} s of CPU for these, {whole_s:.1f} s for all as a whole")
    _console.print(f"{total.same} results are the same, {len(total.different)} are not")
    return 1 if total.different else 0


if __name__ == "__main__":
    sys.exit(main())
