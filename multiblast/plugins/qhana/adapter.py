"""Runs a plugin of QHAna in QHAna's own runner: the script of a plugin that was imported.

It is copied beside the plugin with ``fields.py``, and run by the Python of the plugin's environment, in which there is
no multiblast. ``qhana.json`` beside it names the plugin, and the table's ports for what it makes; in it ``describe`` is
true while the plugin is imported.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_HERE = Path(__file__).resolve().parent
_fields = import_module("fields" if __name__ == "__main__" else "multiblast.plugins.qhana.fields")  # beside this script
_HOST = "qhana.invalid"
_PERIOD_S = 0.1
_SEE_OTHER, _UNPROCESSABLE = 303, 422
_STATE = Path("state")
_LONGEST_LOG = 1900
_DATA = re.compile(r"[a-z][a-z0-9-]*(/[a-z][a-z0-9-]*)?")
_CONTENT = re.compile(r"[a-z]+/[a-z0-9][a-z0-9.+-]*")


class Runner:
    """QHAna's runner with one plugin, its database and files below ``state``, and a worker in this process."""

    def __init__(self, folder: Path, work: Path) -> None:
        instance = work / _STATE / "instance"
        instance.mkdir(parents=True, exist_ok=True)
        os.environ |= {
            "QHANA_PLUGIN_RUNNER_INSTANCE_FOLDER": str(instance),
            "PLUGIN_FOLDERS": str(folder),
            "SQLALCHEMY_DATABASE_URI": f"sqlite:///{instance / 'qhana.db'}",
            "SERVER_NAME": _HOST,
            "BROKER_URL": "memory://",
            "RESULT_BACKEND": "cache+memory://",
        }
        sys.path.insert(0, str(_HERE / "runner"))
        self.app = import_module("qhana_plugin_runner").create_app()
        self.client = self.app.test_client()
        with self.app.app_context():
            import_module("qhana_plugin_runner.db.db").DB.create_all()
        self._take_own_addresses()

    @property
    def plugins(self) -> Mapping[str, Any]:
        """The plugins that were loaded, by QHAna's identifier."""
        found: Mapping[str, Any] = import_module("qhana_plugin_runner.util.plugins").QHAnaPluginBase.get_plugins()
        return found

    def _take_own_addresses(self) -> None:
        """Let plugins open files of their own runner by its address, though nothing listens there."""
        requests, app = import_module("requests"), self.app

        class Adapter(requests.adapters.BaseAdapter):  # type: ignore[misc, name-defined]  # of the environment
            def send(self, request: Any, **_options: Any) -> Any:
                import io

                answered = app.test_client().open(_path(request.url), method=request.method)
                response = requests.models.Response()
                response.status_code, response.url, response.request = answered.status_code, request.url, request
                response.headers.update(answered.headers)
                response.raw = io.BytesIO(answered.get_data())
                return response

            def close(self) -> None:
                pass

        import_module("qhana_plugin_runner.requests").REQUEST_SESSION.mount(f"http://{_HOST}/", Adapter())

    def start_worker(self) -> threading.Thread:
        """Start a worker of Celery in a thread, which does one task at a time."""
        celery = import_module("qhana_plugin_runner.celery").CELERY
        celery.finalize()
        celery.set_default()  # else what a task starts in the worker's thread goes to a broker that is not there
        celery.conf.update(broker_transport_options={"polling_interval": 0.02}, worker_hijack_root_logger=False)
        worker = celery.WorkController(
            app=celery,
            hostname=f"multiblast@{_HOST}",
            pool_cls="solo",
            concurrency=1,
            loglevel="INFO",
            without_heartbeat=True,
            without_mingle=True,
            without_gossip=True,
        )
        thread = threading.Thread(target=worker.start, name="celery", daemon=True)
        thread.start()
        return thread

    def schema(self, href: str) -> Any:
        """Return the schema of the form that is posted to an address; None if its plugin declares none."""
        endpoint, _ = self.app.url_map.bind(_HOST).match(urlsplit(href).path, method="POST")
        view = self.app.view_functions[endpoint]
        method = getattr(getattr(view, "view_class", None), "post", view)
        for given in getattr(method, "_apidoc", {}).get("arguments", {}).get("parameters", ()):
            if given.get("in") in {"form", "json", "body", "formData", "query"} and "schema" in given:
                return given["schema"]
        return None

    def fields(self, href: str) -> dict[str, dict[str, Any]]:
        """Return the fields of the form that is posted to an address, as they are written in it."""
        schema = self.schema(href)
        schema = schema() if isinstance(schema, type) else schema
        return (
            {one.data_key or name: _fields.field_facts(one) for name, one in schema.fields.items()}
            if schema is not None
            else {}
        )


def describe(runner: Runner) -> list[dict[str, Any]]:
    """Return what the plugins say of themselves: their metadata, requirements and forms."""
    found = []
    for identifier, plugin in sorted(runner.plugins.items()):
        facts: dict[str, Any] = {"identifier": identifier, "name": plugin.name, "version": plugin.version}
        facts |= {"requirements": _requirements(plugin), "metadata": None, "fields": {}, "problem": ""}
        answer = runner.client.get(f"/plugins/{identifier}/", base_url=f"http://{_HOST}")
        try:
            if answer.status_code != 200:  # noqa: PLR2004 - all is well, in HTTP
                raise ValueError(f"it answers {answer.status_code} when asked for its metadata")  # noqa: TRY301
            facts["metadata"] = answer.get_json()
            facts["fields"] = runner.fields(facts["metadata"]["entryPoint"]["href"])
        except Exception as error:  # noqa: BLE001 - of a plugin's own code
            facts["problem"] = f"{type(error).__name__}: {error}"
        found.append(facts)
    return found


def _requirements(plugin: Any) -> list[str]:
    try:
        lines = str(plugin.get_requirements()).splitlines()
    except NotImplementedError:
        return []
    plain = (re.sub(r"(^|\s)#.*", "", line).strip() for line in lines)
    return [line for line in plain if line]


class Job:
    """One round of a plugin: a task of QHAna's, followed until it has ended or asks.

    Args:
        runner: With the plugin.
        settings: What ``qhana.json`` says.
        request: What ``request.json`` says.
        work: The directory of the run.
    """

    def __init__(self, runner: Runner, settings: Mapping[str, Any], request: Mapping[str, Any], work: Path) -> None:
        self._runner, self._settings, self._request, self._work = runner, settings, request, work
        self._kept_path = work / _STATE / "multiblast.json"
        self._kept: dict[str, Any] = {"task": "", "step": "", "index": -1, "work": str(work), "log": 0}
        self._events = Path(os.environ["MULTIBLAST_EVENTS"]).open("a", encoding="utf-8")  # noqa: SIM115 - as long as we
        if self._kept_path.exists():
            self._kept = json.loads(self._kept_path.read_text(encoding="utf-8"))
            self._kept["work"] = str(work)

    def run(self) -> None:
        """Do the round."""
        worker = self._runner.start_worker()
        if self._kept["task"]:
            self._go_on()
        else:
            self._begin()
        while (task := self._task())["status"] in {"PENDING", "UNKNOWN"}:
            self._report(task)
            steps = task.get("steps") or []
            if steps and not steps[-1]["cleared"] and len(steps) - 1 > self._kept["index"]:
                self._ask(steps[-1], len(steps) - 1)
                return
            if not worker.is_alive():
                sys.exit("the worker of QHAna's runner has ended")
            time.sleep(_PERIOD_S)
        self._report(task)
        if task["status"] != "SUCCESS":
            sys.exit(f"the plugin's task ended as {task['status']}\n{task.get('log') or ''}")
        self._take(task.get("outputs") or [])

    def _begin(self) -> None:
        form: dict[str, str] = {}
        for name, value in self._request["parameters"].items():
            if value != "" or self._settings["fields"].get(name, {}).get("required"):
                form[name] = _written(value)
        for port, files in self._request["inputs"].items():
            form[port] = ",".join(self._linked(port, number, one) for number, one in enumerate(files))
        answer = self._post(self._settings["process"], form)
        if answer.status_code == _UNPROCESSABLE:
            sys.exit(f"the plugin refuses what it was given: {_problems(answer)}")
        self._follow(answer)

    def _go_on(self) -> None:
        answers = self._request["answers"][self._kept["step"]]
        answer = self._post(self._kept["href"], {name: _written(value) for name, value in answers.items()})
        if answer.status_code == _UNPROCESSABLE:
            self._kept["index"] -= 1
            self._note({"log": f"the plugin refuses the answer: {_problems(answer)}"})
            return
        self._follow(answer)

    def _post(self, href: str, form: Mapping[str, str]) -> Any:
        return self._runner.client.post(_path(href), data=form, base_url=f"http://{_HOST}")

    def _follow(self, answer: Any) -> None:
        """Note which task is to be followed."""
        if answer.status_code not in {_SEE_OTHER, 302, 201, 200}:
            sys.exit(f"the plugin answered {answer.status_code}: {answer.get_data(as_text=True)[:2000]}")
        location = answer.headers.get("Location", "")
        if "/tasks/" in location:
            self._kept["task"] = _path(location)
        if not self._kept["task"]:
            sys.exit("the plugin started no task")

    def _linked(self, port: str, number: int, file: Mapping[str, str]) -> str:
        """Return the address of an input, under the name that a person gave it."""
        place = self._work / "tmp" / "inputs" / port / str(number)
        place.mkdir(parents=True)
        name = re.sub(r"[^\w.+ -]", "_", file["name"]).lstrip(".") or "file"
        (place / name).symlink_to(file["path"])
        return (place / name).as_uri()

    def _task(self) -> dict[str, Any]:
        answer = self._runner.client.get(self._kept["task"], base_url=f"http://{_HOST}")
        task = answer.get_json()
        if answer.status_code != 200 or not isinstance(task, dict):  # noqa: PLR2004 - all is well, in HTTP
            sys.exit(f"the task answers {answer.status_code}")
        return task

    def _report(self, task: Mapping[str, Any]) -> None:
        if (progress := task.get("progress")) and progress != self._kept.get("progress"):
            self._kept["progress"] = progress
            self._note({"progress": progress})
        log = task.get("log") or ""
        for line in log[self._kept["log"] :].splitlines():
            self._note({"log": line[:_LONGEST_LOG]})
        self._kept["log"] = len(log)

    def _ask(self, step: Mapping[str, Any], index: int) -> None:
        """Ask a person what the step asks, with what its page has filled in already."""
        fields = self._runner.fields(step["href"])
        page = _fields.FilledForm()
        page.feed(self._runner.client.get(_path(step["uiHref"]), base_url=f"http://{_HOST}").get_data(as_text=True))
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", str(step.get("stepId") or f"step{index + 1}")).strip(".")[:60]
        taken = self._request["answers"]
        title = name
        for number in range(2, 1000):
            if name not in taken:
                break
            name = f"{title}-{number}"
        form = {field: _parameter(facts, page.values.get(field)) for field, facts in fields.items()}
        self._kept |= {"step": name, "href": step["href"], "index": index}
        self._note({"ask": {"step": name, "title": title, "parameters": form}})
        self._kept_path.write_text(json.dumps(self._kept), encoding="utf-8")

    def _take(self, outputs: list[Mapping[str, Any]]) -> None:
        """Write what the plugin made, each to the first port that it fits."""
        names = set[str]()
        for output, port in _placed(outputs, self._settings["outputs"]):
            name = re.sub(r"[^\w.+ -]", "_", str(output.get("name") or "output")).lstrip(".") or "output"
            for number in range(2, 100_000):
                if name not in names:
                    break
                name = f"{number}-{name.removeprefix(f'{number - 1}-')}"
            names.add(name)
            place = port["port"] if port else self._settings["more"]
            path = self._work / "outputs" / f"{place}-{len(names)}"
            self._download(output["href"], path)
            self._note({"output": {"port": place, "path": str(path), "name": name, **_kinds(output, port)}})

    def _download(self, href: str, path: Path) -> None:
        if urlsplit(href).hostname not in {_HOST, None}:
            opened = import_module("qhana_plugin_runner.requests").open_url_as_file_like_simple(href)
            with opened as source, path.open("wb") as file:
                shutil.copyfileobj(source, file)
            return
        answer = self._runner.client.get(_path(href), base_url=f"http://{_HOST}", buffered=False)
        if answer.status_code != 200:  # noqa: PLR2004 - all is well, in HTTP
            sys.exit(f"an output answers {answer.status_code}")
        with path.open("wb") as file:
            file.writelines(answer.iter_encoded())

    def _note(self, event: Mapping[str, Any]) -> None:
        self._events.write(json.dumps(event) + "\n")
        self._events.flush()


def _path(href: str) -> str:
    """Return an address of the runner without its host."""
    parts = urlsplit(href)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _problems(answer: Any) -> str:
    found = answer.get_json(silent=True) or {}
    return json.dumps(found.get("errors") or found, ensure_ascii=False)[:1500]


def _parameter(facts: Mapping[str, Any], filled: str | None) -> dict[str, Any]:
    """Return a field of a step as a question has it."""
    if facts["secret"]:
        sys.exit("a step of the plugin asks for a password, which is not kept: answers are")
    made: dict[str, Any] = _fields.parameter(facts, filled)
    return made


def _placed(
    outputs: list[Mapping[str, Any]], ports: list[Mapping[str, Any]]
) -> list[tuple[Mapping[str, Any], Mapping[str, Any] | None]]:
    """Return each output with the port that it fits; None for those that were not declared.

    Some plugins declare other types than they then make: what is left goes to ports that have to be filled.
    """
    free, placed = list(ports), list[tuple[Mapping[str, Any], Mapping[str, Any] | None]]()
    for output in outputs:
        port = next((one for one in free if _fits(output, one)), None)
        if port is not None:
            free.remove(port)
        placed.append((output, port))
    needed = [port for port in free if port["required"]]
    for at, (output, port) in enumerate(placed):
        if port is None and needed:
            placed[at] = (output, needed.pop(0))
    return placed


def _fits(output: Mapping[str, Any], port: Mapping[str, Any]) -> bool:
    """Return whether an output is what was declared for a port, by QHAna's rules for types."""
    if port["name"] and port["name"] != output.get("name"):
        return False
    is_so_written = any(_matches(str(output["contentType"]), one) for one in port["content"])
    return is_so_written and _matches(str(output["dataType"]), port["data"])


def _matches(have: str, want: str) -> bool:
    have, want = (one.removesuffix("*").removesuffix("/") or "*" for one in (have, want))
    return want in {"*", have} or ("/" not in want and have.partition("/")[0] == want)


def _kinds(output: Mapping[str, Any], port: Mapping[str, Any] | None) -> dict[str, str]:
    """Return what is said of an output's types, where they are such as tables have, and its port leaves them open."""
    data = str(output["dataType"]).strip().lower().replace("_", "-")
    content = str(output["contentType"]).partition(";")[0].strip().lower()
    found = {"data": data} if _DATA.fullmatch(data) and (port is None or _matches(data, port["data"])) else {}
    return found | ({"content": content} if _CONTENT.fullmatch(content) else {})


def move(work: Path) -> None:
    """Correct what the database of an earlier round says of where its files are: each round has its own directory."""
    kept, database = work / _STATE / "multiblast.json", work / _STATE / "instance" / "qhana.db"
    if not kept.exists():
        return
    before = json.loads(kept.read_text(encoding="utf-8"))["work"]
    with sqlite3.connect(database) as connection:
        for table, column in list(_texts(connection)):
            changed = f'UPDATE "{table}" SET "{column}" = replace("{column}", ?, ?) WHERE instr("{column}", ?)'  # noqa: S608 - names of its own schema
            connection.execute(changed, (before, str(work), before))


def _texts(connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Yield the columns with texts, each with its table."""
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        for _, column, kind, *_ in connection.execute(f'PRAGMA table_info("{table}")').fetchall():
            if any(word in kind.upper() for word in ("CHAR", "TEXT", "JSON")):
                yield table, column


def main() -> None:
    """Describe the plugins beside this script, or run the one that ``qhana.json`` names."""
    work = Path.cwd()
    settings = json.loads((_HERE / "qhana.json").read_text(encoding="utf-8"))
    move(work)
    runner = Runner(_HERE / "plugin", work)
    if settings["describe"]:
        (work / "outputs" / "facts.json").write_text(json.dumps(describe(runner)), encoding="utf-8")
    elif settings["identifier"] not in runner.plugins:
        sys.exit(f"QHAna's runner did not load {settings['identifier']}: see above")
    else:
        request = json.loads((work / "request.json").read_text(encoding="utf-8"))
        Job(runner, settings, request, work).run()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # else threads of Celery's would keep the process


if __name__ == "__main__":
    main()
