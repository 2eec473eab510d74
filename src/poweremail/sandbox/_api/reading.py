"""
Read the members out of the bytes of a request.

The service does not publish its texts for requests that cannot be read; these are the sandbox's.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any
from urllib.parse import parse_qsl

from poweremail.sandbox._api.responses import Members, Refusal

_MAX_DEPTH = 32
"""Levels of nesting: more than any request needs, and few enough for every recursive reader."""
_MAX_FIELDS = 10_000
"""Fields of a query, more than any request needs."""
_DYNAMIC_VALUE = re.compile(r"dynamic_value\[(.*)\]\Z", re.DOTALL)


def read_json(body: bytes) -> Members:
    """Read the body of a POST. Raises `Refusal` if it is not a JSON object of sound text."""
    try:
        members = json.loads(body.decode("utf-8-sig"), parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        raise Refusal("The body is not valid JSON") from None
    if not isinstance(members, dict):
        raise Refusal("The body is not a JSON object")
    _check(members)
    return members


def read_query(query: str) -> Members:
    """Read the query of a GET; its ``dynamic_value[NAME]`` fields become one object."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise Refusal("The query has too many fields") from None
    members: Members = {}
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


def _reject_constant(name: str) -> None:
    # Python reads NaN and Infinity, but JSON has neither.
    raise ValueError(name)


def _check(members: Any) -> None:
    """
    Reject values that could not be stored: deep nesting, infinite numbers, lone surrogates.

    It goes level by level, so deep nesting does not exhaust the stack.
    """
    level = [members]
    for _ in range(_MAX_DEPTH):
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                _check_text(item)
            elif isinstance(item, float) and not math.isfinite(item):
                # 1e999 is valid JSON; Python reads it as infinity.
                raise Refusal("The body has a number that is too large")
            elif isinstance(item, dict):
                below += (*item, *item.values())
            elif isinstance(item, list):
                below += item
        if not below:
            return
        level = below
    raise Refusal("The body is nested too deeply")


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refusal("The body has text that is not valid Unicode") from None
