"""
JSON that people write, read strictly; what is wrong with it is said in words that do not depend on
the version of Python.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["read_json"]

_SHOWN = 20


def read_json(text: str) -> Any:
    """
    Return what *text* says.

    Raises ValueError whose words say from where on it is no JSON, to follow after "is not JSON: ".
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(_why(error)) from None
    except ValueError:
        # Python reads no numbers of more than some thousand digits.
        raise ValueError("it has a number with too many digits") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _why(error: json.JSONDecodeError) -> str:
    text, position = error.doc, error.pos
    rest = text[position:].split("\n", 1)[0].strip()
    if not text.strip():
        return "it is empty"
    if not text[position:].strip():
        return "it ends too early"
    line = "" if "\n" not in text.rstrip() else f"line {error.lineno}, "
    # What is outside of strings may be anything at all, and is shown so that it can move no cursor.
    return (
        f"it goes wrong at {line}character {error.colno}, "
        f"{rest[:_SHOWN]!r}{'...' if len(rest) > _SHOWN else ''}"
    )
