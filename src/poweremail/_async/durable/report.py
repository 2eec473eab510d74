"""A walk over the messages of a batch: what became of them, or what would become of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from poweremail._ledger.payload import unpack
from poweremail._ledger.rehearsal import Rehearsal
from poweremail._ledger.states import State
from poweremail._ledger.values import Record
from poweremail._runtime._async import in_thread
from poweremail.errors import UsageError

if TYPE_CHECKING:
    from poweremail._ledger.ledger import Ledger

__all__ = ["AsyncBatchReport", "AsyncDryRun"]


class AsyncBatchReport:
    """The messages of a batch, page by page; a page is read when its first message is asked for."""

    def __init__(
        self, ledger: Ledger, find: Callable[[], Awaitable[int]], states: frozenset[State] | None
    ) -> None:
        self._ledger = ledger
        self._find = find
        self._number: int | None = None
        self._states = states
        self._above = 0
        self._page: list[tuple[int, Record]] = []

    def __aiter__(self) -> AsyncBatchReport:
        return self

    async def __anext__(self) -> Record:
        if not self._page:
            if self._number is None:
                self._number = await self._find()
            self._page = await in_thread(self._ledger.page, self._number, self._above, self._states)
            self._page.reverse()
            if not self._page:
                raise StopAsyncIteration
        self._above, record = self._page.pop()
        return record


class AsyncDryRun:
    """
    The planned messages of a batch, each as it would go out, one by one: a pair of where it comes
    from and of the `UsageError` that it would end in, or None.
    """

    def __init__(
        self,
        ledger: Ledger,
        find: Callable[[], Awaitable[int]],
        rehearse: Callable[[int], Awaitable[Rehearsal | None]],
    ) -> None:
        self._ledger = ledger
        self._find = find
        self._rehearse = rehearse
        self._number: int | None = None
        self._rehearsal: Rehearsal | None = None
        self._above = 0
        self._page: list[tuple[int, Any]] = []

    def __aiter__(self) -> AsyncDryRun:
        return self

    async def __anext__(self) -> tuple[str, UsageError | None]:
        if not self._page:
            if self._number is None:
                self._number = await self._find()
                self._rehearsal = await self._rehearse(self._number)
            self._page = await in_thread(self._ledger.planned, self._number, self._above)
            self._page.reverse()
            if not self._page:
                raise StopAsyncIteration
        self._above, row = self._page.pop()
        where = row.key if row.line is None else f"{row.source}, line {row.line}"
        try:
            message = unpack(row.payload, row.contents, row.unique_id)
            if self._rehearsal is not None:
                self._rehearsal.apply(message)
        except UsageError as error:
            return where, error
        return where, None
