"""The transports: each carries a request to the service and brings back the answer. That to the sandbox is loaded on demand."""

from __future__ import annotations

from typing import Literal, get_args

from poweremail._async.transports.base import AsyncTransport
from poweremail._async.transports.httpx import AsyncHttpxTransport
from poweremail.errors import UsageError

__all__ = ["AsyncHttpxTransport", "AsyncTransport", "TransportName", "open_transport"]

TransportName = Literal["httpx", "httpx2"]


def open_transport(transport: AsyncTransport | TransportName) -> AsyncTransport:
    """Return the transport that is meant by name; an object is used as it is. Raises `UsageError` where it is neither."""
    if isinstance(transport, str) and transport in get_args(TransportName):
        return AsyncHttpxTransport(engine=transport)
    if not isinstance(transport, str) and hasattr(transport, "handle") and hasattr(transport, "aclose"):
        return transport
    what = repr(transport) if isinstance(transport, str) else f"{type(transport).__module__}.{type(transport).__qualname__}"
    raise UsageError(
        f"must be 'httpx', 'httpx2' or a transport, not {what}",
        field="transport",
        mail_state=None,
        advice="wrap a client of your own: AsyncHttpxTransport(client)",
    )
