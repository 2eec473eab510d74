"""
Where an exception was raised: whether it comes from outside the call that it ended, and which
frames of it may be kept.

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
sockets, raised by other code, comes from a mock in a test and means a failed attempt. So does an
`OSError` that a package for mocks raises. respx puts an error of its own between.

The frames of the library and of the engines are taken out of every exception that ends an attempt,
since their local variables have the body, and so the token, where reporters of errors show them. A
note keeps the places of an engine's error. The frames of other code stay if that code raised the
exception.

Tests: ``test_retry`` raises in a module that imitates a signal handler, directly and wrapped, and
``test_engines`` has mock transports; ``test_secrets`` looks into each frame that is left.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FrameType, TracebackType

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

_MOCKS = frozenset(("aioresponses", "pytest_httpx", "pytest_httpx2", "respx", "vcr"))
"""Top-level packages that mock an engine."""

_CARRIERS = frozenset(("respx.models.SideEffectError",))
"""Errors by which a mock passes on what it was told to raise (respx/models.py, Route)."""


def exception_from_outside(
    error: BaseException, transport: object, handled: BaseException | None = None
) -> BaseException | None:
    """
    Return the exception from outside that *error* is, or was made from; None if there is none.

    *transport*: what carried the request; its module counts as an HTTP engine.
    *handled*: the exception that was being handled when the attempt began (`sys.exception`).
    """
    return next((each for each in _chain(error, handled) if _is_outside(each, transport)), None)


def forget_frames(
    error: BaseException, transport: object, handled: BaseException | None = None
) -> None:
    """
    Take the frames of the call out of *error* and of its causes. An error that is left without any,
    and is not of this library, gets a note that says where they were.

    *transport*, *handled*: as for `exception_from_outside`.
    """
    seen = {id(None), id(handled)}
    pending: list[BaseException | None] = [error]
    while pending:
        link = pending.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        pending += link.__cause__, link.__context__
        if isinstance(link, BaseExceptionGroup):
            pending += link.exceptions
        traces = []
        trace = link.__traceback__
        while trace is not None:
            traces.append(trace)
            trace = trace.tb_next
        kept = None
        while traces and not _is_inside(traces[-1].tb_frame, transport):
            last = traces.pop()
            kept = TracebackType(kept, last.tb_frame, last.tb_lasti, last.tb_lineno)
        link.__traceback__ = kept
        if kept is None and traces and _package(type(link).__module__) != "poweremail":
            link.add_note("\n".join(["Raised by way of:", *map(_place, traces)]))


def _place(trace: TracebackType) -> str:
    code = trace.tb_frame.f_code
    return f'  File "{code.co_filename}", line {trace.tb_lineno}, in {code.co_qualname}'


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
    kind, trace = type(error), error.__traceback__
    if (
        trace is None
        or _package(kind.__module__) in _NETWORK_ERRORS
        or f"{kind.__module__}.{kind.__qualname__}" in _CARRIERS
    ):
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    frame = trace.tb_frame
    if isinstance(error, OSError) and _package(str(frame.f_globals.get("__name__"))) in _MOCKS:
        return False
    return not _is_inside(frame, transport)


def _is_inside(frame: FrameType, transport: object) -> bool:
    """Return whether *frame* is of this library, the transport, an engine or the stdlib."""
    module = frame.f_globals.get("__name__")
    if not isinstance(module, str):  # generated code, such as that of attrs
        return True
    package = _package(module)
    return (
        package in _ENGINES
        or package in sys.stdlib_module_names
        or module == type(transport).__module__
    )


def _package(module: str) -> str:
    return module.partition(".")[0]
