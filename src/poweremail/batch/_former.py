"""
How release 0.1 read a row.

The key of a row without a key of its own is a digest of its message. Where this release reads the
same row otherwise, the digest would be another one, and a source that was added by 0.1 would be
sent again. So the ledger looks the message up as 0.1 stored it, too. Nothing here needs to change
when the readers do, since 0.1 is what it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from poweremail._messages.message import Message, TemplateMessage
from poweremail._types.address import Recipient

__all__ = ["former_members"]

_ANGLE_AT_END = re.compile(r'<((?:"(?:[^"\\]|\\.)*"@)?[^<>"]*)>\Z')
# It took empty cells of columns with these names for fields, which CSV does not have.
_NO_DYNAMIC_VALUES = {"attachments", "dynamic_value", "headers", "images", "tracking"}


def former_members(given: Mapping[str, Any], message: Message | TemplateMessage) -> dict[str, Any]:
    """
    Return the members of *message* that 0.1 read otherwise, as it stored them.

    *given*: the fields of the row, before they were read.
    """
    former: dict[str, Any] = {}
    for field in ("from_email", "to", "cc", "bcc", "reply_to"):
        read = getattr(message, field)
        now = [_stored(each) for each in ((read,) if isinstance(read, Recipient) else read)]
        then = [_mailbox(each) for each in _listed(given.get(field))]
        if now != then:
            former[field] = then[0] if field == "from_email" else then
    dynamic = getattr(message, "dynamic_value", {})
    if not _NO_DYNAMIC_VALUES.isdisjoint(dynamic):
        former["dynamic_value"] = {
            name: text for name, text in dynamic.items() if text or name not in _NO_DYNAMIC_VALUES
        }
    return former


def _listed(value: Any) -> Iterator[Any]:
    if isinstance(value, str):
        yield from (each for each in value.split(";") if each.strip()) if ";" in value else [value]
    elif isinstance(value, Recipient) or (isinstance(value, tuple) and value):
        yield value
    else:
        yield from value or ()


def _mailbox(value: Any) -> list[str]:
    if isinstance(value, Recipient):
        return _stored(value)
    name, address = value if isinstance(value, tuple) else ("", value.strip())
    if found := None if name else _ANGLE_AT_END.search(address):
        name, address = address[: found.start()].strip(), found[1]
        if len(name) > 1 and name.startswith('"') and name.endswith('"'):
            name = re.sub(r"\\(.)", r"\1", name[1:-1])
    parts = [address.strip(), (name or "").strip()]
    return parts if parts[1] else parts[:1]


def _stored(recipient: Recipient) -> list[str]:
    return [recipient.email, recipient.name] if recipient.name else [recipient.email]
