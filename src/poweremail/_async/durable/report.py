"""The messages of a batch, one by one: their outcomes, or a rehearsal of sending them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, Self, TypeAlias, TypeVar

from poweremail._async.client import AsyncPowerEmail
from poweremail._async.messages import send_either
from poweremail._ledger.payload import unpack
from poweremail._ledger.values import Planned, Record
from poweremail._policy.rehearsal import Rehearsal
from poweremail._runtime._async import in_thread
from poweremail.errors import SuppressedError, UsageError

Row = TypeVar("Row", Record, Planned)
ReadPage: TypeAlias = Callable[[int], list[tuple[int, Row]]]


class _Rows(Generic[Row]):
    """
    The rows of a batch, read in pages; a page is read when its first row is needed.

    *begin*: called when the first row is needed, because the batch may be created later than this
    object; returns the function that reads the rows after the one with a number.
    """

    def __init__(self, begin: Callable[[], Awaitable[ReadPage[Row]]]) -> None:
        self._begin: Callable[[], Awaitable[ReadPage[Row]]] = begin
        self._read_page: ReadPage[Row] | None = None
        self._last = 0
        self._page: list[tuple[int, Row]] = []

    def __aiter__(self) -> Self:
        return self

    async def _next_row(self) -> Row:
        if not self._page:
            if self._read_page is None:
                self._read_page = await self._begin()
            self._page = await in_thread(self._read_page, self._last)
            self._page.reverse()
            if not self._page:
                raise StopAsyncIteration
        self._last, row = self._page.pop()
        return row


class AsyncBatchReport(_Rows[Record]):
    """The messages of a batch, in the order in which they were added."""

    async def __anext__(self) -> Record:
        return await self._next_row()


class AsyncDryRun(_Rows[Planned]):
    """
    The planned messages of a batch, each made ready to be sent: pairs of its place and of the
    error that would prevent it, or None: a `UsageError`, or a `SuppressedError` if *client* has a
    suppression store.

    ``rehearsal`` is applied to each message, if there is one. Then *client*, if it is given, checks
    the message as it does before it sends it as *smtp_user_name*.
    """

    def __init__(
        self,
        begin: Callable[[], Awaitable[ReadPage[Planned]]],
        client: AsyncPowerEmail | None,
        smtp_user_name: str | None,
    ) -> None:
        super().__init__(begin)
        self.rehearsal: Rehearsal | None = None
        self._messages = None if client is None else client.with_options(dry_run=True).messages
        self._smtp_user_name = smtp_user_name

    async def __anext__(self) -> tuple[str, UsageError | SuppressedError | None]:
        row = await self._next_row()
        place = row.key if row.line is None else f"{row.source}, line {row.line}"
        try:
            message = unpack(row.payload, row.contents, row.unique_id)
            if self.rehearsal is not None:
                if self._messages is not None:
                    # Of the recipients that it would have, not of those of the rehearsal.
                    message = await self._messages.without_suppressed(message)
                message = self.rehearsal.apply(message)
            if self._messages is not None:
                await send_either(self._messages, message, self._smtp_user_name)
        except (UsageError, SuppressedError) as error:
            return place, error
        return place, None
