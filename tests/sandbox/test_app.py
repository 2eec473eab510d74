"""The application by itself, with a client that disconnects."""

import json

import anyio
import pytest

from poweremail.sandbox import Fault
from poweremail.sandbox._server.app import create_app


@pytest.fixture
def request_of(api, sandbox):
    body = json.dumps(
        {"owner_id": "o", "token": "t", "smtp_user_name": "s", "message": api.message()}
    ).encode()

    async def request(*pieces: bytes, wire=None, stays=False) -> list[dict]:
        """
        Send the *pieces* of a body (all of it by default), then go away unless one *stays*; return
        what the application sent.
        """
        pieces = pieces or (body,)
        incoming = [
            {"type": "http.request", "body": piece, "more_body": piece is not pieces[-1]}
            for piece in pieces
        ]
        sent = []

        async def receive():
            if stays and not incoming:
                await anyio.sleep_forever()
            return incoming.pop(0) if incoming else {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1.0/messages/sendMail",
            "query_string": b"",
            "state": {"wire": wire},
        }
        await create_app(sandbox.service)({**scope, "headers": [], "root_path": ""}, receive, send)
        return sent

    request.body = body
    return request


class Wire:
    def __init__(self) -> None:
        self.ends = []

    def reset(self) -> None:
        self.ends.append("reset")

    def close(self) -> None:
        self.ends.append("close")


async def test_a_body_in_pieces(request_of, sandbox):
    start, end = await request_of(request_of.body[:10], request_of.body[10:])
    assert (start["status"], end["more_body"]) == (200, False)
    assert len(sandbox.outbox) == 1


async def test_disconnect_before_the_response(request_of, sandbox):
    sandbox.faults.add(Fault.latency(60))
    assert await request_of() == []
    assert len(sandbox.outbox) == 1


async def test_disconnect_in_a_dripping_response(request_of, sandbox):
    sandbox.faults.add(Fault.slow_drip(60))
    start, first = await request_of()
    assert (start["type"], first["body"], first["more_body"]) == ("http.response.start", b"{", True)


async def test_a_dripping_response(request_of, sandbox):
    sandbox.faults.add(Fault.slow_drip(0.0001))
    _, *pieces, end = await request_of(stays=True)
    assert {len(piece["body"]) for piece in pieces} == {1}
    assert (end["body"], end["more_body"]) == (b"", False)


@pytest.mark.parametrize(
    ("fault", "end", "messages"),
    [
        (Fault.refuse(), "reset", 0),
        (Fault.reset_after_acceptance(), "reset", 0),
        (Fault.truncated(), "close", 2),
        (Fault.stall(0), "close", 0),
    ],
)
async def test_how_connections_end(request_of, sandbox, fault, end, messages):
    sandbox.faults.add(fault)
    wire = Wire()
    assert len(await request_of(request_of.body, wire=wire)) == messages
    assert wire.ends == [end]
