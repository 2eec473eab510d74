"""
The commands about the account: ``poweremail account``, ``call``, ``smtp-users``,
``sending-domains``, ``tracking-domains`` and ``webhooks``.

Most of them make one call of the client and print its result: `_call` makes such a command from the
name of the client's method, whose arguments are the fields of option groups.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import attrs
import typer

from poweremail._cli import exits
from poweremail._cli.options import argument, connected, connecting, flag, option, sub_commands
from poweremail._cli.session import Session
from poweremail._types.event import EVENT_NAMES
from poweremail._wire.json import loads_text
from poweremail.errors import UsageError

CALL_EXAMPLES = """
Examples:

poweremail call settings/listSmtp

poweremail call settings/editSmtp smtp_user_name=smtp12345 hourly_limit:=500
"""

_Show: TypeAlias = Callable[[Session, Any], object]
"""Prints the result of a call."""


@connected
def account(session: Session) -> None:
    """Show the owner of the account and how much it may send."""
    with session.client() as client:
        session.out.record(client.account.view_user_detail())


@connected
def call(
    session: Session,
    path: str = argument("The call, such as settings/listSmtp.", "PATH"),
    members: list[str] | None = argument(
        "NAME=TEXT for a string, NAME:=JSON for any other value.",
        "[MEMBER=VALUE]...",
        default=None,
    ),
    *,
    show_secrets: bool = flag("Print passwords and keys instead of ***.", "--show-secrets"),
) -> None:
    """Make any call of the API and print the response as JSON."""
    with session.client() as client:
        response = client.call(path, dict(map(_member, members or ())))
    session.out.json(
        response.data, indent=None if session.out.as_json else 2, show_secrets=show_secrets
    )


def _member(text: str) -> tuple[str, Any]:
    name, found, value = text.partition("=")
    if not found or not name.rstrip(":"):
        raise UsageError(f"a member is NAME=TEXT or NAME:=JSON, not {text!r}", mail_state=None)
    if not name.endswith(":"):
        return name, value
    try:
        return name[:-1], loads_text(value)
    except ValueError as error:
        raise UsageError(
            f"{value!r} is not JSON: {error}", field=name[:-1], mail_state=None
        ) from None


def _call(method: str, show: _Show, help: str, *groups: type) -> Callable[..., None]:
    """
    Return a command that makes one call about settings.

    *method* of the client is called with the fields of the option *groups*.
    """

    def run(session: Session, **arguments: Any) -> None:
        with session.client() as client:
            result = getattr(client.settings, method)(**arguments)
        show(session, result)

    run.__doc__ = help
    return connecting(fields=groups)(run)


def _group(method: str, help: str, *columns: str) -> typer.Typer:
    """Return a group of commands whose ``list`` prints the *columns* of what *method* returns."""
    return sub_commands(
        _call(method, lambda session, result: session.out.table(result, columns), help)
    )


def _add(app: typer.Typer, name: str, *call: Any) -> None:
    """Add the command *name* to a group of commands; *call* are the arguments of `_call`."""
    app.command(name)(_call(*call))


def _done(session: Session, result: Any) -> None:
    session.out.done(result.message)


def _record(session: Session, result: Any) -> None:
    session.out.record(result)


def _secret(name: str, secret: str, shown_as: str) -> _Show:
    """Return a function that prints the members *name* and *secret* of a result, both legibly."""

    def show(session: Session, result: Any) -> None:
        value = getattr(result, secret)
        session.out.record(
            {name: getattr(result, name), shown_as: None if value is None else value.reveal()}
        )

    return show


_password = _secret("smtp_user_name", "password", "smtp_password")


def _checked_domain(session: Session, domain: Any) -> None:
    session.out.record(domain)
    if not all(getattr(domain, f"{record}_valid", True) for record in ("dkim", "spf", "cname")):
        raise typer.Exit(exits.FAILED)


def _event_names(given: list[str] | None) -> list[str] | None:
    # The API separates events by commas, and so do people who read its pages.
    return given and [name.strip() for each in given for name in each.split(",")]


_HOURLY, _TOTAL = "How many mails it may send an hour.", "How many mails it may send in all."


@attrs.frozen
class _SmtpUser:
    smtp_user_name: str = argument("The SMTP user.", "NAME")


@attrs.frozen
class _NewSmtpUser:
    hourly_limit: int = option(_HOURLY, "MAILS", default=...)
    total_limit: int = option(_TOTAL, "MAILS", default=...)


@attrs.frozen
class _ChangedSmtpUser(_SmtpUser):
    hourly_limit: int | None = option(_HOURLY, "MAILS")
    total_limit: int | None = option(_TOTAL, "MAILS")
    enabled: bool | None = option("Let it send, or not.", None, "--enable/--disable")


@attrs.frozen
class _Domain:
    domain: str = argument("The domain.", "DOMAIN")


@attrs.frozen
class _Mailbox(_Domain):
    mailbox: str = argument(
        "The part before the @ of an address there, such as postmaster.", "MAILBOX"
    )


@attrs.frozen
class _Webhook:
    webhook_id: str = argument("The webhook's id, as in the list.", "WEBHOOK_ID")


@attrs.frozen
class _Url:
    url: str = argument("The URL; it must respond to the service's handshake.", "URL")


@attrs.frozen
class _WebhookOptions:
    events: list[str] | None = option(
        f"{', '.join(EVENT_NAMES)}; all unless given. Can be repeated, or have commas between.",
        "EVENT",
        "--event",
        callback=_event_names,
    )
    description: str | None = option("A description for people.", "TEXT")
    store_log: bool | None = option("Have the service keep what it posts.")


smtp_users = _group(
    "list_smtp",
    "List the SMTP users, which send the mails.",
    *("smtp_user_name", "enabled", "hourly_limit", "total_limit"),
)
sending_domains = _group(
    "list_sending_domain",
    "List the domains that mail is sent from.",
    *("domain", "dkim_valid", "spf_valid", "verified", "create_date"),
)
tracking_domains = _group(
    "list_tracking_domain",
    "List the domains that tracked links lead through.",
    *("domain", "cname_valid", "create_date"),
)
webhooks = _group(
    "list_webhook",
    "List the webhooks, the URLs to which the service posts events.",
    *("webhook_id", "url", "events", "description"),
)

_add(
    smtp_users,
    "add",
    "add_smtp",
    _password,
    "Add an SMTP user and print its name and password. The service shows it only once.",
    _NewSmtpUser,
)
_add(
    smtp_users,
    "edit",
    "edit_smtp",
    _done,
    "Change the limits of an SMTP user, or whether it may send.",
    _ChangedSmtpUser,
)
_add(
    smtp_users,
    "reset-password",
    "reset_smtp_password",
    _password,
    "Give an SMTP user a new password, and print it. The old one is invalid at once.",
    _SmtpUser,
)
for _domains, _kind, _purpose in (
    (sending_domains, "sending", "mail is sent from"),
    (tracking_domains, "tracking", "tracked links lead through"),
):
    _add(_domains, "add", f"add_{_kind}_domain", _done, f"Add a domain that {_purpose}.", _Domain)
    _add(
        _domains,
        "check",
        f"check_{_kind}_domain",
        _checked_domain,
        "Check a domain's DNS records: status 0 if they are valid, 1 if not.",
        _Domain,
    )
    _add(
        _domains,
        "delete",
        f"delete_{_kind}_domain",
        _done,
        f"Remove a domain that {_purpose}.",
        _Domain,
    )
_add(
    sending_domains,
    "verify",
    "verify_sending_domain",
    _done,
    "Have instructions sent to a mailbox of the domain, which prove that it is yours.",
    _Mailbox,
)
_add(
    webhooks,
    "add",
    "add_webhook",
    _done,
    "Add a webhook: have the service post events to a URL.",
    _Url,
    _WebhookOptions,
)


@webhooks.command("edit")
@connected
def _edit_webhook(
    session: Session,
    webhook: _Webhook,
    options: _WebhookOptions,
    *,
    url: str | None = option("The new URL.", "URL"),
) -> None:
    """Change a webhook."""
    with session.client() as client:
        if url is None:  # the call needs one
            url = client.settings.get_webhook_info(webhook.webhook_id).url or ""
        changed = client.settings.edit_webhook(webhook.webhook_id, url, **attrs.asdict(options))
    session.out.done(changed.message)


_add(webhooks, "delete", "delete_webhook", _done, "Remove a webhook.", _Webhook)
_add(
    webhooks,
    "info",
    "get_webhook_info",
    _record,
    "Show a webhook, and when its URL last accepted an event.",
    _Webhook,
)
_add(
    webhooks,
    "reset-key",
    "key_reset_webhook",
    _secret("webhook_id", "key", "key"),
    "Give a webhook a new key, and print it. The service signs with it at once.",
    _Webhook,
)
