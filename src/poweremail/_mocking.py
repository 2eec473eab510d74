"""
Which mock of an HTTP engine catches the requests of a transport; the pytest plugin's guard asks.

Theory of operation. A mock replaces a function of an engine while it is active, and each mock
another one. A transport over the user's own client of httpx calls all of them. The default
transport drives httpx's connections below its client, and so passes by what is replaced above. So
the guard looks at the functions that a transport calls: if a mock has replaced one of them, the
request reaches nobody.

A replacement is recognized by the module in which it was defined, which decorators that keep names
do not change. Only the packages in `_ADVICE` count: instrumentations replace the same functions,
and let requests through. VCR lets them through, too, when it records.

Tests: ``tests/pytest_plugin/test_mocks`` runs the real packages.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

_OWN_CLIENT = {
    "httpx": "transport={prefix}HttpxTransport(httpx.{prefix}Client()) of poweremail.transports",
    "httpx2": "transport={prefix}HttpxTransport(httpx2.{prefix}Client()) of poweremail.transports",
}
_ADVICE = {
    "respx": f"give the client {_OWN_CLIENT['httpx']}",
    "pytest_httpx": f"give the client {_OWN_CLIENT['httpx']}",
    "pytest_httpx2": f"give the client {_OWN_CLIENT['httpx2']}",
    "aioresponses": "it sees aiohttp only, and can only make requests fail: use the sandbox",
    "vcr": (
        "it sends for real while it records, so allow the host for that; it sees a client with "
        f"{_OWN_CLIENT['httpx']}"
    ),
}
"""The packages that mock an engine, and what to do if they do not see a request."""

_RECORDS = {"vcr"}

_CONNECTIONS = ("HTTPConnection.handle_request", "HTTPProxy.handle_request")
_POOLS = ("ConnectionPool.handle_request",)
_CLIENTS = ("HTTPTransport.handle_request", "Client._transport_for_url")
_CORES = {"httpx": "httpcore", "httpx2": "httpcore2"}
_HARMLESS = ("MockTransport", "ASGITransport", "WSGITransport")


def is_mocked(transport: Any) -> bool:
    """Return whether the requests of *transport*, one of the library's, reach nobody."""
    if _sends_in_process(transport):
        return True
    found = {mock for place in _called_by(transport) if (mock := _mock_at(*place))}
    return bool(found - _RECORDS)


def advice_about_mocks(transport: Any) -> str:
    """Return what to say about the mocks that are active and do not catch a request; or ``""``."""
    found = {mock for place in _all_places() if (mock := _mock_at(*place))}
    prefix = "Async" if _is_async(transport) else ""
    return "".join(
        f" {mock.replace('_', '-')} is active and does not catch it: {_ADVICE[mock]}.".format(
            prefix=prefix
        )
        for mock in sorted(found)
    )


def _called_by(transport: Any) -> Iterator[tuple[str, str]]:
    """The functions through which the requests of *transport* go: module, and name in it."""
    if type(transport).__module__.endswith(".aiohttp"):
        yield "aiohttp", "ClientSession._request"
        return
    given = transport._given  # noqa: SLF001  of the adapters of this library
    engine = transport._name if given is None else given._engine.__name__  # noqa: SLF001
    names = [(_CORES[engine], name) for name in _CONNECTIONS]
    if given is not None:
        names += [(_CORES[engine], name) for name in _POOLS]
        names += [(engine, name) for name in _CLIENTS]
    for module, name in names:
        yield module, _async_name(name) if _is_async(transport) else name


def _all_places() -> Iterator[tuple[str, str]]:
    yield "aiohttp", "ClientSession._request"
    for engine, core in _CORES.items():
        places = [(core, name) for name in (*_CONNECTIONS, *_POOLS)]
        for module, name in (*places, *((engine, name) for name in _CLIENTS)):
            yield from ((module, name), (module, _async_name(name)))


def _async_name(name: str) -> str:
    return "Async" + name.replace("handle_request", "handle_async_request")


def _is_async(transport: object) -> bool:
    return type(transport).__name__.startswith("Async")


def _sends_in_process(transport: Any) -> bool:
    """Return whether the user's client has a transport of httpx that makes no connection."""
    client = getattr(getattr(transport, "_given", None), "_client", None)
    below = getattr(client, "_transport", None)  # httpx/_client.py, as in transports/httpx.py
    engine = type(below).__module__.partition(".")[0]
    return engine in _CORES and type(below).__name__ in _HARMLESS


def _mock_at(module: str, name: str) -> str | None:
    """Return the package that has replaced the function *name* of *module*, if one has."""
    kind, _, attribute = name.partition(".")
    function = getattr(getattr(sys.modules.get(module), kind, None), attribute, None)
    # aioresponses replaces by a mock of the standard library, which calls a function of its own.
    function = getattr(getattr(function, "mock", None), "side_effect", None) or function
    defined_in = str(getattr(function, "__globals__", {}).get("__name__", ""))
    package = defined_in.partition(".")[0]
    return package if package in _ADVICE else None
