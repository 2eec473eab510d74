# async only: aiohttp has no sync client
"""
The head of a request without a body, such as the GET that sends a template, as aiohttp sends it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from poweremail._async.transports.outgoing import AsyncOutgoing
from poweremail._types.secret import Secret
from poweremail.errors import UsageError

if TYPE_CHECKING:
    import aiohttp
    import yarl


class AsyncHeadProgress:
    """
    Follows a request without a body, and sets ``outgoing.left`` when its head may have left.

    `follow` is the innermost middleware of the engine, so it sees every attempt, also those that
    middlewares above it repeat. aiohttp repeats a GET if its connection breaks, which would be a
    second mail; it does not repeat it after a `NoRetryError`.

    It also puts *query* into the URL, and only while the head is written. The query has the token,
    and instrumentations, such as those of OpenTelemetry and Sentry, report URLs. *traced* says
    whether there may be one.
    """

    def __init__(self, outgoing: AsyncOutgoing, query: Secret | None, *, traced: bool) -> None:
        import aiohttp  # noqa: PLC0415  loaded when a transport is made

        self._outgoing = outgoing
        self._query = query
        self._traced = traced
        outgoing.left = False
        # The connector raises these, before the request is written.
        self._connect_errors = (
            aiohttp.ClientConnectorError,
            aiohttp.ConnectionTimeoutError,
            aiohttp.ClientHttpProxyError,
        )
        self._errors = (aiohttp.ClientError, OSError)

    async def follow(self, request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
        """Let *handler* send *request*, once."""
        if self._query is not None:
            if self._traced and _by_plain_proxy(request):
                raise UsageError(
                    "a GET through a proxy without TLS has the token in its URL, and what traces "
                    "the session may show that to others",
                    field="transport",
                    advice="use send_template",
                )
            # It is called when there is a connection (aiohttp/client.py, ClientSession._request).
            request.send = partial(  # type: ignore[method-assign]
                _send_with_query, request, request.send, self._query
            )
        try:
            response: aiohttp.ClientResponse = await handler(request)
        except self._connect_errors as error:
            raise NoRetryError from error
        except self._errors as error:
            self._outgoing.left = True
            raise NoRetryError from error
        except BaseException:
            self._outgoing.left = True
            raise
        self._outgoing.left = True
        return response


class _WithQuery:
    """
    The *url* of a request, which shows its *query* as the target of the request only.

    A plain proxy gets the whole URL as target (*shown*).
    """

    def __init__(self, url: yarl.URL, query: Secret, *, shown: bool) -> None:
        self._url = url
        self._query = query
        self._shown = shown

    @property
    def raw_path_qs(self) -> str:
        """The target of a request."""
        return f"{self._url.raw_path}?{self._query.reveal()}"

    def __str__(self) -> str:
        return f"{self._url}?{self._query.reveal()}" if self._shown else str(self._url)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._url, name)


async def _send_with_query(
    request: aiohttp.ClientRequest,
    send: Callable[[Any], Awaitable[aiohttp.ClientResponse]],
    query: Secret,
    connection: Any,
) -> aiohttp.ClientResponse:
    """Let *request*, with *query*, *send* its head over *connection*."""
    url = request.url
    request.url = cast("yarl.URL", _WithQuery(url, query, shown=_by_plain_proxy(request)))
    try:
        return await send(connection)
    finally:
        request.url = url


def _by_plain_proxy(request: aiohttp.ClientRequest) -> bool:
    """Return whether *request* goes to a proxy that gets its whole URL."""
    return request.proxy is not None and not request.is_ssl()


class NoRetryError(Exception):
    """
    Wraps an error of the engine, its ``__cause__``: aiohttp repeats a GET after errors of its own
    classes only.
    """
