"""
The parts of a message in JSON: text, addresses, headers, files.

Each function raises `Refusal` if the service would reject the part.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from poweremail._types.address import Recipient
from poweremail.sandbox._api.responses import Refusal, refusing
from poweremail.sandbox._store.mail import CaughtFile, CaughtRecipient, RecipientType

NO_RECIPIENT = "You must specify at least one recipient"

RECIPIENT_TYPES: dict[str, RecipientType] = {"to": "to", "cc": "cc", "bcc": "bcc"}
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}\Z")


def text(value: Any) -> str | None:
    """Return *value* if it is a string with more than white space in it, else None."""
    return value if isinstance(value, str) and value.strip() else None


def required(value: Any, name: str) -> str:
    """
    Return *value*, which must be a string with more than white space in it.

    *name*: the service's name for it, in the text of the refusal.
    """
    checked = text(value)
    if checked is None:
        raise Refusal(f"You must specify {name}")
    return checked


def address(field: str, email: Any, name: Any = None) -> Recipient:
    """Read an address of the member *field*."""
    with refusing(f"{field}: "):
        return Recipient(email, name)


def recipients(value: Any) -> tuple[CaughtRecipient, ...]:
    """Read the member ``to`` of a message."""
    if not value:
        raise Refusal(NO_RECIPIENT)
    return tuple(_recipient(item) for item in _objects("to", value))


def _recipient(item: Mapping[str, Any]) -> CaughtRecipient:
    email = required(item.get("email"), "at least one recipient")
    mailbox = address("to", email, item.get("name"))
    type_member = item.get("type")
    recipient_type = RECIPIENT_TYPES.get(
        "to" if type_member in (None, "") else str(type_member).lower()
    )
    if recipient_type is None:
        raise Refusal("Invalid to: type must be to, cc or bcc")
    return CaughtRecipient(recipient_type, mailbox.email, mailbox.name)


def _objects(field: str, value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Refusal(f"Invalid {field}: it must be a list of objects")
    return value


def strings(field: str, value: Any) -> dict[str, str]:
    """Read an object of strings, such as ``headers``. Numbers become text; null is empty."""
    if not value and value in (None, {}, []):  # PHP writes an empty object as an empty array
        return {}
    if not isinstance(value, dict):
        raise Refusal(f"Invalid {field}: it must be an object")
    for item in value.values():
        if isinstance(item, bool) or not isinstance(item, str | int | float | None):
            raise Refusal(f"Invalid {field}: its values must be strings")
    return {name: "" if item is None else str(item) for name, item in value.items()}


def unique_id(headers: Mapping[str, str]) -> str | None:
    """Return the value of the header ``X-Unique-Id``, whose case does not matter, or None."""
    # Of several, the first: each is a line.
    found = (
        value.split("\n")[0] for name, value in headers.items() if name.lower() == "x-unique-id"
    )
    return next(filter(text, found), None)


def files(field: str, value: Any, *, type_prefix: str = "") -> tuple[CaughtFile, ...]:
    """Read ``attachments`` or ``images``; each MIME type must begin with *type_prefix*."""
    return tuple(
        _file(field, item, type_prefix) for item in _objects(field, [] if value is None else value)
    )


def _file(field: str, item: Mapping[str, Any], type_prefix: str) -> CaughtFile:
    name, type, content = text(item.get("name")), text(item.get("type")), item.get("content")
    if name is None:
        raise Refusal(f"Invalid {field}: each needs a name")
    if type is None or not type.lower().startswith(type_prefix):
        condition = f" that begins with {type_prefix}" if type_prefix else ""
        raise Refusal(f"Invalid {field}: each needs a type{condition}")
    if not isinstance(content, str):
        raise Refusal(f"Invalid {field}: each needs a content")
    return CaughtFile(name, type, _decode(field, content))


def _decode(field: str, content: str) -> bytes:
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        pass
    # Line breaks are usual, and padding may be missing. The vendor's own example ends within a
    # byte: a group of four characters of which only the first is there, which is left out.
    content = "".join(content.split())
    if not _BASE64.match(content):
        raise Refusal(f"Invalid {field}: the content is not base64")
    content = content.rstrip("=")
    complete = content[: len(content) - (len(content) % 4 == 1)]
    return base64.b64decode(complete + "=" * (-len(complete) % 4))
