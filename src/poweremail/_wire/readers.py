"""
Tolerant readers for single values of an answer: each returns None for what it cannot read.

The service shows numbers as strings of digits, times in three units, and yes and no in many words.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

__all__ = ["integer", "percent", "text", "time", "words", "yes_no"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Python refuses to read an int of thousands of digits; no number of the API has more than these.
_DIGITS = re.compile(r"\s*\d{1,18}\s*\Z")
_PERCENT = re.compile(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*%?\s*\Z", re.ASCII)
_YES = frozenset(("yes", "true", "1", "y", "on", "enable", "enabled", "valid"))
_NO = frozenset(("no", "false", "0", "n", "off", "disable", "disabled", "invalid"))


def text(value: object) -> str | None:
    """Any value as text."""
    return value if isinstance(value, str) else None if value is None else str(value)


def integer(value: object) -> int | None:
    """An int, be it written as a string of digits or as a float without a fraction."""
    if type(value) is int:  # nearly always, and no bool
        return value
    if isinstance(value, str) and _DIGITS.match(value):
        return int(value.strip())
    if isinstance(value, float) and value == value // 1:
        return int(value)
    return None


def time(value: object) -> datetime | None:
    """
    Epoch milliseconds as the API documents them; seconds and microseconds are told by their
    magnitude.
    """
    number = integer(value)
    if number is None or not 0 < number < 10**17:
        return None
    return _EPOCH + timedelta(
        0, 0, number if number >= 10**14 else number * (1_000 if number >= 10**11 else 1_000_000)
    )


def yes_no(value: object) -> bool | None:
    """``Yes``, ``Enable``, true, 1, "1" and the like, and their opposites."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower() if isinstance(value, str | int) else ""
    return True if word in _YES else False if word in _NO else None


def percent(value: object) -> float | None:
    """A number of percent, with its sign or without: ``"50%"``, ``"50"``, 50."""
    if isinstance(value, str) and (found := _PERCENT.match(value)):
        return float(found[1])
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Neither NaN nor infinity is less; an int too large to become a float must not be made one.
    return float(value) if abs(value) < 10**9 else None


def words(value: object) -> tuple[str, ...] | None:
    """A list of words, be it written as one string with commas."""
    if isinstance(value, str):
        return tuple(word for part in value.split(",") if (word := part.strip()))
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return tuple(value)
    return None
