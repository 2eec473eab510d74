"""The stream of changes, and the changes it is made from."""

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


def test_changes_are_streamed_in_order(server, api, sandbox):
    with listen(server) as response:
        assert response.headers["content-type"] == "text/event-stream"
        lines = response.iter_lines()
        threading.Thread(target=api.send).start()
        assert events(lines, 1)[0] == [("caught", 1)]
        sandbox.record(1, "open")
        api.send()
        sandbox.service.mails.delete(2)
        sandbox.clear()
        assert events(lines, 4)[0] == [
            ("changed", 1),
            ("caught", 2),
            ("deleted", 2),
            ("cleared", None),
        ]


def test_a_client_that_reconnects_gets_the_changes_it_missed(server, api):
    with listen(server) as response:
        api.send()
        _, last_id = events(response.iter_lines(), 1)
    api.send()
    api.send()
    with listen(server, last_id) as response:
        assert events(response.iter_lines(), 2)[0] == [("caught", 2), ("caught", 3)]


@pytest.mark.parametrize(
    "last_id", ["other-1", "nonsense", "-", "{run}-99", "{run}-x", "{run}-" + "9" * 40]
)
def test_a_client_with_an_unknown_id_gets_refetch(server, sandbox, api, last_id):
    api.send()
    with listen(server, last_id.format(run=sandbox.service.store.changes.run)) as response:
        assert events(response.iter_lines(), 1)[0] == [("refetch", None)]


def test_nothing_holds_the_stream_back(server):
    """nginx obeys the header; other proxies, and the page, see a first byte at once."""
    with listen(server, "") as response:
        assert response.headers["x-accel-buffering"] == "no"
        assert next(response.iter_raw()).startswith(b": stream\n")


def test_changes_can_be_polled(server, api, sandbox):
    def poll(since=""):
        url = f"{server.url}/_sandbox/changes?since={since}"
        return httpx.get(url, **PLAIN_HTTP).json()

    api.send()
    start = poll()
    assert start["changes"] == []
    assert poll(start["last"]) == start
    api.send()
    sandbox.record(1, "open")
    later = poll(start["last"])
    assert later["changes"] == [
        {"kind": "caught", "number": 2},
        {"kind": "changed", "number": 1},
    ]
    assert poll(later["last"])["changes"] == []
    assert poll("another-1")["changes"] == [{"kind": "refetch", "number": None}]


def test_a_stream_has_no_head(server):
    response = httpx.head(f"{server.url}/_sandbox/stream", **PLAIN_HTTP)
    assert (response.status_code, response.headers["allow"]) == (405, "GET")


def test_too_many_streams_get_503(server):
    streams = [listen(server) for _ in range(MAX_STREAMS)]
    responses = [stream.__enter__() for stream in streams]
    with listen(server) as refused:
        assert refused.status_code == 503
        assert json.loads(refused.read()) == {"error": "32 streams are open already"}
    for stream in streams:
        stream.__exit__(None, None, None)
    assert {response.status_code for response in responses} == {200}


def test_changes_forget_the_oldest():
    changes = Changes()
    assert changes.since(0) == []
    for number in range(1500):
        changes.note("caught", number)
    assert changes.since(100) is None
    assert [change.number for change in changes.since(1498)] == [1498, 1499]
    assert changes.since(1501) is None
