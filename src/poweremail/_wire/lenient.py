"""
JSON as the service prints it.

Its own page shows answers with a comma before the closing bracket, words without quotes, commas
left out and a member given twice. The strict parser reads every good answer; this one is asked only
after that has failed, and still refuses whatever is not closed: a truncated answer must not pass
for a whole one.
"""

from __future__ import annotations

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from poweremail._wire import fast_json

__all__ = ["loads", "loads_with_repeats"]

_SPACE = re.compile(r"[ \t\r\n]*")
# A number ends its line or stands before punctuation: "250 Message Queued" without quotes is a
# text.
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?=[ \t]*(?:[\r\n,\]}\"]|\Z))")
_BARE_WORDS = re.compile(r'[^\s,:\[\]{}"<>][^,:\[\]{}"<>\r\n]*')
_WORDS = {"true": True, "false": False, "null": None}


def loads(body: bytes) -> Any:
    """
    Read *body* as JSON, leniently if need be.

    Raises ValueError where it is no whole JSON value even so, RecursionError where it is nested too
    deeply.
    """
    try:
        return fast_json.loads(body)
    except ValueError:
        return _Reader(body.decode("utf-8-sig", "replace")).read()


def loads_with_repeats(body: bytes) -> Any:
    """
    Read *body* as `loads` does; where a member is given twice, keep the object under its name and
    lose no number.
    """
    return _Reader(body.decode("utf-8-sig", "replace")).read()


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        # The page's example gives clickData twice: the events, then (where "click" is meant) their
        # number.
        if name == "clickData" and isinstance(members.get(name), dict) and isinstance(value, int):
            members.setdefault("click", value)
        else:
            members[name] = value
    return members


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def read(self) -> Any:
        value = self._value()
        self._skip()
        if self._at < len(self._text):
            raise self._error("text after the value")
        return value

    def _value(self) -> Any:
        match self._peek():
            case "{":
                return _members(self._pairs())
            case "[":
                return self._items()
            case '"':
                value, self._at = scanstring(self._text, self._at + 1, False)
                return value
            case _:
                return self._bare()

    def _pairs(self) -> list[tuple[str, Any]]:
        pairs: list[tuple[str, Any]] = []
        self._at += 1
        while self._next_unless("}"):
            name = self._value()
            if not isinstance(name, str) or self._peek() != ":":
                raise self._error("no name and colon")
            self._at += 1
            pairs.append((name, self._value()))
        return pairs

    def _items(self) -> list[Any]:
        items: list[Any] = []
        self._at += 1
        while self._next_unless("]"):
            items.append(self._value())
        return items

    def _next_unless(self, closing: str) -> bool:
        """
        Step over a comma, wanted or not; say whether another member follows before *closing*, and
        step over that.
        """
        if self._peek() == ",":
            self._at += 1
        if self._peek() != closing:
            return True
        self._at += 1
        return False

    def _bare(self) -> Any:
        if number := _NUMBER.match(self._text, self._at):
            self._at = number.end()
            return json.loads(number.group())
        if words := _BARE_WORDS.match(self._text, self._at):
            self._at = words.end()
            text = words.group().strip()
            return _WORDS.get(text, text)
        raise self._error("no value")

    def _peek(self) -> str:
        self._skip()
        if self._at >= len(self._text):
            raise self._error("the end came too early")
        return self._text[self._at]

    def _skip(self) -> None:
        found = _SPACE.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _error(self, why: str) -> ValueError:
        return json.JSONDecodeError(why, self._text, self._at)
