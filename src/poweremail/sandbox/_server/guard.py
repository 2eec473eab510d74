"""
The guard of the sandbox against other sites: only its own page may use it from a browser.

Any site that is open in a browser can send requests to this machine. Their contents prove nothing,
but two headers that the browser adds do: Host, the address that the user opened, which reveals a
name that was made to point here (DNS rebinding), and Origin, the page that sends the request.

A proxy in front may replace Host, so Origin need not be equal to it. A request is one of the own
page if the browser calls it ``same-origin``, or if it has the header that only a page of the same
origin can send. Nothing that a proxy forwards is believed: X-Forwarded-Host can only be one more
reason to refuse.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from ipaddress import IPv6Address, ip_address

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from poweremail._types.checks import is_host, is_loopback
from poweremail.errors import ConfigurationError

_SAFE_METHODS = ("GET", "HEAD")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:[0-9]{1,5})?\Z")
_ORIGIN = re.compile(r"https?://")

# The page sends it. For a page of another origin, the browser would first ask whether it may
# (a CORS preflight), and the sandbox never permits that.
_PAGE_HEADER = "x-sandbox-page"

_WRONG_HOST = (
    "This host is not one of the sandbox's. Use localhost or an IP address, or start the sandbox "
    "with --allow-host."
)
_WRONG_ORIGIN = (
    "A page of another origin may not use the sandbox. If it is the sandbox's own page behind a "
    "proxy, start the sandbox with --allow-host and the name of that page."
)
_WRONG_SITE = "A page of another site may not use the sandbox."


def host_of(header: str) -> str | None:
    """Return the host of a Host header in lower case, without its port; None if it is invalid."""
    found = _HOST.match(header.lower())
    return found[1].strip("[]").rstrip(".") if found else None


class Guard:
    """
    Passes a request on to *app*, or responds 403.

    - The page and the control API respond under IP addresses (there is no name to rebind), under
      loopback names, and under *allowed_hosts*: names, or patterns such as ``*.example.com``
      (below the domain) and ``.example.com`` (the domain, too). They neither show nor change
      anything for the page of another origin. Links from there still work.
    - The API below ``/v1.0`` is for programs, which may use any name. A browser is treated as in
      the control API, GETs included, because one of them sends mail.

    Raises `ConfigurationError` if one of *allowed_hosts* can be no name.
    """

    def __init__(self, app: ASGIApp, *, allowed_hosts: Iterable[str] = ()) -> None:
        self._app = app
        self._allowed = tuple(each for host in allowed_hosts for each in _patterns(host))

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
        if not all(self._is_ours(host_of(host)) for host in _hosts(headers)):
            return _WRONG_HOST
        is_foreign = site not in (None, "same-origin", "none")
        if is_page and method in _SAFE_METHODS:
            # A link of another site may lead here.
            may_be_foreign = headers.get("sec-fetch-mode") == "navigate"
            return _WRONG_SITE if is_foreign and not may_be_foreign else None
        if origin is not None and not self._is_own_page(origin.lower(), headers):
            return _WRONG_ORIGIN
        return _WRONG_SITE if is_foreign else None

    def _is_own_page(self, origin: str, headers: Headers) -> bool:
        scheme = _ORIGIN.match(origin)
        host = origin[scheme.end() :] if scheme else ""
        name = host_of(host)
        if name is None or not self._is_ours(name):
            return False
        return (
            host == headers.get("host", "").lower()
            or headers.get("sec-fetch-site") == "same-origin"
            or _PAGE_HEADER in headers
            or self._is_named(name)
        )

    def _is_ours(self, name: str | None) -> bool:
        """Return whether no stranger can make *name* point here."""
        if name is None:
            return False
        try:
            address = ip_address(name)
        except ValueError:
            return is_loopback(name) or any(fnmatchcase(name, each) for each in self._allowed)
        # Some browsers take 0.0.0.0 and :: for this machine; neither is an address of a request.
        mapped = isinstance(address, IPv6Address) and address.ipv4_mapped
        return not (mapped or address).is_unspecified

    def _is_named(self, name: str) -> bool:
        """
        Return whether the user has named *name*, whose pages may then use the sandbox from any
        port. A pattern for all names names none.
        """
        return not is_loopback(name) and any(
            fnmatchcase(name, each) for each in self._allowed if each.strip("*.")
        )


def _patterns(host: str) -> tuple[str, ...]:
    """Return an allowed *host* as it is compared: names, patterns or an address."""
    pattern = host.strip().strip("[]").lower()
    if not is_host(pattern.removeprefix(".").replace("*", "a")):
        raise ConfigurationError(
            f"must be a name such as mail.example.com, or a pattern such as *.example.com, without "
            f"scheme, port and path, not {host!r}",
            field="allowed_hosts",
        )
    # As other servers have it, too: the domain itself and all below it.
    return (pattern[1:], f"*{pattern}") if pattern.startswith(".") else (pattern,)


def _hosts(headers: Headers) -> Iterator[str]:
    """Yield the host that the request names, and those that proxies say it named before."""
    yield headers.get("host", "")
    for value in headers.getlist("x-forwarded-host"):
        yield from (host.strip() for host in value.split(","))
