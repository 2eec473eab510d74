"""
From the bytes of a request to its members.

Whatever cannot be read is refused in words of the sandbox's own: what the service says to it is
published nowhere.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any
from urllib.parse import parse_qsl

from poweremail.sandbox._api.responses import Refusal

__all__ = ["read_json", "read_query"]

# Far more than any request of the API needs, and little enough for every reader of what was stored.
_DEEPEST = 32
_MOST_FIELDS = 10_000
_DYNAMIC_VALUE = re.compile(r"dynamic_value\[(.*)\]\Z", re.DOTALL)


def read_json(body: bytes) -> dict[str, Any]:
    """Read the body of a POST. Raises `Refusal` where it is no JSON object of sound text."""
    try:
        members = json.loads(body.decode("utf-8-sig"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refusal("The body is not valid JSON") from None
    if not isinstance(members, dict):
        raise Refusal("The body is not a JSON object")
    _check(members)
    return members


def read_query(query: str) -> dict[str, Any]:
    """
    Read the query of a GET; its ``dynamic_value[NAME]`` fields become one object. Raises `Refusal`
    where there are too many.
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise Refusal("The query has too many fields") from None
    members: dict[str, Any] = {}
    dynamic_value: dict[str, str] = {}
    for name, value in pairs:
        if found := _DYNAMIC_VALUE.match(name):
            dynamic_value[found.group(1)] = value
        else:
            members[name] = value
    if dynamic_value:
        members["dynamic_value"] = dynamic_value
    _check(members)
    return members


def _no_constant(name: str) -> None:
    # Python reads NaN and Infinity, JSON knows neither.
    raise ValueError(name)


def _check(value: Any) -> None:
    """
    Refuse what could not be kept: deep nesting, infinite numbers, lone surrogates. Goes level by
    level: depth is no danger.
    """
    level = [value]
    for _ in range(_DEEPEST):
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                _check_text(item)
            elif isinstance(item, float):
                _check_number(item)
            elif isinstance(item, dict):
                below.extend(item)
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if not below:
            return
        level = below
    raise Refusal("The body is nested too deeply")


def _check_number(number: float) -> None:
    # 1e999 is sound JSON; Python reads it as infinity.
    if not math.isfinite(number):
        raise Refusal("The body has a number that is too large")


def _check_text(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refusal("The body has text that is not valid Unicode") from None
