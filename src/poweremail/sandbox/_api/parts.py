"""The parts of a message that is handed over as JSON: text, recipients, headers, files."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from poweremail._types.address import Recipient
from poweremail.errors import UsageError
from poweremail.sandbox._api.responses import Refusal
from poweremail.sandbox._store.mail import CaughtFile, CaughtRecipient, RecipientType

__all__ = ["address", "files", "recipients", "strings", "text", "unique_id"]

_TYPES: dict[object, RecipientType] = {"to": "to", "cc": "cc", "bcc": "bcc", None: "to", "": "to"}
_WHITE_SPACE = re.compile(r"\s+")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}\Z")


def text(value: Any) -> str | None:
    """Return *value* where it is a string with more than white space in it, else None."""
    return value if isinstance(value, str) and value.strip() else None


def address(field: str, email: Any, name: Any = None) -> Recipient:
    """Read an address. Raises `Refusal`, naming *field*, where it cannot be used."""
    try:
        return Recipient(email, name)
    except UsageError as error:
        raise Refusal(f"Invalid {field}: {error.explanation}") from None


def recipients(value: Any) -> tuple[CaughtRecipient, ...]:
    """
    Read the member ``to`` of a message. Raises `Refusal` where it names nobody, or nobody who could
    get mail.
    """
    if not value:
        raise Refusal("You must specify at least one recipient")
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Refusal("Invalid to: it must be a list of objects")
    return tuple(_recipient(item) for item in value)


def _recipient(item: Mapping[str, Any]) -> CaughtRecipient:
    if not text(item.get("email")):
        raise Refusal("You must specify at least one recipient")
    mailbox = address("to", item["email"], item.get("name"))
    type = item.get("type")
    known = (
        _TYPES.get(type.lower() if isinstance(type, str) else type)
        if isinstance(type, str | None)
        else None
    )
    if known is None:
        raise Refusal("Invalid to: type must be to, cc or bcc")
    return CaughtRecipient(known, mailbox.email, mailbox.name)


def strings(field: str, value: Any) -> dict[str, str]:
    """
    Read an object of strings, such as ``headers``. Numbers are written out, null is empty; anything
    else raises `Refusal`.
    """
    if not value and value in (None, {}, []):
        # An empty array is how PHP writes an empty object.
        return {}
    if not isinstance(value, dict):
        raise Refusal(f"Invalid {field}: it must be an object")
    return {name: _string(field, item) for name, item in value.items()}


def _string(field: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Refusal(f"Invalid {field}: its values must be strings")
    return str(value)


def unique_id(headers: Mapping[str, str]) -> str | None:
    """
    Return the value of ``X-Unique-Id``, whose name may be written in any case; None where there is
    none.
    """
    return next(
        (
            value
            for name, value in headers.items()
            if name.lower() == "x-unique-id" and value.strip()
        ),
        None,
    )


def files(field: str, value: Any, *, type_prefix: str = "") -> tuple[CaughtFile, ...]:
    """
    Read ``attachments`` or ``images``, whose MIME types begin with *type_prefix*. Raises `Refusal`
    for what is no file.
    """
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Refusal(f"Invalid {field}: it must be a list of objects")
    return tuple(_file(field, item, type_prefix) for item in value)


def _file(field: str, item: Mapping[str, Any], type_prefix: str) -> CaughtFile:
    name, type, content = text(item.get("name")), text(item.get("type")), item.get("content")
    if name is None:
        raise Refusal(f"Invalid {field}: each needs a name")
    if type is None or not type.lower().startswith(type_prefix):
        raise Refusal(
            f"Invalid {field}: each needs a "
            f"type{f' that begins with {type_prefix}' if type_prefix else ''}"
        )
    if not isinstance(content, str):
        raise Refusal(f"Invalid {field}: each needs a content")
    return CaughtFile(name, type, _decode(field, content))


def _decode(field: str, content: str) -> bytes:
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        pass
    # Line breaks are usual, and the vendor's own example ends in the middle of a group: what is
    # there of it counts.
    content = _WHITE_SPACE.sub("", content)
    if not _BASE64.match(content):
        raise Refusal(f"Invalid {field}: the content is not base64")
    content = content.rstrip("=")
    whole = content[: len(content) - (len(content) % 4 == 1)]
    return base64.b64decode(whole + "=" * (-len(whole) % 4))
