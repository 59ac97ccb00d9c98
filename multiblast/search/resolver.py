"""What a search works with on this machine: the databases, files and result keys that its options and targets mean."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from multiblast.database import QueryJob
from multiblast.errors import ConflictError, InvalidInputError, Problem
from multiblast.installation import Installation
from multiblast.jobs import TargetName
from multiblast.molecules import DatabaseKind
from multiblast.options import Options
from multiblast.results import ResultKeys
from multiblast.search.context import SearchContext, options_of, targets_of
from multiblast.search.plugins import search_plugin
from multiblast.targets import BlastDatabase, Targets, mixture
from multiblast.targets.indices import index_files, index_fingerprint, index_path

_DATABASE_OPTIONS = {"rpsdb"}


@dataclass
class Resolver:
    """Finds the databases and files that submissions and recipes name, as they are on this machine now."""

    installation: Installation
    targets: Targets

    def context(self, job: QueryJob) -> SearchContext:
        """Return what a job's batches share.

        Raises:
            InvalidInputError: this machine does not have the databases.
            ConflictError: it has others of their names, or another version of the program.
        """
        context = self.resolve(job.site, targets_of(job), options_of(job), job.id)
        self.targets.note_use(context.databases)
        if context.search_key != job.search_key:
            raise ConflictError(
                f"a database or the version of {job.program} changed since job {job.id} was recorded: restart it"
            )
        return context

    def check_unchanged(self, context: SearchContext) -> None:
        """Make sure that what a search or a report reads is as it was when that began.

        Raises:
            ConflictError: a database or the program was replaced, or is being replaced: what was found is no result.
        """
        try:
            search_key = self.result_keys(context.options, context.databases).search
        except (InvalidInputError, OSError) as error:  # a part of it is written now, or has gone
            raise ConflictError(f"a database changed while it was searched: restart the job ({error})") from error
        if search_key != context.search_key:
            what = f"a database or the version of {context.options.program}"
            raise ConflictError(f"{what} changed while it was searched: restart the job")

    def resolve(self, site: str, targets: tuple[TargetName, ...], options: Options, job_id: str = "") -> SearchContext:
        """Return what a search of some targets works with, also one that is no job."""
        databases = self.databases(site, targets, options)
        search_key = self.result_keys(options, databases).search
        if plugin := search_plugin(options.program):
            from multiblast.search.plugin_context import PluginContext

            version = self.installation.version(options.program)
            return PluginContext(job_id, search_key, options, databases, plugin=plugin, version=version)
        return SearchContext(job_id, search_key, options, databases, self._paths(options, databases))

    def databases(self, site: str, targets: tuple[TargetName, ...], options: Options) -> tuple[BlastDatabase, ...]:
        """Return the databases of some targets, in the order in which they are always searched.

        Raises:
            InvalidInputError: unknown or unfit targets, all of them; or there is no such index.
        """
        names = [(target.display, target.file) for target in targets]
        databases = self.targets.resolve_all(site, names, options.database_kind)
        _index_files(options, databases)
        return databases

    def result_keys(
        self, options: Options, databases: Sequence[BlastDatabase], fingerprints: Sequence[str] = ()
    ) -> ResultKeys:
        """Return the maker of result keys for a search of these databases as they are now, or as they were once."""
        if plugin := search_plugin(options.program):
            from multiblast.search.plugin_context import plugin_keys

            return plugin_keys(plugin, self.installation.version(options.program), options, databases)
        named = {option: database.fingerprint for option, database in self.named_databases(options).items()}
        files = _index_files(options, databases)
        index = {"index_name": index_fingerprint(files)} if files else {}
        return ResultKeys(
            options.program,
            self.installation.version(options.program),
            {**options.deciding(), **named, **index},
            fingerprints or [*(database.fingerprint for database in databases), *mixture(databases)],
            keeps_case=options.keeps_case,
        )

    def named_databases(self, options: Options) -> dict[str, BlastDatabase]:
        """Return the databases that options name, by option: the domain database of deltablast."""
        return {
            option: self._profile_database(option, name)
            for option, name in options.named().items()
            if option in _DATABASE_OPTIONS
        }

    def _paths(self, options: Options, databases: Collection[BlastDatabase]) -> dict[str, str]:
        paths = {option: str(database.path) for option, database in self.named_databases(options).items()}
        name = options.megablast_index
        return paths | ({"index_name": str(index_path(databases, name))} if name else {})

    def _profile_database(self, option: str, name: str) -> BlastDatabase:
        """Return the profile database of this name: ``DATABASE``, or more of ``SITE/TARGET/DATABASE``."""
        profiles = [database for database in self.targets.databases() if database.molecule is DatabaseKind.PROFILE]
        for database in profiles:
            if f"/{database.display}".endswith(f"/{name}"):
                return database
        there = ", ".join(database.display for database in profiles) or "none: add one to the targets"
        raise InvalidInputError(Problem(f"no profile database {name!r} is registered; there is {there}", option))


def _index_files(options: Options, databases: Collection[BlastDatabase]) -> list[Path]:
    """Return the files of the index that a search uses, if it uses one."""
    name = options.megablast_index
    return [] if name is None else index_files(databases, name)
