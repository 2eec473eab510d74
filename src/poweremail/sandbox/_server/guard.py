"""
The guard of the sandbox against other sites: only its own page may use it from a browser.

Any site that is open in a browser can send requests to this machine. Their contents prove nothing,
but two headers that the browser adds do: Host, the address that the user opened, which reveals a
name that was made to point here (DNS rebinding), and Origin, the page that sends the request.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from poweremail._types.checks import is_loopback

__all__ = ["Guard", "host_of"]

_SAFE_METHODS = ("GET", "HEAD")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:[0-9]{1,5})?\Z")

_WRONG_HOST = (
    "This host is not one of the sandbox's. Use localhost, or start the sandbox with --allow-host."
)
_WRONG_ORIGIN = "A page of another origin may not use the sandbox."
_WRONG_SITE = "A page of another site may not use the sandbox."


def host_of(header: str) -> str | None:
    """Return the host of a Host header in lower case, without its port; None if it is invalid."""
    found = _HOST.match(header.lower())
    return found[1].strip("[]") if found else None


class Guard:
    """
    Passes a request on to *app*, or responds 403.

    - The page and the control API respond under loopback names and under *allowed_hosts* only, and
      neither show nor change anything for the page of another origin. Links from there still work.
    - The API below ``/v1.0`` is for programs, which may use any name. A browser is treated as in
      the control API, GETs included, because one of them sends mail.
    """

    def __init__(self, app: ASGIApp, *, allowed_hosts: Iterable[str] = ()) -> None:
        self._app = app
        # Some browsers take 0.0.0.0 and :: for this machine; neither is an address of a request.
        self._allowed = {host.lower().strip("[]") for host in allowed_hosts} - {"0.0.0.0", "::"}  # noqa: S104

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond 403, or pass the request on."""
        reason = self._objection(scope["method"], scope["path"], Headers(scope=scope))
        app = self._app if reason is None else JSONResponse({"error": reason}, 403)
        await app(scope, receive, send)

    def _objection(self, method: str, path: str, headers: Headers) -> str | None:
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        is_page = path == "/" or path.startswith("/_sandbox")
        if not is_page and origin is None and site is None:
            return None
        host = headers.get("host", "").lower()
        name = host_of(host)
        if name is None or not (is_loopback(name) or name in self._allowed):
            return _WRONG_HOST
        is_foreign = site not in (None, "same-origin", "none")
        if is_page and method in _SAFE_METHODS:
            # A link of another site may lead here. The frame of a mail has no origin, and loads the
            # images of the mail.
            may_be_foreign = headers.get("sec-fetch-mode") == "navigate" or path.startswith(
                "/_sandbox/images/"
            )
            return _WRONG_SITE if is_foreign and not may_be_foreign else None
        if origin is not None and origin.lower() not in (f"http://{host}", f"https://{host}"):
            return _WRONG_ORIGIN
        return _WRONG_SITE if is_foreign else None
