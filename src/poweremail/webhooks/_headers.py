"""Headers as web frameworks have them: mappings or pairs, text or bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

__all__ = ["Headers", "header_pairs", "header_values"]

Headers = (
    Mapping[str, str]
    | Mapping[bytes, bytes]
    | Iterable[tuple[str, str]]
    | Iterable[tuple[bytes, bytes]]
)
"""A mapping or pairs of name and value. Names are compared without regard to case."""


def header_pairs(headers: Headers) -> Iterator[tuple[str, str]]:
    """Return each name and value as text; bytes become the characters of the same numbers."""
    for name, value in cast("Any", headers).items() if isinstance(headers, Mapping) else headers:
        yield _text(name), _text(value)


def header_values(headers: Headers, name: str) -> list[str]:
    """Return the values of every header called *name*, without the white space around them."""
    wanted = name.lower()
    return [value.strip() for key, value in header_pairs(headers) if key.lower() == wanted]


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
