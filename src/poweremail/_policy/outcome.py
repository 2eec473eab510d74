"""
The outcome of a send.

- *accepted*: the service reported success or queued. Nothing is raised.
- *rejected*: the service reported an error, so it did not accept the mail: `ApiError` and its
  subclasses. Never repeated.
- *not sent*: the mail provably never reached the service whole, or the response was 429:
  `NotSentError`, `RateLimitError`. Repeated as the `RetryPolicy` says.
- *unknown*: the whole mail left and no trustworthy response came: `DeliveryUnknownError`. Repeated
  only if the user allows it (`UnknownPolicy`), because the API has no idempotency key: to repeat
  such a send can deliver the mail twice.

A call that changes something else raises `ChangeUnknownError` where a send would be unknown.

`judge_failure` is the only place that decides what a failed attempt means and whether another one
may follow.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

import attrs

from poweremail._messages.envelope import UNIQUE_ID_HEADER
from poweremail._types.address_forms import fold_address
from poweremail._types.checks import is_number, require, require_one_of
from poweremail._wire.http import Request
from poweremail._wire.operations import Operation
from poweremail.errors import (
    ChangeUnknownError,
    ConfigurationError,
    DeliveryUnknownError,
    GeneralError,
    NotSentError,
    PowerEmailError,
    ProtocolError,
    RateLimitError,
    TransportError,
)

OnUnknown = Literal["raise", "reconcile", "resend"]

_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 5.0
_MAX_LAST_LOOKUP_SECONDS = 1.0
_RESEND_LOOKUP_SECONDS = 5.0


# Not frozen, although it never changes: to make a frozen one takes three times as long.
@attrs.define
class Mail:
    """The mail that a request sends, as errors and limits refer to it."""

    unique_id: str | None
    recipients: tuple[str, ...]
    smtp_user_name: str | None

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Mail:
        """Read what is valid in the handwritten *body* of a send, and leave out the rest."""
        message = _mapping(body.get("message"))
        to = message.get("to")
        entries = to if isinstance(to, list | tuple) else ()
        emails = [_mapping(entry).get("email") for entry in entries]
        unique_ids = [
            value
            for name, value in _mapping(message.get("headers")).items()
            if name.lower() == UNIQUE_ID_HEADER.lower()
        ]
        return cls(
            unique_id=next((id_ for id_ in map(_text, unique_ids) if id_), None),
            recipients=tuple(email for email in emails if isinstance(email, str)),
            smtp_user_name=_text(body.get("smtp_user_name")),
        )


NO_MAIL = Mail(None, (), None)
"""For a request that sends nothing."""


@attrs.frozen
class FailedAttempt:
    """
    A failed attempt, judged.

    *error*: what the call raises if no further attempt is made.
    *may_repeat*: whether a further attempt is safe, or the user accepts that it is not.
    """

    error: PowerEmailError
    may_repeat: bool

    @property
    def is_unknown(self) -> bool:
        """True if the service may have acted on the request."""
        return isinstance(self.error, DeliveryUnknownError | ChangeUnknownError)


def judge_failure(
    error: Exception, request: Request, mail: Mail, *, resend: bool = False
) -> FailedAttempt:
    """
    Decide what a failed attempt means for the mail, or for the change, and whether it may be
    repeated.

    *error*: what the attempt raised. An exception that is not of this library, such as a bug of the
    transport, is treated as a transport error after which the request may have left, unless not
    even the beginning of its body was read. It is not repeated, since it would come again.
    *resend*: whether the user prefers two mails to none.
    """
    body = request.body
    if isinstance(error, PowerEmailError):
        meaning = _meaning(error, request.operation, mail)
        may_repeat = _may_repeat(meaning, request.operation, resend)
    else:
        reason = request.endpoint.credentials.redact_text(f"{type(error).__name__}: {error}")
        failure = TransportError(reason, body_left=body is None or body.begun)
        meaning = _meaning(failure, request.operation, mail)
        may_repeat = failure.body_left and _may_repeat(meaning, request.operation, resend)
    if meaning is not error:
        meaning.__cause__ = error
    return FailedAttempt(meaning, may_repeat and (body is None or not body.consumed))


def _meaning(error: PowerEmailError, operation: Operation, mail: Mail) -> PowerEmailError:
    if operation.reads or not isinstance(error, TransportError | ProtocolError | GeneralError):
        return error
    if _never_arrived(error):
        return not_sent(error) if operation.sends else error
    if not operation.sends:
        return ChangeUnknownError(error.reason, cause=error)
    return DeliveryUnknownError(
        error.reason, unique_id=mail.unique_id, recipients=mail.recipients, cause=error
    )


def not_sent(error: PowerEmailError) -> NotSentError:
    """Return *error*, after which the service cannot have the mail, as that of a send."""
    return NotSentError(
        error.reason, raw=error.raw, advice=error.advice or None, temporary=error.temporary
    )


def _may_repeat(error: PowerEmailError, operation: Operation, resend: bool) -> bool:  # noqa: FBT001
    if operation.repeatable:
        return error.temporary
    if isinstance(error, DeliveryUnknownError):
        return resend
    return isinstance(error, RateLimitError) or (error.temporary and _never_arrived(error))


def _never_arrived(error: PowerEmailError) -> bool:
    if isinstance(error, TransportError):
        return not error.body_left
    # The response came before the request had left whole: the service cannot have the whole mail.
    return error.temporary and error.raw is not None and not error.raw.request_left


@attrs.frozen
class UnknownPolicy:
    """
    The three options of a client for a send whose outcome is unknown.

    Raises `ConfigurationError` if an option is invalid.
    """

    on_unknown: OnUnknown = "raise"
    visibility: float = 30.0
    resend_after: float | None = None

    def __attrs_post_init__(self) -> None:
        require_one_of("on_unknown", self.on_unknown, get_args(OnUnknown))
        _check_seconds("visibility", self.visibility)
        if self.resend_after is None:
            return
        _check_seconds("resend_after", self.resend_after)
        if self.on_unknown != "reconcile":
            raise ConfigurationError("goes with on_unknown='reconcile'", field="resend_after")
        if self.resend_after < self.visibility:
            raise ConfigurationError(
                f"must not be less than visibility, {self.visibility} s: the mail may yet appear",
                field="resend_after",
            )

    @property
    def timeout(self) -> float:
        """The seconds for which a mail is looked up."""
        return self.visibility if self.resend_after is None else self.resend_after

    @property
    def last_lookup(self) -> float:
        """
        The seconds after which no further lookup begins.

        It is so early that the last one can end in time. Before a mail is sent again, the last one
        begins in no case before *resend_after*.
        """
        if self.resend_after is not None:
            return self.resend_after
        return self.visibility - min(self.visibility / 5, _MAX_LAST_LOOKUP_SECONDS)

    @property
    def end(self) -> float:
        """The seconds after which the lookup is cut off. With a timeout of 0 it looks once."""
        if not self.timeout:
            return math.inf
        return self.timeout + (0.0 if self.resend_after is None else _RESEND_LOOKUP_SECONDS)

    @staticmethod
    def pause(lookups: int, remaining: float) -> float:
        """
        Return the seconds to wait after the *lookups*-th lookup, at most *remaining*.

        The pause doubles from a quarter of a second to five seconds.
        """
        doubled = _FIRST_PAUSE_SECONDS * 2.0 ** min(lookups - 1, 8)
        return min(doubled, _LONGEST_PAUSE_SECONDS, remaining)


def folded(recipients: Iterable[str]) -> frozenset[str]:
    """Return *recipients* in the form in which they are compared."""
    return frozenset(map(fold_address, recipients))


def _check_seconds(field: str, value: object) -> None:
    require(field, value, "a number of seconds", is_number(value))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {}
    return {name: member for name, member in value.items() if isinstance(name, str)}
