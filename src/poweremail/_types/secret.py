"""Credentials that do not appear in texts."""

from __future__ import annotations

from typing import NoReturn

MASK = "***"


class Secret:
    """
    A credential that no repr, log line or traceback with locals shows.

    `reveal` returns it. Call it inside the expression that needs it, and never assign the result to
    a local variable: locals end up in tracebacks (Secrets: docs/design.md). It cannot be pickled,
    since a pickle would show it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    @classmethod
    def of(cls, value: str | Secret) -> Secret:
        """Return *value* as a `Secret`, unchanged if it is one already."""
        return value if isinstance(value, Secret) else cls(value)

    def reveal(self) -> str:
        """Return the credential itself."""
        return self._value

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled, since the pickle would show it; use reveal()")

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))
