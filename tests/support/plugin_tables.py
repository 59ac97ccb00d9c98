"""Tables and scripts of plugins that tests run."""

from __future__ import annotations

__all__ = ["ASKING", "ASKS", "CALLING", "CALLS", "DIRECTORY", "FAILING", "SLEEPING", "TAKING"]

ASKING = """
name = "asking"
version = "1.0.0"
title = "Ask twice"
outputs.words = { data = "lines", content = "text/plain" }
run = { command = ["python3", "{plugin}/work.py"] }
"""
ASKS = """
import json, os, pathlib
request = json.load(open("request.json"))
answers = request["answers"]
events = open(os.environ["MULTIBLAST_EVENTS"], "a")
seen = pathlib.Path("state/seen")
seen.write_text((seen.read_text() if seen.exists() else "") + f"{request['round']},")
for step in ("first", "second"):
    if step not in answers:
        form = {"word": {"type": "text", "label": "A word"}, "times": {"type": "integer", "default": 2, "least": 1}}
        print(json.dumps({"ask": {"step": step, "title": f"The {step} word?", "parameters": form}}), file=events)
        raise SystemExit
words = " ".join(answers[step]["word"] * answers[step]["times"] for step in ("first", "second"))
pathlib.Path("outputs/words.txt").write_text(f"{words} {seen.read_text()}")
"""

CALLING = """
name = "calling"
version = "1.0.0"
title = "Let another one sort"
inputs.text = { content = ["text/plain"] }
outputs.numbered = { data = "lines", content = "text/plain" }
needs.sorter = { name = "sort-lines", version = ">=1,<2" }
run = { command = ["python3", "{plugin}/work.py"] }
"""
CALLS = """
import json, os, pathlib
request = json.load(open("request.json"))
events = open(os.environ["MULTIBLAST_EVENTS"], "a")
if "sort" not in request["answers"]:
    handed = pathlib.Path("outputs/../tmp/handed.txt")
    handed.write_text(pathlib.Path(request["inputs"]["text"][0]["path"]).read_text().upper())
    inputs = {"text": [str(handed.resolve())]}
    call = {"step": "sort", "plugin": "sorter", "inputs": inputs, "parameters": {"order": "down"}}
    print(json.dumps({"call": call}), file=events)
    raise SystemExit
lines = pathlib.Path(request["answers"]["sort"]["outputs"]["sorted"][0]).read_text().split()
pathlib.Path("outputs/numbered.txt").write_text("".join(f"{n} {line}\\n" for n, line in enumerate(lines, 1)))
"""

FAILING = """
name = "failing"
version = "1.0.0"
title = "Fail"
outputs.never = { data = "lines", content = "text/plain" }
parameters.why = { pattern = "[a-z ]+", default = "no reason" }
run = { command = ["python3", "-c", "import sys; sys.exit('because of {parameters.why}')"] }
"""

SLEEPING = """
name = "sleeping"
version = "1.0.0"
title = "Sleep"
outputs.never = { data = "lines", content = "text/plain" }
run = { command = ["sleep", "600"], stdout = "never" }
"""

TAKING = """
name = "taking"
version = "1.0.0"
title = "Take in what a search found"
inputs.hits = { data = "hits/*", content = ["text/tab-separated-values"] }
inputs.queries = { data = "sequences/protein", content = ["text/x-fasta"] }
inputs.subjects = { data = "subjects/*", content = ["text/x-fasta"] }
outputs.all = { data = "sequences/{subjects}", content = "text/x-fasta" }
run = { command = ["cat", "{inputs.queries}", "{inputs.subjects}"], stdout = "all" }
"""


DIRECTORY = """
name = "unpack"
version = "1.0.0"
title = "Make a directory of lines"
inputs.text = { content = ["text/plain"] }
outputs.files = { data = "files", content = "inode/directory" }
run = { command = ["split", "-l", "1", "{inputs.text}", "{outputs.files}/line-"] }
"""
