"""``poweremail send`` and ``poweremail template``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

import poweremail
from poweremail._cli import mail_options as option
from poweremail._cli.options import connected
from poweremail._cli.session import Session

__all__ = ["SEND_EXAMPLES", "TEMPLATE_EXAMPLES", "send", "template"]

SEND_EXAMPLES = """
Examples:

poweremail send --from me@example.com --to ada@example.com -s Hi --text Hello

poweremail send --from me@example.com --to ada@example.com -s Invoice --text-file body.txt --attach invoice.pdf

poweremail send --eml mail.eml --json
"""  # noqa: E501

TEMPLATE_EXAMPLES = """
Example:

poweremail template welcome --from me@example.com --to ada@example.com -s Welcome --value NAME=Ada
"""


@connected()
def send(
    session: Session,
    *,
    from_email: option.OptionalFrom = None,
    to: option.To = None,
    cc: option.Cc = None,
    bcc: option.Bcc = None,
    reply_to: option.ReplyTo = None,
    subject: option.OptionalSubject = None,
    header: option.Header = None,
    unique_id: option.UniqueId = None,
    text: option.Text = None,
    text_file: option.TextFile = None,
    html: option.Html = None,
    html_file: option.HtmlFile = None,
    attach: option.Attach = None,
    image: option.Images = None,
    eml: option.Eml = None,
    lossy: option.Lossy = False,
    track_opens: option.TrackOpens = None,
    track_clicks: option.TrackClicks = None,
    tracking_domain: option.TrackingDomain = None,
    on_unknown: option.OnUnknown = "raise",
    visibility: option.Visibility = 30.0,
    resend_after: option.ResendAfter = None,
    dry_run: option.DryRun = False,
) -> None:
    """Send a mail; print its unique id."""
    from poweremail._cli import compose  # noqa: PLC0415

    envelope = compose.envelope(
        from_email=from_email,
        to=to,
        cc=cc,
        bcc=bcc,
        reply_to=reply_to,
        subject=subject,
        headers=header,
        attach=attach,
        images=image,
    )
    tracking = compose.tracking(track_opens, track_clicks, tracking_domain)
    body = compose.body(text=text, text_file=text_file, html=html, html_file=html_file)
    if eml is None:
        message = compose.message(envelope | body, unique_id, tracking)
    else:
        message, dropped = compose.from_eml(eml, envelope | body, unique_id, tracking, lossy=lossy)
        for what in dropped:
            session.out.warn(f"left out: {what}")
    policy: dict[str, Any] = {
        "on_unknown": on_unknown,
        "visibility": visibility,
        "resend_after": resend_after,
    }
    if dry_run:
        _show(session, message, policy)
        return
    with session.client(sends=True, **policy) as client:
        session.mail = message
        _accepted(session, client.messages.send_mail(message))


@connected()
def template(
    session: Session,
    template_id: Annotated[str, typer.Argument(help="The template.", metavar="TEMPLATE_ID")],
    *,
    from_email: option.From,
    subject: option.Subject,
    to: option.To = None,
    cc: option.Cc = None,
    bcc: option.Bcc = None,
    reply_to: option.ReplyTo = None,
    header: option.Header = None,
    unique_id: option.UniqueId = None,
    value: option.Values = None,
    values_file: option.ValuesFile = None,
    attach: option.Attach = None,
    image: option.Images = None,
    http_get: option.HttpGet = False,
    track_opens: option.TrackOpens = None,
    track_clicks: option.TrackClicks = None,
    tracking_domain: option.TrackingDomain = None,
    on_unknown: option.OnUnknown = "raise",
    visibility: option.Visibility = 30.0,
    resend_after: option.ResendAfter = None,
    dry_run: option.DryRun = False,
) -> None:
    """Send a mail made from a template; print its unique id."""
    from poweremail._cli import compose  # noqa: PLC0415

    envelope = compose.envelope(
        from_email=from_email,
        to=to,
        cc=cc,
        bcc=bcc,
        reply_to=reply_to,
        subject=subject,
        headers=header,
        attach=attach,
        images=image,
    )
    message = poweremail.TemplateMessage(
        template_id=template_id,
        dynamic_value=compose.values(value or [], values_file),
        unique_id=unique_id or (None if http_get else compose.draw_unique_id()),
        tracking=compose.tracking(track_opens, track_clicks, tracking_domain),
        **envelope,
    )
    policy: dict[str, Any] = {
        "on_unknown": on_unknown,
        "visibility": visibility,
        "resend_after": resend_after,
    }
    if dry_run:
        _show(session, message, policy)
        return
    with session.client(sends=True, **policy) as client:
        session.mail = message
        messages = client.messages
        _accepted(
            session,
            messages.send_template_http_get(message)
            if http_get
            else messages.send_template(message),
        )


def _accepted(session: Session, result: poweremail.SendResult) -> None:
    session.mail = None
    out = session.out
    if out.as_json:
        out.json(
            {
                "state": "accepted",
                "unique_id": result.unique_id or None,
                "recipients": result.recipients,
                "status": result.status,
                "message": result.message,
                "attempts": result.attempts,
                "reconciled": result.reconciled,
                "extra": result.extra,
            }
        )
        return
    found = "; found by its unique id, for the answer was lost" if result.reconciled else ""
    out.say(f"accepted for {', '.join(result.recipients)}: {result.message}{found}")
    if result.unique_id:
        out.data(result.unique_id)


def _show(
    session: Session,
    message: poweremail.Message | poweremail.TemplateMessage,
    policy: Mapping[str, Any],
) -> None:
    """
    Print what would be sent, as the service would get it; of files, their names and sizes. Checks
    the *policy*, too.
    """
    from poweremail._cli import compose  # noqa: PLC0415
    from poweremail._policy.outcome import UnknownPolicy  # noqa: PLC0415

    UnknownPolicy(**policy)

    setting = session.settings.found.get("smtp_user_name")
    members = {
        "smtp_user_name": None if setting is None else setting.value,
        "message": compose.wire_form(message),
    }
    session.out.say("not sent: this is what would be")
    session.out.json(members, indent=None if session.out.as_json else 2)
