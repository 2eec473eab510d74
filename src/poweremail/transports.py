"""
The public names of the transports, and of the classes that a transport of your own needs.

`AsyncHttpxTransport` and `HttpxTransport` take a client of httpx or httpx2 that you configured,
`AsyncAiohttpTransport` a session of aiohttp. `AsyncTransport` and `Transport` are the
protocols. Each is loaded when it is first used. The transports into a sandbox of this process are
in `poweremail.sandbox`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poweremail._lazy import lazily

if TYPE_CHECKING:
    from poweremail._async.transports import AsyncHttpxTransport, AsyncTransport
    from poweremail._async.transports.aiohttp import AsyncAiohttpTransport
    from poweremail._async.transports.base import AsyncOutgoing
    from poweremail._response import Response
    from poweremail._sync.transports import HttpxTransport, Transport
    from poweremail._sync.transports.base import Outgoing
    from poweremail._wire.http import Request, ResponseBody

_NO_PYREQWEST = "pyreqwest could send a mail twice; use aiohttp on asyncio, else httpx"

# The module of each name, below this package.
_HOMES = {
    "_async.transports.aiohttp": ("AsyncAiohttpTransport",),
    "_async.transports.base": ("AsyncOutgoing", "AsyncTransport"),
    "_async.transports.httpx": ("AsyncHttpxTransport",),
    "_response": ("Response",),
    "_sync.transports.base": ("Outgoing", "Transport"),
    "_sync.transports.httpx": ("HttpxTransport",),
    "_wire.http": ("Request", "ResponseBody"),
}

__all__ = [
    "AsyncAiohttpTransport",
    "AsyncHttpxTransport",
    "AsyncOutgoing",
    "AsyncTransport",
    "HttpxTransport",
    "Outgoing",
    "Request",
    "Response",
    "ResponseBody",
    "Transport",
]

if not TYPE_CHECKING:  # a type checker knows the names above, and no others
    __getattr__, __dir__ = lazily(
        __name__,
        _HOMES,
        renamed={
            "AnswerBody": "poweremail.transports:ResponseBody",
            "AsyncSandboxTransport": "poweremail.sandbox:AsyncSandboxTransport",
            "SandboxTransport": "poweremail.sandbox:SandboxTransport",
        },
        removed={"AsyncPyreqwestTransport": _NO_PYREQWEST, "PyreqwestTransport": _NO_PYREQWEST},
    )
