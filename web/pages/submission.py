"""The page on which people search."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, get_args

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.responses import JSONResponse, Response

from multiblast.accounts import Requester
from multiblast.errors import InvalidInputError, MultiblastError, Problem, ProgramError
from multiblast.molecules import Molecule
from multiblast.options import PROGRAMS, added_programs, is_program, options_for
from multiblast.options.option import Option
from multiblast.reports import Formatting
from multiblast.reports.formats import formats_of
from multiblast.search import Submission
from multiblast.search.submission import read_submission
from multiblast.sequences.recognition import recognise
from multiblast.targets import BlastDatabase
from multiblast.upkeep.reconciliation import Waiting
from web.bodies import read_form, text_fields
from web.pages import texts
from web.pages.page import PageRoute, page, redirect
from web.pages.visitor import Visitor, VisitorOfRequest, keep_session
from web.service import Service, ServiceOfRequest

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_OPTION = "option."
_USUAL = {  # the program that is proposed: the first that compares these
    (Molecule(model.query_molecule), model.database_kind): program
    for program in reversed(PROGRAMS)
    if program not in {"tblastx", "psiblast", "deltablast"}
    for model in [options_for(program)]
}
_USUAL_REPORTS = ("html",)
_LONGEST_SHOWN = 1 << 20  # of a query that is edited in the page, in letters
_PRESETS: dict[str, tuple[str, dict[str, str]]] = {  # a program, if they need one, and options
    "Short protein sequences": ("blastp", {"task": "blastp-short"}),
    "Short nucleotide sequences, such as primers": ("blastn", {"task": "blastn-short"}),
    "Distant nucleotide relatives": ("blastn", {"task": "blastn"}),
    "Only close hits": ("", {"evalue": "1e-20"}),
}


@dataclass(frozen=True, slots=True)
class Values:
    """What the form holds.

    Attributes:
        databases: As ``molecule:site/target/name``.
        options: Values by BLAST+'s names.
        reports: Names of formats.
        has_two: Whether there are both a text and a file of sequences, of which one would be left out.
    """

    query: str = ""
    databases: tuple[str, ...] = ()
    program: str = ""
    summary: str = ""
    options: dict[str, str] = field(default_factory=dict)
    preset: str = ""
    reports: tuple[str, ...] = _USUAL_REPORTS
    has_two: bool = False

    @classmethod
    def of(cls, form: FormData) -> Values:
        """Return what was sent."""
        fields = text_fields(form)
        return cls(
            fields.get("query", ""),
            tuple(value for value in form.getlist("database") if isinstance(value, str)),
            fields.get("program", ""),
            fields.get("summary", "").strip(),
            {
                name.removeprefix(_OPTION): value.strip()
                for name, value in fields.items()
                if name.startswith(_OPTION) and value.strip()
            },
            fields.get("preset", ""),
            tuple(value for value in form.getlist("report") if isinstance(value, str)),
            bool(fields.get("query", "").strip()) and _sent_file(form) is not None,
        )

    @property
    def chosen_program(self) -> str:
        """The program that was chosen, by itself or with a preset; empty if one is to be proposed."""
        return self.program or _PRESETS.get(self.preset, ("", {}))[0]

    def submission(self, query: str | Path) -> Submission:
        """Return the submission.

        Raises:
            InvalidInputError: with all problems, by field.
        """
        problems: list[Problem] = []
        kinds = {value.partition(":")[0] for value in self.databases}
        names = [value.partition(":")[2] for value in self.databases]
        if self.has_two:
            problems.append(Problem(texts.TWO_QUERIES))
        if not names:
            problems.append(Problem(texts.NO_DATABASE))
        if len(kinds) > 1:
            problems.append(Problem(texts.TWO_KINDS))
        if len({name.partition("/")[0] for name in names}) > 1:
            problems.append(Problem(texts.TWO_SITES))
        _, options = _PRESETS.get(self.preset, ("", {}))
        program = self.chosen_program
        if not program:
            try:
                molecule = molecule_of(query)
                program = proposed(molecule, next(iter(kinds), molecule.value))
            except InvalidInputError as error:
                problems += error.problems
        if problems:
            raise InvalidInputError(problems)
        source = {"query_file": query} if isinstance(query, Path) else {"query": query}
        return read_submission(
            **source,
            targets=names,
            options={**options, **self.options},
            program=program,
            summary=self.summary,
        )


def molecule_of(query: str | Path) -> Molecule:
    """Return what a query, or the file of one, consists of.

    Raises:
        InvalidInputError: there is no sequence.
    """
    return recognise(query if isinstance(query, Path) else query.encode(errors="replace"))


def proposed(molecule: Molecule, kind: str) -> str:
    """Return the usual program that searches a molecule in a kind of databases.

    Raises:
        InvalidInputError: there is none.
    """
    found = [program for (query, searched), program in _USUAL.items() if query == molecule and searched == kind]
    if not found:
        raise InvalidInputError(Problem(texts.NO_PROGRAM.format(query=molecule, kind=kind[:20])))
    return found[0]


@dataclass(frozen=True, slots=True)
class OptionField:
    """An option as the form shows it; the choices are empty if any value can be written."""

    name: str
    help: str
    default: str
    choices: tuple[str, ...]


def _option_fields(service: Service, program: str) -> list[OptionField]:
    """Return the options that the installed version of a program has, as its declarations describe them."""
    try:
        version = service.services.installation.version(program)
    except ProgramError:  # submitting says so
        version = ""
    return [_field(program, name, option) for name, option in options_for(program).declared_in(version).items()]


def _field(program: str, name: str, option: Option) -> OptionField:
    model = options_for(program)
    default = option.default_in(program)
    text = model.default_text(name) if default is None else str(default)
    kinds = [option.kind, *get_args(option.kind)]
    choices: tuple[str, ...] = ("true", "false") if option.kind is bool else ()
    for kind in kinds:
        values = get_args(kind)
        if values and all(isinstance(value, str) for value in values):
            choices = tuple(map(str, values))
    return OptionField(name, option.help, text.lower() if option.kind is bool else text, choices)


@router.get("/")
def show_form(
    request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest, job: str = "", program: str = ""
) -> Response:
    """Show the form; for a job, filled in as that was."""
    values = _values_of(service, visitor.who, job) if job else Values(program=program if is_program(program) else "")
    return _form(request, service, visitor, values)


@router.post("/options")
async def show_options(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest) -> Response:
    """Show the form again, with the options of a program."""
    async with _sent(request, service, visitor) as (form, _):
        shown = text_fields(form).get("show", "")
        values = Values.of(form)
        chosen = replace(values, program=shown)
    return await run_in_threadpool(_form, request, service, visitor, chosen)


@router.post("/recognised")
async def recognise_query(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest) -> Response:
    """Return what a query is, and how much of it is known; records nothing."""
    async with _sent(request, service, visitor) as (form, query):
        values = Values.of(form)
        return JSONResponse(await run_in_threadpool(_recognised, service, values, query))


@router.post("/")
async def submit(request: Request, service: ServiceOfRequest, visitor: VisitorOfRequest) -> Response:
    """Search; somebody who has no account becomes a guest, where there are guests."""
    async with _sent(request, service, visitor) as (form, query):
        values = Values.of(form)

        def record() -> tuple[str, list[Waiting], str]:
            services, submission = service.services, values.submission(query)
            wanted = [Formatting.read(name) for name in values.reports]
            services.wanted_reports.check(submission.options, wanted)
            who, token = submitter(service, visitor)
            services.accounts.check_submitter(who, has_link=True)
            job_id = services.queries.submit(who, submission).job_id
            services.wanted_reports.record(who, job_id, wanted)
            return job_id, services.begin_search(job_id), token

        try:
            job_id, waiting, token = await run_in_threadpool(record)
        except InvalidInputError as error:
            return await run_in_threadpool(_form, request, service, visitor, values, error)
    service.runs.begin_all(waiting)
    response = redirect(f"/jobs/{job_id}")
    if token:
        keep_session(request, response, token)
    return response


@asynccontextmanager
async def _sent(request: Request, service: Service, visitor: Visitor) -> AsyncIterator[tuple[FormData, str | Path]]:
    """Give a form of ours, and the query in it: a text, or the path of a file that goes at the end of the block."""
    async with read_form(request, service.services.policy.http.body_bytes) as form:
        visitor.check_form(form, request)
        if file := _sent_file(form):
            with NamedTemporaryFile(suffix=".fasta") as copy:
                await run_in_threadpool(shutil.copyfileobj, file.file, copy)
                copy.flush()
                yield form, Path(copy.name)
        else:
            yield form, text_fields(form).get("query", "")


def _sent_file(form: FormData) -> UploadFile | None:
    file = form.get("file")
    return file if isinstance(file, UploadFile) and file.filename and file.size else None


def submitter(service: Service, visitor: Visitor) -> tuple[Requester, str]:
    """Return who submits, and the token of the guest that they have just become."""
    if visitor.has_account or not service.services.policy.http.guests:
        return visitor.who, ""
    token = service.services.accounts.new_guest()
    return service.services.accounts.bearer(token), token


def _recognised(service: Service, values: Values, query: str | Path) -> dict[str, Any]:
    if values.has_two:
        return {"problems": [texts.TWO_QUERIES]}
    try:
        molecule = molecule_of(query)
        kinds = {value.partition(":")[0] for value in values.databases}
        program = values.chosen_program or (proposed(molecule, kinds.pop()) if len(kinds) == 1 else "")
        found: dict[str, Any] = {"molecule": molecule, "program": program}
        if program and values.databases:
            plan = service.services.queries.preview(values.submission(query))
            found |= {"sequences": plan.sequences, "distinct": plan.distinct, "known": plan.known}
            found |= {"before": plan.before, "warnings": list(plan.warnings)}
    except MultiblastError as error:
        return {"problems": str(error).splitlines()}
    return found


def _values_of(service: Service, who: Requester, job_id: str) -> Values:
    """Return the form of a job that somebody may read."""
    queries = service.services.queries
    details = queries.lookup(who, job_id, link=False, children=0)
    with queries.query(who, job_id) as stream:
        query = stream.read(_LONGEST_SHOWN + 1)
    job, config = queries.jobs.query(details.query_job_id), details.job_config
    kind = options_for(job.program).database_kind
    return Values(
        query.decode(errors="replace") if len(query) <= _LONGEST_SHOWN else "",
        tuple(f"{kind}:{config.site}/{one.target_display_name}/{one.target_file}" for one in config.targets),
        job.program,
        details.user_meta.summary or "" if details.user_meta else "",
        {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in job.recipe["options"].items()  # those too that are refused now, to be changed
        },
    )


def _form(
    request: Request, service: Service, visitor: Visitor, values: Values, error: InvalidInputError | None = None
) -> Response:
    groups: dict[str, list[BlastDatabase]] = {}
    for database in service.services.targets.databases():
        groups.setdefault(f"{database.site} / {database.target}", []).append(database)
    if not is_program(values.program):
        values = replace(values, program="")
    return page(
        request,
        visitor,
        "submit.html",
        code=422 if error else 200,
        problems=str(error).splitlines() if error else [],
        values=values,
        groups=sorted(groups.items()),
        programs=_programs(),
        presets=_PRESETS,
        formats=formats_of(values.program),
        options=_option_fields(service, values.program) if values.program else [],
        may_submit=visitor.has_account or service.services.policy.http.guests,
    )


def _programs() -> list[tuple[str, str]]:
    """Return all programs, with what each compares; of those that were added, the ones that are installed."""
    found = list(texts.PROGRAMS.items())
    for name, program in added_programs().items():
        with suppress(ProgramError):
            program.version()
            found.append((name, program.title))
    return found
