"""What a batch and an outbox share: a ledger, which they may have opened themselves."""

from __future__ import annotations

import os
from types import TracebackType
from typing import TYPE_CHECKING, Self

from poweremail._extras import extras_needed
from poweremail._runtime._async import in_thread

if TYPE_CHECKING:
    from poweremail._ledger.ledger import Ledger

__all__ = ["AsyncLedgerUser"]


class AsyncLedgerUser:
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

    async def aclose(self) -> None:
        """Close the ledger, if this object has opened it."""
        if self._owns_ledger:
            await in_thread(self._ledger.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} in {self._ledger!r}>"


def _open_ledger(place: str | os.PathLike[str]) -> Ledger:
    with extras_needed("ledger"):
        from poweremail._ledger.ledger import Ledger  # noqa: PLC0415  SQLAlchemy is loaded for users of a ledger only
    return Ledger(place)
