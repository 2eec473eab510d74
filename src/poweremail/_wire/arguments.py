"""
The checks of arguments of the calls about settings.

Each function returns the value to send, or raises `UsageError` for the *field* of that name.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from poweremail._types.address import Recipient
from poweremail._types.checks import body_text, header_text, is_whole
from poweremail._types.event import EVENT_NAMES, EventName
from poweremail.errors import UsageError

__all__ = ["description", "domain", "enabled", "events", "identifier", "limit", "mailbox", "url"]


def limit(field: str, value: object) -> int:
    """Check a number of mails, 1 or more."""
    if not is_whole(value, 1):
        raise UsageError(
            f"must be a number of mails, 1 or more, not {value!r}", field=field, mail_state=None
        )
    return value


def enabled(field: str, value: object) -> str:
    """Check a bool; the service's words are ``Enable`` and ``Disable``."""
    if not isinstance(value, bool):
        raise UsageError(f"must be True or False, not {value!r}", field=field, mail_state=None)
    return "Enable" if value else "Disable"


def identifier(field: str, value: object) -> str:
    """Check a name or an id that the service has given."""
    name = header_text(field, value, mail_state=None).strip()
    if not name:
        raise UsageError("must not be empty", field=field, mail_state=None)
    return name


def description(field: str, value: object) -> str:
    """Check a text; it may be any."""
    return body_text(field, value, mail_state=None)


def domain(field: str, value: object) -> str:
    """Check the name of a domain, such as ``example.com``."""
    name = identifier(field, value)
    if not _is_address(f"postmaster@{name}") or "." not in name or name.startswith("["):
        raise UsageError(
            f"{name!r} is not a domain such as example.com", field=field, mail_state=None
        )
    return name


def mailbox(field: str, value: object, of_domain: str) -> str:
    """Check the part before the @ of an address at *of_domain*."""
    name = identifier(field, value)
    if not _is_address(f"{name}@{of_domain}"):
        raise UsageError(
            f"{name!r} is not the part of an address before the @, such as postmaster",
            field=field,
            mail_state=None,
        )
    return name


def url(field: str, value: object) -> str:
    """Check a URL of http or https."""
    address = identifier(field, value)
    try:
        parts = urlsplit(address)
        usable = (
            parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        )
    except ValueError:
        usable = False
    if not usable or any(character.isspace() for character in address):
        raise UsageError(
            f"{address!r} is not a URL such as https://example.com/events",
            field=field,
            mail_state=None,
        )
    return address


def events(field: str, value: Iterable[EventName] | EventName) -> str:
    """
    Check one event or several, and write each once, in the service's form. An event that the
    service does not publish is an error, because a typo would go unnoticed.
    """
    if isinstance(value, str):
        value = (value,)
    if not isinstance(value, Iterable):
        raise UsageError(
            f"must be events, not {type(value).__name__}", field=field, mail_state=None
        )
    names = list(value)
    if not names:
        raise UsageError(
            "must not be empty; leave it out for the service's choice", field=field, mail_state=None
        )
    for name in names:
        if name not in EVENT_NAMES:
            raise UsageError(
                f"{name!r} is not one of {', '.join(EVENT_NAMES)}", field=field, mail_state=None
            )
    return ",".join(dict.fromkeys(names))


def _is_address(text: str) -> bool:
    try:
        Recipient(text)
    except UsageError:
        return False
    return text.count("@") == 1
