"""The plugins that come with multiblast, each on real sequences; in our environment where it has what they need."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from Bio import Phylo
from pyarrow import parquet

from multiblast.database import JobStatus
from multiblast.errors import InvalidInputError
from multiblast.plugins.catalogue import Catalogue
from multiblast.plugins.chains import Made, find_chains, inputs_of, shown
from multiblast.plugins.environments import Environments
from multiblast.plugins.rounds import GivenFile, MadeOutput, PluginError, RoundRequest, run_round
from multiblast.plugins.tools import ToolError, tool_version
from multiblast.reports.hits import write_hits
from multiblast.services import Services
from multiblast.settings import PluginRules
from tests.support.people import ADMINISTRATOR
from tests.support.places import EXAMPLES

ODD = "a(b:1),[c];é"
Runs = Callable[..., dict[str, MadeOutput]]


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return Catalogue(PluginRules(), tmp_path_factory.mktemp("plugins"))


@pytest.fixture
def run(tmp_path: Path, catalogue: Catalogue) -> Runs:
    """``run(name, {port: file}, parameter=…)``: the outputs by port; skipped without the plugin's tool."""

    def outputs(name: str, inputs: dict[str, GivenFile], python: Path | None = None, **given: Any) -> dict[str, Any]:
        plugin = catalogue.get(name)
        try:
            tool_version(plugin)
        except ToolError as error:
            pytest.skip(str(error))
        directory = tmp_path / f"run-{len(list(tmp_path.iterdir()))}"
        request = RoundRequest(1, {port: (file,) for port, file in inputs.items()}, given, 2)
        return {made.port: made for made in run_round(plugin, python, request, directory).outputs}

    return outputs


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Environments:
    return Environments(tmp_path_factory.mktemp("environments"))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, targets_root: Path) -> Callable[[str, str], dict[str, GivenFile]]:
    """``report(program, query)``: what a job of the demo's queries and databases hands over."""
    directory = tmp_path_factory.mktemp("report")

    def make(program: str, query: str) -> dict[str, GivenFile]:
        target = "nucleotides" if program in {"blastn", "tblastn"} else "proteins"
        archive, table = directory / f"{program}.asn", directory / f"{program}.parquet"
        database = targets_root / "demo" / "examples" / "blast" / target
        queries = EXAMPLES / f"{query}_query.fasta"
        options = ["-evalue", "1e-5" if program in {"blastp", "blastn"} else "10", "-outfmt", "11", "-out", archive]
        subprocess.run([program, "-query", queries, "-db", database, *options], check=True, stderr=subprocess.DEVNULL)
        write_hits(archive, table)
        subjects = directory / f"{target}.fasta"
        subjects.write_bytes(gzip.decompress((EXAMPLES / f"{target}.fasta.gz").read_bytes()))
        return {
            "hits": GivenFile(table, "report.parquet", "hits/blast", "application/vnd.apache.parquet"),
            "subjects": GivenFile(subjects, "subjects.fasta", f"subjects/{target[:-1]}", "text/x-fasta"),
            "queries": GivenFile(queries, "query.fasta", f"sequences/{query}", "text/x-fasta"),
        }

    return make


def written(path: Path, text: str, data: str = "alignment/protein", content: str = "text/x-fasta") -> GivenFile:
    path.write_text(text)
    return GivenFile(path, path.name, data, content)


def again(made: MadeOutput) -> GivenFile:
    return GivenFile(made.path, made.name, made.data, made.content)


def records(path: Path) -> dict[str, str]:
    parts = [part.partition("\n") for part in ("\n" + path.read_text()).split("\n>")[1:]]
    return {title.split()[0]: letters.replace("\n", "") for title, _, letters in parts}


def leaves(tree: Path) -> list[str]:
    return sorted(leaf.name for leaf in Phylo.read(StringIO(tree.read_text()), "newick").get_terminals())


def hits_of(file: GivenFile, query: int = 1) -> list[dict[str, Any]]:
    return [row for row in parquet.read_table(file.path).to_pylist() if row["query"] == query]


def test_all_of_them_are_well_formed_and_say_what_they_are(catalogue: Catalogue) -> None:
    assert [str(one) for one in catalogue.broken()] == []
    for plugin in catalogue.all():
        about = plugin.description
        assert about.description, plugin
        assert about.license, plugin
        assert all(port.label or about.type == "search" for port in (*about.inputs.values(), *about.outputs.values()))


def test_hits_become_an_alignment_and_a_tree_with_all_of_them_as_leaves(run: Runs, report: Any) -> None:
    job = report("blastp", "protein")
    sequences = run("hit-sequences", job, Path(sys.executable), query=3, part="whole")["sequences"]
    alignment = run("mafft", {"sequences": again(sequences)})["alignment"]
    tree = run("fasttree", {"alignment": again(alignment)})["tree"]

    hits = hits_of(job["hits"], 3)
    wanted = {hits[0]["qseqid"], *(hit["sseqid"] for hit in hits)}
    assert (sequences.data, alignment.data, tree.data) == ("sequences/protein", "alignment/protein", "tree")
    assert next(iter(records(sequences.path))) == hits[0]["qseqid"]
    assert len(wanted) > 20
    assert leaves(tree.path) == sorted(wanted)
    rows = records(alignment.path)
    assert len({len(row) for row in rows.values()}) == 1
    assert {name: row.replace("-", "") for name, row in rows.items()} == records(sequences.path)

    same = run("fasttree", {"alignment": again(alignment)})["tree"]
    assert same.sha256 == tree.sha256
    assert run("mafft", {"sequences": again(sequences)})["alignment"].sha256 == alignment.sha256


def test_aligned_parts_are_those_of_the_alignments(run: Runs, report: Any) -> None:
    job = report("blastp", "protein")
    plain = records(run("hit-sequences", job, Path(sys.executable), query=1, subjects=7)["sequences"].path)
    wider = records(run("hit-sequences", job, Path(sys.executable), query=1, subjects=7, flank=5)["sequences"].path)
    whole, best = records(job["subjects"].path), dict[str, Any]()
    for hit in hits_of(job["hits"]):
        best.setdefault(hit["sseqid"], hit)
    for name, hit in list(best.items())[:7]:
        if name != hit["qseqid"]:
            assert plain[name] == whole[name][hit["sstart"] - 1 : hit["send"]]
            assert wider[name] == whole[name][max(0, hit["sstart"] - 6) : hit["send"] + 5]


@pytest.mark.parametrize(
    ("program", "query", "data"),
    [
        ("blastn", "nucleotide", "sequences/nucleotide"),
        ("blastx", "nucleotide", "sequences/protein"),
        ("tblastn", "protein", "sequences/protein"),
    ],
)
def test_sequences_of_hits_can_be_aligned_whatever_was_searched(
    run: Runs, report: Any, program: str, query: str, data: str
) -> None:
    """The strand is that of the alignment, and DNA in translation is protein: rows are as alike as BLAST+ says."""
    job = report(program, query)
    rows = parquet.read_table(job["hits"].path).to_pylist()
    best = max(rows, key=lambda row: (row["sstart"] > row["send"] or row["qframe"] < 0, row["bitscore"]))
    chosen = {"query": best["query"], "evalue": best["evalue"], "identity": best["pident"] - 0.01, "subjects": 500}
    made = run("hit-sequences", job, Path(sys.executable), **chosen)["sequences"]
    assert made.data == data
    two = [part for part in records(made.path).items() if part[0] in {best["qseqid"], best["sseqid"]}]
    text = "".join(f">{name}\n{letters}\n" for name, letters in two)
    pair = written(made.path.parent / "pair.fasta", text, data)
    (_, one), (_, other) = records(run("mafft", {"sequences": pair}, strategy="linsi")["alignment"].path).items()
    same = sum(a == b != "-" for a, b in zip(one.upper(), other.upper(), strict=True))
    assert same >= 0.8 * best["nident"]


def test_a_query_without_hits_says_so(run: Runs, report: Any) -> None:
    with pytest.raises(PluginError, match="query 11 has no hit that fits"):
        run("hit-sequences", report("blastp", "protein"), Path(sys.executable), query=11)
    with pytest.raises(PluginError, match="there is no query 13: the job has 12"):
        run("hit-sequences", report("blastp", "protein"), Path(sys.executable), query=13)


@pytest.mark.parametrize("name", ["fasttree", pytest.param("iqtree", marks=pytest.mark.long)])
def test_names_survive_whatever_they_have_in_them(run: Runs, tmp_path: Path, name: str) -> None:
    letters = ["MKVLAAGIVGLLLA", "MKVLSAGIVGLLLA", "MKILSAGIVGMLLA", "MRILSAGLVGMLIA"]
    names = [ODD, "it's", "sp|P1|A_B", "ü/1-9#x"]
    text = "".join(f">{title} and more\n{row}\n" for title, row in zip(names, letters, strict=True))
    aligned = run("mafft", {"sequences": written(tmp_path / "s.fasta", text, "sequences/protein")})["alignment"]
    assert list(records(aligned.path)) == names
    tree = run(name, {"alignment": again(aligned)})["tree"]
    assert leaves(tree.path) == sorted(names)
    picture = run("tree-picture", {"tree": again(tree)}, highlight=ODD)["picture"]
    shown = re.findall(r'<text(?: class="m")? x="[\d.]+" y="[\d.]+">([^<]*)</text>', picture.path.read_text())
    assert {"it&#x27;s", "ü/1-9#x", ODD} <= set(shown)


@pytest.mark.long
def test_a_tree_by_iqtree_is_the_same_again(run: Runs, report: Any) -> None:
    job = report("blastn", "nucleotide")
    sequences = run("hit-sequences", job, Path(sys.executable), subjects=8)["sequences"]
    alignment = run("mafft", {"sequences": again(sequences)})["alignment"]
    made = run("iqtree", {"alignment": again(alignment)}, bootstrap=1000)
    assert leaves(made["tree"].path) == sorted(records(sequences.path))
    assert "Log-likelihood" in made["summary"].path.read_text()
    assert run("iqtree", {"alignment": again(alignment)}, bootstrap=1000)["tree"].sha256 == made["tree"].sha256


def test_what_is_no_alignment_makes_no_tree(run: Runs, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="rows differ in length"):
        run("fasttree", {"alignment": written(tmp_path / "a", ">a\nMKV\n>b\nMKVL\n>c\nMK\n")})
    with pytest.raises(PluginError, match="model gtr is not for protein sequences: use jtt or lg or wag"):
        run("fasttree", {"alignment": written(tmp_path / "a", ">a\nMKE\n>b\nMKV\n>c\nMKV\n")}, model="gtr")
    with pytest.raises(InvalidInputError, match="strategy"):
        run("mafft", {"sequences": written(tmp_path / "a", ">a\nM\n")}, strategy="--help")


def test_pictures_show_all_names_and_columns(run: Runs, tmp_path: Path) -> None:
    names = [f"s{number}" for number in range(30)]
    rows = "".join(f">{name}\n{'MKVLEDGP-Y' * 25}\n" for name in names)
    made = run("alignment-picture", {"alignment": written(tmp_path / "a", rows)}, sequences=20, columns=150)
    text = made["picture"].path.read_text()
    assert text.count('<text class="n"') == 2 * 20
    assert "30 sequences, 250 columns; shown are the first 20 sequences and the first 150 columns" in text
    assert made["page"].path.read_text().startswith("<!DOCTYPE html>")
    tree = written(tmp_path / "t", "((a:0.1,b:0.2)0.9:0.05,(c:0.3,'d e':1)0.5:0.1);", "tree", "text/x-newick")
    text = run("tree-picture", {"tree": tree})["picture"].path.read_text()
    assert re.findall(r'<text x="[\d.]+" y="[\d.]+">([a-d][^<]*)</text>', text) == ["d e", "c", "a", "b"]
    with pytest.raises(PluginError, match="more opening brackets"):
        run("tree-picture", {"tree": written(tmp_path / "t", "((a,b);", "tree", "text/x-newick")})


def test_the_root_is_half_way_between_the_farthest_ends(run: Runs, tmp_path: Path) -> None:
    tree = written(tmp_path / "t", "(a:1,b:1,(c:1,d:7):1);", "tree", "text/x-newick")
    text = run("tree-picture", {"tree": tree})["picture"].path.read_text()
    places = {name: float(x) for x, name in re.findall(r'<text x="([\d.]+)" y="[\d.]+">([a-d])</text>', text)}
    assert places["d"] == max(places.values())
    assert places["a"] == places["b"] == pytest.approx(places["d"], abs=0.2)
    assert places["c"] < places["a"]


def test_supports_stay_at_their_branches_under_another_root(run: Runs, tmp_path: Path) -> None:
    """The new root is on d's branch: the supports of (a,b) and (a,b,c) are said of the same splits as before."""
    tree = written(tmp_path / "t", "(d:9,e:1,((a:1,b:1)ab:3,c:1)abc:3);", "tree", "text/x-newick")
    text = run("tree-picture", {"tree": tree})["picture"].path.read_text()
    place = {name: float(y) for y, name in re.findall(r'<text x="[\d.]+" y="([\d.]+)">([a-e])</text>', text)}
    said = {name: float(y) for y, name in re.findall(r'<text class="s".*? y="([\d.]+)">(abc?)</text>', text)}
    assert min(place["a"], place["b"]) < said["ab"] < max(place["a"], place["b"])
    assert text.count(">abc<") == text.count(">ab<") == 1
    tree = written(tmp_path / "t", "((a:1,b:9)ab:3,(c:1,d:1)cd:1,e:1);", "tree", "text/x-newick")
    text = run("tree-picture", {"tree": tree})["picture"].path.read_text()
    place = {name: float(y) for y, name in re.findall(r'<text x="[\d.]+" y="([\d.]+)">([a-e])</text>', text)}
    said = {name: float(y) for y, name in re.findall(r'<text class="s".*? y="([\d.]+)">(ab|cd)</text>', text)}
    rest = [place[name] for name in "cde"]
    assert min(rest) < said["ab"] < max(rest)


def test_organisms_of_hits_are_counted(run: Runs, report: Any) -> None:
    job = report("blastp", "protein")
    made = run("taxa-page", {"hits": job["hits"]}, Path(sys.executable))
    lines = [line.split("\t") for line in made["taxa"].path.read_text().splitlines()]
    seen = {(hit["query"], hit["sseqid"]) for hit in parquet.read_table(job["hits"].path).to_pylist()}
    assert lines[0] == ["hits", "genus", "species"]
    assert sum(int(line[0]) for line in lines[1:]) == len(seen)
    assert ["Homo", "Homo sapiens"] in [line[1:] for line in lines]
    assert "Homo sapiens" in made["page"].path.read_text()


def test_clusters_have_all_sequences_by_their_names(run: Runs, tmp_path: Path) -> None:
    text = gzip.decompress((EXAMPLES / "proteins.fasta.gz").read_bytes()).decode()
    text = ">" + "\n>".join(text[1:].split("\n>")[:300]) + "\n"
    made = run("cluster", {"sequences": written(tmp_path / "s", text, "sequences/protein")}, identity=0.5)
    rows = [line.split("\t") for line in made["clusters"].path.read_text().splitlines()][1:]
    assert sorted(member for _, member in rows) == sorted(records(tmp_path / "s"))
    assert {first for first, _ in rows} == set(records(made["representatives"].path))
    assert 1 < len({first for first, _ in rows}) < 300
    assert made["representatives"].data == "sequences/protein"


@pytest.mark.long
def test_plugins_of_python_run_in_environments_of_their_own(
    run: Runs, report: Any, catalogue: Catalogue, environments: Environments
) -> None:
    """Needs the network, or uv's cache."""
    if shutil.which("uv") is None and not (Path(sys.executable).parent / "uv").exists():
        pytest.skip("uv is not installed")

    def own(name: str) -> Path | None:
        return environments.prepare(catalogue.get(name)).python

    job = report("blastp", "protein")
    sequences = run("hit-sequences", job, own("hit-sequences"), query=3)["sequences"]
    alignment = run("famsa", {"sequences": again(sequences)}, own("famsa"))["alignment"]
    rows = records(alignment.path)
    assert {name: row.replace("-", "") for name, row in rows.items()} == records(sequences.path)
    assert run("famsa", {"sequences": again(sequences)}, own("famsa"))["alignment"].sha256 == alignment.sha256

    trimmed = run("trim", {"alignment": again(alignment)}, own("trim"))["trimmed"]
    assert trimmed.data == "alignment/protein"
    assert 0 < len(next(iter(records(trimmed.path).values()))) <= len(next(iter(rows.values())))

    profile = run("profile", {"alignment": again(trimmed)}, own("profile"))["profile"]
    assert run("profile", {"alignment": again(trimmed)}, own("profile"))["profile"].sha256 == profile.sha256
    inputs = {"sequences": again(sequences), "profiles": again(profile)}
    table = run("domains", inputs, own("domains"), evalue=1e-3)["domains"].path.read_text().splitlines()
    assert {line.split("\t")[0] for line in table[1:]} == set(records(sequences.path))


@pytest.mark.long
def test_primers_amplify_the_sequence(
    run: Runs, catalogue: Catalogue, environments: Environments, tmp_path: Path
) -> None:
    python = environments.prepare(catalogue.get("primers")).python
    queries = tmp_path / "queries.fasta"
    shutil.copyfile(EXAMPLES / "nucleotide_query.fasta", queries)
    given = GivenFile(queries, "q.fasta", "sequences/nucleotide", "text/x-fasta")
    made = run("primers", {"sequences": given}, python, pairs=2)["primers"].path.read_text().splitlines()
    rows = [dict(zip(made[0].split("\t"), line.split("\t"), strict=True)) for line in made[1:]]
    letters = records(queries)
    complement = str.maketrans("ACGT", "TGCA")
    assert len(rows) > 5
    for row in rows:
        part = letters[row["sequence"]].upper()[int(row["forward_start"]) - 1 : int(row["reverse_end"])]
        assert len(part) == int(row["product"])
        assert part.startswith(row["forward"])
        assert part.endswith(row["reverse"].translate(complement)[::-1])


def test_chains_lead_from_hits_to_what_can_be_made_of_them(catalogue: Catalogue) -> None:
    def ways(query: str, subject: str, to: str) -> list[str]:
        besides = [Made(f"sequences/{query}", "text/x-fasta"), Made(f"subjects/{subject}", "text/x-fasta")]
        hits = [Made("hits/blast", "application/vnd.apache.parquet")]
        return [shown(chain) for chain in find_chains(catalogue.newest(), hits, besides, to)]

    assert ways("protein", "protein", "tree")[0] == "hit-sequences → mafft → fasttree"
    assert ways("nucleotide", "nucleotide", "tree")[0] == "hit-sequences → mafft → fasttree"
    assert ways("nucleotide", "nucleotide", "primers") == ["hit-sequences → primers"]
    assert ways("protein", "protein", "alignment-picture")[0] == "hit-sequences → mafft → alignment-picture"
    assert ways("protein", "protein", "page")[0] == "taxa-page"


@pytest.mark.long
def test_a_job_becomes_a_tree_whose_leaves_are_query_and_subjects(services: Services, submit: Any) -> None:
    """Needs the network, or uv's cache. A second run re-uses all three steps."""
    for name in ("hit-sequences", "mafft", "fasttree"):
        plugin = services.catalogue.get(name)
        services.environments.prepare(plugin)
        try:
            tool_version(plugin)
        except ToolError as error:
            pytest.skip(str(error))
    query = records(EXAMPLES / "protein_query.fasta")
    name, letters = next((name, letters) for name, letters in query.items() if name.startswith("sp|B4RQP4"))
    job = submit(f">{name} is asked\n{letters}\n", evalue=1e-5).job_id
    door, who = services.plugin_jobs, ADMINISTRATOR

    def grow() -> list[str]:
        made: list[str] = []
        for link in services.plugin_chains.chain(who, f"job:{job}", "tree"):
            made.append(door.submit(who, link.plugin.name, inputs_of(link, f"job:{job}", made)))
            assert door.execute(made[-1]).status == JobStatus.COMPLETE
        return made

    made = grow()
    with door.file(who, made[-1], "tree.nwk") as stream:
        tree = stream.read().decode()
    with services.reports.all_subjects(who, job) as stream:
        subjects = {line.split()[0][1:].decode() for line in stream if line.startswith(b">")}
    assert len(subjects) > 20
    assert {leaf.name for leaf in Phylo.read(StringIO(tree), "newick").get_terminals()} == {name, *subjects}
    assert grow() == made
