"""
What a number must be before it may be meant; a bool, which Python counts among the numbers, never
is.
"""

from __future__ import annotations

import math
from typing import TypeGuard

__all__ = ["is_number", "is_whole"]


def is_whole(value: object, least: int = 0) -> TypeGuard[int]:
    """Whether *value* is an int of *least* or more."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_number(value: object, least: float = 0.0, most: float = math.inf) -> TypeGuard[float]:
    """Whether *value* is an int or a float from *least* to *most*, and finite."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and least <= value <= most
        and value < math.inf
    )
