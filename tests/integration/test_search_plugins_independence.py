"""A query has the same hits alone and among others, and with any number of threads: the licence to keep them.

Held for every option in the tables of our search plugins, as they say of themselves in `together`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from multiblast.jobs import TargetName
from multiblast.options import Options, parse_options
from multiblast.plugins.search_programs import SearchPlugin
from multiblast.programs import Program
from multiblast.search.plugin_context import PluginContext
from multiblast.search.plugins import search_plugins
from multiblast.search.resolver import Resolver
from multiblast.sequences import Sequence as FastaSequence
from multiblast.services import Services
from tests.benchmarks.bench_data import back_translated
from tests.support.search_plugins import NEEDS_TOOLS, PROGRAMS
from tests.support.sequences import distinct_proteins

pytestmark = NEEDS_TOOLS

# Another value than the default of each option; of those with choices, each is tried by the long test.
VALUES: dict[str, dict[str, object]] = {
    "diamond": {
        "sensitivity": "sensitive",
        "evalue": 10,
        "max_target_seqs": 3,
        "identity": 40,
        "query_cover": 50,
        "subject_cover": 50,
        "masking": "seg",
        "comp_based_stats": "0",
        "matrix": "BLOSUM45",
        "query_gencode": 11,
        "strand": "minus",
        "min_orf": 10,
    },
    "mmseqs": {
        "sensitivity": 7.5,
        "evalue": 10,
        "max_target_seqs": 3,
        "identity": 0.4,
        "coverage": 0.5,
        "coverage_mode": "2",
        "alternatives": 3,
        "masking": "0",
        "composition": "0",
        "gapopen": 12,
        "gapextend": 2,
    },
}
ALONE = {"diamond": 3, "mmseqs": 1}


@pytest.fixture(autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTIBLAST_HOME", str(tmp_path_factory.getbasetemp() / "made-databases"))


@pytest.fixture
def company(proteins: list[FastaSequence]) -> Callable[[str, int], list[bytes]]:
    """Queries of a program: the demo's, short ones, one of few letters, one that looks like DNA, and many others."""

    def of(program: str, others: int) -> list[bytes]:
        many = [one.residues for one in distinct_proteins()]
        random.Random(7).shuffle(many)
        odd = [b"MKV", b"ACGT" * 20, b"Q" * 60, b"MX" * 20, b"UOJBZX*" * 5, proteins[0].residues[100:130]]
        found = [*(one.residues for one in proteins[:-1]), *odd, *many[:others]]
        return [back_translated(one) for one in found] if program == "diamond-blastx" else found

    return of


def _search(
    services: Services, context: PluginContext, queries: Sequence[bytes], threads: int = 1
) -> dict[bytes, bytes]:
    """Return what is kept of each query."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        query, rows = directory / "query.fasta", directory / "rows"
        query.write_bytes(b"".join(b">q%d\n%b\n" % pair for pair in enumerate(queries, start=1)))
        context.prepare(services.installation, directory, lambda: False)
        command = context.command(context.plugin.name, directory, threads)
        with Program(command, stdout=rows) as program, program.follow(rows) as stream:
            found = list(context.results(stream, directory, len(queries), program.finish))
    assert len(found) == len(queries)
    return {queries[one.position]: one.archive for one in found}


def _variants(plugin: SearchPlugin, *, all_choices: bool) -> Iterator[Options]:
    """Yield options, of which one is changed."""
    values = VALUES[plugin.name.partition("-")[0]]
    for name in plugin.table.together:
        choices: Sequence[object] = plugin.description.parameters[name].choices if all_choices else ()
        for value in choices or [values[name]]:
            more = {"coverage": 0.5} if name == "coverage_mode" else {}
            yield parse_options(plugin.name, {name: value, **more})


def _check(services: Services, program: str, queries: list[bytes], alone: int, *, all_choices: bool) -> None:
    plugin = search_plugins()[program]
    for options in [parse_options(program), *_variants(plugin, all_choices=all_choices)]:
        context = Resolver(services.installation, services.targets).resolve(
            "demo", (TargetName("examples", "proteins"),), options
        )
        assert isinstance(context, PluginContext)
        together = _search(services, context, queries, threads=2)
        richest = sorted(together, key=lambda one: -len(together[one]))[: (alone + 1) // 2]
        chosen = dict.fromkeys([*richest, *random.Random(3).sample(queries[:17], min(alone, 17))])
        for one in list(chosen)[: max(alone, 1)]:
            assert _search(services, context, [one]) == {one: together[one]}, (options.changed(), one)


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_option_that_shares_a_process_has_another_value_here(program: str) -> None:
    table, values = search_plugins()[program].table, VALUES[program.partition("-")[0]]
    assert set(table.together) <= set(values)
    assert set(table.together) == set(table.deciding) == set(search_plugins()[program].description.parameters)


@pytest.mark.parametrize("program", PROGRAMS)
def test_alone_is_as_together(program: str, services: Services, company: Callable[[str, int], list[bytes]]) -> None:
    tool = program.partition("-")[0]
    _check(services, program, company(program, 60), ALONE[tool], all_choices=False)


@pytest.mark.long
@pytest.mark.parametrize("program", PROGRAMS)
def test_many_alone_are_as_together(
    program: str, services: Services, company: Callable[[str, int], list[bytes]]
) -> None:
    others, alone = (500, 8) if program == "mmseqs-search" else (2000, 20)  # which takes long to start
    _check(services, program, company(program, others), alone, all_choices=True)


@pytest.mark.parametrize("program", PROGRAMS)
def test_threads_change_nothing(program: str, services: Services, company: Callable[[str, int], list[bytes]]) -> None:
    options = parse_options(program)
    context = Resolver(services.installation, services.targets).resolve(
        "demo", (TargetName("examples", "proteins"),), options
    )
    assert isinstance(context, PluginContext)
    queries = company(program, 30)
    assert _search(services, context, queries, 1) == _search(services, context, queries, 2)
