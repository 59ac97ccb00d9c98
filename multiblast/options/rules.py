"""What cannot stand together: refused by key, before a program is started."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from multiblast.errors import Problem
from multiblast.options.allowed_gap_costs import GAP_COSTS, MATRIX_GAP_COSTS, NO_GAPS, nucleotide_gap_costs

if TYPE_CHECKING:
    from multiblast.options.base import Options

_MEGABLAST = ("megablast", "dc-megablast")


def contradictions(options: Options) -> list[Problem]:
    """Return every contradiction among options whose values are right by themselves."""
    return [
        *_relations(options),
        *_ungapped(options),
        *_protein_gaps(options),
        *_nucleotide_scores(options),
        *_templates(options),
        *_extension(options),
        *_profiles(options),
    ]


def _relations(options: Options) -> Iterator[Problem]:
    fields = type(options).model_fields
    given = [name for name in options.declared if getattr(options, name) != fields[name].default]
    for position, name in enumerate(given):
        declared = options.declared[name]
        for other in declared.excludes:
            if other in given[:position]:
                yield Problem(f"cannot stand together with {other}; leave one of them out", name)
        for other in declared.requires:
            if other in fields and other not in given:
                yield Problem(f"only works together with {other}; give that too, or leave this out", name)


def _ungapped(options: Options) -> Iterator[Problem]:
    if options.value("ungapped") and options.value("comp_based_stats") not in {None, "0"}:
        yield Problem(
            "a search without gaps cannot correct for composition; set comp_based_stats to 0 or leave this out",
            "ungapped",
        )


def _protein_gaps(options: Options) -> Iterator[Problem]:
    opening, extension = options.value("gapopen"), options.value("gapextend")
    if "matrix" not in options.declared or (opening is None and extension is None) or options.value("ungapped"):
        return
    matrix = str(_effective(options, "matrix"))
    usual = MATRIX_GAP_COSTS[matrix]
    pair = (usual[0] if opening is None else opening, usual[1] if extension is None else extension)
    if pair not in GAP_COSTS[matrix]:
        yield Problem(
            f"{matrix} has no statistics for gap costs {pair[0]} (opening) and {pair[1]} (extension); "
            f"possible are {_pairs(GAP_COSTS[matrix])}",
            "gapopen" if opening is not None else "gapextend",
        )


def _nucleotide_scores(options: Options) -> Iterator[Problem]:
    names = ("reward", "penalty", "gapopen", "gapextend")
    # rmblastn scores with a matrix of its own.
    if options.program != "blastn" or options.value("ungapped") or options.value("task") == "rmblastn":
        return
    given = [name for name in names if options.value(name) is not None]
    reward, penalty, opening, extension = (int(_effective(options, name)) for name in names)
    if not given or (reward == 0 and penalty == 0):
        return
    costs = nucleotide_gap_costs(reward, penalty)
    if costs is None:
        yield Problem(
            f"BLAST+ has no statistics for reward {reward} with penalty {penalty}; try 1 and -2, or 2 and -3", given[0]
        )
    elif not costs.allow(opening, extension):
        yield Problem(
            f"reward {reward} with penalty {penalty} has no statistics for gap costs {opening} (opening) and "
            f"{extension} (extension); possible are {_pairs(costs.pairs)}, "
            f"and {costs.beyond[0]}/{costs.beyond[1]} or more",
            "gapopen" if "gapopen" in given else given[-1],
        )


def _templates(options: Options) -> Iterator[Problem]:
    discontiguous = options.value("task") == "dc-megablast" or options.value("template_type")
    if discontiguous and _effective(options, "word_size") not in {11, 12}:
        name = "word_size" if options.value("word_size") is not None else "template_type"
        yield Problem("discontiguous MegaBLAST works with a word_size of 11 or 12 only", name)
    if options.value("template_type") and options.value("task") not in _MEGABLAST:
        yield Problem(
            f"only works with the tasks {' and '.join(_MEGABLAST)}; choose one, or leave this out", "template_type"
        )


def _extension(options: Options) -> Iterator[Problem]:
    dropoff = options.value("xdrop_ungap")
    if dropoff is not None and dropoff <= 0 and options.program != "blastn":
        yield Problem("must be greater than 0; leave it out, or choose for example 7", "xdrop_ungap")
    if options.value("max_intron_length") and options.program == "tblastx":
        yield Problem("tblastx links across no introns, only blastx and tblastn do; leave it out", "max_intron_length")
    if options.value("off_diagonal_range") and not _effective(options, "window_size"):
        yield Problem("only works with two word hits; set window_size too, for example to 40", "off_diagonal_range")
    costs = [_effective(options, name) for name in ("gapopen", "gapextend")] if options.value("no_greedy") else []
    if costs == [0, 0] and not options.value("ungapped"):
        yield Problem("needs gap costs; set gapopen and gapextend too, for example to 5 and 2", "no_greedy")
    given = [options.value(name) for name in ("gapopen", "gapextend")]
    if options.program == "blastn" and given == [0, 0] and options.value("task") != "megablast":
        yield Problem("only task=megablast searches with gap costs of 0 and 0; leave them out", "gapopen")


def _profiles(options: Options) -> Iterator[Problem]:
    kept = options.value("out_pssm") or options.value("out_ascii_pssm")
    if options.value("save_pssm_after_last_round") and not kept:
        yield Problem("only works together with out_pssm or out_ascii_pssm", "save_pssm_after_last_round")
    if options.value("domain_inclusion_ethresh") == 0:
        yield Problem("must be greater than 0; leave it out, or choose for example 0.05", "domain_inclusion_ethresh")


def _effective(options: Options, name: str) -> Any:
    """Return the value that the program will use, its default where none is given."""
    value = options.value(name)
    return options.defaults(options.chosen_task).get(name) if value is None else value


def _pairs(pairs: frozenset[tuple[int, int]]) -> str:
    return ", ".join(
        f"{opening}/{extension}" for opening, extension in sorted(pairs) if (opening, extension) != NO_GAPS
    )
