"""One round of a plugin: its command or script gets what it should, and what it makes is found and checked."""

from __future__ import annotations

import json
import os
import pickle
from hashlib import sha256
from pathlib import Path

import pytest

from multiblast.errors import FailureClass, InvalidInputError
from multiblast.plugins.confinement import default_python
from multiblast.plugins.contents import wrong_content
from multiblast.plugins.rounds import PluginError, Progress, RoundRequest, run_round
from tests.support.plugin_rounds import TEXT, command_plugin, given, run, script_plugin

ALIGNER = """
[inputs.sequences]
data = "sequences/*"
many = true
[inputs.guide]
required = false
[outputs.alignment]
data = "alignment/{sequences}"
content = "text/x-fasta"
[outputs.lines]
data = "note"
content = "text/plain"
required = false
[parameters.mode]
type = "choice"
choices = ["fast", "slow"]
default = "fast"
[parameters.times]
type = "integer"
default = 2
[parameters.loud]
type = "flag"
default = false
[run]
command = %s
stdout = "alignment"
"""
FORM = {"choice": {"type": "choice", "choices": ["a", "b"], "default": "a", "label": "Which?"}}


def test_words_of_a_command_are_filled_in(tmp_path: Path) -> None:
    words = [
        *("sh", "-c", 'printf ">x\\n"; printf "%s\\n" "$@" > "$0"', "{outputs.lines}"),
        *("{inputs.sequences}", "--mode={parameters.mode}", "{parameters.times}", "{threads}", "{inputs.guide}"),
    ]
    when = "{when = 'inputs.guide', words = ['--guided']}, "
    when += "{when = 'parameters.loud', words = ['--loud']}, "
    when += "{when = 'parameters.mode = slow', words = ['--slow', '{plugin}']}"
    table = f"[{', '.join(map(json.dumps, words))}, {when}]"
    plugin = command_plugin(tmp_path, ALIGNER % table)
    files = tuple(given(tmp_path / name, ">x\nA\n") for name in ("a b.fasta", "-ü$(id).fasta"))

    end = run(plugin, tmp_path, inputs={"sequences": files}, parameters={"mode": "slow"}, threads=3)

    lines = end.outputs[1].path.read_text().splitlines()
    assert lines == [*(str(file.path) for file in files), "--mode=slow", "2", "3", "--slow", str(plugin.directory)]
    alignment = end.outputs[0]
    assert (alignment.port, alignment.name, alignment.data) == ("alignment", "alignment.fasta", "alignment/protein")
    assert (alignment.size_bytes, alignment.sha256) == (3, sha256(b">x\n").hexdigest())
    assert end.command[0] == "sh"


def test_one_value_is_needed_inside_a_word(tmp_path: Path) -> None:
    plugin = command_plugin(tmp_path, ALIGNER % '["echo", "--guide={inputs.guide}"]')
    with pytest.raises(InvalidInputError, match=r"needs one value of inputs.guide, there are 0: put it under"):
        run(plugin, tmp_path, inputs={"sequences": (given(tmp_path / "a", ">x"),)})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"parameters": {"mode": "else"}}, "parameters.mode: 'else' is not one of fast, slow"),
        ({"parameters": {"other": 1}}, "parameters.other: there is no such parameter"),
        ({"inputs": {}}, "inputs.sequences: a file is needed here"),
    ],
)
def test_requests_are_checked_against_the_table(tmp_path: Path, settings: dict[str, object], message: str) -> None:
    plugin = command_plugin(tmp_path, ALIGNER % '["echo"]')
    with pytest.raises(InvalidInputError, match=message):
        run(plugin, tmp_path, **({"inputs": {"sequences": (given(tmp_path / "a", ">x"),)}} | settings))
    assert not (tmp_path / "work").exists()


def test_a_missing_program_is_named_with_its_package(tmp_path: Path) -> None:
    tool = '\n[tool]\ncommand = ["no-such-program"]\npattern = "(.*)"\ndebian = "no-such-package"'
    plugin = command_plugin(tmp_path, ALIGNER % '["no-such-program"]' + tool)
    with pytest.raises(PluginError, match="no-such-program is not installed: install the package no-such-pa") as caught:
        run(plugin, tmp_path, inputs={"sequences": (given(tmp_path / "a", ">x"),)})
    assert caught.value.failure_class is FailureClass.MISSING_PROGRAM
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301 - our own


def test_programs_of_an_environment_go_before_others(tmp_path: Path) -> None:
    programs = tmp_path / "environment" / "bin"
    programs.mkdir(parents=True)
    (programs / "python3").symlink_to(default_python())
    (programs / "echo").write_text("#!/bin/sh\nprintf '>own\\n'\n")
    (programs / "echo").chmod(0o755)
    plugin = command_plugin(tmp_path, ALIGNER % '["echo", ">the system\'s"]')
    request = RoundRequest(1, {"sequences": (given(tmp_path / "a", ">x"),)}, {}, 1)
    end = run_round(plugin, programs / "python3", request, tmp_path / "work")
    assert end.outputs[0].path.read_text() == ">own\n"


def test_a_script_gets_its_request_and_reports_while_it_runs(tmp_path: Path) -> None:
    table = """
[tool.multiblast.plugin.inputs.words]
data = "note"
[tool.multiblast.plugin.parameters.size]
type = "number"
default = 1.5
[tool.multiblast.plugin.outputs.made]
data = "note"
content = "inode/directory"
"""
    body = """
say(progress={"value": 0, "target": 2, "unit": "files"})
say(log="half way")
print("to standard output")
place = Path("outputs/made/ü b")
place.mkdir(parents=True)
(place / "request.json").write_text(json.dumps(request))
(place / "cwd").write_text(os.getcwd())
with open(os.environ["MULTIBLAST_EVENTS"], "a") as file:
    file.write('{"progress": {"value": 2, "target": 2, "unit": "files"}}')
"""
    notes: list[object] = []
    words = given(tmp_path / "w.txt", "x", "note", "text/plain")
    end = run(script_plugin(tmp_path, body, table), tmp_path, inputs={"words": (words,)}, note=notes.append)

    assert notes == [Progress(0, 0, 2, "files"), "half way", Progress(2, 0, 2, "files")]
    assert end.log.splitlines() == ["half way", "to standard output"]
    [made] = end.outputs
    assert (made.is_directory, made.content, made.name) == (True, "inode/directory", "made")
    request = json.loads((made.path / "ü b" / "request.json").read_text())
    one = {"path": str(words.path), "name": "w.txt", "data": "note", "content": "text/plain"}
    assert request == {
        "inputs": {"words": [one]},
        "parameters": {"size": 1.5},
        "threads": 1,
        "round": 1,
        "answers": {},
    }
    assert (made.path / "ü b" / "cwd").read_text() == str(tmp_path / "work")


def test_many_events_are_few_notes(tmp_path: Path) -> None:
    body = """
with open(os.environ["MULTIBLAST_EVENTS"], "a") as file:
    for value in range(50_000):
        file.write(json.dumps({"progress": {"value": value, "target": 50_000}}) + "\\n")
    for value in range(12_000):
        file.write(json.dumps({"log": str(value)}) + "\\n")
Path("outputs/text.txt").write_text("done")
"""
    notes: list[object] = []
    end = run(script_plugin(tmp_path, body), tmp_path, note=notes.append)
    progress = [note for note in notes if isinstance(note, Progress)]
    assert (progress[0].value, progress[-1].value, len(progress) < 50) == (0, 49_999, True)
    assert len(notes) - len(progress) == 10_000
    assert end.log.splitlines() == [str(value) for value in range(11_000, 12_000)]


def test_asking_ends_a_round_and_the_next_one_has_answer_and_state(tmp_path: Path) -> None:
    body = f"""
if "step1.step2b" not in request["answers"]:
    Path("state/so far").write_text("found before")
    say(ask={{"step": "step1.step2b", "title": "Choose", "parameters": {FORM!r}}})
else:
    chosen = request["answers"]["step1.step2b"]["choice"]
    Path("outputs/text.txt").write_text(Path("state/so far").read_text() + ", then " + chosen)
"""
    plugin = script_plugin(tmp_path, body)
    first = run(plugin, tmp_path)
    assert first.ask is not None
    assert (first.outputs, first.call, first.ask.step, first.ask.title) == ((), None, "step1.step2b", "Choose")
    assert first.ask.parameters["choice"].choices == ("a", "b")

    (tmp_path / "again").mkdir()
    answers = {"step1.step2b": {"choice": "b"}}
    second = run(plugin, tmp_path / "again", number=2, answers=answers, state=tmp_path / "work" / "state")
    assert second.outputs[0].path.read_text() == "found before, then b"


def test_calling_another_plugin_hands_over_its_files(tmp_path: Path) -> None:
    body = """
if "step1" not in request["answers"]:
    Path("some.fasta").write_text(">x\\nA\\n")
    say(call={"step": "step1", "plugin": "mafft@1.0", "inputs": {"sequences": ["some.fasta"]}, "parameters": {"n": 1}})
else:
    [path] = request["answers"]["step1"]["outputs"]["alignment"]
    Path("outputs/text.txt").write_text(Path(path).read_text())
"""
    plugin = script_plugin(tmp_path, body)
    call = run(plugin, tmp_path).call
    assert call is not None
    assert (call.plugin, call.parameters) == ("mafft@1.0", {"n": 1})
    assert call.inputs == {"sequences": (tmp_path / "work/some.fasta",)}

    made = given(tmp_path / "alignment.fasta", ">x\nA\n").path
    (tmp_path / "again").mkdir()
    answers = {"step1": {"outputs": {"alignment": [str(made)]}}}
    end = run(plugin, tmp_path / "again", number=2, answers=answers)
    assert end.outputs[0].path.read_text() == ">x\nA\n"


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"ask": {"step": "step 1"}}, "line 1 of its events: 'step 1' is no id of a step"),
        ({"ask": {"step": "done"}}, "the step 'done' has its answer: give each step an id of its own"),
        ({"ask": {"title": "x"}}, "'step' is missing"),
        ({"ask": {"step": "a", "parameters": {"x": {"type": "word"}}}}, "parameters.x.type: 'word' is not"),
        ({"ask": {"step": "a", "parameters": {"x": {"type": "secret"}}}}, "a secret cannot be asked for"),
        ({"call": {"step": "a", "plugin": "../x"}}, "'../x' is no plugin"),
        ({"call": {"step": "a", "plugin": "x", "inputs": {"p": ["/etc/passwd"]}}}, "not in the directory of the run"),
        ({"call": {"step": "a", "plugin": "x", "inputs": {"p": ["absent"]}}}, "absent is not there"),
        ({"progress": {"value": "much"}}, "could not convert string to float"),
        ({"progress": {"value": float("nan")}}, "progress is a number"),
        ({"other": 1}, "'other' is none of progress, log, output, ask, call"),
        ({"output": {"port": "absent", "path": "x"}}, "there is no output 'absent' in its table"),
        ({"output": {"port": "text", "path": "x", "name": "a/b"}}, "'a/b' is no name of a file"),
        ({"output": {"port": "text", "path": "x", "data": "A b"}}, "'A b' is no data type"),
        ([1], "write an object with one key"),
    ],
)
def test_events_that_are_wrong_are_named(tmp_path: Path, event: object, message: str) -> None:
    body = f"from math import nan\nprint(json.dumps({event!r}), file=open(os.environ['MULTIBLAST_EVENTS'], 'a'))"
    with pytest.raises(PluginError) as caught:
        run(script_plugin(tmp_path, body), tmp_path, answers={"done": {}})
    assert message in caught.value.reason


def test_secrets_are_in_the_request_alone(tmp_path: Path) -> None:
    table = """
[tool.multiblast.plugin.parameters.token]
type = "secret"
[tool.multiblast.plugin.outputs.text]
data = "note"
content = "text/plain"
"""
    body = """
token = request["parameters"]["token"]
seen = os.environ.keys() | {len(token)}
assert token not in "".join(sys.argv) + "".join(os.environ.values()), "seen"
print(token); print(token, file=sys.stderr); say(log="it is " + token)
Path("outputs/text.txt").write_text(str(len(token)))
"""
    notes: list[object] = []
    end = run(script_plugin(tmp_path, body, table), tmp_path, secrets={"token": "very hidden"}, note=notes.append)
    assert end.outputs[0].path.read_text() == "11"
    assert (end.stderr, end.log, notes) == ("***\n", "it is ***\n***", ["it is ***"])
    assert not (tmp_path / "work/request.json").exists()


@pytest.mark.parametrize(
    ("content", "good", "bad", "message"),
    [
        ("text/x-fasta", b">x\nA", b"ACGT", "is no FASTA: it begins with 'ACGT', not with '>'"),
        ("text/x-newick", b"(a,b);\n", b"(a,b)", "is no tree in Newick: it does not end with ';'"),
        ("text/x-stockholm", b"# STOCKHOLM 1.0\n//\n", b"# STOCKHOLM 1.0\n", "is no whole Stockholm"),
        ("application/json", b"[1]", b"[1", "is no JSON: "),
        ("application/x-ndjson", b"[1]\n{}\n", b"[1]\n{", "has no JSON in line 2"),
        ("application/vnd.apache.parquet", b"PAR1xPAR1", b"PAR1x", "is no Parquet"),
        ("text/html", b"\xef\xbb\xbf\n<!-- x --><!DOCTYPE HTML><p>", b"<p>", "is no page: it begins with '<p>'"),
        ("image/svg+xml", b'<?xml version="1.0"?>\n<svg></svg>\n', b"<svg>", "is no whole picture"),
        ("image/png", b"\x89PNG\r\n\x1a\n..", b"GIF", "is no PNG picture"),
        ("text/plain", "ü".encode(), "ü".encode("latin-1"), "is no text in UTF-8 (near byte 0)"),
        ("text/csv", b"a,b", b"a\0b", "is no text: there is a zero byte"),
        ("text/x-fasta", b"\n>x\nA", b"\x1f\x8b\x08", "is compressed with gzip: write it plain"),
        ("application/octet-stream", b"\x1f\x8b", b"", ""),
    ],
)
def test_outputs_are_written_as_their_port_says(
    tmp_path: Path, content: str, good: bytes, bad: bytes, message: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(good)
    assert wrong_content(path, content) == ""
    path.write_bytes(bad)
    assert message in wrong_content(path, content)


def test_an_output_of_the_wrong_form_fails_with_its_port(tmp_path: Path) -> None:
    plugin = command_plugin(tmp_path, ALIGNER % '["echo", "no sequences"]')
    with pytest.raises(PluginError, match=r"the output alignment \(alignment.fasta\) is no FASTA"):
        run(plugin, tmp_path, inputs={"sequences": (given(tmp_path / "a", ">x"),)})


@pytest.mark.parametrize("data", ["note/short", "tree"])
def test_a_plugin_may_say_what_it_made_within_its_table(tmp_path: Path, data: str) -> None:
    body = f"Path('a').write_text('x'); say(output={{'port': 'text', 'path': 'a', 'name': 'b.txt', 'data': {data!r}}})"
    if data == "tree":
        with pytest.raises(PluginError, match="is said to be tree, but its table says note"):
            run(script_plugin(tmp_path, body), tmp_path)
    else:
        [made] = run(script_plugin(tmp_path, body), tmp_path).outputs
        assert (made.name, made.data, made.path) == ("b.txt", "note/short", tmp_path / "work/a")


def test_directories_that_nobody_may_enter_are_opened_again(tmp_path: Path) -> None:
    body = "Path('outputs/text.txt').write_text('x'); os.makedirs('tmp/a/b'); os.chmod('tmp/a', 0)"
    run(script_plugin(tmp_path, body), tmp_path)
    assert os.access(tmp_path / "work/tmp/a/b", os.X_OK)
    assert (tmp_path / "work/tmp/a").stat().st_mode & 0o700 == 0o700


MANY = """
[tool.multiblast.plugin.outputs.parts]
data = "parts"
content = "*"
many = true
[tool.multiblast.plugin.parameters.words]
lines = true
"""


def test_a_port_may_have_many_outputs_each_of_its_own_types(tmp_path: Path) -> None:
    """As a plugin names them by events; a text of several lines reaches a script whole."""
    text = """
import json, os
request = json.load(open("request.json"))
events = open(os.environ["MULTIBLAST_EVENTS"], "a")
for number, line in enumerate(request["parameters"]["words"].splitlines()):
    path = f"outputs/part{number}"
    print(line, file=open(path, "w"))
    kinds = {"data": f"parts/p{number}", "content": "text/plain"}
    print(json.dumps({"output": {"port": "parts", "path": path, "name": f"{number}.txt", **kinds}}), file=events)
"""
    end = run(script_plugin(tmp_path, text, MANY), tmp_path, parameters={"words": "one\n-two"})
    assert [(one.port, one.name, one.data, one.content, one.path.read_text()) for one in end.outputs] == [
        ("parts", "0.txt", "parts/p0", "text/plain", "one\n"),
        ("parts", "1.txt", "parts/p1", "text/plain", "-two\n"),
    ]


def test_zero_bytes_that_a_plugin_prints_are_replaced(tmp_path: Path) -> None:
    """As PostgreSQL keeps no text with one."""
    body = """
say(log="a\\0b")
print("c\\0d")
print("e\\0f", file=sys.stderr)
Path("outputs/text.txt").write_text("x")
"""
    end = run(script_plugin(tmp_path, body), tmp_path)
    assert end.log.splitlines() == ["a b", "c\ufffdd"]
    assert end.stderr == "e\ufffdf\n"
    asks = 'say(ask={"step": "one", "parameters": {"\\0": {}}})'
    with pytest.raises(PluginError) as caught:
        run(script_plugin(tmp_path, asks), tmp_path / "again")
    assert caught.value.reason.isprintable()


def test_outputs_of_two_ports_have_names_of_their_own(tmp_path: Path) -> None:
    """The second of one name could never be fetched."""
    table = TEXT + TEXT.replace("outputs.text", "outputs.more")
    body = """
for port in ("text", "more"):
    Path("outputs", port + ".txt").write_text(port)
    say(output={"port": port, "path": f"outputs/{port}.txt", "name": "out.txt"})
"""
    with pytest.raises(PluginError, match=r"several of its outputs are called out\.txt: give each"):
        run(script_plugin(tmp_path, body, table), tmp_path)
