"""
The outcome of a send.

========  ==========================================================  ============================
================= state     meaning                                                     raised
repeated ========  ==========================================================
============================  ================= accepted  the service said success or queued
nothing                       no rejected  the service answered an error: it did not take the mail
ApiError and its subclasses   never not sent  it provably never arrived whole, or was answered with
429   NotSentError, RateLimitError  as the policy says unknown   it left whole, and no trustworthy
answer came               DeliveryUnknownError          only if told to ========
==========================================================  ============================
=================

A call that changes something else ends in `ChangeUnknownError` where a send would be unknown.

The API has no idempotency key, so repeating a send whose outcome is unknown can deliver it twice:
see `poweremail._policy.unknown`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from poweremail._messages.message import UNIQUE_ID_HEADER
from poweremail._wire.operations import Operation
from poweremail.errors import (
    ChangeUnknownError,
    DeliveryUnknownError,
    GeneralError,
    NotSentError,
    PowerEmailError,
    ProtocolError,
    RateLimitError,
    TransportError,
)

__all__ = ["NO_MAIL", "Mail", "may_repeat", "settle"]


# Not frozen: making one would take three times as long. Nobody changes it.
@attrs.define
class Mail:
    """What an error says about the mail that it concerns, and the SMTP user that sends it."""

    unique_id: str | None
    recipients: tuple[str, ...]
    smtp_user_name: str | None

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Mail:
        """
        What can be read from the *body* of a send that was written by hand; what cannot be read is
        left out.
        """
        message = _members(body.get("message"))
        ids = [
            value
            for name, value in _members(message.get("headers")).items()
            if name.lower() == UNIQUE_ID_HEADER.lower()
        ]
        to = message.get("to")
        emails = (
            [_members(recipient).get("email") for recipient in to]
            if isinstance(to, list | tuple)
            else []
        )
        smtp_user_name = body.get("smtp_user_name")
        return cls(
            unique_id=next(
                (value for value in ids if isinstance(value, str) and value.strip()), None
            ),
            recipients=tuple(email for email in emails if isinstance(email, str)),
            smtp_user_name=smtp_user_name if isinstance(smtp_user_name, str) else None,
        )


NO_MAIL = Mail(None, (), None)


def settle(error: PowerEmailError, operation: Operation, mail: Mail) -> PowerEmailError:
    """
    Return what a failed attempt means for the *mail*, or for what was to be changed: the *error*
    itself, or one that says so.
    """
    if operation.reads or not isinstance(error, TransportError | ProtocolError | GeneralError):
        return error
    if _never_arrived(error):
        return NotSentError(error.reason, raw=error.raw) if operation.sends else error
    if not operation.sends:
        return ChangeUnknownError(error.reason, cause=error)
    return DeliveryUnknownError(
        error.reason, unique_id=mail.unique_id, recipients=mail.recipients, cause=error
    )


def may_repeat(error: PowerEmailError, operation: Operation, *, resend: bool = False) -> bool:
    """
    Say whether an attempt that ended in *error* may be made again.

    A call that reads, or is the same made twice, may be repeated on anything temporary; any other
    only where the service cannot have acted on it, or where the user would rather have two mails
    than none (*resend*).
    """
    if operation.repeatable:
        return error.temporary
    if resend and isinstance(error, DeliveryUnknownError):
        return True
    return isinstance(error, RateLimitError) or _never_arrived(error)


def _never_arrived(error: PowerEmailError) -> bool:
    if isinstance(error, TransportError):
        return not error.body_left
    # An answer that was given before the request had left whole: the service cannot have the whole
    # mail.
    return error.temporary and error.raw is not None and not error.raw.request_left


def _members(value: object) -> dict[str, Any]:
    return (
        {name: member for name, member in value.items() if isinstance(name, str)}
        if isinstance(value, Mapping)
        else {}
    )
