"""
The transports by their public names, and what it takes to write one.

`AsyncHttpxTransport` and `HttpxTransport` take a client of httpx or httpx2 that you configured; `AsyncSandboxTransport` and
`SandboxTransport` reach a sandbox of this process without a socket; `AsyncTransport` and `Transport` are the protocols.
"""

from poweremail._async.transports import AsyncHttpxTransport, AsyncSandboxTransport, AsyncTransport
from poweremail._async.transports.base import AsyncOutgoing
from poweremail._sync.transports import HttpxTransport, SandboxTransport, Transport
from poweremail._sync.transports.base import Outgoing
from poweremail.response import Response
from poweremail.wire.http import Request

__all__ = [
    "AsyncHttpxTransport",
    "AsyncOutgoing",
    "AsyncSandboxTransport",
    "AsyncTransport",
    "HttpxTransport",
    "Outgoing",
    "Request",
    "Response",
    "SandboxTransport",
    "Transport",
]
