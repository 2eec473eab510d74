"""
The one tree of exceptions.

::

    PowerEmailError
     ├─ UsageError            (also a ValueError) the call cannot be made as asked
     │   └─ ConfigurationError    an option of a client, a ledger or a command is invalid
     ├─ ApiError              the service answered an error
     │   ├─ ValidationError       a parameter is missing or wrong
     │   ├─ AuthenticationError   owner id and token do not match
     │   ├─ GeneralError          the service failed inside
     │   └─ RateLimitError        the service answered 429
     ├─ ProtocolError         an answer came, and it is neither a success nor an error that we know
     ├─ TransportError        no answer came
     │   └─ NotSentError          ... to a send, and the request provably never arrived whole
     ├─ LedgerError           the ledger of a batch cannot be read or written
     ├─ DeliveryUnknownError  it is not known whether a mail was accepted
     ├─ ChangeUnknownError    it is not known whether a change took effect
     └─ WebhookError          what came to a webhook cannot be taken
         ├─ WebhookSignatureError  ... because its signature is missing or wrong
         └─ WebhookPayloadError    ... because its body is no batch of events

Each text says first what happened to the mail, then why, then what to do.
"""

from __future__ import annotations

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
    "TransportError",
    "UsageError",
    "ValidationError",
    "WebhookError",
    "WebhookPayloadError",
    "WebhookSignatureError",
]

MailState = Literal["not_sent", "rejected", "unknown"]

_STATE_TEXT: dict[MailState | None, str] = {
    "not_sent": "not sent: ",
    "rejected": "rejected by the service: ",
    "unknown": "unknown whether it was sent: ",
    None: "",
}


class PowerEmailError(Exception):
    """
    The base of every error of this library.

    *reason* says why; *advice*, where given, what to do about it. ``mail_state`` is what happened
    to the mail: ``"not_sent"``, ``"rejected"``, ``"unknown"``, or None where the call concerned no
    mail. ``raw`` is the service's answer, where one came. ``temporary`` is True where the same call
    may well succeed later.
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
        super().__init__(reason)
        self.reason = reason
        self.mail_state: MailState | None = mail_state
        self.advice = self.default_advice if advice is None else advice
        self.raw = raw
        self.temporary = temporary

    def __str__(self) -> str:
        text = f"{_STATE_TEXT[self.mail_state]}{self.explanation}"
        return f"{text} ({self.advice})" if self.advice else text

    @property
    def explanation(self) -> str:
        """The text without its first part, the state of the mail, and its last, the advice."""
        return self.reason


class UsageError(PowerEmailError, ValueError):
    """
    The call cannot be made as asked; nothing left this machine. Also a ``ValueError``.

    *field* names the invalid member or argument, ``""`` if there is none; *reason* does not repeat
    it. ``str()`` joins the two: ``field: reason``.
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
    The service answered an error.

    ``name`` is the service's word for the kind of error (None where it gave none) and ``code`` its
    code, both as they came; ``message`` is its text. ``retry_after`` is how many seconds the answer
    asked to wait, None where it did not ask.
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
    """A parameter of the call is missing or wrong, says the service."""

    default_advice = "correct the parameter that the text names; the same call will fail again"


class AuthenticationError(ApiError):
    """Owner id and token do not match, says the service."""

    default_advice = "check owner_id, token and app_domain"


class GeneralError(ApiError):
    """
    The service failed inside. After a send this comes as the ``cause`` of a `DeliveryUnknownError`.
    """


class RateLimitError(ApiError):
    """The service answered 429: too many requests for this SMTP user. The mail was not taken."""

    default_advice = "send more slowly, or wait and send it again"


class ProtocolError(PowerEmailError):
    """
    An answer came that is neither a success nor an error that we know. ``raw`` has it as it came.
    """


class TransportError(PowerEmailError):
    """
    No answer came: refused, timed out, cut off.

    *body_left* is False where it is certain that the last byte of the request's body never left
    this machine, so that the service cannot have acted on it; True where it may have.
    """

    def __init__(
        self,
        reason: str,
        *,
        body_left: bool = True,
        mail_state: MailState | None = None,
        advice: str | None = None,
        raw: Response | None = None,
    ) -> None:
        super().__init__(reason, mail_state=mail_state, advice=advice, raw=raw, temporary=True)
        self.body_left = body_left


class NotSentError(TransportError):
    """
    The mail provably never reached the service whole, in any attempt.

    ``raw`` is the answer that came before the mail had left, where one did.
    """

    default_advice = "it is safe to send it again"

    def __init__(self, reason: str, *, raw: Response | None = None) -> None:
        super().__init__(reason, body_left=False, mail_state="not_sent", raw=raw)


class LedgerError(PowerEmailError):
    """
    The ledger of a batch cannot be read or written: locked, full, broken, out of reach, or of
    another version.

    Nothing is sent that is not in the ledger first, so the batch can go on from where it is once
    the ledger can be used again.
    """


class DeliveryUnknownError(PowerEmailError):
    """
    The whole mail left this machine and no trustworthy answer came back: it may or may not have
    been accepted.

    ``unique_id`` is the message's ``X-Unique-Id`` (None where the call cannot carry one),
    ``recipients`` are its addresses, ``cause`` is what went wrong. ``seen`` tells of a look-up by
    the unique id: True where getMessageInfo showed the mail for some of its recipients only, False
    where it showed nothing of it, None where it was not asked or did not answer.
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
    A call that changes something at the service left this machine whole, and no trustworthy answer
    came back.

    It may or may not have taken effect. ``cause`` is what went wrong.
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
    What was posted to a webhook cannot be taken. Answer it with anything but 200, and the service
    sends it again.
    """


class WebhookSignatureError(WebhookError):
    """The signature is missing, or none of the keys makes it: the events may come from anybody."""

    default_advice = (
        "check url, scheme and keys; `poweremail webhook diagnose` tells which of "
        "them fits a captured request"
    )


class WebhookPayloadError(WebhookError):
    """The body is too large, or is no batch of events in any form that is known."""
