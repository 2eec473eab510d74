"""
Whether an exception comes from outside the call that it ended.

Theory of operation. A signal handler, Celery's soft time limit and a hook of the user raise in the
middle of other code: inside the HTTP engine, inside this library. Such an exception says nothing
about the request. To treat it as a failed attempt would be wrong twice: the call would go on that
was to end, and the mail could be sent again. The class decides nothing, since a handler can raise
any class, and an engine may already have turned it into an error of its own.

The place where it was raised decides: the innermost frame of its traceback. If that frame is of
this library, the transport, an HTTP engine or the standard library, the exception is theirs;
otherwise it comes from outside. An exception that was turned into another is found in the chain of
causes. That chain ends at an exception which was being handled before the attempt began: Python
makes it the context of whatever a program raises in its ``except`` block, such as where it mails
an error, and it ended nothing. One exception to the rule: an error class of an HTTP engine or of
sockets, raised by other code, comes from a mock in a test and means a failed attempt.

Tests: ``test_retry`` raises in a module that imitates a signal handler, directly and wrapped, and
``test_engines`` has mock transports.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

__all__ = ["exception_from_outside"]

_ENGINES = frozenset(
    (
        *("aiohappyeyeballs", "aiohttp", "aiosignal", "anyio", "certifi", "frozenlist", "h11"),
        *("h2", "hpack", "httpcore", "httpcore2", "httpx", "httpx2", "hyperframe", "idna"),
        *("multidict", "outcome", "poweremail", "propcache", "requests", "sniffio", "socksio"),
        *("tenacity", "trio", "truststore", "urllib3", "uvloop", "yarl", "zstandard"),
    )
)
"""
Top-level packages below a call: this library, the HTTP engines, what these use, and what transports
of users are made of.
"""

_NETWORK_ERRORS = _ENGINES | {"socket", "ssl"}
"""Top-level modules that define the errors of a network."""


def exception_from_outside(
    error: BaseException, transport: object, handled: BaseException | None = None
) -> BaseException | None:
    """
    Return the exception from outside that *error* is, or was made from; None if there is none.

    *transport*: what carried the request; its module counts as an HTTP engine.
    *handled*: the exception that was being handled when the attempt began (`sys.exception`).
    """
    return next((each for each in _chain(error, handled) if _is_outside(each, transport)), None)


def _chain(error: BaseException, handled: BaseException | None) -> Iterator[BaseException]:
    seen = {id(handled)}
    link: BaseException | None = error
    while link is not None:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__
        if id(link) in seen:
            return


def _is_outside(error: BaseException, transport: object) -> bool:
    trace = error.__traceback__
    if trace is None or _package(type(error).__module__) in _NETWORK_ERRORS:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    module = trace.tb_frame.f_globals.get("__name__")
    if not isinstance(module, str):  # generated code, such as that of attrs
        return False
    package = _package(module)
    inside = package in _ENGINES or package in sys.stdlib_module_names
    return not inside and module != type(transport).__module__


def _package(module: str) -> str:
    return module.partition(".")[0]
