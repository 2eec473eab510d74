"""
Recipients and the many ways in which people write them.

An address is checked for what makes it unusable (RFC 5321 and RFC 6531: lengths, one ``@``, no
spaces or control characters outside quotes, no empty label in the domain), not for whether it
exists. International addresses pass as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeAlias

import attrs

from poweremail._types.text import header_text
from poweremail.errors import UsageError

__all__ = ["AddressLike", "AddressesLike", "Recipient", "recipient", "recipients"]

# atext of RFC 5322 with the non-ASCII of RFC 6531; dots only between atoms; or a quoted string.
# Classes say what is not in them: a range up to the last character of Unicode takes milliseconds to
# compile.
_ATOM = r"[^\x00-\x20\"(),.:;<>@\[\\\]\x7f-\x9f]+"
_LOCAL = re.compile(
    rf"(?:{_ATOM}(?:\.{_ATOM})*|\"(?:[^\"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])*\")\Z"
)
_NOT_IN_LABEL = r"\x00-,./:-@\[-^`{-\x9f"
_LABEL = rf"[^\-{_NOT_IN_LABEL}](?:[^{_NOT_IN_LABEL}]*[^\-{_NOT_IN_LABEL}])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Za-z:.\-]+\])\Z")
_SPACE = re.compile(r"\s")
# The <address> at the end of a mailbox; a quoted local part may have a "<" of its own.
_ANGLE = re.compile(r'<((?:"(?:[^"\\]|\\.)*"@)?[^<>"]*)>\Z')
# The common address, recognised in one match; everything else takes the exact way below.
_PLAIN = re.compile(r"[A-Za-z0-9._%+\-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.\-]{0,180}[A-Za-z0-9])?\Z")

_MAX_LOCAL_BYTES = 64
_MAX_ADDRESS_BYTES = 254
_MAX_LABEL_CHARACTERS = 63


def _unusable(address: str) -> str | None:  # noqa: PLR0911  one return a reason
    """Say why *address* cannot be used, or None where it can."""
    if (
        _PLAIN.match(address)
        and ".." not in address
        and not address.startswith(".")
        and ".@" not in address
        and "-." not in address
    ):
        local_length = address.index("@")
        labels_fit = all(
            len(label) <= _MAX_LABEL_CHARACTERS for label in address[local_length + 1 :].split(".")
        )
        if labels_fit and ".-" not in address[local_length:]:
            return None
    local, at, domain = address.rpartition("@")
    if not at:
        return "has no @"
    if not local or not domain:
        return "has nothing before the @" if domain else "has nothing after the @"
    if len(local.encode()) > _MAX_LOCAL_BYTES:
        return f"has more than {_MAX_LOCAL_BYTES} bytes before the @"
    if len(address.encode()) > _MAX_ADDRESS_BYTES:
        return f"is longer than {_MAX_ADDRESS_BYTES} bytes"
    if _SPACE.search(domain) or (_SPACE.search(local) and not local.startswith('"')):
        return "has a space"
    if not _LOCAL.match(local):
        return "is not written right before the @"
    if not _DOMAIN.match(domain) or any(
        len(label) > _MAX_LABEL_CHARACTERS for label in domain.split(".")
    ):
        return "is not written right after the @"
    return None


def _email(value: object) -> str:
    email = header_text("email", value).strip()
    if why := _unusable(email):
        advice = "give several addresses as a list" if "," in email else None
        raise UsageError(f"{email!r} {why}", field="email", advice=advice)
    return email


def _name(value: object) -> str | None:
    return None if value is None else header_text("name", value).strip() or None


@attrs.frozen
class Recipient:
    """
    One mailbox: *email* and, where known, the display *name*.

    Raises `UsageError` for an address that cannot be used, or a control character in either.
    """

    email: str = attrs.field(converter=_email)
    name: str | None = attrs.field(default=None, converter=_name)

    def __str__(self) -> str:
        if self.name is None:
            return self.email
        escaped = self.name.replace("\\", "\\\\").replace('"', '\\"')
        return (
            f'"{escaped}" <{self.email}>'
            if _needs_quotes(self.name)
            else f"{self.name} <{self.email}>"
        )

    @classmethod
    def parse(cls, text: str) -> Recipient:
        """
        Read ``ada@example.com``, ``Ada <ada@example.com>`` or ``"Lovelace, Ada"
        <ada@example.com>``.
        """
        text = header_text("email", text).strip()
        if not text.endswith(">"):
            return cls(text)
        found = _ANGLE.search(text)
        if not found:
            raise UsageError(f"{text!r} does not end in an address between < and >", field="email")
        return cls(found[1], _unquote(text[: found.start()].strip()))


def _needs_quotes(name: str) -> bool:
    return any(character in '()<>[]:;@\\,."' for character in name)


def _unquote(name: str) -> str:
    if len(name) > 1 and name.startswith('"') and name.endswith('"'):
        return re.sub(r"\\(.)", r"\1", name[1:-1])
    return name


AddressLike: TypeAlias = "str | tuple[str | None, str] | Recipient"
"""
One address: ``"Ada <ada@example.com>"``, a pair ``("Ada", "ada@example.com")``, or a `Recipient`.
"""

AddressesLike: TypeAlias = "AddressLike | Iterable[AddressLike]"
"""One address or many."""


def recipient(field: str, value: object) -> Recipient:
    """Read one address; the `UsageError` of an unusable one names *field*."""
    if isinstance(value, Recipient):
        return value
    try:
        if isinstance(value, str):
            return Recipient.parse(value)
        if isinstance(value, tuple) and len(value) == 2:  # noqa: PLR2004
            return _of_pair(*value)
    except UsageError as error:
        raise UsageError(error.reason, field=field, advice=error.advice) from None
    raise UsageError(
        f"cannot read {value!r} as an address: give a str, a (name, address) pair or a Recipient",
        field=field,
    )


def _of_pair(name: object, email: object) -> Recipient:
    # The standard library's order is name, address; some write it the other way round, and only one
    # has the @.
    if isinstance(name, str) and "@" in name and not (isinstance(email, str) and "@" in email):
        name, email = email, name
    if isinstance(name, str) and name != email and not _unusable(name):
        advice = "give two addresses as a list of two str"
        raise UsageError(
            f"cannot tell which of {(name, email)!r} is the name", field="email", advice=advice
        )
    return Recipient(_email(email), _name(name))


def recipients(field: str, value: object) -> tuple[Recipient, ...]:
    """
    Read one address or many. A tuple of two strings is a pair where exactly one of them has an
    ``@``, else two addresses.
    """
    if isinstance(value, str | Recipient) or _is_pair(value):
        return (recipient(field, value),)
    if isinstance(value, bytes | dict) or not isinstance(value, Iterable):
        raise UsageError(f"must be an address or several, not {type(value).__name__}", field=field)
    return tuple(recipient(f"{field}[{index}]", item) for index, item in enumerate(value))


def _is_pair(value: object) -> bool:
    match value:
        case (str() | None as first, str() | None as second) if isinstance(value, tuple):
            return (
                sum("@" in part for part in (first, second) if part) == 1
                and "<" not in f"{first}{second}"
            )
        case _:
            return False
