"""
The transports by their public names, and what it takes to write one.

`AsyncHttpxTransport` and `HttpxTransport` take a client of httpx or httpx2 that you configured,
`AsyncAiohttpTransport` a session of aiohttp; `AsyncPyreqwestTransport` and `PyreqwestTransport` let
you configure what they make. `AsyncSandboxTransport` and `SandboxTransport` reach a sandbox of this
process without a socket; `AsyncTransport` and `Transport` are the protocols. Each is loaded when it
is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poweremail._lazy import lazily

if TYPE_CHECKING:
    from poweremail._async.transports import AsyncHttpxTransport, AsyncTransport
    from poweremail._async.transports.aiohttp import AsyncAiohttpTransport
    from poweremail._async.transports.base import AsyncOutgoing
    from poweremail._async.transports.pyreqwest import AsyncPyreqwestTransport
    from poweremail._async.transports.sandbox import AsyncSandboxTransport
    from poweremail._response import Response
    from poweremail._sync.transports import HttpxTransport, Transport
    from poweremail._sync.transports.base import Outgoing
    from poweremail._sync.transports.pyreqwest import PyreqwestTransport
    from poweremail._sync.transports.sandbox import SandboxTransport
    from poweremail._wire.answer import AnswerBody
    from poweremail._wire.http import Request

_HOME = {
    "AnswerBody": "poweremail._wire.answer",
    "AsyncAiohttpTransport": "poweremail._async.transports.aiohttp",
    "AsyncHttpxTransport": "poweremail._async.transports.httpx",
    "AsyncOutgoing": "poweremail._async.transports.base",
    "AsyncPyreqwestTransport": "poweremail._async.transports.pyreqwest",
    "AsyncSandboxTransport": "poweremail._async.transports.sandbox",
    "AsyncTransport": "poweremail._async.transports.base",
    "HttpxTransport": "poweremail._sync.transports.httpx",
    "Outgoing": "poweremail._sync.transports.base",
    "PyreqwestTransport": "poweremail._sync.transports.pyreqwest",
    "Request": "poweremail._wire.http",
    "Response": "poweremail._response",
    "SandboxTransport": "poweremail._sync.transports.sandbox",
    "Transport": "poweremail._sync.transports.base",
}

__all__ = [
    "AnswerBody",
    "AsyncAiohttpTransport",
    "AsyncHttpxTransport",
    "AsyncOutgoing",
    "AsyncPyreqwestTransport",
    "AsyncSandboxTransport",
    "AsyncTransport",
    "HttpxTransport",
    "Outgoing",
    "PyreqwestTransport",
    "Request",
    "Response",
    "SandboxTransport",
    "Transport",
]

__getattr__, __dir__ = lazily(__name__, _HOME)
