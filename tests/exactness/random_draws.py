"""Searches drawn at random, reported by us and by plain BLAST+: ``make exactness ARGS="--random 500 --seed 1"``.

A draw is a program, a database or two, one to six queries with odd titles, options that are declared for the
program, and three formats with options of theirs; with ``--rare`` also what `rare_draws` has. It is searched and
reported by the services, as for a user, and each report is compared with what the program itself prints of the same
file. Results are kept from draw to draw, so that reused ones are compared as well.
"""

from __future__ import annotations

import argparse
import gzip
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Container, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from rich.console import Console

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from multiblast.archive.gap_costs import NUCLEOTIDE, PROTEIN, GapCosts  # noqa: E402 - first make the checkout importable
from multiblast.errors import InvalidInputError  # noqa: E402
from multiblast.options import options_for  # noqa: E402
from multiblast.options.option import Form, Option  # noqa: E402
from multiblast.reports import Formatting  # noqa: E402
from multiblast.reports.exactness import first_difference  # noqa: E402
from multiblast.reports.formats import FORMATS  # noqa: E402
from multiblast.search import read_submission  # noqa: E402
from multiblast.search.resolver import Resolver  # noqa: E402
from multiblast.sequences import read_fasta  # noqa: E402
from multiblast.services import Services  # noqa: E402
from tests.exactness.drawn_queries import DATA, draw_query, laid_out, with_lower_case  # noqa: E402
from tests.exactness.listed_exceptions import is_listed  # noqa: E402
from tests.exactness.odd_databases import MASKS, build_odd_database  # noqa: E402
from tests.exactness.rare_draws import RARE, build_rare_databases, made_rare  # noqa: E402
from tests.support.people import ADMINISTRATOR  # noqa: E402
from tests.support.profile_databases import build_profile_databases  # noqa: E402

FORMATS_PER_DRAW = 3
MOST_OPTIONS = 4
TIME_LIMIT_S = 120
# Two databases in the order in which they are searched, whichever way they are named.
DATABASES = {
    **dict.fromkeys(("blastp", "blastx", "psiblast"), ("proteins", "second", "both", "proteins second")),
    **dict.fromkeys(("blastn", "tblastn", "tblastx"), ("nucleotides", "genes", "genes nucleotides")),
    **dict.fromkeys(("rpsblast", "rpstblastn"), ("rps",)),
    "deltablast": ("proteins", "second"),
}
NOT_DRAWN = {
    *("in_pssm", "out_pssm", "out_ascii_pssm", "save_pssm_after_last_round", "save_each_pssm"),  # one file each
    *("use_index", "index_name", "db_soft_mask", "db_hard_mask"),  # of databases that have such
    *("rpsdb", "num_iterations"),
}
# Of these the formatter makes what is asked for; the programs themselves pass some options of a report over.
PASSED_OVER = {
    name: {"delimiter", "sort_hits", "sort_hsps"} for name in ("psiblast", "deltablast", "rpsblast", "rpstblastn")
}
ALIGNED = {"std", "qframe", "qseq", "sseq", "positive", "btop", "ppos"}  # fields that read the alignment
OTHER_FIELDS = {"tblastx": {"frames"}}
TEXTS = {
    "seg": ("no", "yes", "10 1.8 2.1"),
    "dust": ("no", "yes", "15 32 2"),
    "taxids": ("9606",),
    "negative_taxids": ("9606",),
    "query_loc": ("5-60", "1-30", "20-5000"),
}
TYPICAL = {
    "evalue": (1e-20, 1e-3, 1, 50),
    "max_target_seqs": (1, 5, 20, 1000),
    "max_hsps": (1, 2, 5),
    "searchsp": (1000000, 10**10),
    "dbsize": (1000000, 10**9),
    "min_raw_gapped_score": (30, 60),
    "best_hit_overhang": (0.1, 0.25),
    "best_hit_score_edge": (0.1, 0.05),
    "xdrop_ungap": (5, 10, 20),
    "xdrop_gap": (10, 20, 30),
    "xdrop_gap_final": (20, 30, 100),
    "culling_limit": (1, 3),
    "max_intron_length": (100, 5000),
    "gap_trigger": (15, 22),
    "off_diagonal_range": (0, 2),
    "penalty": (-1, -2, -4),
    "perc_identity": (50, 80, 95.5),
    "qcov_hsp_perc": (10, 50, 90),
}
_console = Console(highlight=False, markup=False, soft_wrap=True)


@dataclass(frozen=True)
class Draw:
    """One search and its reports; the same seed and number give the same one."""

    name: str
    program: str
    databases: str
    options: dict[str, Any]
    query: str
    formats: tuple[Formatting, ...]

    @property
    def arguments(self) -> list[str]:
        """The options as the program takes them."""
        words = []
        for name, value in self.options.items():
            form = _options(self.program)[name].form
            words += [f"-{name}"] if form is Form.FLAG else [f"-{name}", _word(value)]
        return words


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _options(program: str) -> dict[str, Option]:
    return dict(options_for(program).declared)


def draw(seed: str) -> Draw:
    """Return the draw of a seed; a rare one if that begins so."""
    rng = random.Random(seed)
    program = rng.choice(sorted(DATABASES))
    drawable = [option for option in _options(program).values() if option.name not in NOT_DRAWN]
    chosen = rng.sample(drawable, rng.randint(0, MOST_OPTIONS))
    options = {option.name: _value(option, program, rng) for option in chosen}
    if program in {"psiblast", "deltablast"} and rng.random() < 0.3:
        options["num_iterations"] = 2
    options = {name: value for name, value in options.items() if value is not None}
    names = [row.name for row in FORMATS.values() if row.write is None and row.name != "11"]
    names = [name for name in names if not FORMATS[name].programs or program in FORMATS[name].programs]
    formats = tuple(_formatting(name, program, rng, options) for name in rng.sample(names, FORMATS_PER_DRAW))
    drawn = Draw(seed, program, rng.choice(DATABASES[program]), options, draw_query(program, rng), formats)
    drawn = _varied(drawn, random.Random(f"{seed} seldom"))
    return made_rare(drawn, _options(program), random.Random(f"{seed} more")) if seed.startswith(RARE) else drawn


def _varied(drawn: Draw, rng: random.Random) -> Draw:
    """Return a draw with what is rarely drawn of itself: scores that fit, rounds, odd databases, masks, odd files."""
    declared, options, databases, query = _options(drawn.program), dict(drawn.options), drawn.databases, drawn.query
    if "reward" in declared and not options.keys().isdisjoint({"reward", "penalty", "gapopen", "gapextend"}):
        rewards = rng.choice(list(NUCLEOTIDE))
        options |= {"reward": rewards[0], "penalty": rewards[1]} | _costs(NUCLEOTIDE[rewards], rng)
    elif "gapopen" in declared and not options.keys().isdisjoint({"matrix", "gapopen", "gapextend"}):
        options |= _costs(PROTEIN[options.get("matrix", "BLOSUM62")][1:], rng)
    if drawn.program == "psiblast" and "num_iterations" in options:
        options["num_iterations"] = rng.choice((2, 3, 0))
    if "db_soft_mask" in declared and rng.random() < 0.2:
        databases = "odd_proteins" if "proteins" in DATABASES[drawn.program] else "odd_nucleotides"
        if rng.random() < 0.5:
            options[rng.choice(("db_soft_mask", "db_hard_mask"))] = MASKS[databases]
    if "lcase_masking" in options:
        query = with_lower_case(query, rng)
    if rng.random() < 0.25:
        query = laid_out(query, rng)
    return replace(drawn, databases=databases, options=options, query=query)


def _costs(known: Sequence[GapCosts], rng: random.Random) -> dict[str, int]:
    costs = rng.choice(known)
    return {"gapopen": costs.open, "gapextend": costs.extend}


def _value(option: Option, program: str, rng: random.Random) -> Any:
    """Return a value that changes something, or None."""
    if option.name in TEXTS:
        return rng.choice(TEXTS[option.name])
    if option.name in TYPICAL:
        return rng.choice(TYPICAL[option.name])
    schema = TypeAdapter(option.kind).json_schema()
    default = option.default_in(program)
    if "enum" in schema or "const" in schema:
        return rng.choice([value for value in schema.get("enum") or [schema["const"]] if value != "IDENTITY"])
    if schema.get("type") == "boolean":
        return True if option.form is Form.FLAG else not default
    if schema.get("type") in {"integer", "number"}:
        least, most = schema.get("minimum", -5), schema.get("maximum", 60)
        middle = default or next(iter(option.by_task.values()), 0) or 5
        value = min(max(round(middle * rng.choice((0.5, 0.8, 1.2, 2))), least), most)
        return value if schema["type"] == "integer" else float(value)
    return None


def _formatting(name: str, program: str, rng: random.Random, searched: Container[str]) -> Formatting:
    row = FORMATS[name]
    given: dict[str, Any] = {"format": name}
    if row.fields and rng.random() < 0.7:
        unfit = OTHER_FIELDS.get(program, set()) | (
            {"qcovus"} if program != "blastn" or "query_loc" in searched else set()
        )
        fields = [field for field in row.fields if field not in unfit]
        given["fields"] = tuple(rng.sample(fields, 1 if name == "17" else rng.randint(1, 12)))
    choices = {
        "delimiter": ("@", "|", ";;"), "line_length": (1, 40, 100), "sort_hits": range(5), "sort_hsps": range(5),
        "num_descriptions": (0, 3),
    }  # fmt: skip
    for option, values in choices.items():
        if option in row.options and option not in PASSED_OVER.get(program, ()) and rng.random() < 0.25:
            given[option] = rng.choice(list(values))
    if "frames" in given.get("fields", ()) and ALIGNED.isdisjoint(given["fields"]):
        given["fields"] += ("qseq",)
    if "num_iterations" in searched:  # the lists of rounds are separated after they were cut
        given.pop("num_descriptions", None)
    if "max_target_seqs" in searched:  # the program takes it for an option of the report too
        given.pop("num_descriptions", None)
    if "num_descriptions" in given:  # or the program searches for 250 subjects, since it shows as many alignments
        given["num_alignments"] = 500
    if name in "01234":
        given["html"] = rng.random() < 0.3
        given["show_gis"] = rng.random() < 0.2
    return Formatting(**given)


class Place:
    """The databases of all draws, and the services of one process."""

    def __init__(self, directory: Path) -> None:
        self.databases = directory / "targets" / "demo" / "random" / "blast"
        os.environ["BLAST_USAGE_REPORT"] = "false"
        self.services: Services | None = None

    def build(self) -> None:
        """Make the databases."""
        self.databases.mkdir(parents=True)
        for name, kind, source in (
            ("proteins", "prot", "proteins.fasta.gz"), ("second", "prot", "proteins_query.fasta"),
            ("nucleotides", "nucl", "nucleotides.fasta.gz"), ("genes", "nucl", "nucleotides_query.fasta"),
        ):  # fmt: skip
            data = (DATA / f"exactness_{source}").read_bytes()
            text = gzip.decompress(data) if source.endswith("gz") else data
            text = re.sub(rb">[^\n]*", _numbered(name), text)
            taxa = ["-parse_seqids", "-taxid_map", "map"] if kind == "prot" else ["-taxid", "9606"]
            ids = re.findall(rb">(\S+)", text)
            lines = (b"%s %d\n" % (one, (9606, 562)[number % 2]) for number, one in enumerate(ids))
            (self.databases / "map").write_bytes(b"".join(lines))
            command = ["makeblastdb", "-dbtype", kind, "-title", f"{name} for tests", "-out", name, "-in", "-", *taxa]
            subprocess.run(command, cwd=self.databases, input=text, check=True, capture_output=True)
        (self.databases / "both.pal").write_text("TITLE proteins and second\nDBLIST proteins second\n")
        for name in MASKS:
            build_odd_database(self.databases, name)
        build_profile_databases(self.databases, DATA / "exactness_proteins_query.fasta", count=16)

    def compare(self, drawn: Draw) -> tuple[str, list[str]]:
        """Search and report both ways; return the outcome and what differs, one line per format."""
        services = self._services()
        targets = [f"demo/random/{name}" for name in drawn.databases.split()]
        options = {name: _word(value) for name, value in drawn.options.items()}
        if drawn.program == "deltablast":
            options["rpsdb"] = "demo/random/delta"
        try:
            submission = read_submission(query=drawn.query, program=drawn.program, targets=targets, options=options)
            resolver = Resolver(services.installation, services.targets)
            context = resolver.resolve(submission.site, submission.targets, submission.options)
            job_id = services.queries.submit(ADMINISTRATOR, submission).job_id
        except InvalidInputError as error:
            return "refused", [str(error)]
        alone = not all(context.is_independent(s.residues) for s in read_fasta(drawn.query.encode()))
        try:
            plain = {formatting: self._plain(drawn, formatting, alone) for formatting in drawn.formats}
        except subprocess.CalledProcessError as error:
            return "BLAST+ " + ("crashed" if error.returncode < 0 else "failed"), []
        services.queries.run(job_id).execute()
        found, rest = list[str](), list[str]()
        for formatting, expected in plain.items():
            try:
                ours = self._ours(job_id, formatting)
            except InvalidInputError as error:
                return "refused", [str(error)]
            for name in sorted({*expected, *ours}):
                both = expected.get(name, b""), ours.get(name, b"")
                if line := first_difference(*map(BytesIO, both), formatting):
                    found.append(f"format {' '.join(formatting.arguments())}: {name}: {line}")
                    rest += [] if is_listed(drawn.program, drawn.options, formatting, *both) else found[-1:]
                    break
        return ("different" if rest else "listed" if found else "same"), rest or found

    def _services(self) -> Services:
        if self.services is None:
            os.environ["MULTIBLAST_HOME"] = tempfile.mkdtemp(prefix="home-", dir=self.databases.parents[3])
            self.services = Services.embedded(self.databases.parents[2])
        return self.services

    def _ours(self, job_id: str, formatting: Formatting) -> dict[str, bytes]:
        """Return the files of our report, by name."""
        reports, files = self._services().reports, {}
        made = reports.run(reports.submit(ADMINISTRATOR, job_id, formatting)).execute()
        for file in made.files:
            if not file.name.endswith(".zip"):
                with reports.file(ADMINISTRATOR, made.report_id, file.name) as stream:
                    files[file.name] = stream.read()
        return files

    def _plain(self, drawn: Draw, formatting: Formatting, alone: bool) -> dict[str, bytes]:
        """Return what the program itself writes, by name."""
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            query = directory / "query.fasta"
            query.write_bytes(drawn.query.encode())
            report = directory / "out" / f"report.{formatting.row.extension}"
            report.parent.mkdir()
            databases = " ".join(str(self.databases / name) for name in drawn.databases.split())
            program = self._services().installation.program(drawn.program)
            command = [program, "-query", query, "-db", databases, *drawn.arguments, *formatting.arguments()]
            command += ["-rpsdb", self.databases / "delta"] if drawn.program == "deltablast" else []
            environment = {**os.environ, **({"BATCH_SIZE": "1"} if alone else {})}
            subprocess.run(
                [*command, "-out", report], env=environment, check=True, capture_output=True, timeout=TIME_LIMIT_S
            )
            return {file.name: file.read_bytes() for file in report.parent.iterdir()}


def _numbered(name: str) -> Callable[[re.Match[bytes]], bytes]:
    """Return what gives each defline an id that can be parsed."""
    numbers = count(1)
    return lambda found: b">%s%d %s" % (name.encode(), next(numbers), found[0][1:])


_place: Place


def _enter(directory: Path) -> None:
    global _place  # noqa: PLW0603 - one for each process
    _place = Place(directory)


def examine(seed: str) -> tuple[str, list[str]]:
    """Compare one draw; return its outcome and what differs."""
    try:
        return _place.compare(draw(seed))
    except subprocess.TimeoutExpired:
        return "took too long", []
    except Exception as error:  # noqa: BLE001 - the draw is the finding
        return "different", [f"{type(error).__name__}: {error}"]


def main() -> int:
    """Draw, compare and say what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--random", type=int, default=100, help="how many draws")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rare", action="store_true", help="draw what is rare, too")
    parser.add_argument("--only", type=int, help="this draw alone, shown whole")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    numbers = range(arguments.random) if arguments.only is None else [arguments.only]
    outcomes, refusals = Counter[str](), Counter[str]()
    start = f"{RARE if arguments.rare else ''}{arguments.seed}"
    with tempfile.TemporaryDirectory(prefix="multiblast-") as name:
        place = Place(Path(name))
        place.build()
        if arguments.rare:
            build_rare_databases(place.databases)
        with ProcessPoolExecutor(arguments.workers, initializer=_enter, initargs=(Path(name),)) as pool:
            seeds = {pool.submit(examine, seed): seed for seed in (f"{start}-{n}" for n in numbers)}
            for future in as_completed(seeds):
                outcome, lines = future.result()
                outcomes[outcome] += 1
                if outcome == "refused":
                    refusals.update({re.sub(r"'[^']*'|\d+", "…", line) for line in lines})
                if outcome == "different" or arguments.only is not None:
                    drawn = draw(seeds[future])
                    _console.print(f"{drawn.name}: {drawn.program} -db '{drawn.databases}' {' '.join(drawn.arguments)}")
                    _console.print("".join(f"  {line}\n" for line in lines), end="")
                    if arguments.only is not None:
                        _console.print(outcome, drawn.query, sep="\n")
    for reason, times in refusals.most_common():
        _console.print(f"refused {times} times: {reason}")
    counted = ", ".join(f"{number} {outcome}" for outcome, number in outcomes.most_common())
    _console.print(f"{outcomes.total()} draws of {FORMATS_PER_DRAW} formats: {counted}")
    return 1 if outcomes["different"] else 0


if __name__ == "__main__":
    sys.exit(main())
