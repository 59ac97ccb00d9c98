"""Plugins are found in all places, in order; what is broken is named, and is in nobody's way."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from multiblast.errors import InvalidInputError, NotFoundError
from multiblast.plugins.catalogue import Catalogue
from multiblast.plugins.git_sources import Checkouts, GitSource
from multiblast.plugins.plugin import SourceKind
from multiblast.plugins.ports import Output
from multiblast.plugins.records import Configuration, PinFile, Places, write_places
from multiblast.settings import PluginRules
from tests.support.plugins import COMMAND, write_script, write_table


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without plugins, and no built-in ones."""
    monkeypatch.setenv("MULTIBLAST_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("multiblast.plugins.sources.BUILT_IN", tmp_path / "builtin")
    (tmp_path / "builtin").mkdir()
    return tmp_path / "home"


def _catalogue(*folders: Path, git: tuple[str, ...] = ()) -> Catalogue:
    return Catalogue(PluginRules(folders=tuple(map(str, folders)), git=git))


def _repository(place: Path) -> str:
    """A repository whose tag 1 has the version 1.0 of a plugin in a subdirectory, and its newest commit 2.0."""
    write_table(place / "deep" / "sorter", "sorter", "1.0")
    git = ["git", "-C", str(place), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git[:3], "init", "-q", "-b", "main"], check=True)
    for version in ("1.0", "2.0"):
        write_table(place / "deep" / "sorter", "sorter", version)
        subprocess.run([*git, "add", "."], check=True)
        subprocess.run([*git, "commit", "-q", "-m", version], check=True)
        subprocess.run([*git, "tag", f"v{version}"], check=True)
    return f"git+file://{place}"


def test_places_are_searched_in_the_documented_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Extra folders, folders, git, packages, built in: of equal name and version the first wins, others are named."""
    write_table(tmp_path / "builtin" / "sorter", "sorter", "1.0")
    site = tmp_path / "site"
    write_table(site / "sorting" / "plugins", "sorter", "1.0")
    (site / "sorting-1.dist-info").mkdir()
    (site / "sorting-1.dist-info" / "METADATA").write_text("Name: sorting\nVersion: 1\n")
    (site / "sorting-1.dist-info" / "entry_points.txt").write_text("[multiblast.plugins]\nany = sorting.plugins\n")
    (site / "sorting" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(site))
    line = _repository(tmp_path / "repository") + "@v1.0#subdirectory=/deep"
    Checkouts().ensure(GitSource.parse(line))
    write_table(tmp_path / "folder" / "sorter", "sorter", "1.0")
    write_script(tmp_path / "extra" / "sorter.py", "sorter", "1.0")
    monkeypatch.setenv("MULTIBLAST_PLUGINS", str(tmp_path / "extra"))

    seen = []
    for gone in ("extra/sorter.py", "folder/sorter/plugin.toml", "git", "site", ""):
        catalogue = _catalogue(tmp_path / "folder", git=(line,) if "git" not in seen else ())
        [plugin] = catalogue.all()
        seen.append(str(plugin.source.kind))
        assert len(catalogue.broken()) == 5 - len(seen)
        assert all("is there already" in broken.reason for broken in catalogue.broken())
        if gone == "site":
            (site / "sorting-1.dist-info" / "entry_points.txt").unlink()
        elif gone and gone != "git":
            (tmp_path / gone).unlink()
    assert seen == [*SourceKind]


@pytest.mark.parametrize(
    ("line", "url", "ref", "subdirectory"),
    [
        ("git+https://h.org/o/r.git", "https://h.org/o/r.git", "", ""),
        ("git+https://h.org/o/r", "https://h.org/o/r", "", ""),
        ("git+https://h.org/o/r@main#subdirectory=a/b", "https://h.org/o/r", "main", "a/b"),
        ("git+ssh://git@h.org/o/r@feature/x", "ssh://git@h.org/o/r", "feature/x", ""),
        ("git+ssh://git@h.org:2222/o/r.git#subdirectory=/dir", "ssh://git@h.org:2222/o/r.git", "", "dir"),
        ("git+https://h.org/@o/r@v1.0", "https://h.org/@o/r", "v1.0", ""),
        ("git+file:///srv/r@v1#subdirectory=/x", "file:///srv/r", "v1", "x"),
    ],
)
def test_git_line_is_read(line: str, url: str, ref: str, subdirectory: str) -> None:
    source = GitSource.parse(line)
    assert (source.url, source.ref, source.subdirectory) == (url, ref, subdirectory)
    assert GitSource.parse(str(source)) == source


@pytest.mark.parametrize(
    "line",
    [
        "https://h.org/o/r",
        "git+ext::sh -c touch% /tmp/x",
        "git+ext::sh",
        "git+http://h.org/o/r",
        "git+https://user:token@h.org/o/r",
        "git+https://h.org/o/r@--upload-pack=x",
        "git+https://h.org/o/r@",
        "git+https://h.org/o/r@a..b",
        "git+https://h.org/../r",
        "git+ssh://-oProxyCommand=x/r",
        "git+https://h.org/o/r#subdirectory=../x",
        "git+https://h.org/o/r#egg=x",
        "git+https:///r",
        "git+https://h.org/o/r?x=1",
        "git+https://h.org/o/r\n--x",
        "git+https://[/r",
    ],
)
def test_git_line_that_could_do_harm_is_refused(line: str) -> None:
    with pytest.raises(InvalidInputError):
        GitSource.parse(line)


def test_newest_version_has_the_plain_name(tmp_path: Path) -> None:
    for version in ("1.9", "1.10", "2.0rc1"):
        write_table(tmp_path / "f" / version, "tool", version)
    catalogue = _catalogue(tmp_path / "f")
    assert [plugin.identifier for plugin in catalogue.all()] == ["tool@2.0rc1", "tool@1.10", "tool@1.9"]
    assert [plugin.identifier for plugin in catalogue.newest()] == ["tool@2.0rc1"]
    write_table(tmp_path / "f" / "2.0", "tool", "2.0")  # a server that runs sees it at once
    assert catalogue.get("tool").identifier == "tool@2.0"
    assert catalogue.get("tool@1.9").identifier == "tool@1.9"
    assert catalogue.get("tool@1.9.0").identifier == "tool@1.9"
    with pytest.raises(NotFoundError, match=r"tool@2\.0, tool@2\.0rc1"):
        catalogue.get("tool@3")
    with pytest.raises(NotFoundError, match="did you mean tool"):
        catalogue.get("toll")


def test_script_that_is_a_plugin_runs_without_what_lies_beside_it(tmp_path: Path) -> None:
    write_script(tmp_path / "f" / "import.py", "imports", body="import helper")
    (tmp_path / "f" / "helper.py").write_text("")
    plugins, (broken,), _ = _catalogue(tmp_path / "f").look()
    assert plugins == []
    assert "it imports 'helper'" in broken.reason
    write_table(tmp_path / "f" / "whole", "whole", run='script = "run.py"')
    (tmp_path / "f" / "whole" / "run.py").write_text("import helper")
    (tmp_path / "f" / "whole" / "helper.py").write_text("")
    assert [plugin.name for plugin in _catalogue(tmp_path / "f").all()] == ["whole"]


def test_twelve_broken_plugins_are_named_and_the_good_one_works(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    write_table(folder / "a-good", "good", "1.0")
    write_table(folder / "twice", "good", "1.0")
    write_table(folder / "syntax").joinpath("plugin.toml").write_text("name = \n")
    write_table(folder / "type", more="[parameters.x]\ntype = 3\n")
    (write_table(folder / "key") / "plugin.toml").write_text('name = "key"\nversion = "1"\n[run]\ncommand = ["x"]\n')
    write_table(folder / "unknown", more='[parameters.x]\nlabell = "X"\n')
    write_table(folder / "version", version="1.x.y")
    write_table(folder / "placeholder", run='command = ["sort", "{inputs.line}"]')
    write_table(folder / "no-script", run='script = "absent.py"')
    write_script(folder / "import.py", "imports", body="import muid")
    write_script(folder / "python.py", "python", body="def :")
    write_script(folder / "needs.py", "needs", dependencies=("-r /etc/passwd",))
    (folder / "bytes.py").write_bytes(b"# /// script\n# [tool.multiblast.plugin]\n# name = '\xff'\n# ///\n")
    (folder / "README.md").write_text("no plugin")
    (folder / ".hidden").mkdir()
    catalogue = _catalogue(folder)
    plugins, broken, skipped = catalogue.look()
    assert [plugin.identifier for plugin in plugins] == ["good@1.0"]
    reasons = {Path(one.place).name: one.reason for one in broken}
    assert len(reasons) == 12
    for name, words in {
        "twice": "good@1.0 is there already",
        "syntax": "line 1",
        "type": "parameters.x.type",
        "key": "title",
        "unknown": "parameters.x.labell",
        "version": "PEP 440",
        "placeholder": "inputs.line",
        "no-script": "absent.py",
        "import.py": "muid",
        "python.py": "no Python",
        "needs.py": "-r /etc/passwd",
        "bytes.py": "cannot be read",
    }.items():
        assert words in reasons[name], reasons[name]
    assert {one.path.name for one in skipped} == {"README.md", ".hidden"}
    with pytest.raises(NotFoundError, match="no-script is broken"):
        catalogue.get("no-script")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_folder_is_named(tmp_path: Path) -> None:
    write_table(tmp_path / "f" / "one").joinpath("plugin.toml").chmod(0)
    [broken] = _catalogue(tmp_path / "f").broken()
    assert "cannot be read" in broken.reason


def test_missing_folder_and_damaged_files_are_named(tmp_path: Path, home: Path) -> None:
    (home / "plugins").mkdir(parents=True)
    (home / "plugins" / "plugins.toml").write_text("[sources]\nfolder = 1\n")
    (home / "plugins" / "plugins.lock").write_text("{")
    broken = _catalogue(tmp_path / "absent", git=("git+https://h.org/o/r", "https://no")).broken()
    assert [Path(one.place).name for one in broken] == ["plugins.toml", "absent", "plugins.lock"]
    (home / "plugins" / "plugins.lock").unlink()
    reasons = [one.reason for one in _catalogue(git=("git+https://h.org/o/r", "https://no")).broken()[1:]]
    assert "multiblast plugins install" in reasons[0]
    assert "git+URL" in reasons[1]


def test_git_commit_is_pinned_until_it_is_updated(tmp_path: Path) -> None:
    line = _repository(tmp_path / "r") + "#subdirectory=deep"
    checkouts, source = Checkouts(), GitSource.parse(line)
    assert checkouts.find(source) is None
    _, commit = checkouts.ensure(source)
    write_table(tmp_path / "r" / "deep" / "sorter", "sorter", "3.0")
    git = ["git", "-C", str(tmp_path / "r"), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "commit", "-q", "-a", "-m", "3"], check=True)
    assert checkouts.ensure(source)[1] == commit
    assert _catalogue(git=(line,)).get("sorter").source.commit == commit
    assert checkouts.update(source)[1] != commit
    assert _catalogue(git=(line,)).get("sorter").description.version == "3.0"
    at_commit = GitSource.parse(f"git+file://{tmp_path / 'r'}@{commit}#subdirectory=deep")
    assert checkouts.ensure(at_commit)[1] == commit
    assert set(PinFile().read().commits) == {source.pin, at_commit.pin}


def test_repository_with_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    line = _repository(tmp_path / "r")
    (tmp_path / "r" / "secret").symlink_to("/etc/passwd")
    git = ["git", "-C", str(tmp_path / "r"), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "link"], check=True)
    with pytest.raises(Exception, match="leads elsewhere"):
        Checkouts().ensure(GitSource.parse(line))


def test_places_that_were_added_stay_beside_what_a_person_wrote(home: Path) -> None:
    path = home / "plugins" / "plugins.toml"
    path.parent.mkdir(parents=True)
    path.write_text('# ours\n[plugins.mafft]\ncoupling = "https"\n')
    write_places(Places(folders=("/a b/ü",), git=("git+https://h.org/o/r",)))
    write_places(Places(folders=("/a b/ü", '/c"d')))
    assert Configuration.read().sources == Places(folders=("/a b/ü", '/c"d'))
    assert Configuration.read().coupling("mafft") == "https"
    assert Configuration.read().coupling("other") == ""
    assert "# ours" in path.read_text()


def test_fitting_plugins_are_those_whose_required_inputs_can_be_had(tmp_path: Path) -> None:
    write_table(tmp_path / "f" / "a", "takes-text")
    write_table(tmp_path / "f" / "b", "takes-more", more='[inputs.tree]\ndata = "tree"\n')
    write_script(tmp_path / "f" / "c.py", "takes-nothing")
    text, tree = Output(data="text", content="text/plain"), Output(data="tree", content="text/x-newick")
    catalogue = _catalogue(tmp_path / "f")
    assert [plugin.name for plugin in catalogue.fitting([text])] == ["takes-text"]
    assert [plugin.name for plugin in catalogue.fitting([text, tree])] == ["takes-more", "takes-text"]
    assert catalogue.fitting([Output(data="text", content="text/html")]) == []


def test_fifty_plugins_are_listed_without_delay(tmp_path: Path) -> None:
    for number in range(50):
        write_table(tmp_path / "f" / f"p{number}", f"p{number}", run=COMMAND)
    catalogue = _catalogue(tmp_path / "f")
    catalogue.all()
    began = time.perf_counter()
    assert len(catalogue.all()) == 50
    assert time.perf_counter() - began < 0.1
    assert (
        "multiblast.plugins"
        not in subprocess.run(
            [sys.executable, "-c", "import sys, deployments.command_line.targets; print(*sys.modules)"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
    )


def test_package_that_is_installed_to_be_edited_is_found_without_its_being_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, project = tmp_path / "site", tmp_path / "project"
    (site / "editable-1.dist-info").mkdir(parents=True)
    (site / "editable-1.dist-info" / "entry_points.txt").write_text(
        "[console_scripts]\nx = y:z\n[multiblast.plugins]\none = edited_plugins.one:any\ntwo = edited_plugins.absent\n"
    )
    write_script(project / "edited_plugins" / "one.py", "one")
    (project / "edited_plugins" / "__init__.py").write_text("raise RuntimeError('imported')")
    for place in (project, site):
        monkeypatch.syspath_prepend(str(place))
    catalogue = _catalogue()
    assert [str(plugin.source) for plugin in catalogue.all()] == ["package editable"]
    assert "edited_plugins.absent" in catalogue.broken()[0].reason
    assert Catalogue(PluginRules(packages=False)).all() == []


def test_odd_files_of_a_folder_stop_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    write_table(folder / "one", "one")
    os.mkfifo(folder / "pipe.py")
    (folder / "pipes").mkdir()
    os.mkfifo(folder / "pipes" / "plugin.toml")
    (folder / "gone.py").symlink_to("nowhere")
    (folder / "circle").symlink_to("circle")
    (folder / "large.py").write_bytes(b"# /// script\n# [tool.multiblast.plugin]\n# ///\n" + b"#" * 4_000_000)
    plugins, broken, skipped = _catalogue(folder).look()
    assert [plugin.name for plugin in plugins] == ["one"]
    assert broken == []
    assert len(skipped) == 5


def test_checkout_that_is_pinned_no_more_is_swept(tmp_path: Path) -> None:
    line = _repository(tmp_path / "r")
    checkouts = Checkouts()
    place, _ = checkouts.ensure(GitSource.parse(line))
    assert checkouts.sweep(days=0) == []
    git = ["git", "-C", str(tmp_path / "r"), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "3"], check=True)
    newer, _ = checkouts.update(GitSource.parse(line))
    assert checkouts.sweep() == []
    assert checkouts.sweep(days=0) == [place.name]
    assert newer.is_dir()
