"""
How a command reports what went wrong: to people on standard error, and with ``--json`` to scripts
on standard output, too.

The text says first what happened to the mail, then why, then what to do.
"""

from __future__ import annotations

import errno
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from poweremail._cli import exits
from poweremail._cli.output import Output, OutputError
from poweremail._messages.envelope import Envelope
from poweremail.errors import (
    ApiError,
    ChangeUnknownError,
    ConfigurationError,
    DeliveryUnknownError,
    GeneralError,
    LedgerError,
    PowerEmailError,
    RateLimitError,
    TransportError,
    UsageError,
)


class _Ending(NamedTuple):
    """
    How a command ends.

    - *status*: its exit status.
    - *state*: the member ``state`` of its JSON.
    - *mail_words*, *call_words*: the first words of its text, of a mail and of another call.
    """

    status: int
    state: str
    mail_words: str
    call_words: str


_USAGE: Final = _Ending(exits.USAGE, "not_sent", "not sent", "nothing was done")
_REJECTED: Final = _Ending(
    exits.REJECTED, "rejected", "rejected by the service", "rejected by the service"
)
_NOT_SENT: Final = _Ending(exits.NOT_SENT, "not_sent", "not sent", "the service was not reached")
_UNKNOWN: Final = _Ending(
    exits.UNKNOWN, "unknown", "unknown whether it was sent", "unknown whether it took effect"
)
_FAILED: Final = _Ending(exits.FAILED, "failed", "failed", "no usable response")
_UNFINISHED: Final = _Ending(
    exits.UNFINISHED, "unfinished", "unfinished", "the batch is not finished"
)
_BY_MAIL_STATE: Final = {"rejected": _REJECTED, "not_sent": _NOT_SENT, "unknown": _UNKNOWN}

_MEMBERS: Final = ("field", "name", "code", "message", "retry_after", "seen")
"""The members of errors that JSON shows, as far as an error has them."""


def report(out: Output, error: PowerEmailError, flags: Mapping[str, str]) -> int:
    """
    Print *error* and return the exit status for it.

    *flags* has the flags that were given, by the names of the parameters: the text names the flag
    and not the library's field.
    """
    ending = _ending_of(error)
    words = ending.call_words if error.mail_state is None else ending.mail_words
    if isinstance(error, DeliveryUnknownError):
        _print(out, f"{words}: {error.reason}", *_lines_of(error, error.advice))
    else:
        _print(out, f"{words}: {_explanation(error, flags)}", ("what now", error.advice))
    if out.as_json:
        described: dict[str, Any] = {"state": ending.state, "error": _described(error)}
        if isinstance(error, DeliveryUnknownError):
            described |= _mail_of(error)
        out.json(described)
    return ending.status


def report_interruption(out: Output, mail: Envelope | None, *, is_unknown: bool) -> None:
    """
    Print that Ctrl-C came. *mail* is the mail that was being sent, if there was one; *is_unknown*:
    it may have been accepted.
    """
    if mail is None:
        _print(out, "interrupted")
    elif not is_unknown:
        _print(out, "not sent: interrupted before it left")
    else:
        _print(
            out,
            "unknown whether it was sent: interrupted before a response came",
            *_lines_of(mail, "it may have been accepted, and has no unique id to find it by"),
        )
    if out.as_json:
        error = {"type": "KeyboardInterrupt", "reason": "interrupted"}
        state = "interrupted" if mail is None else "unknown" if is_unknown else "not_sent"
        out.json({"state": state, "error": error} | ({} if mail is None else _mail_of(mail)))


def report_output(out: Output, error: OutputError, unique_id: str | None) -> None:
    """Print that standard output cannot be written. *unique_id* is that of an accepted mail."""
    heading = "accepted, but " if unique_id else ""
    line = ("unique id", unique_id or "")
    _print(out, f"{heading}standard output cannot be written: {error}", line)


@contextmanager
def from_option(flag: str, **fields: str) -> Iterator[None]:
    """
    Let a `UsageError` name the option *flag*, from which the invalid value came.

    *fields*: the flags of single fields, if several options became one value.
    """
    try:
        yield
    except UsageError as error:
        # Changed in place, it keeps its type, its advice and what it says about the mail.
        if error.field in fields:
            error.field = fields[error.field]
        else:
            error.reason, error.field = error.explanation, flag
        raise


def cannot_listen(error: OSError, host: str, port: int) -> ConfigurationError:
    """Return the error for an address on which no socket can be opened."""
    advice = "use what runs there already, or --port 0 for a free port"
    # Python adds the address to the system's text, as a tuple.
    reason = (error.strerror or str(error)).partition(" (while attempting")[0]
    return ConfigurationError(
        f"cannot listen on {host} port {port}: {reason}",
        advice=advice if error.errno == errno.EADDRINUSE else None,
    )


def _explanation(error: PowerEmailError, flags: Mapping[str, str]) -> str:
    if isinstance(error, UsageError):
        name, _, member = error.field.partition("[")[0].partition(".")  # to[0], tracking.opens
        if flag := flags.get(name) or flags.get(member):
            return f"{flag}: {error.reason}"
    return error.explanation


def _print(out: Output, heading: str, *lines: tuple[str, str]) -> None:
    indented = [
        f"  {name:9}  {textwrap.indent(text, ' ' * 13).strip()}" for name, text in lines if text
    ]
    out.error("\n".join([f"poweremail: {heading}", *indented]))


def _lines_of(mail: DeliveryUnknownError | Envelope, without_id: str) -> Iterator[tuple[str, str]]:
    """Say which mail it is that may have been accepted, and how to find out."""
    yield "unique id", mail.unique_id or "none"
    yield "to", ", ".join(mail.recipients)
    next_step = (
        "see whether it was accepted before you send it again: poweremail reconcile "
        f"{mail.unique_id}"
    )
    yield "what now", next_step if mail.unique_id else without_id


def _mail_of(mail: DeliveryUnknownError | Envelope) -> dict[str, Any]:
    return {"unique_id": mail.unique_id, "recipients": list(mail.recipients)}


def _ending_of(error: PowerEmailError) -> _Ending:  # noqa: PLR0911  a table, read from the top
    if isinstance(error, UsageError):
        return _USAGE
    if isinstance(error, LedgerError):
        return _UNFINISHED
    if error.mail_state is not None:
        return _BY_MAIL_STATE[error.mail_state]
    match error:
        case RateLimitError() | TransportError(body_left=False):
            return _NOT_SENT
        case ChangeUnknownError():
            return _UNKNOWN
        case ApiError() if not isinstance(error, GeneralError):
            return _REJECTED
        case _:
            return _FAILED


def _described(error: PowerEmailError) -> dict[str, Any]:
    described: dict[str, Any] = {
        "type": type(error).__name__,
        "reason": error.explanation,
        "advice": error.advice,
    }
    described |= {name: getattr(error, name) for name in _MEMBERS if hasattr(error, name)}
    if isinstance(error, DeliveryUnknownError | ChangeUnknownError):
        described["cause"] = error.cause and _described(error.cause)
    return described
