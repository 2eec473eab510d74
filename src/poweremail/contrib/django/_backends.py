"""
The e-mail backends.

Theory of operation. ``send_messages`` tries every message before it raises, and leaves on each mail
object, as ``poweremail``, what happened to it. If one message was given, the error is that of its
send, so that a caller can tell *not sent* from *unknown*. If several were given, the error of one
would be false for the others: "not sent, it is safe to send it again" is not true of those that
were accepted. So the error is a `NotAllAcceptedError` then.

Django up to 6.0 makes a backend from ``EMAIL_BACKEND``, and Django 6.1 from an entry of
``MAILERS``, whose ``OPTIONS`` come as keyword arguments. Both make a new one for each call, so a
backend holds nothing: the client belongs to the process.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from django.core import mail as django_mail
from django.core.exceptions import ImproperlyConfigured

from poweremail import (
    ConfigurationError,
    Failover,
    PowerEmail,
    PowerEmailError,
    SendOutcome,
    TemplateMessage,
    UsageError,
)
from poweremail.contrib.django._bases import BaseEmailBackend
from poweremail.contrib.django._clients import get_client, get_failover
from poweremail.contrib.django._reading import Reading, read_mail
from poweremail.contrib.django._settings import CLIENT_OPTIONS, read_settings

_CONCURRENCY = 8
"""The sends of one call of ``send_messages`` at once, as in `send_many`."""

_ACCOUNT = {"owner_id", "token", "app_domain", "base_url"}

_SANDBOX_URL = "http://127.0.0.1:8025"
"""Where ``poweremail sandbox`` listens."""


class NotAllAcceptedError(PowerEmailError):
    """
    Of several messages that were given to ``send_messages``, some were not accepted.

    *accepted*: the number of those that were.
    *errors*: the errors of the others, in their order. ``message.poweremail`` of each message has
    its own.
    """

    default_advice = (
        "message.poweremail of each message has its outcome; those that were accepted must not be "
        "sent again"
    )

    def __init__(self, errors: Sequence[PowerEmailError], accepted: int) -> None:
        states = Counter((error.mail_state or "not_sent").replace("_", " ") for error in errors)
        listed = ", ".join(f"{count} {state}" for state, count in states.items())
        super().__init__(
            f"{len(errors)} of {accepted + len(errors)} messages were not accepted ({listed}); "
            f"the first: {errors[0]}"
        )
        self.errors: tuple[PowerEmailError, ...] = tuple(errors)
        self.accepted = accepted


class BaseBackend(BaseEmailBackend, ABC):
    """
    What the backends have in common; *fail_silently* and *alias* are those of Django.

    *options*: those that the class takes. Raises Django's `ImproperlyConfigured` for others.
    """

    option_names: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        fail_silently: bool = False,  # noqa: FBT001, FBT002  as Django has it
        *,
        alias: str | None = None,
        **options: Any,
    ) -> None:
        # From version 6.1 on, Django says which arguments come from deprecated calls.
        ignored = options.pop("_ignore_unknown_kwargs", None) or ()
        # send_mail() of older versions gives `username=None`.
        options = {
            name: value
            for name, value in options.items()
            if value is not None and (name in self.option_names or name not in ignored)
        }
        if unknown := sorted(options.keys() - self.option_names):
            place = "" if alias is None else f"MAILERS[{alias!r}]: "
            raise _IMPROPER(
                f"{place}{', '.join(unknown)}: this backend has no such option; it has "
                f"{', '.join(sorted(self.option_names)) or 'none'}"
            )
        super().__init__()
        self.alias = alias
        self.fail_silently = fail_silently
        self.options: dict[str, Any] = options

    def send_messages(self, email_messages: Iterable[Any]) -> int:
        """
        Send each of *email_messages*, and return the number of those that were accepted.

        ``poweremail`` of each is its `SendOutcome` then; one without recipients is left out, and
        has none. Unless *fail_silently*, raises the error of the message if there is one, and
        `NotAllAcceptedError` if there are several and not all were accepted, after all were tried.
        """
        mails = [mail for mail in email_messages or () if mail.recipients()]
        readings: list[tuple[int, Reading]] = []
        # By the place of the mail: the same object may be given twice.
        errors: dict[int, PowerEmailError] = {}
        given = read_settings()
        headers = {name: given.get(f"{name}_header") for name in ("tags", "metadata")}
        for index, mail in enumerate(mails):
            mail.poweremail = None
            try:
                readings.append((index, self.read(mail, headers)))
            except UsageError as error:
                mail.poweremail = SendOutcome(index, mail, error=error)
                errors[index] = error
        for index, outcome in self.deliver(readings, given) if readings else ():
            mails[index].poweremail = outcome
            if outcome.error is not None:
                errors[index] = outcome.error
        accepted = len(mails) - len(errors)
        if errors and not self.fail_silently:
            in_order = [errors[index] for index in sorted(errors)]
            raise in_order[0] if len(mails) == 1 else NotAllAcceptedError(in_order, accepted)
        return accepted

    @abstractmethod
    def check(self) -> None:
        """Raise `PowerEmailError` if nothing can be sent, for a reason that is known already."""

    def read(self, mail: Any, headers: dict[str, str | None]) -> Reading:
        """Return *mail* as the service can carry it. Raises `UsageError` if it cannot."""
        return read_mail(mail, headers)

    @abstractmethod
    def deliver(
        self, readings: Sequence[tuple[int, Reading]], given: dict[str, Any]
    ) -> Iterator[tuple[int, Any]]:
        """Yield the number of each mail with its outcome, as they come."""


# Django's own error for an entry of MAILERS, in those versions that have it.
_IMPROPER: type[Exception] = getattr(django_mail, "InvalidMailer", ImproperlyConfigured)


class EmailBackend(BaseBackend):
    """
    Sends at once, by the client of this process.

    Its options, in ``OPTIONS`` of Django 6.1's ``MAILERS``, are those of `PowerEmail`. They replace
    those of ``settings.POWEREMAIL``, but *redirect_to*, *allow* and *dry_run* apply in addition.

    If ``POWEREMAIL["FAILOVER"]`` has targets, they get the mails that the client could not send,
    except those that name an SMTP user.
    """

    option_names: ClassVar[frozenset[str]] = CLIENT_OPTIONS

    @property
    def failover(self) -> Failover | None:
        """The client and the targets of the settings; None without targets."""
        return get_failover(**self.options)

    @property
    def client(self) -> PowerEmail:
        """The client. Raises `ConfigurationError` if an option is invalid or missing."""
        return get_client(**self.options)

    def check(self) -> None:
        """As in the base class."""
        if self.client.smtp_user_name is None:
            raise ConfigurationError(
                "is missing", field="smtp_user_name", advice="each mail would have to name one"
            )
        _ = self.failover

    def deliver(
        self, readings: Sequence[tuple[int, Reading]], given: dict[str, Any]
    ) -> Iterator[tuple[int, SendOutcome]]:
        """Send the mails, several at once if there are several."""
        failover = self.failover
        by_user: dict[str | None, list[tuple[int, Reading]]] = {}
        for index, reading in readings:
            by_user.setdefault(reading.smtp_user_name, []).append((index, reading))
        for smtp_user_name, group in by_user.items():
            messages: Any = self.client.messages
            options = {"smtp_user_name": smtp_user_name}
            if failover is not None and smtp_user_name is None:
                messages, options = failover.messages, {}
            if len(group) == 1:  # in this thread, to which traces and logs belong
                ((index, reading),) = group
                yield index, _sent(messages, options, index, reading)
                continue
            with messages.send_many(
                (reading.message for _, reading in group),
                concurrency=given.get("concurrency", _CONCURRENCY),
                **options,
            ) as outcomes:
                for outcome in outcomes:
                    index, reading = group[outcome.index]
                    yield (
                        index,
                        SendOutcome(
                            index, reading.mail, result=outcome.result, error=outcome.error
                        ),
                    )


def _sent(
    messages: Any, options: Mapping[str, str | None], index: int, reading: Reading
) -> SendOutcome:
    message = reading.message
    try:
        if isinstance(message, TemplateMessage):
            result = messages.send_template(message, **options)
        else:
            result = messages.send_mail(message, **options)
    except PowerEmailError as error:
        return SendOutcome(index, reading.mail, error=error)
    return SendOutcome(index, reading.mail, result=result)


class SandboxEmailBackend(EmailBackend):
    """
    Sends to a sandbox, which catches the mail and shows it: ``poweremail sandbox`` runs one.

    It listens at ``POWEREMAIL["SANDBOX_URL"]``, by default ``http://127.0.0.1:8025``. The
    credentials of the settings and of the environment are not used, so nothing reaches the service.
    """

    option_names: ClassVar[frozenset[str]] = CLIENT_OPTIONS - _ACCOUNT

    @property
    def failover(self) -> Failover | None:
        """None: the targets of the settings are those of the service."""
        return None

    @property
    def client(self) -> PowerEmail:
        """A client of the sandbox."""
        place = {
            "owner_id": "sandbox",
            "token": "sandbox",
            "app_domain": None,
            "base_url": read_settings().get("sandbox_url", _SANDBOX_URL),
        }
        return get_client(**{"smtp_user_name": "sandbox"} | self.options | place)
