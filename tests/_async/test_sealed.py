"""
No piece of a body leaves after its call has ended, and only then is a mail said to be *not sent*.

The server responds before it has the whole mail, and reads on: whatever arrives afterwards is a
mail that the library knows nothing of.
"""

from __future__ import annotations

import json
import threading
import time

import pytest

from _async.ways import ENGINES, OPTIONS, TOKEN, client_of
from poweremail import (
    AsyncPowerEmail,
    NotSentError,
    RetryPolicy,
    TransportError,
)
from poweremail._wire.http import Body
from poweremail.transports import AsyncOutgoing, Request, Response
from support.fault_server import SUCCESS, FaultServer, respond
from support.messages import large, message

RESPONSE = Response(200, (), json.dumps(SUCCESS).encode(), request_left=False)


def respond_early_and_read_on(connection) -> bool:
    """Respond, and take the rest of the mail as if nothing had happened."""
    connection.send(200, json.dumps(SUCCESS).encode())
    connection.socket.settimeout(5)
    connection.read_body()
    return True


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_server_that_responds_early_and_reads_on_gets_no_second_mail(engine):
    """
    Engines either write the whole mail before they look at the response, or stop. If they stop, the
    mail is sent again, so the first attempt must not arrive as well.
    """
    with FaultServer(respond_early_and_read_on, respond()) as server:
        async with client_of(engine, server.url) as client:
            result = await client.messages.send_mail(large())
        wait_for_a_late_mail(server)
    assert (server.posts, result.status) == (1, "success")


def wait_for_a_late_mail(server: FaultServer) -> None:
    """Wait until the server has counted the mail that it accepted, then for one too many."""
    for posts, seconds in ((0, 5.0), (1, 0.5)):
        deadline = time.monotonic() + seconds
        while server.posts == posts and time.monotonic() < deadline:
            time.sleep(0.01)


class LatePulls:
    """
    Stands for an engine that returns early and pulls the rest of the body later.

    *ends*: raises or returns at the end of the call. *forgets*: whether it seals no body.
    """

    def __init__(self, ends, *, forgets: bool = False) -> None:
        self.ends = ends
        self.forgets = forgets
        self.bodies: list[AsyncOutgoing] = []

    async def handle(self, request: Request) -> Response:
        outgoing = AsyncOutgoing(request.body)
        self.bodies.append(outgoing)
        self.pieces = outgoing.__aiter__()
        await anext(self.pieces)
        if not self.forgets:
            await outgoing.aclose()
        return self.ends(outgoing)

    async def aclose(self) -> None:
        pass

    async def pull(self) -> list[bytes]:
        """Pull the rest of the last body."""
        return [piece async for piece in self.pieces]


def fails(outgoing: AsyncOutgoing) -> Response:
    raise TransportError("broken", body_left=outgoing.left)


def responds(outgoing: AsyncOutgoing) -> Response:
    return RESPONSE


def client_over(transport) -> AsyncPowerEmail:
    return AsyncPowerEmail(
        "owner", TOKEN, "example.com", transport=transport, **OPTIONS | {"retry": RetryPolicy(1)}
    )


@pytest.mark.parametrize("ends", [fails, responds])
async def test_a_piece_that_is_pulled_after_the_call_is_an_error(ends):
    transport = LatePulls(ends)
    async with client_over(transport) as client:
        with pytest.raises(NotSentError):
            await client.messages.send_mail(large())
        with pytest.raises(RuntimeError, match="the request has ended"):
            await transport.pull()
    assert transport.bodies[0].left is False


@pytest.mark.parametrize("ends", [fails, responds])
async def test_a_body_is_sealed_although_its_transport_forgets_it(ends):
    transport = LatePulls(ends, forgets=True)
    async with client_over(transport) as client:
        with pytest.raises(NotSentError):
            await client.messages.send_mail(large())
        with pytest.raises(RuntimeError, match="the request has ended"):
            await transport.pull()


async def test_a_new_attempt_has_a_new_body():
    transport = LatePulls(fails)
    async with client_over(transport).with_options(retry=RetryPolicy(2, first_wait=0)) as client:
        with pytest.raises(NotSentError):
            await client.messages.send_mail(large())
    assert len(transport.bodies) == 2


async def test_a_body_can_be_read_again_before_it_is_sealed():
    class Repeating(LatePulls):
        async def handle(self, request: Request) -> Response:
            outgoing = AsyncOutgoing(request.body)
            first = b"".join([piece async for piece in outgoing])
            second = b"".join([piece async for piece in outgoing])
            assert first == second
            return Response(200, (), RESPONSE.body, request_left=outgoing.seal())

    async with client_over(Repeating(responds)) as client:
        assert (await client.messages.send_mail(message())).attempts == 1


async def test_a_body_cannot_be_read_anew_when_its_call_has_ended():
    outgoing = AsyncOutgoing(Body(b"{}"))
    await outgoing.aclose()
    with pytest.raises(RuntimeError, match="the request has ended"):
        assert [piece async for piece in outgoing]
    assert not outgoing.left


async def test_the_seal_and_the_last_piece_never_miss_each_other():
    """An engine may pull in a thread of its own: each piece that it gets is counted."""

    for _ in range(200):
        outgoing = AsyncOutgoing(Body(b"{}"))
        got: list[bool] = []
        gate = threading.Barrier(2)

        def engine(outgoing=outgoing, got=got, gate=gate) -> None:
            gate.wait()
            try:
                outgoing.hand_over(last=True)
            except RuntimeError:
                return
            got.append(True)

        thread = threading.Thread(target=engine)
        thread.start()
        gate.wait()
        left = outgoing.seal()
        thread.join()
        assert left or not got
