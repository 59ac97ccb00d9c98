"""BLAST searches in the registry: those that a configuration describes, and the provenance of every job."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlmodel import select

from multiblast.database import Link
from multiblast.errors import InvalidInputError, LimitError
from multiblast.registry.model.rows import CodeRunRow, KeyValueRow, ObjectRow
from multiblast.registry.remotes.public_view import PublicView
from multiblast.registry.runs.execution import generate, plan_run, run
from multiblast.registry.sync.commands import pull
from multiblast.registry.sync.summary import ItemResult
from multiblast.registry.views.info import info
from multiblast.services import Services
from multiblast.settings import Policy, UserLimits
from multiblast.targets import Targets
from multiblast.targets.makeblastdb import build_database
from tests.support.people import ADMINISTRATOR
from tests.support.places import EXAMPLES
from tests.support.search_plugins import NEEDS_TOOLS

SEARCH = """\
run_metadata: {description: search the demo}
read: [{data_product: queries/q}]
write: [{data_product: results/hits, file_type: tsv}, {data_product: results/text, file_type: txt}]
search:
  query: queries/q
  targets: [demo/examples/proteins]
  options: {evalue: 1e-5, max_target_seqs: 5}
  reports: {results/hits: {outfmt: 6, fields: qseqid sseqid evalue}, results/text: {outfmt: 0, numDescriptions: 3}}
"""
FASTA = "".join(f">{record}" for record in (EXAMPLES / "protein_query.fasta").read_text().split(">")[1:4])


def test_registry_query_gives_what_blast_gives_and_is_recorded(
    here: Any, services: Services, config: Callable[[str], Path], targets_root: Path, tmp_path: Path
) -> None:
    here.product("queries/q", FASTA, file_type="fasta")
    done = run(config(SEARCH), here, here.user(), queries=services.registered_queries)
    (tmp_path / "q.fasta").write_text(FASTA)
    database = targets_root / "demo/examples/blast/proteins"
    command = ["blastp", "-query", tmp_path / "q.fasta", "-db", database, "-evalue", "1e-5", "-max_target_seqs", "5"]
    plain = subprocess.run([*command, "-outfmt", "6 qseqid sseqid evalue"], check=True, capture_output=True)
    assert (here.directory / "data/rich/results/hits/0.0.1.tsv").read_bytes() == plain.stdout
    (row,) = here.since(CodeRunRow, 0)
    assert row.uuid == done.uuid
    assert here.products_of(row.inputs) == {"queries/q", "databases/examples/proteins"}
    assert here.products_of(row.outputs) == {"results/hits", "results/text"}
    told = {one.key: one.value for one in here.since(KeyValueRow, 0)}
    assert told["program_version"] == services.installation.version("blastp")
    assert told["fingerprint"] == services.targets.resolve("demo", "examples", "proteins").fingerprint


@NEEDS_TOOLS
def test_registry_query_by_a_search_plugin_is_recorded_as_those_of_blast(
    here: Any, services: Services, config: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MULTIBLAST_HOME", str(tmp_path / "made"))
    here.product("queries/q", FASTA, file_type="fasta")
    by_diamond = SEARCH.replace("search:\n", "search:\n  program: diamond-blastp\n")
    with pytest.raises(InvalidInputError, match=r"reports.results/text.*cannot be written as 0 pairwise text"):
        run(config(by_diamond), here, here.user(), queries=services.registered_queries)
    rows = by_diamond.replace("outfmt: 0, numDescriptions: 3", "outfmt: 7")
    done = run(config(rows), here, here.user(), queries=services.registered_queries)
    (row,) = here.since(CodeRunRow, 0)
    assert row.uuid == done.uuid
    assert here.products_of(row.inputs) == {"queries/q", "databases/examples/proteins"}
    told = {one.key: one.value for one in here.since(KeyValueRow, 0)}
    assert told["program_version"] == services.installation.version("diamond-blastp")
    (job,) = (one.query_job_id for one in services.queries.list_jobs(ADMINISTRATOR))
    assert services.provenance.record(here, job)


def test_registry_query_records_as_inputs_what_it_read_alone(
    here: Any, services: Services, config: Callable[[str], Path]
) -> None:
    """A query and a database that an entry of the configuration reads or registers count only if they are searched."""
    names = ("queries/q", "queries/listed", "queries/registered", "dbs/searched", "dbs/listed")
    for name in names:
        here.product(name, f">{name}\n" + FASTA.partition("\n")[2], file_type="fasta")
    read = ", ".join(f"{{data_product: {name}}}" for name in names if name != "queries/registered")
    entry = "register: [{data_product: queries/registered, root: ., path: r.fasta, file_type: fasta, version: 1.0.0}]"
    text = SEARCH.replace("read: [{data_product: queries/q}]", f"{entry}\nread: [{read}]")
    searched = config(text.replace("targets: [demo/examples/proteins]", "databases: [dbs/searched]"))
    inputs = [one.alias for one in generate(searched, searched, here, here.user(), queries=services.registered_queries,
                                            dry_run=True).inputs]  # fmt: skip
    assert inputs == ["queries/q", "dbs/searched"]
    uuid = run(searched, here, here.user(), queries=services.registered_queries).uuid
    (row,) = [row for row in here.since(CodeRunRow, 0) if row.uuid == uuid]
    kept = {name for name in here.products_of(row.inputs) if not name.startswith("databases/")}
    assert kept == {"queries/q", "dbs/searched"}


def test_registry_query_is_in_its_users_list_and_within_their_limits(
    here: Any, services: Services, config: Callable[[str], Path]
) -> None:
    here.product("queries/q", FASTA, file_type="fasta")
    user = here.user()
    services.policy = Policy(users=UserLimits(sequences_per_day=2))
    with pytest.raises(LimitError):
        run(config(SEARCH), here, user, queries=services.registered_queries)
    assert (here.newest("code_run"), here.newest("data_product")) == (0, 1)


def test_registry_query_is_linked_to_who_ran_it(here: Any, services: Services, config: Callable[[str], Path]) -> None:
    here.product("queries/q", FASTA, file_type="fasta")
    run(config(SEARCH), here, here.user(), queries=services.registered_queries)
    with services.database.read() as session:
        assert sorted(session.exec(select(Link.owner, Link.kind))) == [
            ("rich", "query"),
            ("rich", "report"),
            ("rich", "report"),
        ]


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("evalue: 1e-5", "evalue: small", "options.evalue"),
        ("evalue: 1e-5", "eval: 1", "options.eval"),
        ("outfmt: 6, fields: qseqid sseqid evalue", "outfmt: 99", "reports.results/hits"),
        ("numDescriptions: 3", "numDescriptions: x", "reports.results/text"),
        ("outfmt: 0, numDescriptions: 3", "outfmt: 17", "reports.results/text"),
        ("outfmt: 0, numDescriptions: 3", "outfmt: pssm", "reports.results/text"),
        ("demo/examples/proteins", "demo/examples/nothing", "targets[0]"),
        ("query: queries/q", "query: queries/q\n  program: blastq", "program"),
        ("query: queries/q", "query: queries/q\n  fingerprints: {demo/x: 1f}", "fingerprints.demo/x"),
    ],
)
def test_registry_query_with_a_mistake_records_nothing(  # noqa: PLR0913, PLR0917 - a table's columns
    here: Any, services: Services, config: Callable[[str], Path], old: str, new: str, key: str
) -> None:
    here.product("queries/q", FASTA, file_type="fasta")
    with pytest.raises(InvalidInputError) as caught:
        run(config(SEARCH.replace(old, new)), here, here.user(), queries=services.registered_queries)
    (problem,) = caught.value.problems
    assert problem.key.startswith(f"config.yaml: search.{key}")
    assert problem.line > 4
    assert here.newest("code_run") == 0


def own_target(root: Path, text: str, name: str = "db") -> None:
    """Build ``own/t/NAME`` from FASTA."""
    (root / "db.fasta").write_text(text)
    build_database(root / "db.fasta", root / "own" / "t" / "blast", name, molecule="protein", title="db")


OWN = SEARCH.replace("demo/examples/proteins", "own/t/db")


@pytest.fixture
def own(make_services: Callable[..., Services], tmp_path: Path) -> Services:
    """Services that can search ``own/t/db``."""
    root = tmp_path / "targets"
    root.mkdir()
    own_target(root, FASTA)
    return make_services(root=root)


def test_registry_working_config_of_a_query_says_everything(
    here: Any, services: Services, config: Callable[[str], Path], tmp_path: Path
) -> None:
    """Whole names and fingerprints of the databases, and every option whose default is known; and it means itself."""
    here.product("queries/q", FASTA, file_type="fasta")
    user, queries = here.user(), services.registered_queries
    made = generate(config(SEARCH), tmp_path / "working.yaml", here, user, queries=queries)
    told = yaml.safe_load(made.text)["search"]
    fingerprint = services.targets.resolve("demo", "examples", "proteins").fingerprint
    assert (told["site"], told["targets"]) == ("demo", ["demo/examples/proteins"])
    assert told["fingerprints"] == {"demo/examples/proteins": fingerprint}
    assert told["options"].items() >= {"evalue": 1e-5, "max_target_seqs": 5, "word_size": 3, "gapopen": 11}.items()
    assert told["options"]["matrix"] == "BLOSUM62"
    assert told["reports"]["results/text"] == {"outfmt": "0", "numDescriptions": 3}
    assert generate(config(SEARCH), tmp_path / "working.yaml", here, user, queries=queries).text == made.text
    again = generate(tmp_path / "working.yaml", tmp_path / "again.yaml", here, user, queries=queries)
    assert again.text == made.text


def test_registry_working_config_searches_the_database_it_was_made_for(
    here: Any, own: Services, config: Callable[[str], Path], tmp_path: Path
) -> None:
    """A rebuilt database is an error that names both; the same database under another name does."""
    here.product("queries/q", FASTA, file_type="fasta")
    user, working, queries = here.user(), tmp_path / "working.yaml", own.registered_queries
    generate(config(OWN), working, here, user, queries=queries)
    first = own.targets.resolve("own", "t", "db").fingerprint
    own_target(own.targets.root, FASTA.replace(">", ">x"))
    second = own.targets.resolve_all("own", [("t", "db")])[0].fingerprint
    with pytest.raises(InvalidInputError) as caught:
        run(working, here, user, queries=queries)
    (problem,) = caught.value.problems
    assert problem.key == "working.yaml: search.targets[0]"
    assert problem.message.startswith(f"own/t/db is {second} now, and {first} is to be searched; generate")
    assert here.newest("code_run") == 0
    own_target(own.targets.root, FASTA, "kept")
    run(working, here, user, queries=queries)
    told = {one.value for one in here.since(KeyValueRow, 0)}
    assert first in told
    assert second not in told


def test_registry_query_of_a_database_rebuilt_meanwhile_is_refused(
    here: Any, own: Services, config: Callable[[str], Path]
) -> None:
    class Rebuilding:
        """Another process, that rebuilds the database once the configuration is resolved."""

        def settle(self, search: Any) -> Any:
            return own.registered_queries.settle(search)

        def run(self, request: Any) -> Any:
            own_target(own.targets.root, FASTA.replace(">", ">x"))
            return own.registered_queries.run(request)

    here.product("queries/q", FASTA, file_type="fasta")
    with pytest.raises(InvalidInputError, match="is to be searched"):
        run(config(OWN), here, here.user(), queries=Rebuilding())
    assert here.newest("code_run") == 0


def packed(directory: Path) -> bytes:
    """Return an archive of a database."""
    (directory / "packed.fasta").write_text(FASTA.replace(">", ">mine_"))
    build_database(directory / "packed.fasta", directory / "packed", "mine", molecule="protein")
    with tarfile.open(directory / "packed.tar.gz", "w:gz") as archive:
        archive.add(directory / "packed", "packed")
    return (directory / "packed.tar.gz").read_bytes()


@pytest.mark.parametrize("kind", ["fasta", "tar.gz"])
def test_registry_query_searches_a_pulled_product(  # noqa: PLR0913, PLR0917 - two registries and what is between
    here: Any, second: Any, own: Services, config: Callable[[str], Path], tmp_path: Path, kind: str
) -> None:
    """Beside a target of the installation: it is built or unpacked once, and how is recorded once."""
    content = packed(tmp_path) if kind == "tar.gz" else FASTA.replace(">", ">mine_").encode()
    here.product("databases/mine", content, file_type=kind)
    here.product("queries/q", FASTA, file_type="fasta")
    text = OWN.replace("read: [", "read: [{data_product: databases/mine, use: {namespace: rich}}, ")
    text = text.replace("{data_product: queries/q}", "{data_product: queries/q, use: {namespace: rich}}")
    text = text.replace("  targets:", "  databases: [databases/mine]\n  targets:")
    user = second.user("ann")
    assert pull(config(text), second, PublicView(here), user).exit_code == 0
    run(config(text), second, user, queries=own.registered_queries)
    made = [one for one in own.targets.databases() if one.target != "t"]
    before = made[0].path.with_suffix(".pin").stat().st_ino
    run(config(text), second, user, queries=own.registered_queries)
    assert [(one.site, one.name, one.sequences) for one in made] == [
        ("own", "mine" if kind == "tar.gz" else "sequences", 3)
    ]
    assert made[0].path.with_suffix(".pin").stat().st_ino == before
    lines = (second.directory / "data/ann/results/hits/0.0.1.tsv").read_text().splitlines()
    assert {line.split("\t")[1].startswith("mine_") for line in lines} == {True, False}
    first, making, again = second.since(CodeRunRow, 0)
    name = f"databases/{made[0].target}/{made[0].name}"
    assert second.products_of(first.inputs) == second.products_of(again.inputs)
    assert {name, "databases/t/db", "databases/mine"} < second.products_of(first.inputs)
    assert second.products_of(making.inputs) == {"databases/mine"}
    assert second.products_of(making.outputs) == {name}
    (script,) = second.read(ObjectRow, [making.submission_script])
    sha1 = info(second, script.uuid)[0]["sha1"]
    assert b"".join(second.files.stream(sha1)).split()[0] == (b"tar" if kind == "tar.gz" else b"makeblastdb")


def test_registry_query_may_search_pulled_products_alone(
    here: Any, services: Services, config: Callable[[str], Path], tmp_path: Path
) -> None:
    services.targets = Targets(tmp_path)
    here.product("queries/q", FASTA, file_type="fasta")
    text = SEARCH.replace("targets: [demo/examples/proteins]", "databases: [queries/q]")
    run(config(text), here, here.user(), queries=services.registered_queries)
    assert [one.site for one in services.targets.databases()] == ["registered"]
    with pytest.raises(InvalidInputError, match="'nothing' is not among the files that are read"):
        run(config(text.replace("[queries/q]", "[nothing]")), here, here.user(), queries=services.registered_queries)
    with pytest.raises(InvalidInputError, match="say what is searched"):
        run(config(text.replace("[queries/q]", "[]")), here, here.user(), queries=services.registered_queries)


def test_registry_dry_run_of_a_query_tells_what_is_searched(
    here: Any, services: Services, config: Callable[[str], Path]
) -> None:
    here.product("queries/q", FASTA, file_type="fasta")
    report = plan_run(config(SEARCH), here, here.user(), queries=services.registered_queries)
    fingerprint = services.targets.resolve("demo", "examples", "proteins").fingerprint
    assert report.outcomes[0].reason == f"blastp of queries/q in demo/examples/proteins ({fingerprint})"
    assert report.exit_code == 0
    with services.database.read() as session:
        assert session.exec(select(Link)).all() == []
    bad = plan_run(
        config(SEARCH.replace("s/proteins", "s/none")), here, here.user(), queries=services.registered_queries
    )
    assert [o.item for o in bad.outcomes if o.result == ItemResult.FAILED] == ["config.yaml: search.targets[0]"]


def test_registry_query_needs_who_runs_it(here: Any, config: Callable[[str], Path]) -> None:
    here.product("queries/q", FASTA, file_type="fasta")
    with pytest.raises(InvalidInputError, match="nothing is here that knows its databases"):
        run(config(SEARCH), here, here.user())
