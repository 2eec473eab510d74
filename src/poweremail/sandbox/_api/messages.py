"""
The calls about mails: the sends, and the lookup.

The reader of a send returns the fields of the `MailContent` that the members set, or raises
`Refusal` if the service would reject them. The order of the checks is that of the service, as far
as it is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from poweremail.sandbox._api import parts
from poweremail.sandbox._api.mime import read_raw_message
from poweremail.sandbox._api.responses import Members, Refusal
from poweremail.sandbox._api.settings import AccountCall
from poweremail.sandbox._store.mail import Template

_MAX_PAGE_DIGITS = 18
"""A number of so many digits fits into SQLite's integers; further digits are cut off."""

_Members = Mapping[str, Any]
FindTemplate = Callable[[str], Template | None]
Reader = Callable[[_Members, FindTemplate], Members]


def read_send_mail(members: _Members, _: FindTemplate) -> Members:
    """Read a ``sendMail``."""
    message = _message(members)
    html, text = parts.text(message.get("html")), parts.text(message.get("text"))
    if not (html or text):
        raise Refusal("You must specify html or text value")
    return {"html": html, "text": text, **_envelope(message)}


def read_send_template(members: _Members, find: FindTemplate) -> Members:
    """Read a ``sendTemplate``. If it has no subject, it gets that of its template."""
    message = _message(members)
    filled = _filled(message, find)
    return {**filled, **_envelope(message, filled["subject"])}


def read_send_template_http_get(members: _Members, find: FindTemplate) -> Members:
    """Read a ``sendTemplateHTTPGet``, whose fields were in the query."""
    message = {name: members.get(name) for name in ("subject", "from_email")}
    to = [{"email": members.get("to")}]
    return {**_filled(members, find), **_envelope({**message, "to": to})}


def read_raw(members: _Members, _: FindTemplate) -> Members:
    """Read a ``sendRaw`` from its ``raw_message``."""
    mail = read_raw_message(parts.required(members.get("raw_message"), "a message value"))
    parts.required(mail["subject"], "subject")
    parts.required(mail["from_email"], "from-email")
    if not mail["recipients"]:
        raise Refusal(parts.NO_RECIPIENT)
    return {"unique_id": parts.unique_id(mail["headers"]), **mail}


def look_up(call: AccountCall) -> Members:
    """Carry out a ``getMessageInfo``; its ``skip_page`` counts the pages before it."""
    unique_id = parts.required(call.members.get("x_unique_id"), "x_unique_id")
    page = call.members.get("skip_page")
    digits = "0" if page is None or page == "" else str(page)
    if isinstance(page, bool) or not (digits.isascii() and digits.isdecimal()):
        raise Refusal("Invalid skip_page: it must be a page number from 0 on")
    records = call.mails.records(unique_id, int(digits[:_MAX_PAGE_DIGITS]), now=call.now)
    return {"message_data": records}


def _message(members: _Members) -> _Members:
    message = members.get("message")
    if not message or not isinstance(message, dict):
        raise Refusal("You must specify a message value")
    return message


def _filled(message: _Members, find: FindTemplate) -> Members:
    """Return the fields of the template, filled in: its id, subject, html, text and values."""
    template = find(parts.required(message.get("template_id"), "Template Id!!"))
    if template is None:
        raise Refusal("Invalid Template Id")
    values = parts.strings("dynamic_value", message.get("dynamic_value"))
    return {**attrs.asdict(template.fill(values)), "dynamic_value": values}


def _envelope(message: _Members, default_subject: str | None = None) -> Members:
    subject = parts.text(message.get("subject")) or default_subject
    if not subject:
        raise Refusal("You must specify subject")
    from_email, from_name = _sender(message)
    recipients = parts.recipients(message.get("to"))
    headers = parts.strings("headers", message.get("headers"))
    return {
        "subject": subject,
        "from_email": from_email,
        "from_name": from_name,
        "recipients": recipients,
        "headers": headers,
        "unique_id": parts.unique_id(headers),
        "attachments": parts.files("attachments", message.get("attachments")),
        "images": parts.files("images", message.get("images"), type_prefix="image/"),
    }


def _sender(message: _Members) -> tuple[str, str | None]:
    email = parts.required(message.get("from_email"), "from-email")
    sender = parts.address("from-email", email, message.get("from_name"))
    return sender.email, sender.name
