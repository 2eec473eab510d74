"""
The target of a request, in every form in which clients and proxies write it.

- A client whose ``HTTP_PROXY`` is the sandbox writes a whole URL. The sandbox takes it for one of
  its own, whatever its host, and forwards nothing.
- A proxy may put the sandbox below a path, and may leave that path in the target. Whatever comes
  before ``/_sandbox`` or ``/v1.0`` is such a path.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from poweremail.sandbox._api.requests import call_name

_URL = re.compile(r"https?://([^/]*)(.*)\Z", re.IGNORECASE | re.DOTALL)
_ROOTS = re.compile(r"/(?:_sandbox|v1\.0)(?=/|\Z)")

_NO_PROXY = (
    "The sandbox is no proxy, and nothing was forwarded: it responds to calls of the service only. "
    "Name this host in NO_PROXY."
)
_NO_TUNNEL = (
    "The sandbox is no tunnel, and nothing was forwarded. As a proxy it responds to http:// URLs "
    "only: give the program an http:// URL of the service."
)


class Target:
    """Passes a request on to *app* with the path that it has in the sandbox; forwards nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond 405 or 502, or pass the request on."""
        if scope["method"] == "CONNECT":
            refusal = JSONResponse({"error": _NO_TUNNEL}, 405, {"Allow": "GET, POST, DELETE"})
            await refusal(scope, receive, send)
            return
        scope = {**scope}
        # Before it is decoded: a slash that is written as %2F does not end the host.
        raw = scope.get("raw_path") or quote(scope["path"], safe="/:@[]").encode()
        if url := _URL.match(raw.decode("latin-1")):
            # RFC 9112, 3.2.2: the host of the URL replaces that of the header.
            scope["headers"] = [*scope["headers"]]
            MutableHeaders(scope=scope)["host"] = url[1]
            scope["path"] = unquote(url[2]) or "/"
        scope["path"] = path = _path(scope)
        if url and path != "/" and not _ROOTS.match(path) and call_name(path) is None:
            # The response of the service, with its 200, would be taken for that of the other host.
            await JSONResponse({"error": _NO_PROXY}, 502)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    if root := _ROOTS.search(path):
        return path[root.start() :]
    # Who opens any other path in a browser wants the page, which adds the slash that it needs.
    opened = scope["method"] in ("GET", "HEAD") and "text/html" in Headers(scope=scope).get(
        "accept", ""
    )
    return "/" if opened or not path.strip("/") else path
