"""
The transports: each carries a request to the service and returns the response. Most are loaded on
demand.

To add an HTTP engine, add a module with an `AsyncAdapter` and an `AsyncEngine` (``base.py``
explains both), and its name to `TransportName` and `open_transport`.
"""

from __future__ import annotations

from typing import Literal, get_args

from poweremail._async.transports.base import AsyncTransport
from poweremail._async.transports.httpx import AsyncHttpxTransport
from poweremail._runtime._engines import unusable_transport
from poweremail.errors import ConfigurationError

__all__ = ["AsyncHttpxTransport", "AsyncTransport", "TransportName", "open_transport"]

TransportName = Literal[
    "httpx",
    "httpx2",
    "aiohttp",  # async only
]


def open_transport(transport: AsyncTransport | TransportName) -> AsyncTransport:
    """
    Return the transport with that name; a transport object is returned as it is.

    Raises `ConfigurationError` if *transport* is neither.
    """
    match transport:
        case "httpx" | "httpx2":
            return AsyncHttpxTransport(engine=transport)
        case "pyreqwest":  # until 0.2.0
            raise ConfigurationError(
                "pyreqwest was removed, because it could send a mail twice",
                field="transport",
                advice="use 'aiohttp' or 'httpx'",
            )
        case "aiohttp":  # async only
            from poweremail._async.transports.aiohttp import AsyncAiohttpTransport  # noqa: PLC0415  # async only

            return AsyncAiohttpTransport()  # async only
    if (
        not isinstance(transport, str)
        and hasattr(transport, "handle")
        and hasattr(transport, "aclose")
    ):
        return transport
    raise unusable_transport(transport, get_args(TransportName))
