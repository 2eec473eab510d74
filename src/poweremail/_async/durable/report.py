"""The messages of a batch, one by one: their outcomes, or a rehearsal of sending them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from poweremail._ledger.payload import unpack
from poweremail._ledger.states import State
from poweremail._ledger.values import Planned, Record
from poweremail._policy.rehearsal import Rehearsal
from poweremail._runtime._async import in_thread
from poweremail.errors import UsageError

if TYPE_CHECKING:
    from poweremail._ledger.ledger import Ledger

__all__ = ["AsyncBatchReport", "AsyncDryRun"]

Row = TypeVar("Row", Record, Planned)


class _Rows(Generic[Row]):
    """
    The rows of a batch, read in pages; a page is read when its first row is needed.

    *find*: returns the number of the batch; it is called when the first row is needed, because the
    batch may be created later than this object.
    *read_page*: reads the rows after the one with a number.
    """

    def __init__(
        self,
        find: Callable[[], Awaitable[int]],
        read_page: Callable[[int, int], list[tuple[int, Row]]],
    ) -> None:
        self._find = find
        self._read_page: Callable[[int, int], list[tuple[int, Row]]] = read_page
        self._batch: int | None = None
        self._last = 0
        self._page: list[tuple[int, Row]] = []

    def __aiter__(self) -> Self:
        return self

    async def _next_row(self) -> Row:
        if not self._page:
            if self._batch is None:
                self._batch = await self._find()
            self._page = await in_thread(self._read_page, self._batch, self._last)
            self._page.reverse()
            if not self._page:
                raise StopAsyncIteration
        self._last, row = self._page.pop()
        return row


class AsyncBatchReport(_Rows[Record]):
    """The messages of a batch, in the order in which they were added."""

    def __init__(
        self, ledger: Ledger, find: Callable[[], Awaitable[int]], states: frozenset[State] | None
    ) -> None:
        super().__init__(find, partial(ledger.page, states=states))

    async def __anext__(self) -> Record:
        return await self._next_row()


class AsyncDryRun(_Rows[Planned]):
    """
    The planned messages of a batch, each made ready to be sent: pairs of its place and of the
    `UsageError` that would prevent it, or None.
    """

    def __init__(
        self,
        ledger: Ledger,
        find: Callable[[], Awaitable[int]],
        rehearse: Callable[[int], Awaitable[Rehearsal | None]],
    ) -> None:
        super().__init__(self._begin, ledger.planned)
        self._find_batch = find
        self._rehearse = rehearse
        self._rehearsal: Rehearsal | None = None

    async def _begin(self) -> int:
        batch = await self._find_batch()
        self._rehearsal = await self._rehearse(batch)
        return batch

    async def __anext__(self) -> tuple[str, UsageError | None]:
        row = await self._next_row()
        place = row.key if row.line is None else f"{row.source}, line {row.line}"
        try:
            message = unpack(row.payload, row.contents, row.unique_id)
            if self._rehearsal is not None:
                self._rehearsal.apply(message)
        except UsageError as error:
            return place, error
        return place, None
