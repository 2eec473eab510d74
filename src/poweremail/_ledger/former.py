"""
How release 0.1 read a mail.

The key of a row without a key of its own is a digest of its message. If this release reads the same
row in another way, the digest is another one, and a source that was added by 0.1 would be sent
again. So the ledger looks the message up as 0.1 stored it, too. Nothing here needs to change
when the readers do, since 0.1 is what it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from poweremail._messages.message import Message, TemplateMessage
from poweremail._types.address import Recipient

_ANGLE_AT_END = re.compile(r'<((?:"(?:[^"\\]|\\.)*"@)?[^<>"]*)>\Z')
# Several addresses, an encoded word, or an invisible character, which a repr escapes.
_READ_OTHERWISE = re.compile(
    r"@.*@|=\?|\\[ux]|[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]",
    re.DOTALL,
)
_LISTS = ("to", "cc", "bcc", "reply_to")
# It took empty cells of columns with these names for fields, which CSV does not have.
_NO_DYNAMIC_VALUES = {"attachments", "dynamic_value", "headers", "images", "tracking"}


def former_members(given: Mapping[str, Any], message: Message | TemplateMessage) -> dict[str, Any]:
    """
    Return the members of *message* that 0.1 may have read otherwise, as it stored them.

    *given*: the fields of the row, before they were read.
    """
    former: dict[str, Any] = {}
    for field in ("from_email", *_LISTS):
        value = given.get(field)
        if value and _READ_OTHERWISE.search(value if isinstance(value, str) else repr(value)):
            mailboxes = [_mailbox(each) for each in _listed(value)]
            former[field] = mailboxes[0] if field == "from_email" else mailboxes
    dynamic = getattr(message, "dynamic_value", {})
    if not _NO_DYNAMIC_VALUES.isdisjoint(dynamic):
        former["dynamic_value"] = {
            name: text for name, text in dynamic.items() if text or name not in _NO_DYNAMIC_VALUES
        }
    return former


def former_of(message: Message | TemplateMessage) -> dict[str, Any]:
    """
    Return the same for a message that code has made, perhaps of one string with several addresses
    and ``", "`` between them.
    """
    given = {field: ", ".join(map(str, getattr(message, field))) for field in _LISTS}
    return former_members(given, message)


def _listed(value: Any) -> Iterable[Any]:
    if isinstance(value, str) and ";" in value:
        return filter(str.strip, value.split(";"))
    is_pair = isinstance(value, tuple) and len(value) == 2  # noqa: PLR2004
    return [value] if is_pair or isinstance(value, str | Recipient) else value


def _mailbox(value: Any) -> Recipient | list[str]:
    if isinstance(value, Recipient):
        return value
    name, address = value if isinstance(value, tuple) else ("", value.strip())
    if found := None if name else _ANGLE_AT_END.search(address):
        name, address = address[: found.start()].strip(), found[1]
        if len(name) > 1 and name.startswith('"') and name.endswith('"'):
            name = re.sub(r"\\(.)", r"\1", name[1:-1])
    return list(filter(None, (address.strip(), (name or "").strip())))
