"""Checks of strings that go into headers or JSON, of numbers, and of the names of hosts."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Collection, Mapping
from inspect import isawaitable, iscoroutine, iscoroutinefunction
from typing import Any, TypeGuard, TypeVar

import attrs

from poweremail._types import FrozenMapping
from poweremail.errors import ConfigurationError, MailState, UsageError

T = TypeVar("T")

# A header may contain a tab. Any other control character could end the header or the mail: some
# programs take U+0085 for a line end.
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")

# RFC 1123, 2.1; also letters of other languages, and the underscore, which occurs in the names of
# containers.
_HOST_LABEL = r"(?!-)[\w-]{1,63}(?<!-)"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z){_HOST_LABEL}(?:\.{_HOST_LABEL})*\.?\Z")


def body_text(field: str, value: object, *, mail_state: MailState | None = "not_sent") -> str:
    """
    Return *value* if it is a string that UTF-8 can carry, else raise `UsageError` for *field*.
    """
    if not isinstance(value, str):
        raise UsageError(
            f"must be a str, not {type(value).__name__}", field=field, mail_state=mail_state
        )
    # isascii only reads a flag; other strings need the search.
    if not value.isascii() and (found := _SURROGATE.search(value)):
        reason = f"has a lone surrogate at position {found.start()}, which no encoding can carry"
        raise UsageError(reason, field=field, mail_state=mail_state)
    return value


def header_text(field: str, value: object, *, mail_state: MailState | None = "not_sent") -> str:
    """
    Return *value* if a header can contain it, else raise `UsageError` for *field*: CR or LF would
    begin another header.
    """
    text = body_text(field, value, mail_state=mail_state)
    if found := CONTROL.search(text):
        reason = f"has a control character (CR, LF or another) at position {found.start()}"
        raise UsageError(reason, field=field, mail_state=mail_state)
    return text


def required_text(field: str, value: object, *, mail_state: MailState | None = "not_sent") -> str:
    """Return *value* as `header_text` does. An empty one raises `UsageError`, too."""
    text = header_text(field, value, mail_state=mail_state)
    if not text.strip():
        raise UsageError("must not be empty", field=field, mail_state=mail_state)
    return text


def string_mapping(
    field: str, value: object, check: Callable[[str, object], str]
) -> FrozenMapping[str]:
    """Return *value* as an immutable mapping of str to str, each value checked by *check*."""
    if not isinstance(value, Mapping):
        raise UsageError(f"must be a mapping, not {type(value).__name__}", field=field)
    return FrozenMapping(
        {
            header_text(field, name): check(f"{field}[{name!r}]", text)
            for name, text in value.items()
        }
    )


def is_whole(value: object, least: int = 0) -> TypeGuard[int]:
    """Return whether *value* is an int, and no bool, of at least *least*."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_number(value: object, least: float = 0.0, most: float = math.inf) -> TypeGuard[float]:
    """Return whether *value* is a finite int or float, and no bool, from *least* to *most*."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and least <= value <= most
        and value < math.inf
    )


def is_plain_function(value: object) -> bool:
    """Return whether *value* can be called, and is no coroutine function nor an object with one."""
    is_async = iscoroutinefunction(value) or iscoroutinefunction(
        getattr(value, "__call__", None)  # noqa: B004  that of an object
    )
    return callable(value) and not is_async


def check_not_awaitable(field: str, returned: object) -> None:
    """
    Raise `UsageError` if the function *field* has *returned* an awaitable, although it does not
    look async: nobody would await it, so nothing of what it should do would be done.
    """
    if isawaitable(returned):
        if iscoroutine(returned):
            returned.close()
        raise UsageError(
            "returned an awaitable", field=field, mail_state=None, advice="declare it as async def"
        )


def require(field: str, value: T, wanted: str, valid: object) -> T:
    """Return *value* if it is *valid*, else raise `ConfigurationError`: it must be *wanted*."""
    if not valid:
        raise ConfigurationError(f"must be {wanted}, not {value!r}", field=field)
    return value


def require_seconds(field: str, value: object) -> None:
    """Raise `ConfigurationError` for *field* if *value* is no number above 0; it may be endless."""
    is_valid = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    require(field, value, "a number of seconds above 0", is_valid)


def require_kind(field: str, value: object, kind: type) -> None:
    """Raise `ConfigurationError` for *field* if *value* is no *kind*. The text shows its type."""
    if not isinstance(value, kind):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        reason = f"must be {article} {kind.__name__}, not {type(value).__name__}"
        raise ConfigurationError(reason, field=field)


def require_one_of(field: str, value: T, known: Collection[str]) -> T:
    """Return *value* if it is one of the *known* ones, else raise `ConfigurationError`."""
    return require(field, value, f"one of {', '.join(known)}", value in known)


def require_hook(field: str, value: object) -> None:
    """Raise `ConfigurationError` for *field* unless *value* is a plain function or None."""
    require(field, value, "a plain function", value is None or is_plain_function(value))


def must_be(
    wanted: str, valid: Callable[[Any], object]
) -> Callable[[object, attrs.Attribute[Any], Any], None]:
    """Return a validator for a field of attrs, which `require`s that *valid* accepts a value."""
    return lambda _, attribute, value: require(attribute.name, value, wanted, valid(value))


one_or_more = must_be("1 or more", lambda value: is_whole(value, 1))
"""A validator for a field of attrs, which is a number of things."""


def is_host(text: str) -> bool:
    """Return whether *text* is an IP address or a possible name of a host."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return bool(_HOST_NAME.match(text))
    return True


def is_loopback(host: str) -> bool:
    """Return whether *host* is a name or an address of this machine only."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
