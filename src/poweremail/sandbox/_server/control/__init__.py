"""
The control API of a sandbox that runs as a server: the methods of `Sandbox` as JSON below
``/_sandbox``, for tests in any language and for the page, which uses nothing else.

FastAPI does the routing, validates requests, writes responses and describes both in OpenAPI:
``openapi.json`` is for programs, ``docs`` for people. It takes longer to import than everything
else in the server, so it is loaded by the first request that needs it.
"""

from __future__ import annotations

from importlib import import_module

import anyio.to_thread
import attrs
from starlette.types import ASGIApp, Receive, Scope, Send

from poweremail.sandbox._server.headers import DATA_HEADERS, with_headers
from poweremail.sandbox._service import Service


@attrs.define(eq=False)
class Control:
    """
    The state of one control API.

    - *service*: the sandbox that it controls.
    - *waiting*, *streams*: the number of requests that wait for a mail, and of open streams.
    """

    service: Service
    waiting: int = 0
    streams: int = 0


def control_app(service: Service) -> ASGIApp:
    """
    Return the control API of *service* as an ASGI application.

    All servers of a process share one FastAPI application, because building it takes tens of
    milliseconds; each request carries its own `Control`.
    """
    control = Control(service)
    api: ASGIApp | None = None

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal api
        if api is None:
            # In a thread, so that the service's API goes on responding meanwhile.
            name = "poweremail.sandbox._server.control.api"
            loaded: ASGIApp = (await anyio.to_thread.run_sync(import_module, name)).api
            api = loaded
        # uvicorn leaves out the body of a response to HEAD, so GET serves both. A stream has no
        # end, so the next request of that connection would wait for ever: it takes GET only.
        is_stream = scope["path"].endswith("/stream")
        method = "GET" if scope["method"] == "HEAD" and not is_stream else scope["method"]
        await api({**scope, "method": method, "control": control}, receive, send)

    return with_headers(run, DATA_HEADERS)
