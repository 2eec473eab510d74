"""
Tolerant readers for single values of a response: each returns None for what it cannot read. They
have the signature of cattrs' hooks, whose second argument is the type.

The service writes numbers as strings of digits, times in three units, and yes and no in many words.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Python refuses to read an int of thousands of digits; no number of the API has more than these.
_INTEGER = re.compile(r"\s*\d{1,18}\s*\Z")
_PERCENT = re.compile(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*%?\s*\Z", re.ASCII)
_YES = frozenset(("yes", "true", "1", "y", "on", "enable", "enabled", "valid"))
_NO = frozenset(("no", "false", "0", "n", "off", "disable", "disabled", "invalid"))


def text(value: object, _: object = None) -> str | None:
    """Read any value as text."""
    return value if isinstance(value, str) else None if value is None else str(value)


def text_or_number(value: object, _: object = None) -> str | None:
    """Read text; a number becomes text, because an id may come as one."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


def integer(value: object, _: object = None) -> int | None:
    """Read an int, a string of digits, or a float without a fraction."""
    if type(value) is int:  # nearly always, and no bool
        return value
    if isinstance(value, str) and _INTEGER.match(value):
        return int(value.strip())
    if isinstance(value, float) and value == value // 1:
        return int(value)
    return None


def time(value: object, _: object = None) -> datetime | None:
    """
    Read milliseconds since the epoch, as the API documents them, or seconds or microseconds: the
    magnitude distinguishes them.
    """
    number = integer(value)
    if number is None or not 0 < number < 10**17:
        return None
    return _EPOCH + timedelta(
        0, 0, number if number >= 10**14 else number * (1_000 if number >= 10**11 else 1_000_000)
    )


def yes_no(value: object, _: object = None) -> bool | None:
    """Read ``Yes``, ``Enable``, true, 1, "1" and the like, and their opposites."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower() if isinstance(value, str | int) else ""
    return True if word in _YES else False if word in _NO else None


def percent(value: object, _: object = None) -> float | None:
    """Read a number of percent, with or without its sign: ``"50%"``, ``"50"``, 50."""
    if isinstance(value, str) and (found := _PERCENT.match(value)):
        return float(found[1])
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # The comparison also excludes NaN, infinity and an int that is too large for a float.
    return float(value) if abs(value) < 10**9 else None


def words(value: object, _: object = None) -> tuple[str, ...] | None:
    """Read a list of words, or one string with commas between them."""
    if isinstance(value, str):
        return tuple(word for part in value.split(",") if (word := part.strip()))
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return tuple(value)
    return None
