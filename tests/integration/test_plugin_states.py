"""Plugins with a database of their own: kept from run to run, and brought up to date by their migrations."""

from __future__ import annotations

from pathlib import Path

import pytest

from multiblast.accounts import Requester
from multiblast.environment import PLUGINS_DATABASE
from multiblast.plugins.rounds import PluginError
from multiblast.services import Services
from multiblast.settings import PluginRules, Policy
from tests.support.plugins import write_plugin

# Alembic comes from the network or uv's cache, as with any plugin's packages.
pytestmark = pytest.mark.long

ANN = Requester("ann")
COUNTING = """
name = "counting"
version = "{version}"
title = "Count what was seen"
parameters.word = {{ pattern = "[a-z]+", default = "word" }}
outputs.seen = {{ data = "lines", content = "text/plain" }}
run = {{ script = "work.py", network = true }}  # where the database may be
state = {{ migrations = "migrations" }}
"""
WORK = """
import json, os, pathlib
import sqlalchemy as sa
word = json.load(open("request.json"))["parameters"]["word"]
engine = sa.create_engine(os.environ["MULTIBLAST_PLUGIN_DATABASE"])
with engine.begin() as connection:
    connection.execute(sa.text("INSERT INTO seen (word) VALUES (:word)"), {"word": word})
    rows = connection.execute(sa.text("SELECT * FROM seen ORDER BY number")).mappings().all()
pathlib.Path("outputs/seen.txt").write_text("".join(f"{dict(row)}\\n" for row in rows))
"""
ENV = """
from alembic import context
import sqlalchemy as sa
engine = sa.create_engine(context.config.get_main_option("sqlalchemy.url"))
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
FIRST = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "1", None
def upgrade():
    number = sa.Column("number", sa.Integer, primary_key=True, autoincrement=True)
    op.create_table("seen", number, sa.Column("word", sa.Text))
"""
SECOND = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "2", "1"
def upgrade():
    op.add_column("seen", sa.Column("weight", sa.Integer, server_default="7"))
"""


def write_version(folder: Path, version: str, *migrations: str) -> None:
    """Write a version of the plugin into a folder of its own."""
    place = write_plugin(folder / version, COUNTING.format(version=version), work=WORK)
    (place / "requirements.txt").write_text("alembic\npsycopg[binary]\n")
    (place / "migrations" / "versions").mkdir(parents=True)
    (place / "migrations" / "env.py").write_text(ENV)
    (place / "migrations" / "script.py.mako").write_text("")
    for number, text in enumerate(migrations, 1):
        (place / "migrations" / "versions" / f"{number}.py").write_text(text)


@pytest.fixture(params=["sqlite", "postgres"])
def _database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "postgres":
        monkeypatch.setenv(PLUGINS_DATABASE, request.getfixturevalue("postgres_url"))


@pytest.mark.usefixtures("_database")
def test_a_newer_version_brings_the_database_up_to_date_and_keeps_what_is_in_it(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older version then says that it is too old, and leaves the data alone."""
    monkeypatch.setenv("MULTIBLAST_HOME", str(tmp_path / "home"))
    for version, migrations in (("1.0.0", (FIRST,)), ("2.0.0", (FIRST, SECOND))):
        write_version(tmp_path / "plugins", version, *migrations)
    folders = tuple(str(tmp_path / "plugins" / version) for version in ("1.0.0", "2.0.0"))
    services.policy = Policy(plugins=PluginRules(folders=folders, sandbox="auto"))
    jobs = services.plugin_jobs
    services.environments.prepare(services.catalogue.get("counting"))

    def run(version: str, word: str) -> list[str]:
        job = jobs.submit(ANN, f"counting@{version}", parameters={"word": word})
        jobs.execute(job)
        with jobs.file(ANN, job, "seen.txt") as stream:
            return stream.read().decode().splitlines()

    assert run("1.0.0", "ant") == ["{'number': 1, 'word': 'ant'}"]
    assert len(run("1.0.0", "ant")) == 2  # never found again, since its database is another
    assert run("2.0.0", "bee")[-1] == "{'number': 3, 'word': 'bee', 'weight': 7}"
    with pytest.raises(PluginError, match="could not be brought up to date"):
        run("1.0.0", "cat")
    assert [row.split("'")[5] for row in run("2.0.0", "dog")] == ["ant", "ant", "bee", "dog"]
