"""The stream of what happens, and what it is told from."""

import json
import threading

import httpx
import pytest

from poweremail.sandbox._server.control.stream import MAX_STREAMS
from poweremail.sandbox._store.changes import Changes
from support.plain_http import PLAIN_HTTP


@pytest.fixture
def server(sandbox):
    with sandbox.server() as server:
        yield server


def listen(server, last_id=None):
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    return httpx.stream("GET", f"{server.url}/_sandbox/stream", headers=headers, **PLAIN_HTTP)


def events(lines, count):
    """The next so many events, each a kind and a number, and the id of the last."""
    found, event = [], {}
    for line in lines:
        name, _, value = line.partition(":")
        if line:
            event[name] = value.strip()
        elif event:
            if "event" in event:
                found.append((event["event"], json.loads(event["data"]).get("number")))
            last_id = event.get("id")
            event = {}
            if len(found) == count:
                return found, last_id
    raise AssertionError("the stream ended")


def test_what_happens_is_told_in_order(server, api, sandbox):
    with listen(server) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        lines = answer.iter_lines()
        threading.Thread(target=api.send).start()
        assert events(lines, 1)[0] == [("caught", 1)]
        sandbox.service.record_event(1, "open")
        api.send()
        sandbox.service.mails.delete(2)
        sandbox.clear()
        assert events(lines, 4)[0] == [
            ("changed", 1),
            ("caught", 2),
            ("deleted", 2),
            ("cleared", None),
        ]


def test_who_comes_back_is_told_what_was_missed(server, api):
    with listen(server) as answer:
        api.send()
        _, last_id = events(answer.iter_lines(), 1)
    api.send()
    api.send()
    with listen(server, last_id) as answer:
        assert events(answer.iter_lines(), 2)[0] == [("caught", 2), ("caught", 3)]


@pytest.mark.parametrize(
    "last_id", ["other-1", "nonsense", "-", "{run}-99", "{run}-x", "{run}-" + "9" * 40]
)
def test_who_knows_too_little_is_told_to_look_again(server, sandbox, api, last_id):
    api.send()
    with listen(server, last_id.format(run=sandbox.service.store.changes.run)) as answer:
        assert events(answer.iter_lines(), 1)[0] == [("refetch", None)]


def test_no_more_than_so_many_listen(server):
    streams = [listen(server) for _ in range(MAX_STREAMS)]
    answers = [stream.__enter__() for stream in streams]
    with listen(server) as refused:
        assert refused.status_code == 503
        assert json.loads(refused.read()) == {"error": "32 streams are open already"}
    for stream in streams:
        stream.__exit__(None, None, None)
    assert {answer.status_code for answer in answers} == {200}


def test_changes_forget_the_oldest():
    changes = Changes()
    assert changes.since(0) == []
    for number in range(1500):
        changes.note("caught", number)
    assert changes.since(100) is None
    assert [change.number for change in changes.since(1498)] == [1498, 1499]
    assert changes.since(1501) is None
