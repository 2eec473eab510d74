"""
Handing a caught mail on to a real SMTP server, to addresses that were allowed beforehand and to no
others.

A sandbox is there so that nothing leaves the machine; this is the one door in it, and it is shut
until somebody names both a server and who may get mail from it.
"""

from __future__ import annotations

import base64
import re
import smtplib
import ssl
from collections.abc import Iterable, Mapping
from contextlib import closing
from ipaddress import ip_address
from typing import Literal, get_args

import attrs

from poweremail._types.secret import Secret
from poweremail._wire.hosts import is_host
from poweremail._wire.redaction import all_spellings
from poweremail.errors import PowerEmailError, UsageError
from poweremail.sandbox._release.source import source
from poweremail.sandbox._store.mail import CaughtMail

__all__ = ["ReleaseError", "Released", "SmtpSecurity", "SmtpServer", "release"]

SmtpSecurity = Literal["starttls", "tls", "none"]

_SECONDS = 30.0
"""
Mail servers take their time before they greet: RFC 5321 lets them have minutes, a page that waits
does not.
"""

# What an address must not have to stand in a command of SMTP; the server judges the rest.
_ADDRESS = re.compile(r"[^\s<>@\x00-\x1f\x7f]+@[^\s<>@\x00-\x1f\x7f]+\Z")
_DOMAIN = re.compile(r"@?[^\s<>@\x00-\x1f\x7f]+\Z")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_BCC = re.compile(rb"(?im)^(?:resent-)?bcc[ \t]*:.*\r\n(?:[ \t].*\r\n)*")


class ReleaseError(PowerEmailError):
    """
    A mail could not be handed on.

    ``mail_state`` is ``"not_sent"``, or ``"unknown"`` where the connection broke after the mail had
    been handed over.
    """


def _security(_: object, __: object, value: object) -> None:
    if value not in get_args(SmtpSecurity):
        raise UsageError(
            f"must be one of {', '.join(get_args(SmtpSecurity))}, not {value!r}",
            field="security",
            mail_state=None,
        )


def _allowed(entries: Iterable[str]) -> tuple[str, ...]:
    entries = (entries,) if isinstance(entries, str) else tuple(entries)
    for entry in entries:
        if not isinstance(entry, str) or not (_ADDRESS.match(entry) or _DOMAIN.match(entry)):
            raise UsageError(
                f"{entry!r} is neither an address nor a domain", field="allow", mail_state=None
            )
    return tuple(entry.casefold().removeprefix("@") for entry in entries)


def _password(value: str | Secret | None) -> Secret | None:
    return Secret.of(value) if value else None


@attrs.frozen(kw_only=True)
class SmtpServer:
    """
    A server that takes released mails, and who may get them.

    *allow* has whole addresses and domains (``ada@example.com``, ``example.com``), in any case; a
    domain does not stand for those below it. Where it is empty nothing is released. *security* is
    ``starttls`` (the default; without it nothing is said), ``tls`` from the first byte on, or
    ``none``. *user* and *password* are used where a user is given. Raises `UsageError` for what
    cannot be meant, and for a password that would travel to another machine in the clear.
    """

    host: str
    port: int = 587
    allow: tuple[str, ...] = attrs.field(default=(), converter=_allowed)
    security: SmtpSecurity = attrs.field(default="starttls", validator=_security)
    user: str | None = None
    password: Secret | None = attrs.field(default=None, converter=_password)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.host, str) or not is_host(self.host):
            raise UsageError(
                f"must be the name or address of a host, not {self.host!r}",
                field="host",
                mail_state=None,
            )
        if not 1 <= self.port <= 65535:  # noqa: PLR2004
            raise UsageError(
                f"must be from 1 to 65535, not {self.port!r}", field="port", mail_state=None
            )
        if bool(self.user) != bool(self.password):
            raise UsageError(
                "a user needs a password, and a password a user", field="user", mail_state=None
            )
        if self.user and self.security == "none" and not _on_this_machine(self.host):
            raise UsageError(
                "a password does not go to another machine in the clear",
                field="security",
                mail_state=None,
            )

    def allows(self, email: str) -> bool:
        """Whether mail may be released to this address."""
        email = email.casefold()
        return bool(_ADDRESS.match(email)) and (
            email in self.allow or email.rpartition("@")[2] in self.allow
        )


@attrs.frozen
class Released:
    """That the server has taken a mail for *recipients*; of those it *refused* it said why."""

    recipients: tuple[str, ...]
    refused: Mapping[str, str]


def release(
    mail: CaughtMail, server: SmtpServer, to: Iterable[str] | str | None = None
) -> Released:
    """
    Hand *mail* on to *server*: to those of its recipients that are allowed, or *to* the addresses
    given, all of which must be.

    The headers stay those of the mail, without Bcc. Raises `UsageError` where nobody may get it,
    and `ReleaseError`.
    """
    recipients = _recipients(mail, server, to)
    if not _ADDRESS.match(mail.from_email):
        raise UsageError(f"{mail.from_email!r} cannot be said to a mail server", field="from_email")
    data = _without_bcc(_LINE_END.sub(b"\r\n", source(mail)))
    failed, result = _hand_over(server, mail.from_email, recipients, data)
    # Raised out here: an error of smtplib that hung on it would bring along frames that hold the
    # password.
    if failed is not None:
        raise failed
    return result


def _recipients(mail: CaughtMail, server: SmtpServer, to: Iterable[str] | str | None) -> list[str]:
    if not server.allow:
        raise UsageError("nobody may get released mail: the allow-list is empty", field="allow")
    if to is None:
        recipients = [
            email
            for email in dict.fromkeys(who.email for who in mail.recipients)
            if server.allows(email)
        ]
        if not recipients:
            raise UsageError("none of the mail's recipients is on the allow-list", field="to")
        return recipients
    recipients = list(dict.fromkeys((to,) if isinstance(to, str) else to))
    if not recipients:
        raise UsageError("must not be empty", field="to")
    for email in recipients:
        if not isinstance(email, str) or not server.allows(email):
            raise UsageError(f"{email!r} is not on the allow-list", field="to")
    return recipients


def _without_bcc(data: bytes) -> bytes:
    head, blank, body = data.partition(b"\r\n\r\n")
    return _BCC.sub(b"", head + b"\r\n") + blank.removeprefix(b"\r\n") + body


def _hand_over(
    server: SmtpServer, sender: str, recipients: list[str], data: bytes
) -> tuple[ReleaseError | None, Released]:
    nothing = Released((), {})
    where = f"{server.host}:{server.port}"
    state: Literal["not_sent", "unknown"] = "not_sent"
    try:
        with closing(_connect(server)) as smtp:
            if server.user and server.password:
                smtp.login(server.user, server.password.reveal())
            options = ["BODY=8BITMIME"] if smtp.has_extn("8bitmime") else []
            if not "".join((sender, *recipients)).isascii():
                options.append("SMTPUTF8")
            _expect(smtp.mail(sender, options))
            refused: dict[str, str] = {}
            for email in recipients:
                code, said = smtp.rcpt(email)
                if code not in (250, 251):
                    refused[email] = _hidden(server, f"{code} {_text(said)}")
            if len(refused) == len(recipients):
                return ReleaseError(
                    f"{where} refused every recipient: {refused}", mail_state="not_sent"
                ), nothing
            state = "unknown"
            code, said = smtp.data(data)
            state = "not_sent"
            _expect((code, said))
            released = Released(
                tuple(email for email in recipients if email not in refused), refused
            )
            # From here on nothing that fails takes it back.
            return None, _goodbye(smtp, released)
    except smtplib.SMTPDataError as error:
        state, why = "not_sent", f"{error.smtp_code} {_text(error.smtp_error)}"
    except smtplib.SMTPResponseException as error:
        why = f"{error.smtp_code} {_text(error.smtp_error)}"
    except (OSError, ValueError) as error:
        # smtplib's own errors are among them, and those of TLS.
        why = f"{type(error).__name__}: {error}"
    reason = (
        f"{where} did not take it: {why}"
        if state == "not_sent"
        else f"{where} broke off after it had been handed over: {why}"
    )
    return ReleaseError(_hidden(server, reason), mail_state=state), nothing


def _goodbye(smtp: smtplib.SMTP, released: Released) -> Released:
    try:
        smtp.quit()
    except (OSError, smtplib.SMTPException):
        smtp.close()
    return released


def _connect(server: SmtpServer) -> smtplib.SMTP:
    if server.security == "tls":
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(
            server.host, server.port, timeout=_SECONDS, context=ssl.create_default_context()
        )
    else:
        smtp = smtplib.SMTP(server.host, server.port, timeout=_SECONDS)
    try:
        if server.security == "starttls":
            smtp.starttls(context=ssl.create_default_context())
        smtp.ehlo_or_helo_if_needed()
    except BaseException:
        smtp.close()
        raise
    return smtp


def _expect(answered: tuple[int, bytes]) -> None:
    code, said = answered
    if code != 250:  # noqa: PLR2004
        raise smtplib.SMTPResponseException(code, said)


def _text(said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return "".join(character if character.isprintable() else " " for character in text)[:500]


def _hidden(server: SmtpServer, text: str) -> str:
    """
    *text* without the password, should a server repeat it, as it is or in the base64 in which it
    went.
    """
    if server.password is None:
        return text
    for secret in (
        Secret(_base64(f"\0{server.user}\0{server.password.reveal()}")),
        Secret(_base64(server.password.reveal())),
        server.password,
    ):
        text = (
            all_spellings(secret.reveal())
            .sub(b"***", text.encode("utf-8", "replace"))
            .decode("utf-8", "replace")
        )
    return text


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _on_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
