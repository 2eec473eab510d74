"""
JSON by orjson where it is installed (the extra ``fast``), and by the standard library otherwise:
the same results, sooner.

Where the two would differ, the standard library has the last word: it gets whatever orjson refuses,
and integers that orjson would read as floats.
"""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

orjson: ModuleType | None
try:
    import orjson
except ModuleNotFoundError:
    orjson = None

__all__ = ["dumps", "loads"]

_WRITER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))

_TO_DIGITS = (
    bytes(ord("0") if chr(byte).isdecimal() else ord(" ") for byte in range(128)) + b" " * 128
)
_LONG_NUMBER = b"0" * 19
"""An integer of fewer digits fits into 64 bits."""
_STRIDE = 3
_LONG_IN_STRIDES = b"0" * (len(_LONG_NUMBER) // _STRIDE)
"""
What is left of it at least where every third byte is looked at, which is quicker; a time in
milliseconds leaves less.
"""


def dumps(value: Any, *, checked: bool = False) -> bytes:
    """
    Write *value* as UTF-8 without spaces, NaN or escapes that are not needed.

    *checked* says that it is made of dicts, lists, strings and integers alone: of other things,
    such as floats and dates, orjson has views of its own. Raises TypeError, ValueError or
    RecursionError where it cannot be written.
    """
    if checked and orjson is not None:
        try:
            return bytes(orjson.dumps(value))
        except TypeError:
            pass
    return _WRITER.encode(value).encode()


def loads(body: bytes) -> Any:
    """
    Read *body*. Raises ValueError where it is no JSON, RecursionError where it is nested too
    deeply.
    """
    if orjson is not None and not _may_have_long_number(body):
        try:
            return orjson.loads(body)
        except ValueError:
            pass
    return json.loads(body)


def _may_have_long_number(body: bytes) -> bool:
    # Not "in", which is several times as slow: it takes bytes for a number at first.
    return (
        body[::_STRIDE].translate(_TO_DIGITS).find(_LONG_IN_STRIDES) >= 0
        and body.translate(_TO_DIGITS).find(_LONG_NUMBER) >= 0
    )
