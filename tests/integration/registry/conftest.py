"""Two local registries and a remote one that serves over HTTP, with an S3 server behind it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from multiblast.registry.local.records import (
    RecordedProduct,
    author_id,
    record_file,
    record_object,
    record_place,
    record_product,
    whole_of,
)
from multiblast.registry.local.registry import Registry, open_database
from multiblast.registry.local.users import RegistryUser, bind
from multiblast.registry.model.kinds import KINDS
from multiblast.registry.model.local_tables import Staged
from multiblast.registry.model.names import ProductName
from multiblast.registry.model.rows import ROWS, DataProductRow, ObjectComponentRow, ObjectRow
from multiblast.registry.model.tables import (
    CodeRepoRelease,
    CodeRun,
    CodeRunInput,
    CodeRunOutput,
    ComponentIssue,
    ExternalObject,
    Issue,
    KeyValue,
    Keyword,
    Licence,
    ObjectComponent,
    QualityControlled,
)
from multiblast.registry.remotes.connection import RetryPolicy
from multiblast.registry.remotes.rest import RestRegistry
from multiblast.stores import LocalStore

QUICK = RetryPolicy(timeout_s=30, attempts=3, first_wait_s=0.01)
# Every request that the API's documentation lists; no test may make another.
_DOCUMENTED = re.compile(
    rf"(GET|POST) /api/({'|'.join(KINDS)}|user_author)/(\d+/)?(\?.*)?"
    "|POST /api/data/[0-9a-f]{40}|GET /data/[0-9a-f]{40}"
)


@dataclass
class Remote:
    """The served registry."""

    url: str
    token: str
    bucket: Path
    opened: list[RestRegistry] = field(default_factory=list)
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))

    def open(self, token: str = "", limits: RetryPolicy = QUICK) -> RestRegistry:
        self.opened.append(RestRegistry(self.url, token or self.token, limits))
        return self.opened[-1]

    def control(self, **what: Any) -> dict[str, Any]:
        answer = self.client.post(f"{self.url}/control", content=json.dumps(what))
        told: dict[str, Any] = answer.json()
        return told

    def fail(self, match: str, times: int = 1, **how: Any) -> None:
        self.control(faults=[{"match": match, "times": times, **how}])

    @property
    def log(self) -> list[str]:
        return list(self.control()["log"])

    @property
    def counts(self) -> dict[str, int]:
        return dict(self.control()["counts"])


@pytest.fixture
def remote(fair_server: tuple[str, str], fair_s3: tuple[str, Path]) -> Iterator[Remote]:
    """An empty remote registry."""
    for file in fair_s3[1].iterdir():
        file.unlink()
    served = Remote(*fair_server, fair_s3[1])
    served.control(reset=True)
    yield served
    for one in served.opened:
        one.close()
    log = served.log
    served.client.close()
    assert [line for line in log if not _DOCUMENTED.fullmatch(line)] == []


class Local(Registry):
    """A local registry that is quick to fill."""

    def __init__(self, directory: Path, url: str = "") -> None:
        database = open_database(url or f"sqlite:///{directory / 'registry.sqlite'}")
        super().__init__(database, LocalStore(directory / "store"), directory)

    def user(self, name: str = "rich") -> RegistryUser:
        return bind(self, name, self.directory / "data", identifier=f"https://orcid.org/{name}")

    def product(
        self, name: str, content: str | bytes, version: str = "1.0.0", namespace: str = "rich", **more: Any
    ) -> RecordedProduct:
        path = self.directory / "content"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        told = {"file_type": "csv", "description": f"about {name}", **more}
        return record_product(self, ProductName(namespace, name, version), path, **told)

    def commit(self, kind: str, number: int) -> None:
        with self.writing() as session:
            session.merge(Staged(kind=kind, row_id=number))

    def run(
        self, inputs: list[RecordedProduct], outputs: list[RecordedProduct], text: str = "echo", **more: Any
    ) -> int:
        """Record a code run with configuration, script and repository."""
        with self.writing() as session:
            config = record_file(
                self, session, self.files.add_bytes(f"config of {text}".encode()).sha1,
                description="configuration", file_type="yaml",
            )  # fmt: skip
            script = record_file(
                self, session, self.files.add_bytes(text.encode()).sha1, description="script", file_type="sh"
            )
            place = record_place(session, "https://example.org/", "group/model", "2370924" + "0" * 33)
            repository = record_object(session, location=place, description="code")
            run = CodeRun(
                run_date=datetime(2026, 11, 21, 12, tzinfo=UTC),
                description=text[:50],
                model_config_id=config.id,
                submission_script_id=script.id,
                code_repo_id=repository.id,
                **more,
            )
            session.add(run)
            session.flush()
            for one in inputs:
                whole = whole_of(session, one.object_id)
                session.add(CodeRunInput(code_run_id=run.id, object_component_id=whole.id))
            for one in outputs:
                whole = whole_of(session, one.object_id)
                session.add(CodeRunOutput(code_run_id=run.id, object_component_id=whole.id))
            return run.id or 0

    def describe(self, one: RecordedProduct, word: str = "word") -> None:
        """Say everything about an object that can be said."""
        number = one.object_id
        with self.writing() as session:
            document = record_file(
                self, session, self.files.add_bytes(f"document {one.sha1}".encode()).sha1,
                description="document", file_type="txt",
            )  # fmt: skip
            part = ObjectComponent(object_id=number, name="table/part", description="a part")
            bad, worse = Issue(severity=2, description="bad"), Issue(severity=5, description="worse")
            session.add_all(
                [
                    Keyword(object_id=number, keyphrase=word),
                    Licence(object_id=number, licence_info="CC0"),
                    KeyValue(object_id=number, key="k", value="v"),
                    QualityControlled(object_id=number, document_id=document.id or 0),
                    CodeRepoRelease(object_id=number, name=f"release {one.sha1}", version="1.0.0"),
                    ExternalObject(
                        data_product_id=one.product_id,
                        identifier=f"https://doi.org/{one.sha1}",
                        title="title",
                        version="1.0.0",
                        release_date=datetime(2026, 1, 1, tzinfo=UTC),
                    ),
                    part, bad, worse,
                ]
            )  # fmt: skip
            session.flush()
            whole = whole_of(session, number)
            session.add(ComponentIssue(issue_id=bad.id, object_component_id=part.id))
            session.add(ComponentIssue(issue_id=worse.id, object_component_id=whole.id))

    def contents(self) -> dict[str, list[str]]:
        """Return all rows in words that do not depend on this registry: a reference is replaced by what it means."""
        rows = {(row.kind, row.reference): row for kind in KINDS for row in self.since(ROWS[kind], 0)}
        names: dict[tuple[str, str], str] = {}

        def name(kind: str, reference: str) -> str:
            if (kind, reference) not in names:
                row, known = rows[kind, reference], KINDS[kind]
                told: dict[str, Any] = {plain: row.field(plain) for plain in known.plain}
                for field, target in known.references.items():
                    told[field] = name(target, row.field(field)) if row.field(field) else None
                for field, listed in known.lists.items():
                    told[field] = sorted(name(listed.kind, one) for one in row.field(field))
                # Where a file is differs, of course.
                names[kind, reference] = row.hash if kind == "storage_location" else repr(told)
            return names[kind, reference]

        told = {kind: sorted({name(*row) for row in rows if row[0] == kind}) for kind in KINDS}
        del told["storage_root"]
        told["author"] = [author for author in told["author"] if "orcid.org/rich" not in author]  # the user of a pull
        told["namespace"] = [space for space in told["namespace"] if "'rich'" not in space]  # as above
        return told

    def products_of(self, references: list[str]) -> set[str]:
        """Return the names of the data products that components are of."""
        parts = self.read(ObjectComponentRow, references)
        rows = self.details(DataProductRow, "object", self.read(ObjectRow, {one.object for one in parts}))
        return {row.name for row in rows}

    def author(self, name: str | None, identifier: str | None = None) -> int:
        with self.writing() as session:
            return author_id(session, name, identifier)


@pytest.fixture
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """``new_database("postgresql")``: the URL of an empty database of a kind."""

    def make(kind: str) -> str:
        name = f"registry_{uuid4().hex}"
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / name}"
        server: str = request.getfixturevalue("postgres_server")
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return server.replace("postgresql://", "postgresql+psycopg://").rpartition("/")[0] + f"/{name}"

    return make


@pytest.fixture(scope="session")
def registry_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of an empty local registry, to be copied: to make its schema takes longer than most tests."""
    made = Local(tmp_path_factory.mktemp("registry"))
    _ = made.database.engine
    made.database.close()
    return made.directory / "registry.sqlite"


@pytest.fixture
def locals_(tmp_path: Path, registry_template: Path) -> Iterator[Callable[..., Local]]:
    """Makes local registries: ``locals_("name", url="")``."""
    made: list[Local] = []

    def make(name: str, url: str = "") -> Local:
        (tmp_path / name).mkdir()
        if not url:
            shutil.copyfile(registry_template, tmp_path / name / "registry.sqlite")
        made.append(Local(tmp_path / name, url))
        return made[-1]

    yield make
    for one in made:
        one.database.close()


@pytest.fixture
def here(locals_: Callable[[str], Local]) -> Local:
    return locals_("here")


@pytest.fixture
def second(locals_: Callable[[str], Local]) -> Local:
    return locals_("second")


@pytest.fixture
def config(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a configuration."""

    def write(text: str) -> Path:
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return path

    return write
