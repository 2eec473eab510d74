"""
From the members of a send to its mail.

The checks come in the order in which the service is known to check.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from poweremail.sandbox._api import parts
from poweremail.sandbox._api.mime import read_raw_message
from poweremail.sandbox._api.responses import Refusal
from poweremail.sandbox._store.mail import CaughtRecipient, MailContent, Template

__all__ = [
    "Reader",
    "read_raw",
    "read_send_mail",
    "read_send_template",
    "read_send_template_http_get",
]

FindTemplate = Callable[[str], Template | None]
Reader = Callable[[str, Mapping[str, Any], FindTemplate], MailContent]
"""
Reads a send: from the name of the SMTP user, the members, and the templates, to the mail.

Raises `Refusal` if the service would reject it.
"""


def read_send_mail(smtp_user_name: str, members: Mapping[str, Any], _: FindTemplate) -> MailContent:
    """Read a ``sendMail``: see `Reader`."""
    message = _message(members)
    html, text = parts.text(message.get("html")), parts.text(message.get("text"))
    if not (html or text):
        raise Refusal("You must specify html or text value")
    return MailContent(
        operation="sendMail",
        smtp_user_name=smtp_user_name,
        html=html,
        text=text,
        raw=members,
        **_envelope(message, parts.text(message.get("subject"))),
    )


def read_send_template(
    smtp_user_name: str, members: Mapping[str, Any], find: FindTemplate
) -> MailContent:
    """Read a ``sendTemplate``: see `Reader`. Without a subject it has that of its template."""
    message = _message(members)
    filled = _filled(message, find)
    return MailContent(
        operation="sendTemplate",
        smtp_user_name=smtp_user_name,
        html=filled.html,
        text=filled.text,
        template_id=filled.template_id,
        dynamic_value=parts.strings("dynamic_value", message.get("dynamic_value")),
        raw=members,
        **_envelope(message, parts.text(message.get("subject")) or filled.subject),
    )


def read_send_template_http_get(
    smtp_user_name: str, members: Mapping[str, Any], find: FindTemplate
) -> MailContent:
    """Read a ``sendTemplateHTTPGet``, whose fields stood in the query: see `Reader`."""
    filled = _filled(members, find)
    subject, sender = _subject(parts.text(members.get("subject"))), _sender(members)
    if not parts.text(members.get("to")):
        raise Refusal("You must specify at least one recipient")
    return MailContent(
        operation="sendTemplateHTTPGet",
        smtp_user_name=smtp_user_name,
        subject=subject,
        from_email=sender[0],
        recipients=(CaughtRecipient("to", parts.address("to", members["to"]).email),),
        html=filled.html,
        text=filled.text,
        template_id=filled.template_id,
        dynamic_value=parts.strings("dynamic_value", members.get("dynamic_value")),
        raw=members,
    )


def read_raw(smtp_user_name: str, members: Mapping[str, Any], _: FindTemplate) -> MailContent:
    """Read a ``sendRaw`` from its ``raw_message``: see `Reader`."""
    raw = parts.text(members.get("raw_message"))
    if raw is None:
        raise Refusal("You must specify a message value")
    read = read_raw_message(raw)
    _subject(parts.text(read.subject))
    if not read.from_email:
        raise Refusal("You must specify from-email")
    if not read.recipients:
        raise Refusal("You must specify at least one recipient")
    return MailContent(
        operation="sendRaw",
        smtp_user_name=smtp_user_name,
        unique_id=parts.unique_id(read.headers),
        raw=members,
        **attrs.asdict(read, recurse=False),
    )


def _message(members: Mapping[str, Any]) -> Mapping[str, Any]:
    message = members.get("message")
    if not message or not isinstance(message, dict):
        raise Refusal("You must specify a message value")
    return message


def _filled(message: Mapping[str, Any], find: FindTemplate) -> Template:
    template_id = parts.text(message.get("template_id"))
    if template_id is None:
        raise Refusal("You must specify Template Id!!")
    template = find(template_id)
    if template is None:
        raise Refusal("Invalid Template Id")
    return template.fill(parts.strings("dynamic_value", message.get("dynamic_value")))


def _envelope(message: Mapping[str, Any], subject: str | None) -> dict[str, Any]:
    checked = _subject(subject)
    from_email, from_name = _sender(message)
    recipients = parts.recipients(message.get("to"))
    headers = parts.strings("headers", message.get("headers"))
    return {
        "subject": checked,
        "from_email": from_email,
        "from_name": from_name,
        "recipients": recipients,
        "headers": headers,
        "unique_id": parts.unique_id(headers),
        "attachments": parts.files("attachments", message.get("attachments")),
        "images": parts.files("images", message.get("images"), type_prefix="image/"),
    }


def _subject(subject: str | None) -> str:
    if not subject:
        raise Refusal("You must specify subject")
    return subject


def _sender(message: Mapping[str, Any]) -> tuple[str, str | None]:
    if not parts.text(message.get("from_email")):
        raise Refusal("You must specify from-email")
    sender = parts.address("from-email", message["from_email"], message.get("from_name"))
    return sender.email, sender.name
