"""
The head of a request without a body, such as the GET that sends a template, as httpcore sends it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from poweremail._async.transports.outgoing import AsyncOutgoing
from poweremail._types.secret import Secret

PROXY_METHOD = b"CONNECT"
"""The request that opens a tunnel through a proxy; its head is not that of the call."""


def follow_head(outgoing: AsyncOutgoing, query: Secret | None) -> Callable[..., Any]:
    """
    Return a trace function for a request without a body, which sets ``outgoing.left``, and starts
    *outgoing* where the engine already has a connection.

    ``left`` is True at first, and stays so if the engine reports no event: that proves nothing.

    It also puts *query*, which has the token, into the URL while the head is written, and takes it
    out again. No program that traces requests sees it there, whether it follows the calls of the
    user's client, of its transport or of a connection.
    """
    head_started = False
    put_back: Callable[[], None] | None = None

    async def trace(event: str, info: dict[str, Any]) -> None:
        nonlocal head_started, put_back
        if put_back is not None:
            put_back()
            put_back = None
        if event.endswith(".send_request_headers.started"):
            request = info.get("request")
            is_proxy_request = getattr(request, "method", b"") == PROXY_METHOD
            head_started = head_started or not is_proxy_request
            outgoing.start()
            if query is not None and request is not None and not is_proxy_request:
                put_back = _put_query(request, query)
        outgoing.left = head_started

    return trace


def _put_query(request: Any, query: Secret) -> Callable[[], None]:
    """Put *query* into the URL of httpcore's *request*; return a function that restores the URL."""
    # The next to read it are _send_request_headers in httpcore/_async/http11.py and http2.py.
    url = request.url
    request.url = type(url)(
        scheme=url.scheme,
        host=url.host,
        port=url.port,
        target=url.target + b"?" + query.reveal().encode(),
    )

    def put_back() -> None:
        request.url = url

    return put_back
