# Generated from src/poweremail/_async/durable/__init__.py; do not edit.
"""
Durable batches: they send the rows of a ledger and record each outcome in it.

Read `batch` first, the user's view; `outbox` is a batch that mails are added to one by one. `run`
takes rows and yields their outcomes, `send` sends one. An option of a batch goes into
`poweremail.batch._options`, what an error means for a row into `poweremail._ledger.verdicts`. The
ledger itself, which knows neither HTTP nor a client, is `poweremail._ledger`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self

from poweremail._lazy import extras_needed
from poweremail._runtime._sync import in_thread

if TYPE_CHECKING:
    from poweremail._ledger.ledger import Ledger


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

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} in {self._ledger!r}>"


def _open_ledger(place: str | os.PathLike[str]) -> Ledger:
    with extras_needed("ledger"):
        from poweremail._ledger.ledger import Ledger  # noqa: PLC0415  SQLAlchemy is loaded for users of a ledger only
    return Ledger(place)
