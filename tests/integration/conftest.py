"""What integration tests share: the demo databases, and services in a directory of their own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from playwright.sync_api import Browser
from sqlmodel import col, select

from multiblast.actions.plugin_jobs import PluginJobs
from multiblast.database import BatchRun, Database
from multiblast.errors import JobFailedError
from multiblast.installation import Installation
from multiblast.results import Results
from multiblast.search import SearchedJob, read_submission
from multiblast.sequences import Sequence, read_fasta
from multiblast.services import Services
from multiblast.settings import PluginRules, Policy, QueryLimits
from multiblast.stores import LocalStore
from multiblast.stores.gateway_client import Grant
from multiblast.stores.http import HttpStore
from multiblast.targets import Targets
from multiblast.targets.makeblastdb import build_database
from tests.support.database_forms import make_database_forms
from tests.support.places import EXAMPLES
from tests.support.plugin_tables import ASKING, ASKS, CALLING, CALLS, FAILING, SLEEPING, TAKING
from tests.support.plugins import SORT, write_plugin
from tests.support.proxy import NoNginxError, find_nginx

if TYPE_CHECKING:  # only tests of the HTTP service need them
    from tests.support.http_service import HereStarter
    from tests.support.page_walks import NewContext


@pytest.fixture(scope="session")
def targets_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A targets root with the demo databases ``demo/examples/proteins`` and ``…/nucleotides``."""
    root = tmp_path_factory.mktemp("targets")
    directory = root / "demo" / "examples" / "blast"
    for name, molecule in (("proteins", "protein"), ("nucleotides", "nucleotide")):
        build_database(EXAMPLES / f"{name}.fasta.gz", directory, name, molecule=molecule, title=f"Demo {name}")
    return root


@pytest.fixture(scope="session")
def forms_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A targets root with one database of every form."""
    root = tmp_path_factory.mktemp("forms")
    make_database_forms(root)
    return root


@pytest.fixture(scope="session")
def services_under(
    tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path, targets_root: Path
) -> Iterator[Callable[..., Services]]:
    """``services_under(policy, home=…, root=…)``: embedded services of their own, to be served."""
    opened = ExitStack()

    def make(policy: Policy | None = None, home: Path | None = None, root: Path = targets_root) -> Services:
        place = home or tmp_path_factory.mktemp("home")
        shutil.copyfile(_sqlite_template, place / "jobs.sqlite")
        database, store = Database(f"sqlite:///{place / 'jobs.sqlite'}"), LocalStore(place / "store")
        opened.callback(database.close)
        return Services(database, store, Installation(), Targets(root), QueryLimits(), policy or Policy())

    with opened:
        yield make


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """A store in a directory of its own."""
    return LocalStore(tmp_path / "store")


@pytest.fixture
def results(database: Database, store: LocalStore) -> Results:
    """The results of an empty job database, once of each kind."""
    return Results(database, store)


@pytest.fixture
def make_services(tmp_path: Path, _sqlite_template: Path, targets_root: Path) -> Iterator[Callable[..., Services]]:
    """``make_services(home_name="home", targets_root=…, **installation)``: embedded services."""
    opened = ExitStack()

    def make(home_name: str = "home", root: Path = targets_root, **installation: object) -> Services:
        home = tmp_path / home_name
        if not (home / "jobs.sqlite").exists():  # to make the schema anew takes longer than most tests
            home.mkdir(exist_ok=True)
            shutil.copyfile(_sqlite_template, home / "jobs.sqlite")
        database = Database(f"sqlite:///{home / 'jobs.sqlite'}")
        opened.callback(database.close)
        return Services(
            database,
            LocalStore(home / "store"),
            Installation(**installation),  # type: ignore[arg-type]  # what the test wants
            Targets(root),
            QueryLimits(),
        )

    with opened:
        yield make


@pytest.fixture
def services(make_services: Callable[..., Services]) -> Services:
    """Embedded services with nothing in them yet."""
    return make_services()


def _search_whole(
    services: Services, query: str, *, program: str = "blastp", target: str = "", user: str = "", **options: object
) -> SearchedJob:
    name = target or ("nucleotides" if program in {"blastn", "tblastn", "tblastx"} else "proteins")
    submission = read_submission(query=query, program=program, targets=[f"demo/examples/{name}"], options=options)
    job_id = services.queries.submit(services.accounts.requester(user), submission).job_id
    with suppress(JobFailedError):
        return services.queries.run(job_id).execute()
    return services.queries.searched_job(job_id)


@pytest.fixture
def search_whole() -> Callable[..., SearchedJob]:
    """``search_whole(services, fasta, program="blastp", target="proteins", **options)``: from record to finish."""
    return _search_whole


@pytest.fixture
def submit(services: Services) -> Callable[..., SearchedJob]:
    """``submit(fasta, program="blastp", …)``: `search_whole` with the test's services."""
    return lambda *args, **kwargs: _search_whole(services, *args, **kwargs)


@pytest.fixture
def searches_run() -> Callable[[Services], list[int]]:
    """``searches_run(services)``: how many sequences each BLAST+ process so far was given, in order."""

    def run(services: Services) -> list[int]:
        with services.database.read() as session:
            return list(session.exec(select(BatchRun.sequences).order_by(col(BatchRun.number))))

    return run


@pytest.fixture(scope="session")
def proteins() -> list[Sequence]:
    """The twelve protein queries of the demo."""
    return list(read_fasta(EXAMPLES / "protein_query.fasta"))


@pytest.fixture(scope="session")
def nucleotides() -> list[Sequence]:
    """The twelve nucleotide queries of the demo."""
    return list(read_fasta(EXAMPLES / "nucleotide_query.fasta"))


@pytest.fixture(scope="session")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program of Debian's package, which need not be installed."""
    try:
        return find_nginx(tmp_path_factory.mktemp("nginx"))
    except NoNginxError as error:
        pytest.skip(f"nginx is needed to try its configuration: {error}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with plugins."""
    folder = tmp_path / "plugins"
    for table in (SORT, FAILING, SLEEPING, TAKING):
        write_plugin(folder, table)
    write_plugin(folder, ASKING, work=ASKS)
    write_plugin(folder, CALLING, work=CALLS)
    return folder


@pytest.fixture
def jobs(services: Services, folder: Path) -> PluginJobs:
    """The door of plugin jobs, with the plugins of a folder."""
    services.policy = Policy(plugins=PluginRules(folders=(str(folder),)))
    return services.plugin_jobs


@pytest.fixture
def lines(tmp_path: Path) -> str:
    """The path of a file with lines."""
    (tmp_path / "lines.txt").write_text("pear\napple\nfig\n")
    return str(tmp_path / "lines.txt")


@pytest.fixture
def opened() -> Iterator[Callable[..., HttpStore]]:
    """``opened(url, grant, **options)``: a store of a gateway, by a grant."""
    with ExitStack() as stack:

        def make(url: str, grant: str | Grant, **options: Any) -> HttpStore:
            grants = (lambda _afresh: grant) if isinstance(grant, str) else grant
            return stack.enter_context(closing(HttpStore(url, grants, **options)))

        yield make


# The HTTP service over a file's own `services`, which are those of all its tests.


@pytest.fixture(scope="module")
def starter(services: Services) -> HereStarter:
    """What runs the jobs of the HTTP service here."""
    from tests.support.http_service import HereStarter

    return HereStarter(services)


@pytest.fixture(scope="module")
def url(services: Services, starter: HereStarter) -> Iterator[str]:
    """The address of the HTTP service."""
    from tests.support.http_service import serving

    with serving(services, starter) as address:
        yield address


@pytest.fixture(scope="module")
def client(services: Services, url: str) -> Iterator[httpx.Client]:
    """Ann's client."""
    headers = {"Authorization": f"Bearer {services.accounts.tokens.make('ann', 'tests')}"}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as opened:
        yield opened


@pytest.fixture(scope="module")
def report(client: httpx.Client, job: str) -> str:
    """A complete tabular report of a file's `job`."""
    from tests.support.http_service import ended

    made = client.post("/report/jobs", json={"queryJobID": job, "blastConfig": {"formatType": 6}}).json()["reportJobID"]
    assert ended(client, f"/report/jobs/{made}")["status"] == "complete"
    return str(made)


@pytest.fixture
def new_context(browser: Browser, url: str) -> Iterator[NewContext]:
    """Make somebody's browser, in which everything that goes wrong fails the test."""
    from tests.support.page_walks import browsing

    with browsing(browser, url) as make:
        yield make
