# Generated from src/poweremail/_async/durable/ledger_user.py; do not edit.
"""What a batch and an outbox share: a ledger, which they may have opened themselves."""

from __future__ import annotations

import os
from types import TracebackType
from typing import TYPE_CHECKING, Self

from poweremail._extras import extras_needed
from poweremail._runtime._sync import in_thread

if TYPE_CHECKING:
    from poweremail._ledger.ledger import Ledger

__all__ = ["LedgerUser"]


class LedgerUser:
    """
    Something called *name* in *ledger*: its place, or a `Ledger`.

    As a context manager it closes a ledger that it has opened. Raises `ConfigurationError` if
    *ledger* is invalid, or SQLAlchemy is not installed.
    """

    def __init__(self, ledger: str | os.PathLike[str] | Ledger, name: str) -> None:
        self.name = name
        self._owns_ledger = isinstance(ledger, str | os.PathLike)
        self._ledger: Ledger = (
            _open_ledger(ledger) if isinstance(ledger, str | os.PathLike) else ledger
        )

    def close(self) -> None:
        """Close the ledger, if this object has opened it."""
        if self._owns_ledger:
            in_thread(self._ledger.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} in {self._ledger!r}>"


def _open_ledger(place: str | os.PathLike[str]) -> Ledger:
    with extras_needed("ledger"):
        from poweremail._ledger.ledger import Ledger  # noqa: PLC0415  SQLAlchemy is loaded for users of a ledger only
    return Ledger(place)
