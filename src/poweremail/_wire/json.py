"""
JSON in three strengths: `loads` is strict, `loads_lenient` forgives, `loads_text` explains.

- Requests and most responses are read and written by orjson if it is installed (the extra
  ``fast``), else by the standard library, with the same results. Where the two would differ, the
  standard library decides: it gets whatever orjson rejects, and integers that orjson would read as
  floats.
- The service does not always print JSON: its own documentation shows responses with a comma before
  the closing bracket, words without quotes, missing commas and a member given twice. The lenient
  parser reads these, but only after the strict one has failed, and it rejects whatever is not
  closed: a truncated response must not pass for a complete one.
- People write JSON, too. The error says where it is wrong, in words that do not depend on the
  version of Python.
"""

from __future__ import annotations

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]  # json/decoder.py: not documented
from types import ModuleType
from typing import Any

orjson: ModuleType | None
try:
    import orjson
except ModuleNotFoundError:
    orjson = None

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))

_DIGITS_TO_ZERO = bytes(ord("0") if byte in b"0123456789" else ord(" ") for byte in range(256))
_LONG_INTEGER = b"0" * 19
"""An integer with fewer digits fits into 64 bits, which is what orjson reads exactly."""
_LONG_INTEGER_IN_THIRDS = b"0" * (19 // 3)

_SPACE = re.compile(r"[ \t\r\n]*")
# A number ends its line or stands before punctuation: "250 Message Queued" without quotes is text.
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?=[ \t]*(?:[\r\n,\]}\"]|\Z))")
_BARE_WORDS = re.compile(r'[^\s,:\[\]{}"<>][^,:\[\]{}"<>\r\n]*')
_LITERALS = {"true": True, "false": False, "null": None}

_EXCERPT_CHARS = 20
"""Characters of wrong JSON that an error quotes."""


def dumps(value: Any, *, plain: bool = False) -> bytes:
    """
    Write *value* as UTF-8 without spaces and unnecessary escapes. NaN is rejected.

    *plain*: the value consists of dicts, lists, strings and integers only, so orjson may write it;
    it writes other types, such as floats and dates, in its own way.

    Raises TypeError, ValueError or RecursionError if the value cannot be written.
    """
    if plain and orjson is not None:
        try:
            return bytes(orjson.dumps(value))
        except TypeError:
            pass
    return _ENCODER.encode(value).encode()


def loads(body: bytes) -> Any:
    """
    Read *body* strictly.

    Raises ValueError if it is not JSON, RecursionError if it is nested too deeply.
    """
    # orjson reads an integer of more than 64 bits as a float, and does not say so.
    if orjson is not None and not _may_have_long_integer(body):
        try:
            return orjson.loads(body)
        except ValueError:
            pass
    return json.loads(body, parse_int=_integer)


def _integer(digits: str) -> int | str:
    # Python refuses to read more than some thousand digits. The rest of a response is still right.
    try:
        return int(digits)
    except ValueError:
        return digits


def _may_have_long_integer(body: bytes) -> bool:
    # Two searches, because nearly every body ends with the first. It looks at every third byte: a
    # long integer leaves a run of six digits there, a time in milliseconds one of five at most. For
    # a page of 100 records (32 KB) that takes 20 µs, one full search 29 µs, a regular expression
    # 310 to 420 µs; the page is decoded in 320 µs. find(), because "in" first tries to read the
    # bytes as a number.
    return (
        body[::3].translate(_DIGITS_TO_ZERO).find(_LONG_INTEGER_IN_THIRDS) >= 0
        and body.translate(_DIGITS_TO_ZERO).find(_LONG_INTEGER) >= 0
    )


def loads_lenient(body: bytes, *, keep_repeats: bool = False) -> Any:
    """
    Read *body* strictly or, if that fails, leniently.

    *keep_repeats*: read leniently at once; if ``clickData`` is given twice, the object stays under
    this name, and the number becomes ``click``.

    Raises ValueError if it is not a complete JSON value even so, RecursionError if it is nested too
    deeply.
    """
    if not keep_repeats:
        try:
            return loads(body)
        except ValueError:
            pass
    return _LenientParser(body.decode("utf-8-sig", "replace")).parse()


def loads_text(text: str) -> Any:
    """
    Read JSON that a person has written.

    Raises ValueError, whose text says where it is wrong; it continues "is not JSON: ".
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(_explanation(error)) from None
    except ValueError:
        # Python does not read integers of more than some thousand digits.
        raise ValueError("it has a number with too many digits") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _explanation(error: json.JSONDecodeError) -> str:
    text, position = error.doc, error.pos
    if not text.strip():
        return "it is empty"
    if not text[position:].strip():
        return "it ends too early"
    rest = text[position:].split("\n", 1)[0].strip()
    line = f"line {error.lineno}, " if "\n" in text.rstrip() else ""
    # The repr, because outside of strings there may be control characters that move the cursor.
    return (
        f"it goes wrong at {line}character {error.colno}, "
        f"{rest[:_EXCERPT_CHARS]!r}{'...' if len(rest) > _EXCERPT_CHARS else ''}"
    )


class _LenientParser:
    """A recursive descent over *text*; each method parses one thing and moves the position on."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def parse(self) -> Any:
        value = self._value()
        self._skip_space()
        if self._position < len(self._text):
            raise self._error("text after the value")
        return value

    def _value(self) -> Any:
        match self._peek():
            case "{":
                return self._object()
            case "[":
                return self._array()
            case '"':
                value, self._position = scanstring(self._text, self._position + 1, False)
                return value
            case _:
                return self._bare()

    def _object(self) -> dict[str, Any]:
        members: dict[str, Any] = {}
        self._position += 1
        while self._has_next("}"):
            name = self._value()
            if not isinstance(name, str) or self._peek() != ":":
                raise self._error("no name and colon")
            self._position += 1
            value = self._value()
            # The documentation gives clickData twice: the events, then their number, which is
            # "click" elsewhere.
            if (
                name == "clickData"
                and isinstance(members.get(name), dict)
                and isinstance(value, int)
            ):
                members.setdefault("click", value)
            else:
                members[name] = value
        return members

    def _array(self) -> list[Any]:
        items: list[Any] = []
        self._position += 1
        while self._has_next("]"):
            items.append(self._value())
        return items

    def _has_next(self, closing: str) -> bool:
        """Skip a comma if there is one, and *closing*; return False if that came."""
        if self._peek() == ",":
            self._position += 1
        if self._peek() != closing:
            return True
        self._position += 1
        return False

    def _bare(self) -> Any:
        if number := _NUMBER.match(self._text, self._position):
            self._position = number.end()
            return json.loads(number.group(), parse_int=_integer)
        if words := _BARE_WORDS.match(self._text, self._position):
            self._position = words.end()
            text = words.group().strip()
            return _LITERALS.get(text, text)
        raise self._error("no value")

    def _peek(self) -> str:
        self._skip_space()
        if self._position >= len(self._text):
            raise self._error("the end came too early")
        return self._text[self._position]

    def _skip_space(self) -> None:
        if space := _SPACE.match(self._text, self._position):
            self._position = space.end()

    def _error(self, reason: str) -> ValueError:
        return json.JSONDecodeError(reason, self._text, self._position)
