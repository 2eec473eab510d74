"""
Release a caught mail: send it to a real SMTP server, for allowed addresses only.

A sandbox exists so that no mail leaves the machine. This is its one exit, and it is closed unless
both a server and the addresses that may get mail from it are configured.

`sendmail` and `data` of smtplib are not used: if a connection breaks, they do not say whether that
was before or after the mail itself was sent: the difference between *not sent* and *unknown*.
"""

from __future__ import annotations

import base64
import re
import smtplib
import ssl
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from typing import Any, Literal, get_args

import attrs

from poweremail._runtime._time_limit import TimeLimit
from poweremail._types.checks import is_host, is_loopback, require, require_one_of
from poweremail._types.secret import Secret
from poweremail._wire.redaction import all_spellings
from poweremail.errors import ConfigurationError, PowerEmailError, UsageError
from poweremail.sandbox._release import source
from poweremail.sandbox._store.mail import CaughtMail

SmtpSecurity = Literal["starttls", "tls", "none"]

# RFC 5321 lets a mail server take minutes until it greets, but the user of the page does not wait
# that long.
_TIMEOUT_SECONDS = 30.0
_ALL_SECONDS = 300.0

_MAX_RESPONSE_CHARS = 500

# Without the characters that would end an address in an SMTP command, or for smtplib, some versions
# of which send <root> for root,ada@example.com; the server checks the rest.
_ATOM = r"[^\s\"(),:;<>@\[\\\]\x00-\x1f\x7f]+"
_HOST = rf"(?:{_ATOM}|\[[\w.:\-]+\])"
_DOMAIN = re.compile(rf"@?{_HOST}\Z")
_ADDRESS = re.compile(rf"(?:{_ATOM}|\"[^\"\\\x00-\x1f\x7f]+\")@{_HOST}\Z")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_END_OF_MAIL = b"\r\n.\r\n"
_LINE_BEGINS_WITH_DOT = re.compile(rb"(?m)^\.")
_BCC = re.compile(rb"(?im)^(?:resent-)?bcc[ \t]*:.*\r\n(?:[ \t].*\r\n)*")


class ReleaseError(PowerEmailError):
    """
    A mail could not be released.

    ``mail_state`` is ``"not_sent"``, or ``"unknown"`` if the connection broke after the server got
    the mail.
    """


def _allowed(entries: Iterable[str]) -> tuple[str, ...]:
    entries = (entries,) if isinstance(entries, str) else tuple(entries)
    for entry in entries:
        if not isinstance(entry, str) or not (_ADDRESS.match(entry) or _DOMAIN.match(entry)):
            raise ConfigurationError(f"{entry!r} is neither an address nor a domain", field="allow")
    return tuple(entry.casefold().removeprefix("@") for entry in entries)


def _password(value: str | Secret | None) -> Secret | None:
    return Secret.of(value) if value else None


@attrs.frozen(kw_only=True)
class SmtpServer:
    """
    An SMTP server for released mails, and the addresses that may get them.

    - *host*, *port*: where it listens.
    - *allow*: addresses and domains (``ada@example.com``, ``example.com``); case does not matter. A
      domain does not include its subdomains. If it is empty, no mail is released.
    - *security*: ``starttls`` (without which no mail is sent), ``tls`` from the first byte on, or
      ``none``.
    - *user*, *password*: the login, if there is one.

    Raises `ConfigurationError` if an option is invalid, or if the password would travel to another
    machine unencrypted.
    """

    host: str
    port: int = 587
    allow: tuple[str, ...] = attrs.field(default=(), converter=_allowed)
    security: SmtpSecurity = "starttls"
    user: str | None = None
    password: Secret | None = attrs.field(default=None, converter=_password)

    def __attrs_post_init__(self) -> None:
        is_name = isinstance(self.host, str) and is_host(self.host)
        require("host", self.host, "the name or address of a host", is_name)
        require("port", self.port, "from 1 to 65535", 1 <= self.port <= 65535)  # noqa: PLR2004
        require_one_of("security", self.security, get_args(SmtpSecurity))
        if bool(self.user) != bool(self.password):
            reason = "a user needs a password, and a password a user"
            raise ConfigurationError(reason, field="user")
        if self.user and self.security == "none" and not is_loopback(self.host):
            reason = "a password does not travel to another machine unencrypted"
            raise ConfigurationError(reason, field="security")

    def allows(self, email: str) -> bool:
        """Return whether mail may be released to this address."""
        email = email.casefold()
        return bool(_ADDRESS.match(email)) and (
            email in self.allow or email.rpartition("@")[2] in self.allow
        )


@attrs.frozen
class Released:
    """The *recipients* for which the server accepted a mail, and why it *refused* the others."""

    recipients: tuple[str, ...]
    refused: Mapping[str, str]


def release(
    mail: CaughtMail, server: SmtpServer, to: Iterable[str] | str | None = None
) -> Released:
    """
    Send *mail* to *server*, for those of its recipients that are allowed, or for the addresses
    *to*, all of which must be allowed.

    The headers are those of the mail, without Bcc. Raises `UsageError` if no address may get it,
    and `ReleaseError` if the server does not accept it.
    """
    recipients = _recipients(mail, server, to)
    if not _ADDRESS.match(mail.from_email):
        reason = f"{mail.from_email!r} cannot be the sender in SMTP"
        raise UsageError(reason, field="from_email")
    data = _without_bcc(_LINE_END.sub(b"\r\n", source(mail))).removesuffix(b"\r\n")
    result = _hand_over(server, mail.from_email, recipients, data)
    if isinstance(result, ReleaseError):
        # Raised here, because the frames that talk to the server hold the password: this error must
        # refer neither to them nor to an error of smtplib, whose traceback has them.
        raise result
    return result


def _recipients(mail: CaughtMail, server: SmtpServer, to: Iterable[str] | str | None) -> list[str]:
    if not server.allow:
        raise UsageError("no address may get released mail: the allow-list is empty", field="allow")
    if to is None:
        emails = dict.fromkeys(recipient.email for recipient in mail.recipients)
        recipients = [email for email in emails if server.allows(email)]
        reason = "none of the mail's recipients is on the allow-list"
    else:
        recipients = list(dict.fromkeys((to,) if isinstance(to, str) else to))
        reason = "must not be empty"
    if not recipients:
        raise UsageError(reason, field="to")
    for email in recipients:
        if not isinstance(email, str) or not server.allows(email):
            raise UsageError(f"{email!r} is not on the allow-list", field="to")
    return recipients


def _without_bcc(data: bytes) -> bytes:
    head, blank, body = data.partition(b"\r\n\r\n")
    return _BCC.sub(b"", head + b"\r\n") + blank.removeprefix(b"\r\n") + body


def _hand_over(
    server: SmtpServer, sender: str, recipients: list[str], data: bytes
) -> Released | ReleaseError:
    data_sent = False
    refused: dict[str, str] = {}
    try:
        with TimeLimit(_ALL_SECONDS) as limit, closing(_connect(server, limit)) as smtp:
            options = ["BODY=8BITMIME"] if smtp.has_extn("8bitmime") else []
            if not "".join((sender, *recipients)).isascii():
                options.append("SMTPUTF8")
            _expect_ok(smtp.mail(sender, options))
            for email in recipients:
                code, text = smtp.rcpt(email)
                if code not in (250, 251):
                    refused[email] = _without_password(server, _printable(code, text))
            accepted = tuple(email for email in recipients if email not in refused)
            if accepted:
                _expect_ok(smtp.docmd("DATA"), 354)
                data_sent = True
                smtp.send(_LINE_BEGINS_WITH_DOT.sub(b"..", data) + _END_OF_MAIL)
                response = smtp.getreply()
                data_sent = False  # the server has decided
                _expect_ok(response)
                # The mail is sent. An error of the connection changes nothing any more.
                with suppress(OSError, smtplib.SMTPException):
                    smtp.quit()
                return Released(accepted, refused)
        problem = f"refused every recipient: {refused}"
    except (OSError, ValueError) as error:
        # All errors of smtplib are OSErrors, and those of TLS too.
        problem = f"did not accept the mail: {_describe(error)}"
        if data_sent:
            problem = f"broke off after the mail had been handed over: {_describe(error)}"
    return ReleaseError(
        _without_password(server, f"{server.host}:{server.port} {problem}"),
        mail_state="unknown" if data_sent else "not_sent",
    )


def _describe(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return _printable(error.smtp_code, error.smtp_error)
    return f"{type(error).__name__}: {error}"


class _Smtp(smtplib.SMTP):
    """Shows each of its sockets to *limit*: the greeting is read before the constructor ends."""

    def __init__(self, limit: TimeLimit, host: str, port: int, **options: Any) -> None:
        self._limit = limit
        super().__init__(host, port, timeout=_TIMEOUT_SECONDS, **options)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "sock" and value is not None:
            self._limit.watch(value)
        super().__setattr__(name, value)


class _SmtpOverTls(_Smtp, smtplib.SMTP_SSL):
    pass


def _connect(server: SmtpServer, limit: TimeLimit) -> smtplib.SMTP:
    if server.security == "tls":
        context = ssl.create_default_context()
        smtp: smtplib.SMTP = _SmtpOverTls(limit, server.host, server.port, context=context)
    else:
        smtp = _Smtp(limit, server.host, server.port)
    try:
        if server.security == "starttls":
            smtp.starttls(context=ssl.create_default_context())
        smtp.ehlo_or_helo_if_needed()
        if server.user and server.password:
            smtp.login(server.user, server.password.reveal())
    except BaseException:
        smtp.close()
        raise
    return smtp


def _expect_ok(response: tuple[int, bytes], code: int = 250) -> None:
    if response[0] != code:
        raise smtplib.SMTPResponseException(*response)


def _printable(code: int, text: bytes | str) -> str:
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    clean = "".join(character if character.isprintable() else " " for character in text)
    return f"{code} {clean[:_MAX_RESPONSE_CHARS]}"


def _without_password(server: SmtpServer, text: str) -> str:
    """Return *text* without the password, which a server may repeat, plain or in base64."""
    if server.password is None:
        return text
    password = server.password.reveal()
    for secret in (_base64(f"\0{server.user}\0{password}"), _base64(password), password):
        hidden = all_spellings(secret).sub(b"***", text.encode("utf-8", "replace"))
        text = hidden.decode("utf-8", "replace")
    return text


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
