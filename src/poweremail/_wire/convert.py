"""
The one cattrs converter, and the tolerant readers for what the service really answers.

The vendor's page shows times as numbers and as strings of digits, lists of unequal length, and an
int where an object is meant. What cannot be read becomes None; it stays readable in ``.raw``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from itertools import zip_longest
from typing import Any

from cattrs import Converter

from poweremail._messages.message import Envelope, Message, TemplateMessage
from poweremail._types.address import Recipient
from poweremail._types.attachment import Attachment, Image
from poweremail._types.event import WebhookEvent
from poweremail._types.frozen import FrozenMapping
from poweremail._types.message_info import Engagement, MessageInfo
from poweremail._wire.readers import integer as _integer
from poweremail._wire.readers import text as _text
from poweremail._wire.readers import time as _time

__all__ = ["converter", "engagements", "extra_members"]

converter = Converter()

_DECIMAL = re.compile(r"\s*\d{1,18}\.\d{1,9}\s*\Z")
_NOTHING: FrozenMapping[Any] = FrozenMapping()


def _recipients(envelope: Envelope) -> list[dict[str, str]]:
    # "type" is "to" where left out, says the page; saying it always costs nothing and reads the
    # same everywhere.
    entries: list[dict[str, str]] = []
    for kind, recipients in (("to", envelope.to), ("cc", envelope.cc), ("bcc", envelope.bcc)):
        for recipient in recipients:
            entry = {"email": recipient.email, "type": kind}
            if recipient.name is not None:
                entry["name"] = recipient.name
            entries.append(entry)
    return entries


def _headers(envelope: Envelope) -> dict[str, str]:
    headers = dict(envelope.headers.items())
    if envelope.reply_to:
        headers["Reply-To"] = ", ".join(map(str, envelope.reply_to))
    if envelope.tracking is not None:
        headers.update(envelope.tracking.headers())
    return headers


def _envelope(envelope: Envelope) -> dict[str, Any]:
    members: dict[str, Any] = {
        "subject": envelope.subject,
        "from_email": envelope.from_email.email,
        "to": _recipients(envelope),
    }
    if envelope.from_email.name is not None:
        members["from_name"] = envelope.from_email.name
    if headers := _headers(envelope):
        members["headers"] = headers
    return members


@converter.register_unstructure_hook
def _message(message: Message) -> dict[str, Any]:
    members = _envelope(message)
    if message.html is not None:
        members["html"] = message.html
    if message.text is not None:
        members["text"] = message.text
    return members


@converter.register_unstructure_hook
def _template_message(message: TemplateMessage) -> dict[str, Any]:
    members = _envelope(message)
    members["template_id"] = message.template_id
    if message.dynamic_value:
        members["dynamic_value"] = dict(message.dynamic_value)
    return members


# The content is streamed after these members, not part of them.
@converter.register_unstructure_hook
def _attachment(attachment: Attachment) -> dict[str, str]:
    return {"type": attachment.type, "name": attachment.name}


@converter.register_unstructure_hook
def _image(image: Image) -> dict[str, str]:
    return {"type": image.type, "name": image.cid}


@converter.register_unstructure_hook
def _recipient(recipient: Recipient) -> dict[str, str | None]:
    return {"email": recipient.email, "name": recipient.name}


def engagements(value: object) -> tuple[Engagement, ...]:
    """
    The opens or clicks of a record, from three parallel lists, of which any may be shorter than the
    others or missing.
    """
    if not isinstance(value, dict) or not value:
        return ()
    columns = [
        column if isinstance(column := value.get(name), list) else []
        for name in ("time", "ip", "ua")
    ]
    return tuple(
        Engagement(_time(time), _text(ip), _text(agent))
        for time, ip, agent in zip_longest(*columns)
    )


def _count(value: object, events: tuple[Engagement, ...]) -> int:
    number = _integer(value)
    return len(events) if number is None else number


_RECORD_MEMBERS = frozenset(
    (
        "subject",
        "sender",
        "email",
        "sendFrom",
        "mailSize",
        "attchSize",
        "status",
        "time",
        "open",
        "click",
        "openData",
        "clickData",
    )
)


def extra_members(members: Mapping[str, Any], known: frozenset[str]) -> FrozenMapping[Any]:
    """The members of an answer that are not *known*."""
    if known.issuperset(members):
        return _NOTHING
    return FrozenMapping({name: value for name, value in members.items() if name not in known})


@converter.register_structure_hook
def _message_info(record: Mapping[str, Any], _: type[MessageInfo]) -> MessageInfo:
    get = record.get
    opens, clicks = engagements(get("openData")), engagements(get("clickData"))
    # An int where clickData is expected is the count, says the page's example.
    click = (
        get("click")
        if "click" in record or isinstance(get("clickData"), dict)
        else get("clickData")
    )
    return MessageInfo(
        email=_text(get("email")),
        subject=_text(get("subject")),
        sender=_text(get("sender")),
        send_from=_text(get("sendFrom")),
        status=_text(get("status")),
        time=_time(get("time")),
        mail_size=_integer(get("mailSize")),
        attachment_size=_integer(get("attchSize")),
        open_count=_count(get("open"), opens),
        click_count=_count(click, clicks),
        opens=opens,
        clicks=clicks,
        extra=extra_members(record, _RECORD_MEMBERS),
    )


_EVENT_MEMBERS = frozenset(("_id", "user_id", "smtp_name", "x_unique_id", "ts", "event", "msg"))


def _event_time(value: object) -> datetime | None:
    """As `_time`; webhooks may also give seconds with a fraction."""
    if isinstance(value, str) and _DECIMAL.match(value):
        value = float(value.strip())
    if isinstance(value, float) and 0 < value < 10**14:
        value = round(value * 1_000_000) if value < 10**11 else round(value)
    return _time(value)


def _event_id(value: object) -> str | None:
    # The database behind the service prints its ids as {"$oid": "..."} where nobody has made text
    # of them.
    return _text(value.get("$oid") if isinstance(value, dict) else value) or None


@converter.register_structure_hook
def _webhook_event(event: Mapping[str, Any], _: type[WebhookEvent]) -> WebhookEvent:
    get, msg = event.get, event.get("msg")
    return WebhookEvent(
        id=_event_id(get("_id")),
        event=get("event", ""),
        time=_event_time(get("ts")),
        unique_id=_text(get("x_unique_id")),
        smtp_user_name=_text(get("smtp_name")),
        user_id=_event_id(get("user_id")),
        msg=FrozenMapping(msg) if isinstance(msg, dict) else _NOTHING,
        extra=extra_members(event, _EVENT_MEMBERS),
        raw=FrozenMapping(event),
    )
