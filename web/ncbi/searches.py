"""A search in NCBI's parameters, and the same as a request for a query job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multiblast.errors import InvalidInputError, Problem

Tree = Mapping[str, Mapping[str, Mapping[str, list[str]]]]

OPTIONS = {
    "EXPECT": "evalue",
    "WORD_SIZE": "word_size",
    "THRESHOLD": "threshold",
    "PERC_IDENT": "perc_identity",
    "SEARCHSP_EFF": "searchsp",
    "GENETIC_CODE": "query_gencode",
    "DB_GENETIC_CODE": "db_gencode",
    "HITLIST_SIZE": "max_target_seqs",
    "MATRIX": "matrix",
    "MATRIX_NAME": "matrix",
    "NUCL_REWARD": "reward",
    "NUCL_PENALTY": "penalty",
    "TEMPLATE_TYPE": "template_type",
    "TEMPLATE_LENGTH": "template_length",
}
_REFUSED = {
    "ENTREZ_QUERY": "choose another database, or taxids in the API at /api",
    "EQ_MENU": "choose another database, or taxids in the API at /api",
    "FORMAT_ENTREZ_QUERY": "choose another database, or taxids in the API at /api",
    "EXPECT_LOW": "filter the hits of the report",
    "EXPECT_HIGH": "filter the hits of the report",
    "OTHER_ADVANCED": "use the parameter that the option has",
    "I_THRESH": "PSI-BLAST is in the API at /api",
    "PHI_PATTERN": "there is no PHI-BLAST here",
    "PSSM": "PSI-BLAST is in the API at /api",
    "QUERY_BELIEVE_DEFLINE": "parse_deflines is in the API at /api",
    "QUERY_FILE": "send the sequences as QUERY",
}
_PROGRAMS = ("blastn", "blastp", "blastx", "tblastn", "tblastx")
_RPS = {"blastp": "rpsblast", "blastx": "rpstblastn"}
_TRUE, _FALSE = {"on", "yes", "true", "1", "t", "checked"}, {"", "off", "no", "false", "0", "f", "none"}
_STATISTICS = {**dict.fromkeys(_FALSE - {""}, "0"), **dict.fromkeys(_TRUE, "2"), "0": "0", "1": "1", "2": "2", "3": "3"}
_WITH_STATISTICS = {"blastp", "blastx", "tblastn", "rpsblast", "rpstblastn"}
_SHORT = {"blastn": "blastn-short", "blastp": "blastp-short"}
_SHORT_LETTERS = 30


def read_search(given: Mapping[str, str], tree: Tree, aliases: Mapping[str, str]) -> tuple[dict[str, Any], bytes]:
    """Return a search as a request in the design's form, and its sequences.

    Args:
        given: The parameters, their names in capitals.
        tree: What can be searched.
        aliases: Other names of databases.

    Raises:
        InvalidInputError: with everything that cannot be honoured; nothing that matters is ignored.
    """
    problems = [
        Problem(f"{name} cannot be honoured here: {remedy}")
        for name, remedy in _REFUSED.items()
        if given.get(name, "").strip() not in {"", "(none)"}
    ]
    program, options = _program(given, problems)
    query = _query(given.get("QUERY", ""), problems)
    options |= {option: given[name].strip() for name, option in OPTIONS.items() if given.get(name, "").strip()}
    options |= _filter(given.get("FILTER"), program, problems)
    options |= _others(given, program, problems)
    if _is_true(given, "SHORT_QUERY_ADJUST") and program in _SHORT and _is_short(query):
        options["task"] = _SHORT[program]
    site, targets = _databases(given.get("DATABASE", ""), tree, aliases, problems)
    if problems:
        raise InvalidInputError(problems)
    job = {"site": site, "targets": targets}
    return {"jobConfig": job, "blastConfig": {"tool": program, **options}}, query.encode(errors="replace")


def _program(given: Mapping[str, str], problems: list[Problem]) -> tuple[str, dict[str, Any]]:
    program, service = given.get("PROGRAM", "").strip().lower(), given.get("SERVICE", "").strip().lower()
    if program not in _PROGRAMS:
        problems.append(Problem(f"PROGRAM {program[:20]!r} is none of {', '.join(_PROGRAMS)}"))
    if service == "rpsblast" and program in _RPS:
        return _RPS[program], {}
    if service not in {"", "plain"} and not (service == "megablast" and program == "blastn"):
        problems.append(Problem(f"SERVICE {service[:20]!r} cannot be honoured here: use plain"))
    if program != "blastn":
        return program, {}
    task = "megablast" if service == "megablast" or _is_true(given, "MEGABLAST") else "blastn"
    return program, {"task": "dc-megablast" if given.get("TEMPLATE_LENGTH", "").strip() else task}


def _query(text: str, problems: list[Problem]) -> str:
    if not text.strip():
        problems.append(Problem("QUERY is empty"))
    return text


def _is_short(query: str) -> bool:
    records = [part.partition("\n")[2] if ">" in query else part for part in query.strip().lstrip(">").split("\n>")]
    return all(len("".join(record.split())) <= _SHORT_LETTERS for record in records)


def _filter(value: str | None, program: str, problems: list[Problem]) -> dict[str, Any]:
    """Return the options of a filter: ``F``, or ``L`` with ``m`` where it is for the look-up of words only."""
    if value is None:
        return {}
    option = "dust" if program == "blastn" else "seg"
    letters = value.strip().lower()
    if letters in _FALSE:
        return {option: "no"}
    if letters in _TRUE | {"l", "l;"}:
        return {option: "yes", "soft_masking": False}
    if letters in {"ml", "m l", "m;l", "ml;", "lm"}:
        return {option: "yes", "soft_masking": True}
    problems.append(Problem(f"FILTER {value[:20]!r} cannot be honoured here: use F, L or mL"))
    return {}


def _others(given: Mapping[str, str], program: str, problems: list[Problem]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if gaps := given.get("GAPCOSTS", "").split():
        if len(gaps) != 2:  # noqa: PLR2004 - opening and extending
            problems.append(Problem("GAPCOSTS are two numbers, such as 11 1"))
        options |= dict(zip(("gapopen", "gapextend"), gaps, strict=False))
    if (mode := given.get("COMPOSITION_BASED_STATISTICS", "").strip().lower()) and program in _WITH_STATISTICS:
        if mode not in _STATISTICS:
            problems.append(Problem(f"COMPOSITION_BASED_STATISTICS {mode[:20]!r} is none of 0 to 3"))
        options["comp_based_stats"] = _STATISTICS.get(mode, "0")
    if _is_true(given, "LCASE_MASK"):
        options["lcase_masking"] = True
    if _is_true(given, "UNGAPPED_ALIGNMENT"):
        options |= {"ungapped": True, **({"comp_based_stats": "0"} if program in _WITH_STATISTICS else {})}
    first, last = given.get("QUERY_FROM", "").strip(), given.get("QUERY_TO", "").strip()
    if first or last:
        options["query_loc"] = f"{first or 1}-{last}"
        if not last:
            problems.append(Problem("QUERY_FROM needs QUERY_TO"))
    return options


def _is_true(given: Mapping[str, str], name: str) -> bool:
    return given.get(name, "").strip().lower() in _TRUE


def _databases(
    text: str, tree: Tree, aliases: Mapping[str, str], problems: list[Problem]
) -> tuple[str, list[dict[str, str]]]:
    """Return the site and the targets that names of databases stand for."""
    known = [
        f"{site}/{target}/{name}"
        for site, targets in tree.items()
        for target, kinds in targets.items()
        for name in dict.fromkeys(name for names in kinds.values() for name in names)
    ]
    found = [_database(name, known, aliases, problems).split("/") for name in text.split()]
    if not found:
        problems.append(Problem(f"DATABASE is empty: {_choice(known)}"))
    if len({site for site, *_ in found}) > 1:
        problems.append(Problem("DATABASE names databases of several sites: one search has one site"))
    targets = [{"targetDisplayName": parts[1], "targetFile": parts[2]} for parts in found if len(parts) == 3]  # noqa: PLR2004
    return (found[0][0] if found else ""), targets


def _database(name: str, known: list[str], aliases: Mapping[str, str], problems: list[Problem]) -> str:
    wanted = aliases.get(name, name)
    fitting = [full for full in known if full == wanted or full.endswith(f"/{wanted}")]
    if len(fitting) == 1:
        return fitting[0]
    reason = "is the name of several databases" if fitting else "is no database here"
    problems.append(Problem(f"DATABASE {name[:60]!r} {reason}: {_choice(fitting or known)}"))
    return ""


def _choice(known: list[str]) -> str:
    shown = 20
    more = f" and {len(known) - shown} more" if len(known) > shown else ""
    return f"choose from {', '.join(known[:shown])}{more}"
