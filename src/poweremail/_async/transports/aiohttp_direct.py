# async only: aiohttp has no sync client
"""
A POST over a connection of aiohttp, below its session.

Theory of operation. The session of aiohttp builds each request anew from options, headers and
cookies, gives its body to a task of its own, and makes a response that can do much more than be
read; that takes a third of the time of a send. But the requests of a client differ in their bodies
alone, and nearly every mail is one piece in memory. So aiohttp builds the request of a URL once, as
a model. For each mail `AsyncDirect` takes a connection from the connector, writes the model's head
and the mail, and reads the response from the connection's parser.

These are inner parts of aiohttp, which its next release may change. So this way is taken only with
releases that are known (``RELEASES``), and a test shows that both ways write the same bytes. The
rest goes through the session: a body in pieces, whose response may arrive while it is written; a
request without a body; a proxy, which may need another head; and all requests if someone watches
the session, by its traces or in place of its own function, as monitors and mocks do.
"""

from __future__ import annotations

from functools import cache, partial
from types import FunctionType
from typing import TYPE_CHECKING, Any

from poweremail._async.transports.aiohttp_body import AsyncAiohttpReply, AsyncTimedOutgoing
from poweremail._wire.http import Request

if TYPE_CHECKING:
    import aiohttp
    import yarl

RELEASES = ("3.14.",)
"""How the versions of aiohttp begin whose inner parts are known."""


def direct_way(session: aiohttp.ClientSession, options: dict[str, Any]) -> AsyncDirect | None:
    """Return the way below *session* for requests with *options*, or None if there is none."""
    import aiohttp  # noqa: PLC0415  loaded when a transport is made

    is_known = aiohttp.__version__.startswith(RELEASES)
    if not is_known or session.trace_configs or options["proxy"] is not None:
        return None
    return AsyncDirect(session, options.get("ssl", True))


class AsyncDirect:
    """Sends requests over the connections of *session*, whose TLS settings are *tls*."""

    def __init__(self, session: aiohttp.ClientSession, tls: Any) -> None:
        import aiohttp  # noqa: PLC0415  loaded when a transport is made

        self._engine = aiohttp
        own: object = aiohttp.ClientSession._request  # noqa: SLF001  what monitors and mocks replace
        # A wrapper may be a function, too, or name the one that it wraps. Only its globals tell.
        is_own = type(own) is FunctionType and own.__globals__ is vars(aiohttp.client)
        self._own = own if is_own else None
        self._session = session
        self._connector: Any = session.connector
        self._tls = tls
        # Only a handful of URLs are in use.
        self._model = cache(self._make_model)

    def can_send(self, request: Request) -> bool:
        """Return whether *request* may go this way."""
        body = request.body
        return (
            body is not None
            and body.is_one_piece
            and self._engine.ClientSession._request is self._own  # noqa: SLF001
        )

    async def send(
        self,
        url: yarl.URL,
        request: Request,
        outgoing: AsyncTimedOutgoing,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  the engine's own
    ) -> AsyncAiohttpReply:
        """Send *request* to *url*, with the body *outgoing*."""
        model, line = self._model(url)
        try:
            connection = await self._connector.connect(model, traces=[], timeout=timeout)
        except TimeoutError as error:  # as the session says it
            raise self._engine.ConnectionTimeoutError(
                f"Connection timeout to host {url}"
            ) from error
        protocol = connection.protocol
        try:
            protocol.set_response_params(read_until_eof=True, auto_decompress=False)
            writer = self._engine.http.StreamWriter(protocol, model.loop)
            headers = model.headers.copy()
            headers["Content-Length"] = str(request.body.length)  # type: ignore[union-attr]
            await writer.write_headers(line, headers)
            await outgoing.write_by(writer, request.endpoint.timeouts.write)
            head, content = await protocol.read()
        except self._engine.http.HttpProcessingError as error:
            connection.close()
            raise self._engine.ClientResponseError(
                model.request_info, (), status=error.code, message=error.message
            ) from error
        except BaseException:
            connection.close()
            raise
        end = partial(self._end, connection, content, outgoing)
        return AsyncAiohttpReply(head.code, head.headers, content, end)

    def _end(self, connection: Any, content: Any, outgoing: AsyncTimedOutgoing) -> None:
        """Release *connection*, or close it if the body or *content* is not at its end."""
        if outgoing.written and content.is_eof():
            connection.release()
        else:
            connection.close()
            # Whoever reads on gets this, as from the session.
            content.set_exception(self._engine.ClientConnectionError("Connection closed"))

    def _make_model(self, url: yarl.URL) -> tuple[aiohttp.ClientRequest, str]:
        """Return a request to *url* that stands for all, and its first line."""
        return self._engine.ClientRequest(
            "POST",
            url,
            headers=self._session.headers,
            # For the headers of a body. The length is that of each request.
            data=self._engine.BytesPayload(b"", content_type="application/json"),
            session=self._session,
            ssl=self._tls,
        ), f"POST {url.raw_path_qs} HTTP/1.1"
