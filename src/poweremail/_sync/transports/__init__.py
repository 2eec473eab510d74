# Generated from src/poweremail/_async/transports/__init__.py; do not edit.
"""
The transports: each carries a request to the service and returns the response. Most are loaded on
demand.

To add an HTTP engine, add a module with an `Adapter` and an `Engine` (``base.py``
explains both), and its name to `TransportName` and `open_transport`.
"""

from __future__ import annotations

from typing import Literal, get_args

from poweremail._runtime._engines import unusable_transport
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
    Return the transport with that name; a transport object is returned as it is.

    Raises `ConfigurationError` if *transport* is neither.
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
    raise unusable_transport(transport, get_args(TransportName))
