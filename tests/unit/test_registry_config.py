"""Configurations: the documented example, and every variable, version word, pattern and mistake by table."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from multiblast.errors import InvalidInputError
from multiblast.registry.config.working_config import matches, resolve
from multiblast.registry.local.records import record_product
from multiblast.registry.local.registry import Registry, open_database
from multiblast.registry.local.users import RegistryUser, bind
from multiblast.registry.model.names import ProductName, highest, resolve_version
from multiblast.stores import LocalStore

NOW = datetime(2026, 11, 21, 13, 14, 15, tzinfo=UTC)
EXAMPLE = """\
run_metadata: {description: "Fit on ${{GIT_BRANCH}}", default_input_namespace: rich, default_output_namespace: rich,
  shell: bash, script: "python model.py ${{CONFIG_DIR}}"}
read:
- {data_product: params/*}
- {data_product: my/alias, use: {namespace: other, data_product: params/b, version: "${{LATEST}}"}}
write:
- {data_product: results/fit, description: f, file_type: csv, use: {version: "${{MINOR}}"}}
"""
COMMIT_AUTHOR = ["-c", "user.name=Rich R", "-c", "user.email=r@example.org"]


def _open(place: Path) -> Registry:
    database = open_database(f"sqlite:///{place / 'r.sqlite'}")
    return Registry(database, LocalStore(place / "store"), place / "registry")


@pytest.fixture(scope="module")
def _recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry to be copied."""
    place = tmp_path_factory.mktemp("recorded")
    made = _open(place)
    for namespace, name, version in (
        ("rich", "params/a", "0.9.0"),
        ("rich", "params/a", "1.0.0"),
        ("rich", "params/deep/er", "1.0.0"),
        ("other", "params/b", "0.20261120.0"),
        ("other", "params/b", "0.20261121.0"),
    ):
        (place / "file").write_text(f"{namespace} {name} {version}")
        record_product(made, ProductName(namespace, name, version), place / "file", file_type="csv")
    made.close()
    return place


@pytest.fixture
def registry(tmp_path: Path, _recorded: Path) -> Iterator[Registry]:
    made = _open(shutil.copytree(_recorded, tmp_path, dirs_exist_ok=True))
    yield made
    made.close()


@pytest.fixture
def user(registry: Registry, tmp_path: Path) -> RegistryUser:
    return bind(registry, "rich", tmp_path / "data", identifier="https://orcid.org/0000-0001")


@pytest.fixture(scope="module")
def _repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository to be copied."""
    directory = tmp_path_factory.mktemp("repository")
    for words in (
        ["init", "-q", "-b", "main"],
        [*COMMIT_AUTHOR, "commit", "-q", "--allow-empty", "-m", "first"],
        ["tag", "v1.2.0"],
        ["remote", "add", "origin", "https://user:secret@example.org/group/model.git"],
        ["config", "user.name", "Rich R"],
    ):
        subprocess.run(["git", "-C", str(directory), *words], check=True)
    return directory


@pytest.fixture
def project(tmp_path: Path, _repository: Path) -> Path:
    """A git repository on branch main, with a tag and a remote that has a password in it."""
    return shutil.copytree(_repository, tmp_path / "project")


@pytest.fixture
def working(registry: Registry, user: RegistryUser, project: Path) -> Callable[[str], Any]:
    """Writes a configuration into the project and resolves it."""

    def make(text: str) -> Any:
        (project / "config.yaml").write_text(text)
        return resolve(project / "config.yaml", registry, user, NOW)

    return make


def problems(working: Callable[[str], Any], text: str) -> list[tuple[str, int, str]]:
    with pytest.raises(InvalidInputError) as caught:
        working(text)
    return [(problem.key, problem.line, problem.message) for problem in caught.value.problems]


def test_registry_config_example_gives_the_documented_working_config(
    working: Callable[[str], Any], project: Path, user: RegistryUser
) -> None:
    made = working(EXAMPLE)
    commit = subprocess.run(
        ["git", "-C", str(project), "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    a = {"data_product": "params/a", "namespace": "rich", "version": "1.0.0"}
    b = {"data_product": "params/b", "namespace": "other", "version": "0.20261121.0"}
    fit = {"data_product": "results/fit", "namespace": "rich", "version": "0.1.0"}
    assert yaml.safe_load(made.text) == {
        "read": [{"data_product": "params/a", "use": a}, {"data_product": "my/alias", "use": b}],
        "run_metadata": {
            "description": "Fit on main",
            "latest_commit": commit,
            "local_repo": str(project),
            "remote_repo": "https://example.org/group/model.git",
            "local_data_registry_url": "http://127.0.0.1:8000/api/",
            "remote_data_registry_url": "",
            "default_input_namespace": "rich",
            "default_output_namespace": "rich",
            "public": True,
            "shell": "bash",
            "script_path": f"{made.directory}/script.sh",
            "write_data_store": f"{user.data_store}/",
        },
        "write": [{"data_product": "results/fit", "description": "f", "file_type": "csv", "public": True, "use": fit}],
    }


def test_registry_working_config_has_the_same_bytes_again(working: Callable[[str], Any]) -> None:
    assert working(EXAMPLE).text == working(EXAMPLE).text


def test_registry_working_config_run_again_after_updates_reads_the_same(
    working: Callable[[str], Any], registry: Registry, user: RegistryUser, tmp_path: Path
) -> None:
    made = working(EXAMPLE)
    made.directory.mkdir(parents=True)
    (made.directory / made.script_name).write_text(made.script)
    (made.directory / "config.yaml").write_text(made.text)
    (tmp_path / "file").write_text("newer")
    record_product(registry, ProductName("rich", "params/a", "2.0.0"), tmp_path / "file", file_type="csv")
    record_product(registry, ProductName("rich", "params/new", "1.0.0"), tmp_path / "file", file_type="csv")
    again = resolve(made.directory / "config.yaml", registry, user)
    assert again.text == made.text
    assert again.inputs == made.inputs


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("DATE", "20261121"),
        ("DATETIME", "2026-11-21T13:14:15UTC"),
        ("DATETIME-%Y/%H", "2026/13"),
        ("USER", "Rich R"),
        ("USER_ID", "https://orcid.org/0000-0001"),
        ("SOURCE_CONFIG", "config.yaml"),
        ("GIT_BRANCH", "main"),
        ("GIT_REMOTE", "https://example.org/group/model.git"),
        ("GIT_TAG", "v1.2.0"),
        ("RUN_ID", "${{RUN_ID}}"),
        ("LOCAL_TOKEN", "${{LOCAL_TOKEN}}"),
        (" DATE ", "20261121"),
    ],
)
def test_registry_config_variable(working: Callable[[str], Any], variable: str, expected: str) -> None:
    made = working(f"run_metadata: {{description: 'x ${{{{{variable}}}}} y'}}")
    assert yaml.safe_load(made.text)["run_metadata"]["description"] == f"x {expected} y"


def test_registry_config_variables_of_places(working: Callable[[str], Any], project: Path) -> None:
    made = working("run_metadata: {description: '${{REPO_DIR}} ${{CONFIG_DIR}}'}")
    told = yaml.safe_load(made.text)["run_metadata"]["description"]
    assert told == f"{project} {made.directory}/"


@pytest.mark.parametrize(
    ("text", "existing", "expected"),
    [
        ("${{PATCH}}", [], "0.0.1"),
        ("${{MINOR}}", [], "0.1.0"),
        ("${{MAJOR}}", [], "1.0.0"),
        ("${{BUILD}}", [], "0.0.0+build.1"),
        ("${{PRERELEASE}}", [], "0.0.1-rc.1"),
        ("${{PATCH}}", ["1.2.3", "0.9.0"], "1.2.4"),
        ("${{ MINOR }}", ["1.2.3"], "1.3.0"),
        ("${{MAJOR}}", ["1.2.3"], "2.0.0"),
        ("${{BUILD}}", ["1.2.3+build.9", "1.2.3+build.10"], "1.2.3+build.11"),
        ("${{PRERELEASE}}", ["1.2.3"], "1.2.4-rc.1"),
        ("${{PRERELEASE}}", ["1.2.4-rc.1"], "1.2.4-rc.2"),
        ("${{PATCH}}", ["1.2.4-rc.1"], "1.2.4"),
        ("${{LATEST}}", ["1.10.0", "1.9.0"], "1.10.0"),
        ("3.0.0", ["1.0.0"], "3.0.0"),
    ],
)
def test_registry_version_to_write(text: str, existing: list[str], expected: str) -> None:
    assert resolve_version(text, existing, writing=True) == expected


@pytest.mark.parametrize(
    ("text", "existing", "reason"),
    [
        ("${{LATEST}}", [], "no version yet"),
        ("1.0.1", ["1.0.0"], "there is no version 1.0.1; there is 1.0.0"),
        ("1.0", ["1.0.0"], "is no version"),
        ("${{NEWEST}}", ["1.0.0"], "is no version"),
        ("${{PATCH}}", ["1.0.0"], "yet to be written"),
    ],
)
def test_registry_version_that_cannot_be_read(text: str, existing: list[str], reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason):
        resolve_version(text, existing, writing=False)


@given(st.lists(st.tuples(*[st.integers(0, 30)] * 3), min_size=1))
def test_registry_version_written_is_higher_than_all(versions: list[tuple[int, int, int]]) -> None:
    existing = [".".join(map(str, version)) for version in versions]
    for word in ("PATCH", "MINOR", "MAJOR", "BUILD", "PRERELEASE"):
        new = resolve_version(f"${{{{{word}}}}}", existing, writing=True)
        assert highest([*existing, new]) == new
        assert new not in existing


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("params/*", "params/a", True),
        ("params/*", "params/a/b", False),
        ("params/*", "params/", False),
        ("*/a", "params/a", True),
        ("*", "a", True),
        ("*", "a/b", False),
        ("p*s/*", "params/x", True),
        ("a.b/*", "axb/c", False),
        ("params/*", "params/*", False),
        ("a", "a", True),
    ],
)
def test_registry_pattern(pattern: str, name: str, expected: bool) -> None:
    assert matches(pattern, name) is expected


def test_registry_pattern_with_a_version_leaves_out_names_without_it(working: Callable[[str], Any]) -> None:
    made = working("read: [{data_product: 'params/*', use: {namespace: rich, version: 0.9.0}}]")
    assert [(one.alias, one.name.version) for one in made.inputs] == [("params/a", "0.9.0")]


def test_registry_config_finds_all_mistakes_at_once(working: Callable[[str], Any]) -> None:
    text = """\
run_metadata:
  descripton: x
  shell: fish
read:
- data_product: params/a
  use: {namspace: rich}
- {}
write:
- data_product: results/x
register:
- {name: x}
- {external_object: x, root: https://example.org/, path: p, file_type: csv}
extra: "${{NOTHING}}"
"""
    found = {(key, line) for key, line, _ in problems(working, text)}
    assert found == {
        ("config.yaml: run_metadata.descripton", 2),
        ("config.yaml: run_metadata.shell", 3),
        ("config.yaml: read[0].use.namspace", 6),
        ("config.yaml: read[1].data_product", 7),
        ("config.yaml: write[0].file_type", 9),
        ("config.yaml: register[0]", 11),
        ("config.yaml: register[1].title", 12),
        ("config.yaml: register[1].release_date", 12),
        ("config.yaml: extra", 13),
    }


@pytest.mark.parametrize(
    ("text", "key", "line", "reason"),
    [
        ("read: [", "config.yaml", 1, "no YAML"),
        ("read: []\nread: []", "config.yaml: read", 2, "twice"),
        ("- a", "config.yaml", 0, "mapping"),
        ("read: &a [*a]", "config.yaml: read[0]", 1, "itself"),
        ("run_metadata: {script: a, script_path: b}", "config.yaml: run_metadata", 1, "not both"),
        ("read: [{data_product: nothing/here}]", "config.yaml: read[0]", 1, "pull it first"),
        ("read:\n- {data_product: 'none/*'}", "config.yaml: read[0]", 2, "pull it first"),
        ("read: [{data_product: params/a, use: {version: 7.0.0}}]", "config.yaml: read[0].use.version", 1, "0.9.0"),
        ("read: [{data_product: params/a}, {data_product: params/a}]", "config.yaml: read", 1, "two things"),
        ("read: [{data_product: 'x*', use: {data_product: params/a}}]", "config.yaml: read[0]", 1, "pattern"),
        ("write: [{data_product: ../x, file_type: csv}]", "config.yaml: write[0]", 1, "is no name"),
        ("write: [{data_product: 'a?', file_type: csv}]", "config.yaml: write[0]", 1, "names must not have"),
        ("write: [{data_product: a, file_type: csv, use: {version: 1.0}}]", "config.yaml: write[0]", 1, "no version"),
        ("run_metadata: {script_path: none.sh}", "config.yaml: run_metadata.script_path", 1, "cannot read"),
    ],
)
def test_registry_config_mistake(working: Callable[[str], Any], text: str, key: str, line: int, reason: str) -> None:
    ((found_key, found_line, message),) = problems(working, text)
    assert (found_key, found_line) == (key, line)
    assert reason in message


def test_registry_config_on_no_branch_says_so(working: Callable[[str], Any], project: Path) -> None:
    subprocess.run(["git", "-C", str(project), "checkout", "-q", "--detach"], check=True)
    ((_, _, message),) = problems(working, "run_metadata: {description: '${{GIT_BRANCH}}'}")
    assert "on no branch" in message


def test_registry_config_reads_what_the_run_itself_writes(working: Callable[[str], Any]) -> None:
    made = working("read: [{data_product: new/one}]\nwrite: [{data_product: new/one, file_type: csv}]")
    assert (made.inputs, [str(one.name) for one in made.outputs]) == ([], ["rich:new/one@0.0.1"])
