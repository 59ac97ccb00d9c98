"""Archives that BLAST+ writes, taken apart and put together again."""

from __future__ import annotations

import gzip
import io
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multiblast.archive import DatabaseSize, SplitArchive, merge, split
from multiblast.errors import ArchiveError
from multiblast.installation import Installation
from multiblast.sequences import read_fasta
from tests.support.profile_databases import build_profile_databases

DATA = Path(__file__).parents[1] / "data"
SEARCHES = [
    ("blastp", "proteins", "proteins", []),
    ("blastp", "proteins", "proteins", ["-seg", "yes", "-lcase_masking"]),
    ("blastp", "proteins", "proteins", ["-task", "blastp-short", "-searchsp", "1000000"]),
    ("blastp", "proteins", "proteins", ["-matrix", "BLOSUM45", "-dbsize", "1000000"]),
    ("blastp", "proteins", "proteins", ["-ungapped", "-comp_based_stats", "0"]),
    ("blastn", "nucleotides", "nucleotides", []),
    ("blastn", "nucleotides", "nucleotides", ["-task", "blastn", "-strand", "minus"]),
    ("blastn", "nucleotides", "nucleotides", ["-strand", "plus"]),
    ("blastn", "nucleotides", "nucleotides", ["-task", "dc-megablast"]),
    ("blastn", "nucleotides", "nucleotides", ["-reward", "2", "-penalty", "-4", "-soft_masking", "false"]),
    ("blastx", "nucleotides", "proteins", ["-evalue", "1e-3"]),
    ("blastx", "nucleotides", "proteins", ["-evalue", "1e-3", "-strand", "minus", "-query_gencode", "4"]),
    ("blastx", "nucleotides", "proteins", ["-evalue", "1e-3", "-strand", "plus"]),
    ("tblastn", "proteins", "nucleotides", []),
    ("tblastx", "nucleotides", "nucleotides", ["-sum_stats", "false", "-evalue", "1e-9"]),
]  # fmt: skip


class Workplace:
    """Two databases and what was searched in them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.sizes: dict[str, DatabaseSize] = {}
        for name, kind in (("proteins", "prot"), ("nucleotides", "nucl")):
            fasta = gzip.decompress((DATA / f"exactness_{name}.fasta.gz").read_bytes())
            command = ["makeblastdb", "-dbtype", kind, "-title", name, "-out", directory / name, "-in", "-"]
            subprocess.run(command, input=fasta, check=True, capture_output=True)
            lengths = [len(sequence.residues) for sequence in read_fasta(io.BytesIO(fasta))]
            self.sizes[name] = DatabaseSize(sum(lengths), len(lengths))

    def residues(self, molecule: str) -> list[bytes]:
        with (DATA / f"exactness_{molecule}_query.fasta").open("rb") as stream:
            return list(dict.fromkeys(sequence.residues for sequence in read_fasta(stream)))

    def search(self, program: str, residues: list[bytes], database: str, *options: str, alone: bool = False) -> Path:
        query, archive = self.directory / "query.fasta", self.directory / "archive.asn1"
        query.write_bytes(b"".join(b">%d some title\n%s\n" % (n, one) for n, one in enumerate(residues)))
        executable = Installation().program(program)  # Debian's rpsblast has another name
        command = [executable, "-query", query, "-db", database, "-outfmt", "11", "-out", archive, *options]
        environment = {**os.environ, **({"BATCH_SIZE": "1"} if alone else {})}
        subprocess.run(command, cwd=self.directory, env=environment, check=True, capture_output=True)
        return archive

    def split(self, archive: Path, database: str, *options: str) -> list[SplitArchive]:
        with archive.open("rb") as stream:
            strand = options[options.index("-strand") + 1] if "-strand" in options else "both"
            return list(split(stream, self.sizes[database], strand))


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return Workplace(tmp_path_factory.mktemp("archives"))


@pytest.fixture(scope="module")
def proteins(workplace: Workplace) -> Path:
    archive = workplace.search("blastp", workplace.residues("proteins"), "proteins")
    return archive.rename(archive.with_name("proteins.asn1"))


@pytest.mark.parametrize(("program", "molecule", "database", "options"), SEARCHES)
def test_result_is_the_same_in_any_company(
    workplace: Workplace, program: str, molecule: str, database: str, options: list[str]
) -> None:
    """Statistics, masks and all: from a normal batch, from a shuffled one, and alone."""
    residues = workplace.residues(molecule)
    shuffled = random.Random(5).sample(residues, len(residues))
    batch = workplace.split(workplace.search(program, residues, database, *options), database, *options)
    other = workplace.split(workplace.search(program, shuffled, database, *options), database, *options)
    alone = workplace.split(workplace.search(program, residues, database, *options, alone=True), database)
    assert [part.position for part in batch] == list(range(len(residues)))
    assert [part.archive for part in batch] == [part.archive for part in alone]
    assert {residues[part.position]: part for part in batch} == {
        shuffled[part.position]: SplitArchive(residues.index(shuffled[part.position]), part.archive, part.summary)
        for part in other
    }


def test_statistics_are_those_of_both_strands_also_where_others_have_masks_on_one(workplace: Workplace) -> None:
    """Of a query with other parameters on its minus strand, and of which the archive names no strand."""
    residues = workplace.residues("nucleotides")
    alone = workplace.split(workplace.search("blastx", residues, "proteins", alone=True), "proteins")
    on_minus = [part for part in alone if b" frame minus" in part.archive and b" frame plus" not in part.archive]
    batch = [residues[on_minus[0].position], b"A" * 19]
    expected = workplace.split(workplace.search("blastx", batch, "proteins", alone=True), "proteins")
    assert workplace.split(workplace.search("blastx", batch, "proteins"), "proteins") == expected


def test_result_names_neither_title_nor_database(workplace: Workplace, proteins: Path) -> None:
    for part in workplace.split(proteins, "proteins"):
        assert b"some title" not in part.archive
        assert b"proteins" not in part.archive
        assert set(re.findall(rb'local str "(Query_\d+)"', part.archive)) == {b"Query_1"}


def test_merging_what_was_split_gives_it_back(workplace: Workplace, proteins: Path) -> None:
    parts = workplace.split(proteins, "proteins")
    merged = io.BytesIO()
    assert merge((("title", part.archive) for part in parts), merged, "proteins") == len(parts)
    merged.seek(0)
    assert list(split(merged)) == parts


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_splitting_gives_back_any_choice_that_was_merged(
    workplace: Workplace, proteins: Path, data: st.DataObject
) -> None:
    parts = workplace.split(proteins, "proteins")
    chosen = data.draw(st.lists(st.sampled_from(parts), min_size=1, max_size=12))
    titles = data.draw(st.lists(st.binary(max_size=300), min_size=len(chosen), max_size=len(chosen)))
    merged = io.BytesIO()
    merge(zip(titles, (part.archive for part in chosen), strict=True), merged, ["some where/proteins", 'a "b"'])
    merged.seek(0)
    assert [(p.position, p.archive) for p in split(merged)] == list(enumerate(part.archive for part in chosen))


def test_summary_says_what_the_table_says(workplace: Workplace, proteins: Path) -> None:
    """Compared with BLAST+'s own table of the same search."""
    fields = "6 qseqid sseqid evalue bitscore pident qcovhsp"
    command = ["blastp", "-query", "query.fasta", "-db", "proteins", "-outfmt", fields]
    residues = workplace.residues("proteins")
    workplace.search("blastp", residues, "proteins")
    table = subprocess.run(command, cwd=workplace.directory, check=True, capture_output=True, text=True).stdout
    rows: dict[int, list[list[str]]] = {}
    for line in table.splitlines():
        number, *values = line.split("\t")
        rows.setdefault(int(number), []).append(values)
    for part in workplace.split(proteins, "proteins"):
        summary, found = part.summary, rows.get(part.position, [])
        assert (summary.hits, summary.hsps) == (len({row[0] for row in found}), len(found))
        if found:
            assert summary.best_hit.startswith("gnl|BL_ORD_ID|")
            assert summary.evalue == pytest.approx(float(found[0][1]), rel=0.05)
            assert summary.bit_score == pytest.approx(float(found[0][2]), rel=0.01)
            identity = None if b"O" in residues[part.position] else pytest.approx(float(found[0][3]), abs=0.001)
            assert summary.identity_percent == identity
            assert summary.coverage_percent == pytest.approx(float(found[0][4]), abs=1)


def test_summary_of_a_query_with_the_residue_o_states_no_identity(workplace: Workplace) -> None:
    """An archive counts X as identical to it, and O not."""
    residues = workplace.residues("proteins")[0]
    queries = [residues[:10] + letter + residues[11:] for letter in (b"O", b"X")]
    with_o, with_x = workplace.split(workplace.search("blastp", queries, "proteins"), "proteins")
    assert with_o.summary.hits == with_x.summary.hits > 0
    assert (with_o.summary.identity_percent, with_x.summary.identity_percent is None) == (None, False)


@pytest.mark.parametrize(
    ("program", "database", "options"),
    [
        ("psiblast", "proteins", ("-num_iterations", "2")),
        ("deltablast", "proteins", ("-rpsdb", "delta", "-lcase_masking")),
        ("deltablast", "proteins", ("-rpsdb", "delta", "-lcase_masking", "-num_iterations", "2")),
        ("rpsblast", "rps", ("-lcase_masking",)),
        ("rpsblast", "rps", ()),
        ("rpstblastn", "rps", ()),
    ],
)
def test_summary_states_no_identity_that_its_archive_miscounts(
    workplace: Workplace, program: str, database: str, options: tuple[str, ...]
) -> None:
    """Masked letters are X to a search for domains, as the residue O is in all rounds of psiblast but the first."""
    if not (workplace.directory / "rps.pn").exists():
        build_profile_databases(workplace.directory, DATA / "exactness_proteins_query.fasta", count=2)
        workplace.sizes["rps"] = DatabaseSize(0, 2)
    molecule = "nucleotides" if program == "rpstblastn" else "proteins"
    plain = workplace.residues(molecule)[0]
    odd = plain[:20] + b"O" + plain[21:] if program == "psiblast" else plain[:40] + plain[40:80].lower() + plain[80:]
    archive = workplace.search(program, [plain, odd], database, *options, "-evalue", "100", alone=True)
    summaries = [part.summary for part in workplace.split(archive, database)]
    assert all(one.hits for one in summaries)
    expected = [program == "rpstblastn", program in {"rpstblastn", "psiblast"} or "-lcase_masking" in options]
    assert [one.identity_percent is None for one in summaries] == expected


@pytest.mark.parametrize("program", ["blastx", "tblastn", "tblastx"])
def test_summary_counts_columns_of_translated_alignments(workplace: Workplace, program: str) -> None:
    molecule, database = {
        "blastx": ("nucleotides", "proteins"),
        "tblastn": ("proteins", "nucleotides"),
        "tblastx": ("nucleotides", "nucleotides"),
    }[program]
    residues = workplace.residues(molecule)
    archive = workplace.search(program, residues, database, alone=True)
    command = [program, "-query", "query.fasta", "-db", database, "-outfmt", "6 qseqid pident"]
    environment = {**os.environ, "BATCH_SIZE": "1"}
    table = subprocess.run(
        command, cwd=workplace.directory, env=environment, check=True, capture_output=True, text=True
    )
    first = {
        int(number): float(identity)
        for number, identity in reversed([line.split() for line in table.stdout.splitlines()])
        if molecule == "nucleotides" or b"O" not in residues[int(number)]
    }
    parts = workplace.split(archive, database)
    found = {part.position: part.summary.identity_percent for part in parts if part.position in first}
    assert found == pytest.approx(first, abs=0.001)


def test_rounds_of_psiblast_stay_together(workplace: Workplace) -> None:
    """Later rounds search with a profile in place of the query; the hits of all are in the table."""
    residues = workplace.residues("proteins")[:4]
    archive = workplace.search("psiblast", residues, "proteins", "-num_iterations", "3")
    parts = workplace.split(archive, "proteins")
    assert [part.position for part in parts] == [0, 1, 2, 3]
    assert max(part.archive.count(b"Blast4-archive ::= {\n") for part in parts) > 1
    merged = workplace.directory / "merged.asn1"
    with merged.open("wb") as output:
        merge(((b"%d some title" % part.position, part.archive) for part in parts), output, "proteins")
    command = ["psiblast", "-query", "query.fasta", "-db", "proteins", "-num_iterations", "3", "-outfmt", "6"]
    plain = subprocess.run(command, cwd=workplace.directory, check=True, capture_output=True).stdout
    command = ["blast_formatter", "-archive", merged, "-outfmt", "6"]
    ours = subprocess.run(command, cwd=workplace.directory, check=True, capture_output=True).stdout
    assert ours.splitlines() == [line for line in plain.splitlines() if line.count(b"\t")]


def test_statistics_come_out_right_behind_a_query_that_cannot_be_searched(workplace: Workplace) -> None:
    """Then the archive states none at all."""
    residues = [b"X" * 40, *workplace.residues("proteins")[:5]]
    batch = workplace.split(workplace.search("blastp", residues, "proteins"), "proteins")
    alone = workplace.split(workplace.search("blastp", residues, "proteins", alone=True), "proteins")
    assert batch == alone


def test_query_without_a_searchable_residue_is_told(workplace: Workplace, proteins: Path) -> None:
    residues = workplace.residues("proteins")
    unsearched = [residues[p.position] for p in workplace.split(proteins, "proteins") if not p.summary.searched]
    assert unsearched == [b"X" * 40]


@pytest.mark.parametrize("part", [0.02, 0.5, 0.999])
def test_archive_cut_short_is_refused(workplace: Workplace, proteins: Path, part: float) -> None:
    whole = proteins.read_bytes()
    with pytest.raises(ArchiveError):
        list(split(io.BytesIO(whole[: int(len(whole) * part)]), workplace.sizes["proteins"]))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'service "plain"', b'service "other"'),
        (b"    alignments {\n", b"    alignment {\n"),
        (
            b'            id {\n              local str "Query_2"',
            b'            id {\n              local str "Query_1"',
        ),
        (b'            local str "Query_3",', b'            local str "Query_999",'),
        (b"    ka-blocks {\n", b"    no-blocks {\n"),
        (b"Length adjustment: ", b"Length: "),
    ],
)
def test_archive_of_another_form_is_refused(workplace: Workplace, proteins: Path, old: bytes, new: bytes) -> None:
    whole = proteins.read_bytes()
    assert old in whole
    with pytest.raises(ArchiveError):
        list(split(io.BytesIO(whole.replace(old, new)), workplace.sizes["proteins"]))


def test_batch_without_the_size_of_its_database_is_refused(proteins: Path) -> None:
    with proteins.open("rb") as stream, pytest.raises(ArchiveError, match="BATCH_SIZE=1"):
        list(split(stream))


def test_statistics_that_do_not_come_out_as_stated_are_refused(proteins: Path) -> None:
    """As when a filter on the database makes it smaller than its index says."""
    with proteins.open("rb") as stream, pytest.raises(ArchiveError, match="BATCH_SIZE=1"):
        list(split(stream, DatabaseSize(1000, 3)))


def test_part_that_is_no_single_result_is_not_merged(proteins: Path) -> None:
    with pytest.raises(ArchiveError):
        merge([("title", proteins.read_bytes())], io.BytesIO(), "proteins")


def test_comma_that_an_earlier_version_left_in_a_request_is_taken_out(workplace: Workplace, proteins: Path) -> None:
    part = workplace.split(proteins, "proteins")[0].archive
    damaged = part.replace(b"algorithm-options {\n", b"algorithm-options {,\n", 1)
    assert damaged != part
    merged = [io.BytesIO(), io.BytesIO()]
    for archive, output in zip((part, damaged), merged, strict=True):
        merge([(b"title", archive)], output, "proteins")
    assert merged[0].getvalue() == merged[1].getvalue()


def test_memory_does_not_grow_with_the_archive(workplace: Workplace, tmp_path: Path) -> None:
    """Split and merged, each in a process of its own: ten times the archive, the same peak."""
    archive = workplace.search("blastp", workplace.residues("proteins"), "proteins", alone=True).read_bytes()
    script = (
        "import os, re, sys\n"
        "from pathlib import Path\n"
        "from multiblast.archive import merge, split\n"
        "with open(sys.argv[1], 'rb') as stream, open(os.devnull, 'wb') as out:\n"
        "    for together in (False, True):\n"
        "        stream.seek(0)\n"
        "        merge(((b'q', part.archive) for part in split(stream)), out, 'db', together=together)\n"
        "print(re.search(r'VmHWM:\\s+(\\d+) kB', Path('/proc/self/status').read_text())[1])\n"
    )
    peaks_kib = []
    for megabytes in (20, 60):
        path = tmp_path / f"{megabytes}.asn1"
        with path.open("wb") as file:
            while file.tell() < megabytes << 20:
                file.write(archive)
        done = subprocess.run([sys.executable, "-c", script, path], check=True, capture_output=True, text=True)
        peaks_kib.append(int(done.stdout))
    assert peaks_kib[1] < peaks_kib[0] + 16 * 1024
    assert peaks_kib[1] < 300 * 1024
