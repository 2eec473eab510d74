"""
The transports: each carries a request to the service and brings back the answer. Most are loaded on
demand.
"""

from __future__ import annotations

from typing import Literal, get_args

from poweremail._async.transports.base import AsyncTransport
from poweremail._async.transports.httpx import AsyncHttpxTransport
from poweremail.errors import UsageError

__all__ = ["AsyncHttpxTransport", "AsyncTransport", "TransportName", "open_transport"]

TransportName = Literal[
    "httpx",
    "httpx2",
    "aiohttp",  # async only
    "pyreqwest",
]


def open_transport(transport: AsyncTransport | TransportName) -> AsyncTransport:
    """
    Return the transport that is meant by name; an object is used as it is. Raises `UsageError`
    where it is neither.
    """
    match transport:
        case "httpx" | "httpx2":
            return AsyncHttpxTransport(engine=transport)
        case "aiohttp":  # async only
            from poweremail._async.transports.aiohttp import AsyncAiohttpTransport  # noqa: PLC0415  # async only

            return AsyncAiohttpTransport()  # async only
        case "pyreqwest":
            from poweremail._async.transports.pyreqwest import AsyncPyreqwestTransport  # noqa: PLC0415  only for who asks for it

            return AsyncPyreqwestTransport()
    if (
        not isinstance(transport, str)
        and hasattr(transport, "handle")
        and hasattr(transport, "aclose")
    ):
        return transport
    what = (
        repr(transport)
        if isinstance(transport, str)
        else f"{type(transport).__module__}.{type(transport).__qualname__}"
    )
    raise UsageError(
        f"must be {', '.join(map(repr, get_args(TransportName)))} or a transport, not {what}",
        field="transport",
        mail_state=None,
        advice="wrap a client of your own: AsyncHttpxTransport(client)",
    )
