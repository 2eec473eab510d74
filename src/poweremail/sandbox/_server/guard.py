"""
Who may use the sandbox from a browser: its own page, and no other.

Any site that is open in a browser can send requests to this machine. What they carry cannot be
trusted, but two things that the browser adds can: the Host that the user asked for, which shows a
name that was made to point here (DNS rebinding), and the Origin of the page that asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from poweremail._wire.hosts import is_loopback

__all__ = ["Guard", "host_of"]

_SAFE = ("GET", "HEAD")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:[0-9]{1,5})?\Z")

_FOREIGN = "A page of another site may not use the sandbox."


def host_of(header: str) -> str | None:
    """
    Return the host of a Host header without its port, in lower case; None where the header is none.
    """
    found = _HOST.match(header.lower())
    return found[1].strip("[]") if found else None


class Guard:
    """
    Lets through to *app* what may be let through.

    - The page and the control API answer under loopback names and under *allowed_hosts* only, and
      tell and change nothing for the page of another origin; links from there lead here all the
      same.
    - The API below ``/v1.0`` is for programs, which reach it under any name; from a browser it is
      as the control API, GETs too, because one of them sends mail.
    """

    def __init__(self, app: ASGIApp, *, allowed_hosts: Iterable[str] = ()) -> None:
        self._app = app
        # 0.0.0.0 and :: are no addresses to be reached under, though some browsers take them for
        # this machine.
        self._allowed = {host.lower().strip("[]") for host in allowed_hosts} - {"0.0.0.0", "::"}  # noqa: S104

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with 403, or leave it to the application."""
        reason = self._objection(scope["method"], scope["path"], Headers(scope=scope))
        app = self._app if reason is None else JSONResponse({"error": reason}, 403)
        await app(scope, receive, send)

    def _objection(self, method: str, path: str, headers: Headers) -> str | None:
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        is_page = path == "/" or path.startswith("/_sandbox")
        if not is_page and origin is None and site is None:
            return None
        host = headers.get("host", "")
        name = host_of(host)
        if name is None or not (is_loopback(name) or name in self._allowed):
            return (
                "This host is not one of the sandbox's. Use localhost, or start the sandbox "
                "with --allow-host."
            )
        foreign = site not in (None, "same-origin", "none")
        if is_page and method in _SAFE:
            # A link from elsewhere may lead here. The frame of a mail has no origin, and loads the
            # images of the mail.
            expected = headers.get("sec-fetch-mode") == "navigate" or path.startswith(
                "/_sandbox/images/"
            )
            return _FOREIGN if foreign and not expected else None
        if origin is not None and origin.lower() not in (
            f"http://{host.lower()}",
            f"https://{host.lower()}",
        ):
            return "A page of another origin may not use the sandbox."
        return _FOREIGN if foreign else None
