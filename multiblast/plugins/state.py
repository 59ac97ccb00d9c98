"""States of plugins: a database for each that has migrations, kept from run to run and brought up to date before each.

By default that is an SQLite file in multiblast's home. Where MULTIBLAST_PLUGINS_DATABASE names a PostgreSQL database,
which should not be that of jobs since plugins get its password, each has a schema of its own in it.
"""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateSchema

from multiblast.environment import PLUGINS_DATABASE
from multiblast.errors import FailureClass
from multiblast.files import make_private
from multiblast.plugins.failure import PluginError
from multiblast.plugins.plugin import Plugin
from multiblast.plugins.records import file_lock, plugins_home
from multiblast.plugins.rounds import RoundRequest, run_round
from multiblast.plugins.run_table import Run

# Alembic's own command would want a file beside the migrations.
_UPGRADE = """
import os, sys
from alembic import command, config
settings = config.Config()
settings.set_main_option("script_location", sys.argv[1])
settings.set_main_option("sqlalchemy.url", os.environ["MULTIBLAST_PLUGIN_DATABASE"].replace("%", "%%"))
command.upgrade(settings, "head")
"""
_LONGEST_S = 600


def open_state(plugin: Plugin, python: Path | None, sandbox: str, directory: Path | None = None) -> str:
    """Return the address of a plugin's database, brought up to date by its migrations; empty if it has none.

    Args:
        plugin: Whose; all its versions have the same.
        python: That of its environment, in which Alembic is.
        sandbox: See `multiblast.plugins.rounds.run_round`.
        directory: Where SQLite files are; by default in multiblast's home.

    Raises:
        PluginError: a migration failed, as when a newer version of the plugin has been here.
    """
    state = plugin.description.state
    if state is None:
        return ""
    place = (directory or plugins_home()) / "states" / plugin.name
    place.mkdir(parents=True, exist_ok=True)
    make_private(place)
    with file_lock(place / "lock"):
        url = _url(plugin, place)
        _upgrade(plugin, state.migrations, python, sandbox, url)
    return url


def _url(plugin: Plugin, place: Path) -> str:
    base = os.environ.get(PLUGINS_DATABASE, "")
    if not base:
        return f"sqlite:///{place / 'state.sqlite'}"
    schema = f"plugin_{plugin.name.replace('-', '_')}"
    engine = create_engine(base)
    try:
        with engine.begin() as connection:
            connection.execute(CreateSchema(schema, if_not_exists=True))
    except SQLAlchemyError as error:
        reason = f"its database cannot be reached: {str(error).splitlines()[0]}"
        raise PluginError(plugin.identifier, reason, "", FailureClass.NETWORK) from error
    finally:
        engine.dispose()
    parts = urlsplit(base)
    query = urlencode([*parse_qsl(parts.query), ("options", f"-csearch_path={schema}")])
    return parts._replace(query=query).geturl()


def _upgrade(plugin: Plugin, migrations: str, python: Path | None, sandbox: str, url: str) -> None:
    """Run the migrations, confined as the plugin itself is."""
    own = plugin.description.run
    words = ("python3", "-c", _UPGRADE, f"{{plugin}}/{migrations}")
    run = Run(command=words, timeout_s=_LONGEST_S, network=own.network)
    unset: dict[str, Any] = {"inputs": {}, "outputs": {}, "parameters": {}, "tool": None, "run": run}
    upgrade = Plugin(plugin.description.model_copy(update=unset), plugin.path, plugin.source)
    with TemporaryDirectory(prefix="plugin-state-") as name:
        try:
            request = RoundRequest(1, {}, {}, 1)
            run_round(upgrade, python, request, Path(name) / "work", sandbox=sandbox, database=url)
        except PluginError as error:
            reason = f"its database could not be brought up to date: {error.reason}"
            raise PluginError(error.plugin, reason, error.stderr, error.failure_class) from error
