# Generated from src/poweremail/_async/transports/__init__.py; do not edit.
"""
The transports: each carries a request to the service and brings back the answer. Most are loaded on
demand.
"""

from __future__ import annotations

from typing import Literal, get_args

from poweremail._sync.transports.base import Transport
from poweremail._sync.transports.httpx import HttpxTransport
from poweremail.errors import ConfigurationError

__all__ = ["HttpxTransport", "Transport", "TransportName", "open_transport"]

TransportName = Literal[
    "httpx",
    "httpx2",
]


def open_transport(transport: Transport | TransportName) -> Transport:
    """
    Return the transport that is meant by name; an object is used as it is. Raises `UsageError`
    where it is neither.
    """
    match transport:
        case "httpx" | "httpx2":
            return HttpxTransport(engine=transport)
        case "pyreqwest":  # until 0.2.0
            raise ConfigurationError(
                "pyreqwest was removed, because it could send a mail twice",
                field="transport",
                advice="use 'aiohttp' or 'httpx'",
            )
    if (
        not isinstance(transport, str)
        and hasattr(transport, "handle")
        and hasattr(transport, "close")
    ):
        return transport
    what = (
        repr(transport)
        if isinstance(transport, str)
        else f"{type(transport).__module__}.{type(transport).__qualname__}"
    )
    raise ConfigurationError(
        f"must be {', '.join(map(repr, get_args(TransportName)))} or a transport, not {what}",
        field="transport",
        advice="wrap a client of your own: HttpxTransport(client)",
    )
