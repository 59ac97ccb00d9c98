"""Queries that configurations describe, run like any other: with the rights and within the limits of the requester."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from multiblast.accounts import Accounts, Requester
from multiblast.actions.provenance import Provenance
from multiblast.actions.queries import Queries
from multiblast.actions.reports import Reports
from multiblast.errors import ConflictError, InvalidInputError, Problem, collecting, under
from multiblast.files import save
from multiblast.ids import digest
from multiblast.installation import Installation
from multiblast.jobs import TargetName
from multiblast.molecules import DBTYPES, Molecule
from multiblast.registry.config.schema import SearchEntry
from multiblast.registry.config.searches import DatabaseOrigin, QueryRequest, SearchRecord
from multiblast.reports import Formatting
from multiblast.search import Submission, read_submission
from multiblast.targets import BlastDatabase, Targets
from multiblast.targets.file_target import FileTarget, install_file

_WITH_ARCHIVE = 2
_SITE = "registered"  # of databases that come from the registry, where no site is named


@dataclass(frozen=True, slots=True)
class RegisteredQueries:
    """Runs the queries that configurations describe."""

    queries: Queries
    reports: Reports
    accounts: Accounts
    provenance: Provenance
    targets: Targets
    installation: Installation

    def settle(self, search: SearchEntry) -> SearchEntry:
        """Return a query with nothing left to look up: see `QueryRunner`."""
        problems: list[Problem] = []
        settled: dict[str, Any] = {}
        reports: dict[str, Formatting] = {}
        with collecting(problems):
            reports = _read_reports(search)
            settled["reports"] = {alias: _plain(report) for alias, report in reports.items()}
        with collecting(problems):
            submission = _submission(search)
            for alias, report in reports.items():
                try:
                    report.check_search(submission.options)
                except InvalidInputError as error:
                    problems += under(f"search.reports.{alias}", error.problems)
            databases = self._databases(search, submission)
            settled |= {
                "site": submission.site,
                "targets": tuple(databases),
                "fingerprints": {
                    name: search.fingerprints.get(name, database.fingerprint) for name, database in databases.items()
                },
                "options": submission.options.explicit(),
            }
        if problems:
            raise InvalidInputError(problems)
        return search.model_copy(update=settled)

    def run(self, request: QueryRequest, *, run_id: str = "") -> SearchRecord:
        """Run a query, and write its reports where the request says: see `QueryRunner`.

        Raises:
            InvalidInputError: with all problems of the query and its reports; nothing was recorded.
            LimitError: the requester has as much as they may have for now.
            JobFailedError: the job did not come to its end.
            ConflictError: a database was rebuilt meanwhile.
        """
        wanted = _read_reports(request.search)
        requester = self.accounts.requester(request.user)
        submission = _submission(request.search, request.query)
        databases = list(self._databases(request.search, submission).values())
        made: dict[str, DatabaseOrigin] = {}
        for alias, file in request.databases.items():
            content = digest("registered-database/1", file.sha1)  # the hash of something private would identify it
            target = FileTarget(file.path, submission.site, content, submission.options.database_kind, file.name)
            databases.append(install_file(self.targets, target, program=self.installation.program("makeblastdb")))
            made[databases[-1].display] = self._made(alias, target)
        fingerprints = {database.fingerprint for database in databases}
        names = tuple(TargetName(database.target, database.name) for database in databases)
        job_id = self.queries.submit(requester, replace(submission, targets=names)).job_id
        self.queries.run(job_id, run_id=run_id).execute()
        searched = self.provenance.searched(job_id)
        _check_unchanged(fingerprints, searched)
        for alias, report in wanted.items():
            report_id = self.reports.submit(requester, job_id, report)
            self._report(requester, report_id, request.files[alias], run_id)
        return replace(searched, made=made)

    def _made(self, alias: str, file: FileTarget) -> DatabaseOrigin:
        """Return how a database is made of a data product."""
        if file.is_archive:
            return DatabaseOrigin(alias, ["tar", "-xf", file.file.name])
        molecule = DBTYPES[Molecule(file.molecule)]
        command = ["makeblastdb", "-dbtype", molecule, "-in", file.file.name, "-title", file.title]
        return DatabaseOrigin(alias, command, self.installation.version("makeblastdb"))

    def _databases(self, search: SearchEntry, submission: Submission) -> dict[str, BlastDatabase]:
        """Return the database of each target by the target's whole name.

        Where the one of that name has not the fingerprint that it must have, another of the site that has it is taken.
        """
        found: dict[str, BlastDatabase] = {}
        problems: list[Problem] = []
        for number, target in enumerate(submission.targets):
            name = f"{submission.site}/{target.display}/{target.file}"
            wanted = search.fingerprints.get(name, "")
            try:
                names = [(target.display, target.file)]
                (database,) = self.targets.resolve_all(submission.site, names, submission.options.database_kind)
                if wanted in {"", database.fingerprint}:
                    found[name] = database
                    continue
                reason = f"{name} is {database.fingerprint} now, and {wanted} is to be searched"
            except InvalidInputError as error:
                reason = error.problems[0].message
            if other := self._with_fingerprint(wanted, submission):
                found[name] = other
            else:
                remedy = "; generate the working configuration again to search it as it is now, or install that one"
                problems.append(Problem(reason + (remedy if wanted else ""), f"search.targets[{number}]"))
        problems += [
            Problem(f"{name!r} is not among the targets, written SITE/TARGET/DATABASE", f"search.fingerprints.{name}")
            for name in search.fingerprints
            if name not in found and not problems
        ]
        if problems:
            raise InvalidInputError(problems)
        return found

    def _with_fingerprint(self, fingerprint: str, submission: Submission) -> BlastDatabase | None:
        if not fingerprint:
            return None
        self.targets.rescan()
        wanted = submission.site, submission.options.database_kind
        fitting = (one for one in self.targets.databases() if (one.site, one.molecule) == wanted)
        return next((one for one in fitting if one.fingerprint == fingerprint), None)

    def _report(self, requester: Requester, report_id: str, path: Path, run_id: str) -> None:
        made = self.reports.run(report_id, run_id=run_id).execute()
        first, *_, archive = made.files  # a report of several files is given as the archive of them all
        name = first.name if len(made.files) <= _WITH_ARCHIVE else archive.name
        save(self.reports.file(requester, made.report_id, name), path)


def _submission(search: SearchEntry, query: Path | None = None) -> Submission:
    """Read a query as every other is read; without its sequences, where these do not matter yet."""
    try:
        return read_submission(
            query="" if query else ">none yet",
            query_file=query or "",
            program=search.program,
            site=search.site or ("" if search.targets else _SITE),
            targets=search.targets,
            options=search.options,
        )
    except InvalidInputError as error:
        raise InvalidInputError([Problem(one.message, _key(one.key)) for one in error.problems]) from error


def _key(key: str) -> str:
    """Return where in a configuration that is which a submission calls otherwise."""
    return f"search.{key}" if key == "program" or key.startswith("targets") else f"search.options.{key}"


def _check_unchanged(fingerprints: set[str], searched: SearchRecord) -> None:
    """Refuse a result of other databases than those that were to be searched."""
    changed = [name for name, fingerprint in searched.databases.items() if fingerprint not in fingerprints]
    if changed:
        names = ", ".join(sorted(changed))
        raise ConflictError(f"{names} was rebuilt meanwhile: generate the configuration again, and run that")


def _read_reports(search: SearchEntry) -> dict[str, Formatting]:
    found: dict[str, Formatting] = {}
    problems: list[Problem] = []
    for alias, options in search.reports.items():
        others = {name: value for name, value in options.items() if name not in ("outfmt", "fields")}
        format_type, fields = options.get("outfmt", "0"), str(options.get("fields", ""))
        try:
            found[alias] = Formatting.read(format_type, fields=fields, options=others)
        except InvalidInputError as error:
            problems += under(f"search.reports.{alias}", error.problems)
    if problems:
        raise InvalidInputError(problems)
    return found


def _plain(report: Formatting) -> dict[str, Any]:
    """Return a report's options as a configuration has them."""
    others: dict[str, Any] = dict(report.changed())
    return {"outfmt": others.pop("formatType"), **others}
