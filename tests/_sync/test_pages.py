# Generated from tests/_async/test_pages.py; do not edit.
"""The walk over getMessageInfo, against a server that is not the sandbox."""

from __future__ import annotations

import threading

import pytest

from _sync.ways import client_of
from poweremail import MessageInfo, ProtocolError, Timeouts, UsageError, ValidationError
from support.fault_server import FaultServer, respond_with


def record(number: int) -> dict:
    return {
        "email": f"user{number}@example.com",
        "subject": "Hi",
        "status": "delivered",
        "time": 1458034022169 + number,
    }


def pages(count: int):
    def respond(request) -> dict:
        first = request.json["skip_page"] * 100
        return {
            "status": "success",
            "message_data": [record(number) for number in range(first, min(first + 100, count))],
        }

    return respond_with(respond)


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 199, 200, 250, 1_000])
def test_every_record_comes_once_and_in_order(count):
    with FaultServer(pages(count)) as server:
        with client_of("httpx", server.url) as client:
            records = [info for info in client.messages.iter_message_info("u1")]
    assert all(isinstance(info, MessageInfo) for info in records)
    assert [info.email for info in records] == [
        f"user{number}@example.com" for number in range(count)
    ]
    assert [request.json["skip_page"] for request in server.seen] == list(range(count // 100 + 1))
    assert {request.json["x_unique_id"] for request in server.seen} == {"u1"}


def test_the_walk_can_begin_later():
    with FaultServer(pages(250)) as server:
        with client_of("httpx", server.url) as client:
            records = [info for info in client.messages.iter_message_info("u1", skip_page=2)]
    assert [info.email for info in records] == [
        f"user{number}@example.com" for number in range(200, 250)
    ]


def test_pages_are_fetched_when_they_are_needed():
    with FaultServer(pages(1_000)) as server:
        with client_of("httpx", server.url) as client:
            walk = client.messages.iter_message_info("u1")
            assert server.posts == 0
            for _ in walk:
                break
            assert server.posts == 1
            # It continues at the next record.
            assert next(walk).email == "user1@example.com"
    assert server.posts == 1


@pytest.mark.parametrize("period", [1, 2, 3])
def test_a_repeated_page_raises_an_error(period):
    def respond(request) -> dict:
        first = request.json["skip_page"] % period * 100
        return {
            "status": "success",
            "message_data": [record(number) for number in range(first, first + 100)],
        }

    records = []
    with FaultServer(respond_with(respond)) as server:
        with client_of("httpx", server.url) as client:
            walk = client.messages.iter_message_info("u1")
            with pytest.raises(
                ProtocolError, match=f"page {period} with the records of page 0 again"
            ):
                for info in walk:
                    records.append(info)
            assert [info for info in walk] == []
    assert len(records) == period * 100
    assert server.posts == period + 1


def test_a_repeated_page_is_known_by_its_mails():
    """
    Its records in another order, and with opens that have been counted meanwhile, are still the
    same.
    """
    seen = []

    def respond(request) -> dict:
        records = [record(number) | {"open": len(seen)} for number in range(100)]
        seen.append(request)
        return {
            "status": "success",
            "message_data": records[len(seen) :] + records[: len(seen)],
        }

    with FaultServer(respond_with(respond)) as server:
        with client_of("httpx", server.url) as client:
            with pytest.raises(ProtocolError, match="page 1 with the records of page 0 again"):
                for _ in client.messages.iter_message_info("u1"):
                    pass
    assert server.posts == 2


def test_records_that_differ_in_an_unknown_member_are_different():
    def respond(request) -> dict:
        first = request.json["skip_page"] * 100
        return {
            "status": "success",
            "message_data": [{"_id": number} for number in range(first, min(first + 100, 250))],
        }

    with FaultServer(respond_with(respond)) as server:
        with client_of("httpx", server.url) as client:
            assert len([info for info in client.messages.iter_message_info("u1")]) == 250


def test_a_page_that_fails_can_be_requested_again():
    failing = [True]

    def respond(request) -> dict:
        if request.json["skip_page"] == 1 and failing:
            failing.clear()
            return {"status": "error", "name": "ValidationError", "message": "not now"}
        return {
            "status": "success",
            "message_data": [
                record(number) for number in range(100 if request.json["skip_page"] == 0 else 3)
            ],
        }

    with FaultServer(respond_with(respond)) as server:
        with client_of("httpx", server.url) as client:
            walk = client.messages.iter_message_info("u1")
            records = []
            with pytest.raises(Exception, match="not now"):
                for info in walk:
                    records.append(info)
            for info in walk:
                records.append(info)
    assert len(records) == 103


@pytest.mark.parametrize("look_ahead", [1, 2, 8])
@pytest.mark.parametrize("count", [0, 1, 100, 101, 850, 900, 2_000])
def test_looking_ahead_changes_nothing_but_the_time(count, look_ahead):
    with FaultServer(pages(count)) as server:
        with client_of("httpx", server.url) as client:
            records = [
                info.email
                for info in client.messages.iter_message_info("u1", look_ahead=look_ahead)
            ]
    assert records == [f"user{number}@example.com" for number in range(count)]
    asked = sorted(request.json["skip_page"] for request in server.seen)
    assert asked == list(range(len(asked)))
    assert count // 100 + 1 <= len(asked) <= count // 100 + look_ahead


def test_pages_are_fetched_side_by_side():
    together = threading.Barrier(4, timeout=60)

    def respond(request) -> dict:
        number = request.json["skip_page"]
        if 1 <= number <= 4:
            together.wait()
        return {
            "status": "success",
            "message_data": [record(number * 100 + at) for at in range(100 if number < 4 else 1)],
        }

    with FaultServer(respond_with(respond)) as server:
        with client_of("httpx", server.url, timeouts=Timeouts()) as client:
            walk = client.messages.iter_message_info("u1", look_ahead=4)
            assert len([info for info in walk]) == 401
    assert server.posts == 5


def test_an_error_of_a_later_page_is_raised_in_order_and_can_be_retried():
    failing = [True]

    def respond(request) -> dict:
        number = request.json["skip_page"]
        if number == 3 and failing:
            failing.clear()
            return {"status": "error", "name": "ValidationError", "message": "not now"}
        return {
            "status": "success",
            "message_data": [record(number * 100 + at) for at in range(100 if number < 6 else 7)],
        }

    records = []
    with FaultServer(respond_with(respond)) as server:
        with client_of("httpx", server.url) as client:
            walk = client.messages.iter_message_info("u1", look_ahead=4)
            with pytest.raises(ValidationError, match="not now"):
                for info in walk:
                    records.append(info.email)
            assert len(records) == 300
            for info in walk:
                records.append(info.email)
    assert records == [f"user{number}@example.com" for number in range(607)]


@pytest.mark.parametrize(("last", "pages_fetched"), [(50, 1), (150, 9), (899, 9), (900, 25)])
def test_a_walk_that_is_left_early_leaves_nothing_behind(last, pages_fetched):
    before = set(threading.enumerate())
    with FaultServer(pages(5_000)) as server:
        with client_of("httpx", server.url) as client:
            for info in client.messages.iter_message_info("u1", look_ahead=8):
                if info.email == f"user{last}@example.com":
                    break
            posted = server.posts
            assert posted == pages_fetched
            assert len(client.messages.get_message_info("u1", 50)) == 0
        assert server.posts == posted + 1
    # What an engine runs on may keep threads of its own for a while.
    assert not [
        thread
        for thread in set(threading.enumerate()) - before
        if thread.name.startswith("poweremail")
    ]


@pytest.mark.parametrize("look_ahead", [-1, True, 1.5])
def test_an_invalid_look_ahead_is_rejected(look_ahead):
    with client_of("httpx", "http://127.0.0.1:1") as client:
        with pytest.raises(UsageError, match="^look_ahead: must be a number of pages"):
            client.messages.iter_message_info("u1", look_ahead=look_ahead)
