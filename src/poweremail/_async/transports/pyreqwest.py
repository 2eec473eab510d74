"""
The adapter to pyreqwest, the fastest engine.

Its exceptions are named after guesses: a connection that was closed after the request had been
taken is a ConnectError, an answer that does not come a ConnectTimeoutError. So nothing is read from
the names. A body of several pieces is counted out to the engine, which asks for the first when it
is connected. A body in one piece, which is faster given whole, has left unless the engine's own
account of what it was doing says that it was still connecting.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from poweremail._async.transports.base import (
    MAX_CONNECTIONS,
    AsyncOutgoing,
    checked_limit,
    failure,
    load_engine,
)
from poweremail._async.transports.worlds import AsyncWorlds
from poweremail._response import Response
from poweremail._runtime._async import Deadline, cancellable, check_world, shielded
from poweremail._types.timeouts import Timeouts
from poweremail._wire.http import ACCEPT_ENCODING, Request, ResponseBody
from poweremail.errors import TransportError, UsageError

if TYPE_CHECKING:
    from pyreqwest.client import Client, ClientBuilder  # async only
    from pyreqwest.request import RequestBuilder, StreamRequest  # async only
    from pyreqwest.response import Response as Answer  # async only
    # sync only: from pyreqwest.client import SyncClient as Client, SyncClientBuilder as ClientBuilder  # noqa: E501
    # sync only: from pyreqwest.request import SyncRequestBuilder as RequestBuilder, SyncStreamRequest as StreamRequest  # noqa: E501
    # sync only: from pyreqwest.response import SyncResponse as Answer

__all__ = ["AsyncPyreqwestTransport"]

_EXTRA = "pyreqwest"
_DIGITS = 19
"""Of a length that is meant."""
_CONNECTING = "client error (Connect)"
"""
What hyper-util, which makes the connections of this engine, says of a request that it had no
connection for yet.
"""
_WAITED = "deadline has elapsed"
"""
What the engine's own line says, which is before its HTTP library; a cause in that would say more.
"""


class AsyncPyreqwestTransport:
    """
    Send through pyreqwest.

    *configure* is called with the ``ClientBuilder`` of each client that the transport makes, and
    returns it with proxies, certificates or whatever else you need; redirects and inflating stay
    off. *max_connections* is how many requests are under way at most. TLS is verified, and the
    proxy variables of the environment are honoured. A mail of more than 256 KiB takes a connection
    of its own.

    The read timeout counts from the beginning of a request whose body is in one piece, connecting
    included. Raises `UsageError` where pyreqwest is not installed; a request raises it where
    pyreqwest cannot run, which is also so in a process that was forked after pyreqwest had been
    used: its threads do not survive that.
    """

    def __init__(
        self,
        *,
        configure: Callable[[ClientBuilder], ClientBuilder] | None = None,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._library = load_engine("pyreqwest.client", _EXTRA)
        requests = load_engine("pyreqwest.request", _EXTRA)
        self._body = requests.RequestBody.from_bytes
        self._with_body = requests.StreamRequest.from_request_and_body  # async only
        # sync only: self._with_body = requests.SyncStreamRequest.from_request_and_body
        self._errors: type[Exception] = load_engine("pyreqwest.exceptions", _EXTRA).PyreqwestError
        self._configure = configure
        self._limit = checked_limit(max_connections)
        self._own: AsyncWorlds[dict[Timeouts, _Engine]] = AsyncWorlds(self._make, _close)

    async def handle(self, request: Request) -> Response:
        """Send *request* and return the answer, read whole."""
        engines = await self._own.here()
        if request.body is not None and request.body.whole is None:
            return await self._stream(request)
        timeouts = request.endpoint.timeouts
        # The engine has its timeouts from its client; a handful of them are in use.
        engine = engines.get(timeouts) or engines.setdefault(
            timeouts, _Engine(self._build(timeouts))
        )
        try:
            async with cancellable(), self._made(engine, request) as answer:
                return await self._read(answer, request, request_left=True)
        except self._errors as error:
            failed = _failure(error, request, body_left=_may_have_left(error))
        raise failed

    async def aclose(self) -> None:
        """Close the clients that this transport made; no request goes out afterwards."""
        await self._own.aclose()

    async def _stream(self, request: Request) -> Response:
        """
        Send a body of several pieces, each of which may take as long as the timeouts say, and so
        may the answer after them.
        """
        timeouts = request.endpoint.timeouts
        client = self._build(Timeouts(timeouts.connect, None, timeouts.write, timeouts.pool))
        outgoing = AsyncOutgoing(request.body)
        try:
            async with Deadline(client.close) as deadline:
                pieces = AsyncWatched(outgoing, deadline, timeouts)
                async with (
                    cancellable(),
                    self._begin(client, request).body_stream(pieces).build_streamed() as answer,
                ):
                    return await self._read(
                        answer, request, request_left=outgoing.left, deadline=deadline
                    )
        except self._errors as error:
            failed = _failure(error, request, body_left=outgoing.left)
        except TimeoutError:
            failed = TransportError(
                "no byte was taken or answered in time", body_left=outgoing.left
            )
        finally:
            await outgoing.aclose()
            with shielded():
                await client.close()
        raise failed

    def _make(self) -> dict[Timeouts, _Engine]:
        check_world("pyreqwest")
        return {}

    def _build(self, timeouts: Timeouts) -> Client:
        builder: ClientBuilder = self._library.ClientBuilder()  # async only
        # sync only: builder: ClientBuilder = self._library.SyncClientBuilder()
        if self._configure is not None:
            builder = self._configure(builder)
        builder = (
            builder.follow_redirects(enable=False)
            .referer(enable=False)
            .max_connections(self._limit)
        )
        builder = (
            builder.gzip(enable=False).brotli(enable=False).zstd(enable=False).deflate(enable=False)
        )
        for seconds, limit in (
            (timeouts.connect, builder.connect_timeout),
            (timeouts.read, builder.read_timeout),
            (timeouts.pool, builder.pool_timeout),
        ):
            if seconds is not None:
                builder = limit(timedelta(seconds=seconds))
        try:
            return builder.build()
        except RuntimeError as error:
            raise UsageError(
                str(error), field="transport", advice="make the first request after the fork"
            ) from error

    @staticmethod
    def _begin(client: Client, request: Request) -> RequestBuilder:
        """
        Begin the engine's request; its URL may have the token, so it is in no variable of a frame
        that can fail.
        """
        return client.request(request.method, request.full_url()).headers(
            (*request.headers, ACCEPT_ENCODING)
        )

    def _made(self, engine: _Engine, request: Request) -> StreamRequest:
        """Make the engine's request, without a body or with one in one piece."""
        if request.body is None:
            return self._begin(engine.client, request).build_streamed()
        # Two requests with a body differ in nothing else, but for the URL.
        stencil = engine.stencils.get(request.url) or engine.stencil(request)
        return self._with_body(stencil, self._body(request.body.whole))  # type: ignore[no-any-return]

    async def _read(
        self,
        answer: Answer,
        request: Request,
        *,
        request_left: bool,
        deadline: Deadline | None = None,
    ) -> Response:
        limit = request.endpoint.max_response_bytes
        encoding, announced = (
            answer.get_header("Content-Encoding"),
            answer.get_header("Content-Length") or "",
        )
        if (
            not (deadline or encoding)
            and announced.isdecimal()
            and len(announced) < _DIGITS
            and int(announced) <= limit
        ):
            # Nearly always: one step into the engine and back, where each chunk would take one.
            content = bytes(await answer.bytes())
        else:
            body = ResponseBody(encoding, limit)
            reader = answer.body_reader
            while (chunk := await reader.read_chunk()) is not None and body.feed(bytes(chunk)):
                if deadline is not None:
                    deadline.move(request.endpoint.timeouts.read)
            content = body.finish()
        return Response(
            answer.status, tuple(answer.headers.items()), content, request_left=request_left
        )


class AsyncWatched:
    """
    Hands out *outgoing*: *deadline* leaves the write timeout to each piece, and the read timeout to
    what follows the last.
    """

    def __init__(self, outgoing: AsyncOutgoing, deadline: Deadline, timeouts: Timeouts) -> None:
        self._outgoing = outgoing
        self._deadline = deadline
        self._timeouts = timeouts

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._pieces = aiter(self._outgoing)
        return self

    async def __anext__(self) -> bytes:
        # Reading the piece may take as long as it takes.
        self._deadline.move(None)
        try:
            return await anext(self._pieces)
        finally:
            self._deadline.move(
                self._timeouts.read if self._outgoing.left else self._timeouts.write
            )


class _Engine:
    """
    A *client* of the engine, and a request for each URL that it has sent a body to, to be copied
    with another body.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.stencils: dict[str, StreamRequest] = {}

    def stencil(self, request: Request) -> StreamRequest:
        """Make the one for *request*."""
        builder = self.client.request(request.method, request.url).headers(
            (*request.constant_headers, ACCEPT_ENCODING)
        )
        return self.stencils.setdefault(request.url, builder.build_streamed())


async def _close(engines: dict[Timeouts, _Engine]) -> None:
    while engines:
        await engines.popitem()[1].client.close()


def _causes(error: Any) -> list[str]:
    """What the engine says of *error*, from the outermost cause on."""
    details = getattr(error, "details", None) or {}
    return [cause["message"] for cause in details.get("causes") or ()]


def _may_have_left(error: Exception) -> bool:
    """Whether a body that was given whole may have left."""
    causes = _causes(error)
    waited_in_line = type(error).__name__ == "PoolTimeoutError" and causes == [_WAITED]
    return not (waited_in_line or causes[1:2] == [_CONNECTING])


def _failure(error: Any, request: Request, *, body_left: bool) -> TransportError:
    # One of the causes repeats the URL; the last says what went wrong.
    causes = [cause for cause in _causes(error) if " for url (" not in cause]
    return failure(error, request, body_left=body_left, reason=": ".join((error.message, *causes)))
