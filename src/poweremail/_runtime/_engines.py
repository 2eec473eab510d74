"""
What is the same for every HTTP engine, with or without ``await``: how it is loaded, the limits of
its connections, and what its errors say.
"""

from __future__ import annotations

import importlib.util
import re
from types import ModuleType

from poweremail._lazy import extras_needed, import_undisturbed
from poweremail._types.checks import is_number, is_whole, require
from poweremail._wire.http import Request
from poweremail.errors import ConfigurationError, TransportError

MAX_CONNECTIONS = 20
"""The default limit on open connections: enough for a batch, and polite to the service."""

KEEPALIVE_EXPIRY = 4.0
"""
The default for the seconds after which an idle connection is no longer used. Node, Apache and
uvicorn close it after 5; a request that meets the end of its connection is lost time.
"""

_OBJECT = re.compile(r"(?: ssl:)?<[^<>]* object at 0x[0-9a-f]+>")
"""What engines print of objects, such as their TLS context: an address means nothing to users."""


def check_installed(engine: str) -> None:
    """
    Raise `ConfigurationError` if *engine*, which an extra brings, is not installed.

    It is not imported.
    """
    with extras_needed("engine"):
        if importlib.util.find_spec(engine) is None:
            raise ModuleNotFoundError(f"No module named {engine!r}", name=engine)


def load_engine(name: str, engine: str) -> ModuleType:
    """Return the module *name* of *engine*. Raises `ConfigurationError` if it is not installed."""
    check_installed(engine)
    return import_undisturbed(name)


def checked_limit(max_connections: int) -> int:
    """Return *max_connections*. Raises `ConfigurationError` if it is not a positive int."""
    is_valid = is_whole(max_connections, 1)
    return require("max_connections", max_connections, "1 or more", is_valid)


def checked_expiry(keepalive_expiry: float) -> float:
    """Return *keepalive_expiry*. Raises `ConfigurationError` if it is no number of seconds."""
    is_valid = is_number(keepalive_expiry)
    return require("keepalive_expiry", keepalive_expiry, "a number of seconds", is_valid)


def failure(
    error: BaseException, request: Request, handled: BaseException | None, *, body_left: bool
) -> TransportError:
    """
    Return the `TransportError` for the *error* of an engine.

    *handled*: the exception that the caller was handling before the request; it is no cause.

    Raise it outside the except block: inside, the engine's error would become its context, and
    that error has the URL, and so the token of a GET.
    """
    reason = type(error).__name__
    if text := _first_text(error, handled):
        reason = f"{reason}: {text}"
    failed = TransportError(request.endpoint.credentials.redact_text(reason), body_left=body_left)
    # For the same reason the engine's error is the cause only if it cannot have the token, neither
    # in the URL of a GET nor in its text.
    failed.__cause__ = error if request.query is None and failed.reason == reason else None
    return failed


def _first_text(error: BaseException | None, handled: BaseException | None) -> str:
    """
    Return the first text in the chain of causes: the engine's own error often has none.

    The causes of a timeout, such as a cancellation, say nothing to users.
    """
    default = "timed out" if "Timeout" in type(error).__name__ else ""
    while error is not None and error is not handled:
        text = _OBJECT.sub("", str(error)) or default
        if text:
            return text
        error = error.__cause__ or error.__context__
    return ""


def unusable_transport(given: object, names: tuple[str, ...]) -> ConfigurationError:
    """
    Return the error for a transport that the client cannot use. *names*: the engines that it knows.
    """
    described = (
        repr(given)
        if isinstance(given, str)
        else f"{type(given).__module__}.{type(given).__qualname__}"
    )
    closes = {name for name in ("close", "aclose") if hasattr(given, name)}
    if given == "aiohttp" or (hasattr(given, "handle") and closes == {"aclose"}):
        reason, advice = f"{described} is async only", "AsyncPowerEmail can use it"
    elif hasattr(given, "handle") and closes == {"close"}:
        reason, advice = f"{described} is for threads only", "PowerEmail can use it"
    else:
        reason = f"must be {', '.join(map(repr, names))} or a transport, not {described}"
        advice = "wrap a client of your own: HttpxTransport(client), AsyncHttpxTransport(client)"
    return ConfigurationError(reason, field="transport", advice=advice)
