"""
The commands about the account: ``poweremail account``, ``call``, ``smtp-users``,
``sending-domains``, ``tracking-domains`` and ``webhooks``.
"""

from __future__ import annotations

from typing import Annotated, Any

import attrs
import typer

import poweremail
from poweremail._cli import exits
from poweremail._cli.options import connected, sub_commands
from poweremail._cli.session import Session
from poweremail._types.event import EVENT_NAMES
from poweremail._wire.json import loads_text
from poweremail.errors import UsageError

__all__ = [
    "CALL_EXAMPLES",
    "account",
    "call",
    "sending_domains",
    "smtp_users",
    "tracking_domains",
    "webhooks",
]

CALL_EXAMPLES = """
Examples:

poweremail call settings/listSmtp

poweremail call settings/editSmtp smtp_user_name=smtp12345 hourly_limit:=500
"""

UserName = Annotated[str, typer.Argument(help="The SMTP user.", metavar="NAME")]
_HOURLY = typer.Option(metavar="MAILS", help="How many mails it may send an hour.")
_TOTAL = typer.Option(metavar="MAILS", help="How many mails it may send in all.")
Domain = Annotated[str, typer.Argument(help="The domain.", metavar="DOMAIN")]
WebhookId = Annotated[
    str, typer.Argument(help="The webhook's id, as in the list.", metavar="WEBHOOK_ID")
]


@connected
def account(session: Session) -> None:
    """Show the owner of the account and how much it may send."""
    with session.client() as client:
        session.out.record(client.account.view_user_detail())


@connected
def call(
    session: Session,
    path: Annotated[
        str, typer.Argument(help="The call, such as settings/listSmtp.", metavar="PATH")
    ],
    members: Annotated[
        list[str] | None,
        typer.Argument(
            help="NAME=TEXT for a string, NAME:=JSON for any other value.",
            metavar="[MEMBER=VALUE]...",
        ),
    ] = None,
    *,
    show_secrets: Annotated[
        bool, typer.Option("--show-secrets", help="Print passwords and keys instead of ***.")
    ] = False,
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


@connected
def _list_smtp_users(session: Session) -> None:
    """List the SMTP users, which send the mails."""
    with session.client() as client:
        session.out.table(
            client.settings.list_smtp(),
            ("smtp_user_name", "enabled", "hourly_limit", "total_limit"),
        )


smtp_users = sub_commands(_list_smtp_users)


@smtp_users.command("add")
@connected
def add_smtp_user(
    session: Session,
    *,
    hourly_limit: Annotated[int, _HOURLY],
    total_limit: Annotated[int, _TOTAL],
) -> None:
    """Add an SMTP user and print its name and password. The service shows it only once."""
    with session.client() as client:
        _print_password(
            session, client.settings.add_smtp(total_limit=total_limit, hourly_limit=hourly_limit)
        )


@smtp_users.command("edit")
@connected
def edit_smtp_user(
    session: Session,
    name: UserName,
    *,
    hourly_limit: Annotated[int | None, _HOURLY] = None,
    total_limit: Annotated[int | None, _TOTAL] = None,
    enable: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Whether it may send.")
    ] = None,
) -> None:
    """Change the limits of an SMTP user, or whether it may send."""
    with session.client() as client:
        user = client.settings.edit_smtp(
            name, hourly_limit=hourly_limit, total_limit=total_limit, enabled=enable
        )
    session.out.done(user.message)


@smtp_users.command("reset-password")
@connected
def reset_password(session: Session, name: UserName) -> None:
    """Give an SMTP user a new password, and print it. The old one is invalid at once."""
    with session.client() as client:
        _print_password(session, client.settings.reset_smtp_password(name))


def _print_password(session: Session, user: poweremail.SmtpUser) -> None:
    password = None if user.password is None else user.password.reveal()
    session.out.record({"smtp_user_name": user.smtp_user_name, "smtp_password": password})


def _domains(
    kind: str, purpose: str, records: tuple[str, ...], columns: tuple[str, ...]
) -> typer.Typer:
    """
    Return the commands about one kind of domains.

    - *kind*: the API's word for it.
    - *purpose*: what such a domain is for, in the help texts.
    - *records*: the members that say whether its DNS records are valid.
    - *columns*: those of the list.
    """

    def request(session: Session, verb: str, *arguments: str) -> Any:
        with session.client() as client:
            return getattr(client.settings, f"{verb}_{kind}_domain")(*arguments)

    def listing(session: Session) -> None:
        session.out.table(request(session, "list"), columns)

    listing.__doc__ = f"List the domains that {purpose}."
    app = sub_commands(connected(listing))

    @app.command(help=f"Add a domain that {purpose}.")
    @connected
    def add(session: Session, domain: Domain) -> None:
        session.out.done(request(session, "add", domain).message)

    @app.command(help="Check a domain's DNS records: status 0 if they are valid, 1 if not.")
    @connected
    def check(session: Session, domain: Domain) -> None:
        found = request(session, "check", domain)
        session.out.record(found)
        if not all(getattr(found, record) for record in records):
            raise typer.Exit(exits.FAILED)

    @app.command(help=f"Remove a domain that {purpose}.")
    @connected
    def delete(session: Session, domain: Domain) -> None:
        session.out.done(request(session, "delete", domain).message)

    return app


sending_domains = _domains(
    "sending",
    "mail is sent from",
    ("dkim_valid", "spf_valid"),
    ("domain", "dkim_valid", "spf_valid", "verified", "create_date"),
)
tracking_domains = _domains(
    "tracking",
    "tracked links lead through",
    ("cname_valid",),
    ("domain", "cname_valid", "create_date"),
)


@sending_domains.command("verify")
@connected
def verify_domain(
    session: Session,
    domain: Domain,
    mailbox: Annotated[
        str,
        typer.Argument(
            help="The part before the @ of an address there, such as postmaster.", metavar="MAILBOX"
        ),
    ],
) -> None:
    """Have instructions sent to a mailbox of the domain, which prove that it is yours."""
    with session.client() as client:
        session.out.done(client.settings.verify_sending_domain(domain, mailbox).message)


@connected
def _list_webhooks(session: Session) -> None:
    """List the webhooks, the URLs to which the service posts events."""
    with session.client() as client:
        columns = ("webhook_id", "url", "events", "description")
        session.out.table(client.settings.list_webhook(), columns)


webhooks = sub_commands(_list_webhooks)


@attrs.frozen
class WebhookOptions:
    """What the service posts to a webhook."""

    event: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EVENT",
            help=f"{', '.join(EVENT_NAMES)}; all unless given. Can be repeated, or have "
            "commas between.",
        ),
    ] = None
    description: Annotated[
        str | None, typer.Option(metavar="TEXT", help="A description for people.")
    ] = None
    store_log: Annotated[
        bool | None,
        typer.Option("--store-log/--no-store-log", help="Have the service keep what it posts."),
    ] = None

    def members(self) -> dict[str, Any]:
        """Return the options of the client's method."""
        # The API separates events by commas, and so do people who read its pages.
        events = self.event and [name.strip() for each in self.event for name in each.split(",")]
        return {"events": events, "description": self.description, "store_log": self.store_log}


@webhooks.command("add")
@connected
def add_webhook(
    session: Session,
    url: Annotated[
        str,
        typer.Argument(help="The URL; it must answer the service's handshake.", metavar="URL"),
    ],
    options: WebhookOptions,
) -> None:
    """Add a webhook: have the service post events to a URL."""
    with session.client() as client:
        session.out.done(client.settings.add_webhook(url, **options.members()).message)


@webhooks.command("edit")
@connected
def edit_webhook(
    session: Session,
    webhook_id: WebhookId,
    options: WebhookOptions,
    *,
    url: Annotated[str | None, typer.Option(metavar="URL", help="The new URL.")] = None,
) -> None:
    """Change a webhook."""
    with session.client() as client:
        if url is None:  # the call needs one
            url = client.settings.get_webhook_info(webhook_id).url or ""
        changed = client.settings.edit_webhook(webhook_id, url, **options.members())
        session.out.done(changed.message)


@webhooks.command("delete")
@connected
def delete_webhook(session: Session, webhook_id: WebhookId) -> None:
    """Remove a webhook."""
    with session.client() as client:
        session.out.done(client.settings.delete_webhook(webhook_id).message)


@webhooks.command("info")
@connected
def show_webhook(session: Session, webhook_id: WebhookId) -> None:
    """Show a webhook, and when its URL last accepted an event."""
    with session.client() as client:
        session.out.record(client.settings.get_webhook_info(webhook_id))


@webhooks.command("reset-key")
@connected
def reset_webhook_key(session: Session, webhook_id: WebhookId) -> None:
    """Give a webhook a new key, and print it. The service signs with it at once."""
    with session.client() as client:
        webhook = client.settings.key_reset_webhook(webhook_id)
    key = None if webhook.key is None else webhook.key.reveal()
    session.out.record({"webhook_id": webhook.webhook_id, "key": key})
