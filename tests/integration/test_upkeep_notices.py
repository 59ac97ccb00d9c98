"""Notices to a real HTTP receiver: signed, once for each end, tried again with longer waits, and only where allowed."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event
from typing import Any

import pytest
from sqlmodel import select

from multiblast.database import Database, JobStatus, Notice, QueryJob, utc_now
from multiblast.environment import HTTP_URL
from multiblast.errors import InvalidInputError
from multiblast.jobs import Jobs
from multiblast.settings import NoticeRules, Policy
from multiblast.upkeep import Notices, notice_delivery
from multiblast.upkeep.notice_delivery import check_url
from tests.support.small_servers import QuietHandler, listening_with

SECRET = "between us"  # noqa: S105 - of this test
JOB = "a" * 32


@dataclass
class Receiver:
    """Takes notices, and answers with ``answers`` before it says yes."""

    port: int
    taken: list[dict[str, Any]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/told?by=us"

    @property
    def events(self) -> list[str]:
        return [taken["event"] for taken in self.taken]


class _Handler(QuietHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        code = self.receiver.answers.pop(0) if self.receiver.answers else 204
        if code < 300:
            signed = dict(part.split("=") for part in self.headers["Multiblast-Signature"].split(","))
            expected = hmac.new(SECRET.encode(), signed["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
            told = {"path": self.path, "is_ours": hmac.compare_digest(expected, signed["v1"])}
            self.receiver.taken.append(told | json.loads(body))
        self.send_response(code)
        self.send_header("Location", "/elsewhere")
        self.end_headers()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Handler(_Handler):
        pass

    with listening_with(Handler) as server:
        Handler.receiver = Receiver(server.server_port)
        yield Handler.receiver


@pytest.fixture
def jobs(database: Database) -> Jobs:
    jobs = Jobs(database)
    recipe: dict[str, Any] = {"targets": [], "options": {}}
    jobs.add(QueryJob(id=JOB, site="s", program="blastp", recipe=recipe, query_key="queries/a", query_bytes=1), ())
    return jobs


@pytest.fixture
def notices(database: Database) -> Notices:
    return Notices(database, NoticeRules())


def end(jobs: Jobs, *states: JobStatus, why: str = "") -> None:
    for state in states:
        jobs.move_query([JOB], state, why)


def send(notices: Notices, after: timedelta = timedelta()) -> Any:
    return notices.send(lambda: SECRET, utc_now() + after)


def test_end_of_a_job_is_told_once_and_signed(
    jobs: Jobs, notices: Notices, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HTTP_URL, "https://blast.example.org")
    notices.subscribe(JOB, receiver.url)
    assert send(notices).sent == 0
    end(jobs, JobStatus.IN_PROGRESS, JobStatus.FAILED, why="out of memory")
    assert send(notices).sent == 1
    assert send(notices, timedelta(days=1)).sent == 0
    (told,) = receiver.taken
    assert told["is_ours"]
    assert told["path"] == "/told?by=us"
    assert (told["event"], told["job"], told["status"], told["reason"]) == (
        "query.failed",
        JOB,
        "failed",
        "out of memory",
    )
    assert datetime.fromisoformat(told["ended"]).tzinfo
    assert len(told["delivery"]) == 32
    assert told["url"] == f"https://blast.example.org/query/jobs/{JOB}"


def test_each_end_is_told(jobs: Jobs, notices: Notices, receiver: Receiver) -> None:
    notices.subscribe(JOB, receiver.url)
    end(jobs, JobStatus.FAILED)
    send(notices)
    end(jobs, JobStatus.QUEUED, JobStatus.IN_PROGRESS)
    send(notices)
    end(jobs, JobStatus.COMPLETE)
    send(notices)
    assert receiver.events == ["query.failed", "query.complete"]


def test_end_before_the_wish_is_not_told(jobs: Jobs, notices: Notices, receiver: Receiver) -> None:
    end(jobs, JobStatus.FAILED)
    notices.subscribe(JOB, receiver.url)
    assert send(notices).sent == 0
    end(jobs, JobStatus.QUEUED, JobStatus.FAILED)
    assert send(notices).sent == 1


def test_receiver_in_trouble_is_told_later(jobs: Jobs, notices: Notices, receiver: Receiver) -> None:
    receiver.answers = [503, 302]
    notices.subscribe(JOB, receiver.url)
    end(jobs, JobStatus.COMPLETE)
    assert send(notices).later == {receiver.url: f"127.0.0.1:{receiver.port} answered 503 Service Unavailable"}
    assert send(notices, timedelta(seconds=30)).later == {}
    assert "302" in send(notices, timedelta(minutes=2)).later[receiver.url]
    assert receiver.taken == []
    assert send(notices, timedelta(minutes=6)).sent == 1
    assert receiver.events == ["query.complete"]


def test_receiver_that_never_answers_is_given_up(database: Database, jobs: Jobs, notices: Notices) -> None:
    url = "http://127.0.0.1:1/nobody"
    notices.subscribe(JOB, url)
    end(jobs, JobStatus.COMPLETE)
    tries = [send(notices, timedelta(days=number)) for number in range(9)]
    assert [bool(told.later) for told in tries] == [True] * 7 + [False] * 2
    assert "127.0.0.1:1 cannot be notified: " in tries[7].given_up[url]
    with database.read() as session:
        assert "Connection refused" in session.exec(select(Notice)).one().problem


def test_receiver_that_drips_its_answer_holds_nobody_up(
    jobs: Jobs, notices: Notices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs send notices at their end: each byte is in time, and the answer would be whole after a minute."""

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            with suppress(OSError):
                for letter in b"HTTP/1.1 204 No Content\r\n\r\n":
                    self.wfile.write(bytes([letter]))
                    left.wait(0.3)

    left = Event()
    monkeypatch.setattr(notice_delivery, "_LONGEST_S", 0.5)
    with listening_with(Handler) as server:
        url = f"http://127.0.0.1:{server.server_port}/slow"
        notices.subscribe(JOB, url)
        end(jobs, JobStatus.COMPLETE)
        assert "did not end within" in send(notices).later[url]
        left.set()


def test_many_who_tell_at_once_tell_once(jobs: Jobs, notices: Notices, receiver: Receiver) -> None:
    notices.subscribe(JOB, receiver.url)
    end(jobs, JobStatus.COMPLETE)
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda _: send(notices).sent, range(4)))
    assert sum(told) == 1
    assert receiver.events == ["query.complete"]


def test_name_of_an_inner_address_is_not_talked_to(database: Database, jobs: Jobs, receiver: Receiver) -> None:
    """A name may mean anything, and something else a moment later: the address that is talked to counts."""
    notices, url = Notices(database, NoticeRules(loopback=False)), f"https://localhost:{receiver.port}/"
    notices.subscribe(JOB, url)
    end(jobs, JobStatus.COMPLETE)
    assert "is this machine, which the policy does not allow" in send(notices).later[url]


_PUBLIC = Policy.public().notices
_REFUSED = {
    "no address": ("told", NoticeRules(), "give an address such as"),
    "another scheme": ("ftp://example.org/", NoticeRules(), "give an address such as"),
    "a file": ("file:///etc/passwd", NoticeRules(), "give an address such as"),
    "not a port": ("https://example.org:x/", NoticeRules(), "Port could not be cast"),
    "too long": (f"https://example.org/{'x' * 2000}", NoticeRules(), "give an address such as"),
    "a line break": ("https://example.org/\u2028Host: x", NoticeRules(), "give an address such as"),
    "plain http": ("http://example.org/", NoticeRules(), "use https"),
    "a password": ("https://me:secret@example.org/", NoticeRules(), "leave name and password out"),
    "a private address": ("https://10.0.0.7/", NoticeRules(), "no public address"),
    "the metadata of a cloud": ("https://169.254.169.254/latest", NoticeRules(), "no public address"),
    "a private address in IPv6": ("https://[fd00::1]/", NoticeRules(), "no public address"),
    "a mapped address": ("https://[::ffff:10.0.0.7]/", NoticeRules(), "no public address"),
    "this machine, of a public service": ("https://127.0.0.1/", _PUBLIC, "is this machine"),
    "plain http, of a public service": ("http://127.0.0.1/", _PUBLIC, "use https"),
    "a host not on the list": ("https://example.com/", NoticeRules(hosts=("*.example.org",)), "to *.example.org only"),
}


@pytest.mark.parametrize(("url", "rules", "said"), _REFUSED.values(), ids=_REFUSED)
def test_url_is_refused(url: str, rules: NoticeRules, said: str) -> None:
    with pytest.raises(InvalidInputError) as raised:
        check_url(url, rules)
    assert said in raised.value.by_key["notify"][0]


@pytest.mark.parametrize(
    ("url", "rules"),
    [
        ("https://example.org/told?x=1", _PUBLIC),
        ("https://a.example.org:8443/", NoticeRules(hosts=("*.example.org",))),
        ("http://localhost:8000/", NoticeRules()),
        ("http://10.0.0.7/", NoticeRules(private=True)),
    ],
)
def test_url_is_accepted(url: str, rules: NoticeRules) -> None:
    assert check_url(url, rules).geturl() == url
