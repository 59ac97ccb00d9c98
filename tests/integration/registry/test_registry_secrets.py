"""Secrets stay: in no configuration, push, echo or file that others read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select
from typer.testing import CliRunner

from multiblast.errors import InvalidInputError, NotFoundError
from multiblast.registry.local.registry import Registry
from multiblast.registry.local.secrets import Secrets, shown, split_password, with_password
from multiblast.registry.local.users import bind, binding
from multiblast.registry.model.local_tables import RemoteRegistry
from multiblast.registry.model.tables import KeyValue
from multiblast.registry.remotes.known import Remotes
from multiblast.registry.remotes.rest import RestRegistry
from multiblast.registry.runs.execution import run
from multiblast.registry.sync.commands import commit, push
from multiblast.registry.sync.summary import ItemResult

PASSWORD = "S3cret/PW@x"  # noqa: S105 - made up
URL = "postgresql+psycopg://joe:S3cret%2FPW%40x@127.0.0.1:1/reg"


def running(written: str, name: str = "o") -> str:
    """Return a configuration with something written into its script."""
    script = f"echo {written} > $FDP_DATA_STORE/rich/{name}/0.0.1.txt"
    repository = "https://joe:S3cret%2FPW%40x@h/r.git"
    return f"""\
run_metadata: {{script: '{script}', remote_repo: "{repository}"}}
write: [{{data_product: {name}, file_type: txt}}]
"""


@pytest.mark.parametrize(
    ("url", "plain", "password"),
    [
        (URL, "postgresql+psycopg://joe@127.0.0.1:1/reg", PASSWORD),
        ("https://joe:pw%40@host:1/x?y=z", "https://host:1/x?y=z", "joe:pw@"),
        ("https://host/a@b:c", "https://host/a@b:c", ""),
        ("sqlite:////home/joe:x@y/registry.sqlite", "sqlite:////home/joe:x@y/registry.sqlite", ""),
        ("postgresql://joe@host/x", "postgresql://joe@host/x", ""),
    ],
)
def test_registry_url_is_known_without_its_password(url: str, plain: str, password: str) -> None:
    assert split_password(url) == (plain, password)
    assert shown(url) == plain
    assert with_password(plain, password) == url


def test_registry_url_is_shown_without_a_password_of_its_query() -> None:
    assert shown("postgresql://host/x?user=a&password=b&c=d") == "postgresql://host/x?user=a&c=d"
    assert shown("s3://bucket/x?token=b") == "s3://bucket/x"


def test_registry_password_of_a_remote_is_in_nothing_that_leaves(
    here: Any, remote: Any, config: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from deployments.command_line.registry import app

    monkeypatch.setattr("deployments.command_line.registry._registry", lambda: contextlib.nullcontext(here))
    monkeypatch.setattr("deployments.command_line.registry.running_server", lambda: "")
    said = CliRunner().invoke(app, ["remote", "group", URL, "--files", str(here.directory)], catch_exceptions=False)
    assert "postgresql+psycopg://joe@127.0.0.1:1/reg" in said.stdout.replace("\n", "")
    user = here.user()
    done = run(config(running("out")), here, user)
    commit(here, [done.uuid])
    assert push(here, remote.open()).exit_code == 0
    with here.session() as session:
        assert PASSWORD not in repr(session.exec(select(RemoteRegistry)).all())
    texts = [file.read_bytes() for file in remote.bucket.iterdir()] + [said.stdout.encode()]
    texts += [path.read_bytes() for path in (here.directory / "runs").rglob("*") if path.is_file()]
    assert texts
    for text in texts:
        assert b"S3cret" not in text
    opened = Secrets(here.directory)
    assert opened.get("password group") == PASSWORD


def test_registry_password_that_is_written_into_something_stays(
    here: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    """In a script, in a file that a run wrote, in a fact: whichever way it is written."""
    Remotes(here).set("group", URL, store=str(here.directory))
    user = here.user()
    for number, written in enumerate((PASSWORD, "S3cret%2FPW%40x", "https://ann:other@host/")):
        commit(here, [run(config(running(written, f"o{number}")), here, user).uuid])
    here.commit("object", here.product("params/leak", f"x {PASSWORD} y").object_id)
    fact = here.product("params/fact", "clean")
    with here.writing() as session:
        session.add(KeyValue(object_id=fact.object_id, key="how", value=PASSWORD))
    here.commit("object", fact.object_id)
    report = push(here, remote.open())
    assert [o.result for o in report.outcomes] == [ItemResult.FAILED] * 5
    assert all("token or password in it" in o.reason for o in report.outcomes)
    assert all(PASSWORD not in o.reason for o in report.outcomes)
    assert list(remote.bucket.iterdir()) == []


def test_registry_token_goes_to_no_new_address(here: Any) -> None:
    remotes, kept = Remotes(here), Secrets(here.directory)
    assert remotes.set("origin", "http://a.example.org/", "a" * 40) is False
    assert remotes.set("origin", "http://a.example.org/api/") is False  # the same one
    assert kept.get("remote origin") == "a" * 40
    assert remotes.set("origin", "http://b.example.org/") is True
    assert kept.get("remote origin") == ""
    assert remotes.set("origin", "http://c.example.org/", "c" * 40) is False
    assert kept.get("remote origin") == "c" * 40


def test_registry_password_of_a_site_opens_that_site_only() -> None:
    end = RestRegistry("https://joe:secret1@data.example.org/api/", "t" * 40)
    assert (end.name, end.data_root) == ("https://data.example.org/", "https://data.example.org/data/")
    assert set(end.secrets) == {"joe:secret1", "t" * 40}
    end.close()


@pytest.mark.parametrize("url", ["", "nothing", "http://", "http://[", "https://h:x/", "http://a b/", "http://h\x1b/"])
def test_registry_remote_address_that_is_none_is_refused(here: Any, url: str) -> None:
    with pytest.raises(InvalidInputError, match="no address of a registry"):
        Remotes(here).set("origin", url)


def test_registry_files_are_their_owners_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTIBLAST_HOME", str(tmp_path / "home"))
    registry = Registry.embedded()
    bind(registry, "rich", tmp_path)
    registry.files.add_bytes(b"x")
    registry.close()
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "home").rglob("*")}
    assert modes["registry.sqlite"] == modes["secrets.json"] == 0o600
    assert modes["registry"] == modes["files"] == 0o700
    (tmp_path / "home/registry.sqlite").chmod(0o644)  # as earlier versions left it
    again = Registry.embedded()
    assert binding(again).username == "rich"
    again.close()
    assert (tmp_path / "home/registry.sqlite").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_registry_accounts_that_share_a_registry_have_their_own_secrets_and_names(here: Any, tmp_path: Path) -> None:
    """Nobody is stopped by a file of another account, or becomes the author of what another does."""
    with pytest.raises(InvalidInputError, match="does not know who you are; type `multiblast registry config NAME`"):
        binding(here)
    for name in ("ann", "bob"):
        bind(here, name, tmp_path)
    os.chown(here.directory / "secrets.json", 12345, 12345)
    with pytest.raises(NotFoundError, match="ann, bob are bound by others"):
        binding(here)
    assert binding(here, "ann").username == "ann"
    bind(here, "cy", tmp_path)
    assert binding(here).username == "cy"
    assert (here.directory / f"secrets.{os.geteuid()}.json").stat().st_mode & 0o777 == 0o600


def test_registry_damaged_secrets_are_said_so(here: Any) -> None:
    from multiblast.errors import StoreError

    (here.directory / "secrets.json").write_text("{")
    with pytest.raises(StoreError, match="it is damaged"):
        Secrets(here.directory).get("x")
