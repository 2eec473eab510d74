"""
What the arguments of the calls about settings must be: each function returns what goes out, or
raises `UsageError`.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from poweremail._types.address import Recipient
from poweremail._types.event import EVENT_NAMES, EventName
from poweremail._types.number import is_whole
from poweremail._types.text import body_text, header_text
from poweremail.errors import UsageError

__all__ = ["description", "domain", "enabled", "events", "identifier", "limit", "mailbox", "url"]


def limit(field: str, value: object) -> int:
    """A number of mails, 1 or more."""
    if not is_whole(value, 1):
        raise _wrong(field, f"must be a number of mails, 1 or more, not {value!r}")
    return value


def enabled(field: str, value: object) -> str:
    """True or False, in the service's words."""
    if not isinstance(value, bool):
        raise _wrong(field, f"must be True or False, not {value!r}")
    return "Enable" if value else "Disable"


def identifier(field: str, value: object) -> str:
    """A name or an id that the service has given."""
    name = header_text(field, value, mail_state=None).strip()
    if not name:
        raise _wrong(field, "must not be empty")
    return name


def description(field: str, value: object) -> str:
    """Any text."""
    return body_text(field, value, mail_state=None)


def domain(field: str, value: object) -> str:
    """The name of a domain, such as ``example.com``."""
    name = identifier(field, value)
    try:
        Recipient(f"postmaster@{name}")
    except UsageError:
        usable = False
    else:
        usable = "." in name and "@" not in name and not name.startswith("[")
    if not usable:
        raise _wrong(field, f"{name!r} is not a domain such as example.com")
    return name


def mailbox(field: str, value: object, of_domain: str) -> str:
    """The part of an address before the @, whose other part is *of_domain*."""
    name = identifier(field, value)
    try:
        Recipient(f"{name}@{of_domain}")
    except UsageError:
        usable = False
    else:
        usable = "@" not in name
    if not usable:
        raise _wrong(
            field, f"{name!r} is not the part of an address before the @, such as postmaster"
        )
    return name


def url(field: str, value: object) -> str:
    """An address on the web, http or https."""
    address = identifier(field, value)
    try:
        parts = urlsplit(address)
        usable = (
            parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        )
    except ValueError:
        usable = False
    if not usable or any(character.isspace() for character in address):
        raise _wrong(field, f"{address!r} is not a URL such as https://example.com/events")
    return address


def events(field: str, value: Iterable[EventName] | EventName) -> str:
    """
    One event or several, each once, in the service's form. What it does not publish is refused: a
    typo would go unnoticed.
    """
    if isinstance(value, str):
        value = (value,)
    if not isinstance(value, Iterable):
        raise _wrong(field, f"must be events, not {type(value).__name__}")
    names = list(value)
    if not names:
        raise _wrong(field, "must not be empty; leave it out for the service's choice")
    for name in names:
        if name not in EVENT_NAMES:
            raise _wrong(field, f"{name!r} is not one of {', '.join(EVENT_NAMES)}")
    return ",".join(dict.fromkeys(names))


def _wrong(field: str, reason: str) -> UsageError:
    return UsageError(reason, field=field, mail_state=None)
