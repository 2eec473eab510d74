"""
The checks of arguments of the calls about settings.

Each function returns the value to send, or raises `UsageError` for the *field* of that name.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from poweremail._types.address import Recipient, is_domain
from poweremail._types.checks import body_text, is_whole, required_text
from poweremail._types.event import EVENT_NAMES, EventName
from poweremail.errors import UsageError


def limit(field: str, value: object) -> int:
    """Check a number of mails, 1 or more."""
    if not is_whole(value, 1):
        raise _invalid(field, f"must be a number of mails, 1 or more, not {value!r}")
    return value


def enabled(field: str, value: object) -> str:
    """Check a bool; the service's words are ``Enable`` and ``Disable``."""
    if not isinstance(value, bool):
        raise _invalid(field, f"must be True or False, not {value!r}")
    return "Enable" if value else "Disable"


def identifier(field: str, value: object) -> str:
    """Check a name or an id that the service has given."""
    return required_text(field, value, mail_state=None).strip()


def description(field: str, value: object) -> str:
    """Check a text; it may be any."""
    return body_text(field, value, mail_state=None)


def domain(field: str, value: object) -> str:
    """Check the name of a domain, such as ``example.com``."""
    name = identifier(field, value)
    if not is_domain(name):
        raise _invalid(field, f"{name!r} is not a domain such as example.com")
    return name


def mailbox(field: str, value: object, of_domain: str) -> str:
    """Check the part before the @ of an address at *of_domain*."""
    name = identifier(field, value)
    if not _is_address(f"{name}@{of_domain}"):
        raise _invalid(
            field, f"{name!r} is not the part of an address before the @, such as postmaster"
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
        raise _invalid(field, f"{address!r} is not a URL such as https://example.com/events")
    return address


def events(field: str, value: Iterable[EventName] | EventName) -> str:
    """
    Check one event or several, and write each once, in the service's form. An event that the
    service does not publish is an error, because a typo would go unnoticed.
    """
    if isinstance(value, str):
        value = (value,)
    if not isinstance(value, Iterable):
        raise _invalid(field, f"must be events, not {type(value).__name__}")
    names = list(value)
    if not names:
        raise _invalid(field, "must not be empty; leave it out for the service's choice")
    for name in names:
        if name not in EVENT_NAMES:
            raise _invalid(field, f"{name!r} is not one of {', '.join(EVENT_NAMES)}")
    return ",".join(dict.fromkeys(names))


def _invalid(field: str, reason: str) -> UsageError:
    """Return the error of a *field* in a call that concerns no mail."""
    return UsageError(reason, field=field, mail_state=None)


def _is_address(text: str) -> bool:
    try:
        Recipient(text)
    except UsageError:
        return False
    return text.count("@") == 1
