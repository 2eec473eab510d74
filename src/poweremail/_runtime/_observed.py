"""
Observing the calls of a client: its hooks, the log line of each call, and an observer.

Theory of operation. The exchange makes a `Call` only if somebody is interested, so that a send
which nobody observes pays for three comparisons. A call is observed as a whole: if a mail is looked
up and sent again, that is one call with one outcome, and each lookup is a call of its own inside.

An *observer*, such as that of OpenTelemetry, is one for the whole process. It is called when a call
or an attempt begins and returns the function that ends it, in the same task or thread. So it can
keep a span current in between. The hooks of a client are called at the end only.

None of them can change what happens to the mail: what they raise is logged, and that is all. The
log has no addresses, no subjects and no token.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import PurePath
from time import monotonic
from traceback import extract_tb
from typing import Any, ParamSpec, Protocol, TypeVar, cast

import attrs

from poweremail._policy.outcome import FailedAttempt, Mail
from poweremail._policy.settings import OnAttempt, OnOutcome
from poweremail._runtime import Stopped
from poweremail._types.outcome_event import AttemptEvent, OutcomeEvent
from poweremail._wire.decode import ApiResponse
from poweremail._wire.http import Request
from poweremail.errors import ChangeUnknownError, PowerEmailError

_log = logging.getLogger("poweremail")

P = ParamSpec("P")
T = TypeVar("T")


class Observer(Protocol):
    """
    Sees every call and attempt of the process begin and end.

    Each method returns a function, which is called when the call or attempt is over and its fields
    are complete.
    """

    def begin_call(self, call: Call) -> Callable[[], object]:
        """Note that *call* begins."""
        ...

    def begin_attempt(self, attempt: Attempt) -> Callable[[], object]:
        """Note that *attempt* begins."""
        ...


_added_by: ContextVar[str | None] = ContextVar("poweremail_added_by", default=None)

observer: Observer | None = None
"""That of the process; None if nobody observes."""


def observe(by: Observer | None) -> None:
    """Make *by* the observer of the process; None for no observer."""
    global observer  # noqa: PLW0603  there is one
    observer = by


def traceparent() -> str | None:
    """
    Return the current span of OpenTelemetry, as W3C Trace Context writes it; None if there is none.

    OpenTelemetry is not imported: if the program has not done so, there is no span.
    """
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    try:
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"
    except Exception:  # noqa: BLE001  a mail does not depend on it
        _log.warning("the current span could not be read")
    return None


@contextmanager
def adding_span(added_by: str | None) -> Iterator[None]:
    """Note that *added_by*, a `traceparent`, added the mail that the block sends."""
    token = _added_by.set(added_by)
    try:
        yield
    finally:
        _added_by.reset(token)


@attrs.define(eq=False)
class Call:
    """
    A call that is being made, with *request*, to send *mail*.

    *added_by*: the `traceparent` of the span that added the mail to a batch or an outbox.

    *attempts*: the number of attempts that have begun.
    *limit_seconds*: the time that it has waited for limits.
    *next_limit_seconds*: the part of it before the attempt that begins next.
    *status*: the HTTP status of the last response; None if none came.

    The others are set at the end:

    *seconds*: the time that the call took.
    *error*: what it raised; None if it succeeded.
    """

    request: Request
    mail: Mail
    added_by: str | None = attrs.field(factory=_added_by.get)
    attempts: int = 0
    limit_seconds: float = 0.0
    next_limit_seconds: float = 0.0
    status: int | None = None
    seconds: float = 0.0
    error: BaseException | None = None

    def note_limit_wait(self, seconds: float) -> None:
        """Note that the next attempt has waited *seconds* for limits."""
        self.limit_seconds += seconds
        self.next_limit_seconds += seconds

    @property
    def outcome(self) -> str:
        """
        What became of the mail; for a call that sends none ``succeeded``, ``failed`` or
        ``unknown``.
        """
        operation, error = self.request.operation, self.error
        if error is None:
            return "accepted" if operation.sends else "succeeded"
        if isinstance(error, PowerEmailError | Stopped):
            if not operation.sends:
                return "unknown" if isinstance(error, ChangeUnknownError) else "failed"
            return "not_sent" if isinstance(error, Stopped) else error.mail_state or "unknown"
        # Cancelled, Ctrl-C, or another exception from outside.
        if self.request.in_doubt and not operation.reads:
            return "unknown"
        return "not_sent" if operation.sends else "failed"

    @property
    def error_kind(self) -> str | None:
        """The name of the error's class."""
        return None if self.error is None else type(self.error).__name__

    def redact(self, text: str) -> str:
        """Return *text* without the token."""
        return self.request.endpoint.credentials.redact_text(text)


@attrs.define(eq=False)
class Attempt:
    """
    Attempt *number* of *call*, before which it waited *limit_seconds* for limits.

    Set at the end: its *result*, None if it was interrupted, the name of the *error_kind*, and the
    *seconds* that it took.
    """

    call: Call
    number: int
    limit_seconds: float
    result: ApiResponse | FailedAttempt | None = None
    error_kind: str | None = None
    seconds: float = 0.0

    @property
    def error(self) -> PowerEmailError | None:
        """The error that ended it."""
        return self.result.error if isinstance(self.result, FailedAttempt) else None

    @property
    def status(self) -> int | None:
        """The HTTP status of the response; None if none came."""
        if isinstance(self.result, ApiResponse):
            return self.result.response.status
        return None if self.error is None or self.error.raw is None else self.error.raw.status


class Hooks:
    """The hooks of a client. ``are_set`` is True if there is one."""

    def __init__(
        self, on_outcome: OnOutcome | None = None, on_attempt: OnAttempt | None = None
    ) -> None:
        self.are_set: bool = on_outcome is not None or on_attempt is not None
        self._on_outcome = on_outcome
        self._on_attempt = on_attempt

    @contextmanager
    def observing(self, request: Request, mail: Mail) -> Iterator[Call]:
        """Observe the call that the block makes with *request*, to send *mail*."""
        call = Call(request, mail)
        end = None if observer is None else _run_safely(call, observer.begin_call, call)
        began = monotonic()
        try:
            yield call
        except BaseException as error:
            call.error = error
            raise
        finally:
            call.seconds = monotonic() - began
            if _log.isEnabledFor(logging.INFO):
                _write_line(call)
            if self._on_outcome is not None and request.operation.sends:
                _run_safely(call, self._on_outcome, _outcome_event(call))
            if end is not None:
                _run_safely(call, end)
            # The error's traceback holds this frame: with the error in it, they would be a cycle.
            call.error = None

    @contextmanager
    def observing_attempt(self, call: Call) -> Iterator[Attempt]:
        """Observe the next attempt of *call*; the block sets its ``result``."""
        call.attempts += 1
        attempt = Attempt(call, call.attempts, call.next_limit_seconds)
        call.next_limit_seconds = 0.0
        end = None if observer is None else _run_safely(call, observer.begin_attempt, attempt)
        began = monotonic()
        try:
            yield attempt
        except BaseException as error:
            attempt.error_kind = type(error).__name__
            raise
        finally:
            attempt.seconds = monotonic() - began
            if attempt.error is not None:
                attempt.error_kind = type(attempt.error).__name__
            call.status = attempt.status
            if self._on_attempt is not None:
                _run_safely(call, self._on_attempt, _attempt_event(attempt))
            if end is not None:
                _run_safely(call, end)


def _outcome_event(call: Call) -> OutcomeEvent:
    error = call.error
    text = error.explanation if isinstance(error, PowerEmailError) else str(error)
    return OutcomeEvent(
        id=os.urandom(16).hex(),
        state=cast("Any", call.outcome),  # of a call that sends
        unique_id=call.mail.unique_id,
        recipients=call.mail.recipients,
        attempts=call.attempts,
        smtp_user_name=call.mail.smtp_user_name if call.attempts else None,
        error_kind=call.error_kind,
        error=None if error is None else call.redact(text),
        operation=call.request.operation.path,
        seconds=call.seconds,
        limit_seconds=call.limit_seconds,
    )


def _attempt_event(attempt: Attempt) -> AttemptEvent:
    call = attempt.call
    return AttemptEvent(
        operation=call.request.operation.path,
        unique_id=call.mail.unique_id,
        smtp_user_name=call.mail.smtp_user_name,
        attempt=attempt.number,
        status=attempt.status,
        error=attempt.error,
        seconds=attempt.seconds,
        limit_seconds=attempt.limit_seconds,
    )


def _write_line(call: Call) -> None:
    fields: dict[str, object] = {
        "operation": call.request.operation.path,
        "outcome": call.outcome,
        "unique_id": call.mail.unique_id,
        "smtp_user_name": call.mail.smtp_user_name,
        "attempts": call.attempts,
        "seconds": round(call.seconds, 6),
        "limit_seconds": round(call.limit_seconds, 6),
        "status": call.status,
        "error": call.error_kind,
    }
    given = {name: value for name, value in fields.items() if value is not None}
    text = " ".join(f"{name}={value}" for name, value in given.items())
    _log.info("%s", text, extra={f"poweremail_{name}": value for name, value in given.items()})


def _run_safely(
    call: Call, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T | None:
    """Call *function*, and return None if it fails: the error is logged."""
    try:
        return function(*args, **kwargs)
    except Exception as error:  # noqa: BLE001  whatever the caller's function raises
        # Without the traceback: tools that collect errors collect the variables of its frames.
        place = extract_tb(error.__traceback__)[-1]
        _log.warning(
            "a hook failed, which changes nothing for the mail: %s (%s:%s)",
            call.redact(f"{type(error).__name__}: {error}"),
            PurePath(place.filename).name,
            place.lineno,
        )
        return None
