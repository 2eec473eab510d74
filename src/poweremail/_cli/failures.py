"""
What went wrong, told to people on standard error and with ``--json`` to scripts on standard output.

First what happened to the mail, then why, then what to do.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from typing import Any, Final

import attrs

from poweremail._cli import exits
from poweremail._cli.output import Output
from poweremail._messages.envelope import Envelope
from poweremail.errors import (
    ApiError,
    ChangeUnknownError,
    DeliveryUnknownError,
    GeneralError,
    LedgerError,
    PowerEmailError,
    RateLimitError,
    TransportError,
    UsageError,
)

__all__ = ["tell", "tell_interruption"]


@attrs.frozen
class _Ending:
    """
    How a command ends: its exit *status*, the *state* that JSON names, and what people read of a
    mail and of another call.
    """

    status: int
    state: str
    mail: str
    call: str


_USAGE: Final = _Ending(exits.USAGE, "not_sent", "not sent", "nothing was done")
_REJECTED: Final = _Ending(
    exits.REJECTED, "rejected", "rejected by the service", "refused by the service"
)
_NOT_SENT: Final = _Ending(exits.NOT_SENT, "not_sent", "not sent", "the service was not asked")
_UNKNOWN: Final = _Ending(
    exits.UNKNOWN, "unknown", "unknown whether it was sent", "unknown whether it took effect"
)
_FAILED: Final = _Ending(exits.FAILED, "failed", "failed", "no answer that can be used")
_UNFINISHED: Final = _Ending(
    exits.UNFINISHED, "unfinished", "unfinished", "the batch is not finished"
)
_BY_STATE: Final = {"rejected": _REJECTED, "not_sent": _NOT_SENT, "unknown": _UNKNOWN}


_SPELT: Final = {
    "headers": "header",
    "attachments": "attach",
    "images": "image",
    "dynamic_value": "value",
    "timeouts": "timeout",
    "states": "state",
    "events": "event",
}
"""The parameters of commands that are not called like the field of the library that they become."""
_FIELD: Final = re.compile(r"[a-z_]+")


def tell(out: Output, error: PowerEmailError, names: Mapping[str, str]) -> int:
    """
    Tell of *error* and return the exit status for it.

    *names* has, by the names of a command's parameters, the options that were given: who gave one
    reads of it, and not of the field of the library that it became.
    """
    ending = _ending(error)
    heading = ending.mail if error.mail_state is not None else ending.call
    advice = error.advice
    lines: list[tuple[str, str]] = []
    if isinstance(error, DeliveryUnknownError):
        lines = [("unique id", error.unique_id or "none"), ("to", ", ".join(error.recipients))]
        if error.unique_id is not None:
            advice = (
                "see whether it was accepted before you send it again: poweremail reconcile "
                f"{error.unique_id}"
            )
    _print(out, f"{heading}: {_reason(error, names)}", [*lines, ("what now", advice)])
    if out.as_json:
        out.json({"state": ending.state, "error": _described(error), **_mail_of(error)})
    return ending.status


def tell_interruption(out: Output, mail: Envelope | None) -> None:
    """Tell of Ctrl-C; *mail* is the one that was on its way, if any."""
    if mail is None:
        _print(out, "interrupted", [])
        state, about = "interrupted", {}
    else:
        about = {"unique_id": mail.unique_id, "recipients": list(mail.recipients)}
        look = (
            "see whether it was accepted before you send it again: poweremail reconcile "
            f"{mail.unique_id}"
        )
        lines = [
            ("unique id", mail.unique_id or "none"),
            ("to", ", ".join(mail.recipients)),
            (
                "what now",
                look if mail.unique_id else "it may have been accepted, and cannot be looked up",
            ),
        ]
        _print(out, "unknown whether it was sent: interrupted before an answer came", lines)
        state = "unknown"
    if out.as_json:
        out.json(
            {
                "state": state,
                "error": {"type": "KeyboardInterrupt", "reason": "interrupted"},
                **about,
            }
        )


def _reason(error: PowerEmailError, names: Mapping[str, str]) -> str:
    field = error.field if isinstance(error, UsageError) else ""
    if found := _FIELD.match(field):
        option = names.get(_SPELT.get(found[0], found[0]))
        if option is not None:
            return f"{option}{error.explanation.removeprefix(field)}"
    return error.explanation


def _print(out: Output, heading: str, lines: list[tuple[str, str]]) -> None:
    told = [
        f"  {name:9}  {textwrap.indent(text, ' ' * 13).strip()}" for name, text in lines if text
    ]
    out.error("\n".join([f"poweremail: {heading}", *told]))


def _ending(error: PowerEmailError) -> _Ending:
    if isinstance(error, UsageError):
        return _USAGE
    if isinstance(error, LedgerError):
        return _UNFINISHED
    if error.mail_state is not None:
        return _BY_STATE[error.mail_state]
    if isinstance(error, RateLimitError) or (
        isinstance(error, TransportError) and not error.body_left
    ):
        return _NOT_SENT
    if isinstance(error, ChangeUnknownError):
        return _UNKNOWN
    return (
        _REJECTED
        if isinstance(error, ApiError) and not isinstance(error, GeneralError)
        else _FAILED
    )


def _described(error: PowerEmailError) -> dict[str, Any]:
    described: dict[str, Any] = {
        "type": type(error).__name__,
        "reason": error.explanation,
        "advice": error.advice,
    }
    if isinstance(error, UsageError):
        described["field"] = error.field
    if isinstance(error, ApiError):
        described |= {
            "name": error.name,
            "code": error.code,
            "message": error.message,
            "retry_after": error.retry_after,
        }
    if isinstance(error, DeliveryUnknownError):
        described["seen"] = error.seen
    if isinstance(error, DeliveryUnknownError | ChangeUnknownError):
        described["cause"] = None if error.cause is None else _described(error.cause)
    return described


def _mail_of(error: PowerEmailError) -> dict[str, Any]:
    if not isinstance(error, DeliveryUnknownError):
        return {}
    return {"unique_id": error.unique_id, "recipients": list(error.recipients)}
