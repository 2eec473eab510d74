"""``poweremail send``, ``template``, ``info`` and ``reconcile``."""

from __future__ import annotations

import sys

import attrs

import poweremail
from poweremail._cli import exits
from poweremail._cli.batch_options import RehearsalOptions
from poweremail._cli.mail_options import (
    ASCII_DOMAINS,
    BodyOptions,
    BulkOptions,
    DeriveOptions,
    EnvelopeOptions,
    FileOptions,
    ServiceOptions,
    TrackingOptions,
    UnknownOptions,
    ValueOptions,
)
from poweremail._cli.options import argument, connected, flag, option
from poweremail._cli.session import Session
from poweremail._policy.outcome import UnknownPolicy

_TO = "--from me@example.com --to ada@example.com"
SEND_EXAMPLES = f"""
Examples:

poweremail send {_TO} -s Hi --text Hello

poweremail send {_TO} -s Invoice --text-file body.txt --attach invoice.pdf

poweremail send --eml mail.eml --json
"""
TEMPLATE_EXAMPLES = f"""
Example:

poweremail template welcome {_TO} -s Welcome --value NAME=Ada
"""

_UNIQUE_ID = argument("The unique id that was printed with the mail.", "UNIQUE_ID")
_DRY_RUN = flag("Check the mail and print what would be sent; send nothing.", "--dry-run", "-n")


@connected
def send(
    session: Session,
    envelope: EnvelopeOptions,
    body: BodyOptions,
    files: FileOptions,
    tracking: TrackingOptions,
    service: ServiceOptions,
    bulk: BulkOptions,
    derive: DeriveOptions,
    unknown: UnknownOptions,
    rehearsal: RehearsalOptions,
    *,
    dry_run: bool = _DRY_RUN,
) -> None:
    """Send a mail and print its unique id."""
    from poweremail._cli import compose  # noqa: PLC0415  it loads the converters

    others = service.fields() | bulk.fields()
    message, dropped = compose.mail(envelope, body, files, tracking.tracking(), others)
    for part in dropped:
        session.out.warn(f"left out: {part}")
    if derive.text_from_html:
        message = message.with_text_from_html()
    if derive.ascii_domains:
        message = message.with_ascii_domains()
    _send(session, message, "send_mail", unknown, rehearsal, dry_run=dry_run)


@connected
def template(
    session: Session,
    template_id: str = argument("The template.", "TEMPLATE_ID"),
    *,
    envelope: EnvelopeOptions,
    values: ValueOptions,
    files: FileOptions,
    tracking: TrackingOptions,
    service: ServiceOptions,
    bulk: BulkOptions,
    unknown: UnknownOptions,
    rehearsal: RehearsalOptions,
    ascii_domains: bool = ASCII_DOMAINS,
    http_get: bool = flag(
        "Send by a GET request, which carries one recipient and no unique id.", "--http-get"
    ),
    dry_run: bool = _DRY_RUN,
) -> None:
    """Send a mail that is made from a template and print its unique id."""
    from poweremail._cli import compose  # noqa: PLC0415

    message = compose.template_mail(
        template_id,
        envelope,
        values,
        files,
        tracking.tracking(),
        service.fields() | bulk.fields(),
        with_id=not http_get,
    )
    method = "send_template_http_get" if http_get else "send_template"
    if ascii_domains:
        message = message.with_ascii_domains()
    _send(session, message, method, unknown, rehearsal, dry_run=dry_run)


@connected
def info(
    session: Session,
    unique_id: str = _UNIQUE_ID,
    *,
    skip_page: int = option("Skip so many pages of 100 recipients.", "PAGES", default=0, min=0),
) -> None:
    """Show what became of a mail, a line for each recipient."""
    with session.client() as client:
        records = client.messages.iter_message_info(unique_id, skip_page=skip_page)
        columns = ("email", "status", "time", "open_count", "click_count", "subject")
        if not session.out.table(records, columns):
            session.out.say(
                "The service shows no mail with this unique id; a new one may take a while to "
                "appear."
            )


@connected
def reconcile(
    session: Session,
    unique_id: str = _UNIQUE_ID,
    *,
    to: list[str] | None = option(
        "A recipient of the mail, if several mails share the unique id; can be repeated.", "ADDRESS"
    ),
    visibility: float = option(
        "Wait so long for it to appear.", "SECONDS", default=UnknownPolicy().visibility
    ),
) -> None:
    """Find out whether a mail was accepted: status 0 if it was, 5 if that stays unknown."""
    with session.client() as client:
        result = client.messages.reconcile(unique_id, recipients=to or (), visibility=visibility)
    session.status = exits.OK
    session.out.result(
        {
            "state": "accepted",
            "unique_id": result.unique_id,
            "recipients": result.recipients,
            "reconciled": True,
        },
        "accepted: the service shows the mail",
    )
    if not session.out.as_json:
        session.out.data(result.unique_id)


def _send(
    session: Session,
    message: poweremail.Message | poweremail.TemplateMessage,
    method: str,
    unknown: UnknownOptions,
    rehearsal: RehearsalOptions,
    *,
    dry_run: bool,
) -> None:
    """Send *message* by that *method* of the client and print the result."""
    options = unknown.policy() | attrs.asdict(rehearsal)
    if dry_run:
        _show(session, message)
        return
    with session.client(sends=True, on_outcome=session.note_outcome, **options) as client:
        session.mail = message
        result: poweremail.SendResult = getattr(client.messages, method)(message)
        session.mail = None
        # Even if the output fails, the mail was accepted, and must not be sent again.
        session.status, session.accepted_id = exits.OK, result.unique_id
    found = "; found by its unique id, since the response was lost" if result.reconciled else ""
    out = session.out
    out.result(
        {
            "state": "not_sent" if result.dry_run else "accepted",
            "dry_run": result.dry_run,
            "unique_id": result.unique_id or None,
            "recipients": result.recipients,
            "status": result.status,
            "message": result.message,
            "attempts": result.attempts,
            "reconciled": result.reconciled,
            "extra": result.extra,
        },
        f"{'a dry run' if result.dry_run else 'accepted'} for {', '.join(result.recipients)}: "
        f"{result.message}{found}",
    )
    if sys.stdout is None and result.unique_id:
        out.error(f"unique id: {result.unique_id}")
    elif result.unique_id and not out.as_json:
        out.data(result.unique_id)


def _show(session: Session, message: poweremail.Message | poweremail.TemplateMessage) -> None:
    """Print the message as the service would get it, with names and sizes for files."""
    from poweremail._cli import compose  # noqa: PLC0415

    setting = session.settings.found.get("smtp_user_name")
    members = {
        "smtp_user_name": None if setting is None else setting.value,
        "message": compose.wire_form(message),
    }
    session.out.say("not sent: this is what would be")
    session.out.json(members, indent=None if session.out.as_json else 2)
