"""
The tree of exceptions.

::

    PowerEmailError
     ├─ UsageError            (also a ValueError) the call is invalid; nothing was sent
     │   └─ ConfigurationError    an option of a client, a ledger or a command is invalid
     ├─ ApiError              the service reported an error
     │   ├─ ValidationError       a parameter is missing or wrong
     │   ├─ AuthenticationError   owner id and token do not match
     │   ├─ GeneralError          the service failed internally
     │   └─ RateLimitError        the service responded 429
     ├─ ProtocolError         the response is neither a success nor a known error
     ├─ TransportError        no response came
     │   └─ NotSentError          ... to a send, and the service provably never got the whole mail
     │       ├─ SuppressedError       ... because all of its recipients are suppressed
     │       └─ SuppressionStoreError ... because it is not known who is suppressed
     ├─ LedgerError           the ledger of a batch cannot be read or written
     ├─ DeliveryUnknownError  it is not known whether a mail was accepted
     ├─ ChangeUnknownError    it is not known whether a change took effect
     └─ WebhookError          a request to a webhook cannot be accepted
         ├─ WebhookSignatureError  ... because its signature is missing or wrong
         └─ WebhookPayloadError    ... because its body is no batch of events

Each text says first what happened to the mail, then why, then what to do. The parts are attributes,
and `__str__` composes them, so no code takes a text apart again.
"""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from poweremail._response import Response

__all__ = [
    "ApiError",
    "AuthenticationError",
    "ChangeUnknownError",
    "ConfigurationError",
    "DeliveryUnknownError",
    "GeneralError",
    "LedgerError",
    "MailState",
    "NotSentError",
    "PowerEmailError",
    "ProtocolError",
    "RateLimitError",
    "SuppressedError",
    "SuppressionStoreError",
    "TransportError",
    "UsageError",
    "ValidationError",
    "WebhookError",
    "WebhookPayloadError",
    "WebhookSignatureError",
]

MailState = Literal["not_sent", "rejected", "unknown"]
"""What an error says about the mail."""

_STATE_TEXT: dict[MailState | None, str] = {
    "not_sent": "not sent: ",
    "rejected": "rejected by the service: ",
    "unknown": "unknown whether it was sent: ",
    None: "",
}


_URL_USER = re.compile(r"""(?<=://)[^\s/?#"'<>]*(?=@)""")


def hide_url_users(text: str) -> str:
    """Replace the user part of each URL in *text* by ``***``: it may have a password."""
    return _URL_USER.sub("***", text) if "://" in text else text


class PowerEmailError(Exception):
    """
    The base of every error of this library.

    *reason*: why it happened. ``***`` replaces the user parts of URLs.
    *mail_state*: what happened to the mail: ``"not_sent"``, ``"rejected"`` or ``"unknown"``; None
    if the call concerned no mail.
    *advice*: what to do about it; None for the advice of the class.
    *raw*: the service's response, None if none came.
    *temporary*: whether the same call may succeed later.
    *target*: the name of the target of an `AsyncFailover` that the error is about; None without
    one.
    """

    default_advice: ClassVar[str] = ""

    def __init__(
        self,
        reason: str,
        *,
        mail_state: MailState | None = None,
        advice: str | None = None,
        raw: Response | None = None,
        temporary: bool = False,
    ) -> None:
        self.reason: str = hide_url_users(reason)
        super().__init__(self.reason)
        self.mail_state: MailState | None = mail_state
        self.advice: str = self.default_advice if advice is None else advice
        self.raw = raw
        self.temporary = temporary
        self.target: str | None = None

    def __str__(self) -> str:
        text = f"{_STATE_TEXT[self.mail_state]}{self.explanation}"
        return f"{text} ({self.advice})" if self.advice else text

    @property
    def explanation(self) -> str:
        """The text without the state of the mail before it and the advice after it."""
        return self.reason


class UsageError(PowerEmailError, ValueError):
    """
    The call is invalid; nothing left this machine. Also a ``ValueError``.

    *field*: the invalid member or argument, ``""`` if there is none. *reason* does not repeat it:
    ``str()`` joins the two to ``field: reason``.
    """

    def __init__(
        self,
        reason: str,
        *,
        field: str = "",
        mail_state: MailState | None = "not_sent",
        advice: str | None = None,
    ) -> None:
        super().__init__(reason, mail_state=mail_state, advice=advice)
        self.field = field

    @property
    def explanation(self) -> str:
        """The field, if there is one, and the reason."""
        return f"{self.field}: {self.reason}" if self.field else self.reason


class ConfigurationError(UsageError):
    """
    An option of a client, a ledger or a command is invalid. No mail is concerned.

    ``mail_state`` is None.
    """

    def __init__(self, reason: str, *, field: str = "", advice: str | None = None) -> None:
        super().__init__(reason, field=field, mail_state=None, advice=advice)


class ApiError(PowerEmailError):
    """
    The service reported an error.

    *message*: the service's text.
    *name*: the service's name for the kind of error, None if it gave none.
    *code*: the service's code, as it came.
    *retry_after*: the seconds to wait before the next request, as the response demands; None if it
    demands nothing.
    """

    def __init__(
        self,
        message: str,
        *,
        name: str | None = None,
        code: str | int | None = None,
        retry_after: float | None = None,
        mail_state: MailState | None = None,
        advice: str | None = None,
        raw: Response | None = None,
        temporary: bool = False,
    ) -> None:
        reason = f"{name}: {message}" if name else message
        super().__init__(reason, mail_state=mail_state, advice=advice, raw=raw, temporary=temporary)
        self.message = message
        self.name = name
        self.code = code
        self.retry_after = retry_after


class ValidationError(ApiError):
    """The service says that a parameter of the call is missing or wrong."""

    default_advice = "correct the parameter that the text names; the same call will fail again"


class AuthenticationError(ApiError):
    """The service says that owner id and token do not match."""

    default_advice = "check owner_id, token and app_domain"


class GeneralError(ApiError):
    """
    The service failed internally. After a send it is the ``cause`` of a `DeliveryUnknownError`.
    """


class RateLimitError(ApiError):
    """The service responded 429: too many requests for this SMTP user. It accepted no mail."""

    default_advice = "send more slowly, or wait and send it again"


class ProtocolError(PowerEmailError):
    """The response is neither a success nor a known error; it is in ``raw``, as it came."""


class TransportError(PowerEmailError):
    """
    No response came: the connection was refused, timed out or was cut off.

    *body_left*: False if it is certain that the last byte of the request's body never left this
    machine, so the service cannot have acted on the request; True if it may have left.
    *temporary*: False if a setting of the environment must be corrected first.
    """

    def __init__(
        self,
        reason: str,
        *,
        body_left: bool = True,
        mail_state: MailState | None = None,
        advice: str | None = None,
        raw: Response | None = None,
        temporary: bool = True,
    ) -> None:
        super().__init__(reason, mail_state=mail_state, advice=advice, raw=raw, temporary=temporary)
        self.body_left = body_left


class NotSentError(TransportError):
    """
    In no attempt did the whole mail reach the service; this is proven.

    *raw*: the response, if one came before the mail had left whole.
    """

    default_advice = "it is safe to send it again"

    def __init__(
        self,
        reason: str,
        *,
        raw: Response | None = None,
        advice: str | None = None,
        temporary: bool = True,
    ) -> None:
        super().__init__(
            reason,
            body_left=False,
            mail_state="not_sent",
            advice=advice,
            raw=raw,
            temporary=temporary,
        )


class SuppressedError(NotSentError):
    """
    All recipients of the mail are on the suppression list: nothing was sent, and nothing will be.

    *recipients*: their addresses.
    """

    default_advice = "take an address off the list only if its owner asks for the mail"

    def __init__(self, reason: str, *, recipients: tuple[str, ...] = ()) -> None:
        super().__init__(reason, temporary=False)
        self.recipients = recipients


class SuppressionStoreError(NotSentError):
    """The suppression list could not be read, so no mail was sent to anybody who may be on it."""

    default_advice = "no mail is sent until it can be read; it is safe to send it again then"


class LedgerError(PowerEmailError):
    """
    The ledger of a batch cannot be read or written: it is locked, full, damaged, unreachable, or of
    another version.

    A mail is sent only after the ledger has recorded it, so the batch can continue as soon as the
    ledger is usable again.
    """


class DeliveryUnknownError(PowerEmailError):
    """
    The whole mail left this machine and no trustworthy response came back: the service may or may
    not have accepted it.

    *unique_id*: the message's ``X-Unique-Id``, None if the call cannot carry one.
    *recipients*: the addresses of the mail.
    *cause*: the error that hides the outcome.
    *seen*: what getMessageInfo showed for the unique id: True for some of the recipients only,
    False for none, None if it was not called or did not respond.
    """

    default_advice = "it may have been accepted, and has no unique_id to look it up by"

    def __init__(
        self,
        reason: str,
        *,
        unique_id: str | None = None,
        recipients: tuple[str, ...] = (),
        cause: PowerEmailError | None = None,
        seen: bool | None = None,
    ) -> None:
        advice = (
            "it may have been accepted: find out with messages.reconcile before sending it again"
            if unique_id
            else None
        )
        super().__init__(
            reason,
            mail_state="unknown",
            raw=cause.raw if cause is not None else None,
            advice=advice,
        )
        self.seen = seen
        self.unique_id = unique_id
        self.recipients = recipients
        self.cause = cause

    def __str__(self) -> str:
        which = f"unique_id={self.unique_id}" if self.unique_id is not None else "no unique_id"
        return (
            f"{super().__str__()} [{which}; to "
            f"{', '.join(self.recipients) or 'unknown recipients'}]"
        )


class ChangeUnknownError(PowerEmailError):
    """
    A call that changes something at the service left this machine whole, and no trustworthy
    response came back: it may or may not have taken effect.

    *cause*: the error that hides the outcome.
    """

    default_advice = "it may have: look at what is there before making the call again"

    def __init__(self, reason: str, *, cause: PowerEmailError | None = None) -> None:
        super().__init__(
            reason,
            raw=cause.raw if cause is not None else None,
            temporary=cause is not None and cause.temporary,
        )
        self.cause = cause

    def __str__(self) -> str:
        return f"unknown whether it took effect: {super().__str__()}"


class WebhookError(PowerEmailError):
    """
    A request to a webhook cannot be accepted. Respond with anything but 200, and the service sends
    it again.
    """


class WebhookSignatureError(WebhookError):
    """The signature is missing, or no key produces it: the events may be forged."""

    default_advice = (
        "check url, scheme and keys; `poweremail webhook diagnose` tells which of "
        "them fits a captured request"
    )


class WebhookPayloadError(WebhookError):
    """The body is too large, or no batch of events in any known form."""
