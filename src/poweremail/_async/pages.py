"""The walk over the pages of getMessageInfo."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

from poweremail.errors import ProtocolError
from poweremail.types.message_info import MessageInfo, MessageInfoPage

__all__ = ["AsyncMessageInfos"]


class AsyncMessageInfos:
    """
    Every record of a unique id, page by page; a page is fetched when its first record is asked for.

    It ends on a page that is not full. Raises `ProtocolError` where the service answers a full page with the records of an earlier
    one, which would go on for ever. A class and not a generator: it may be left at any point, and nothing stays open.
    ``page`` is the page that the last record came from, None before the first.
    """

    def __init__(self, fetch: Callable[[int], Awaitable[MessageInfoPage]], first_page: int) -> None:
        self._fetch = fetch
        self._next_page: int | None = first_page
        self._records: Iterator[MessageInfo] = iter(())
        self._seen: dict[int, int] = {}
        self.page: MessageInfoPage | None = None

    def __aiter__(self) -> AsyncMessageInfos:
        return self

    async def __anext__(self) -> MessageInfo:
        while True:
            for record in self._records:
                return record
            if self._next_page is None:
                raise StopAsyncIteration
            page = await self._fetch(self._next_page)
            self._check_new(page)
            self.page = page
            self._next_page = page.next_skip_page
            self._records = iter(page.records)

    def _check_new(self, page: MessageInfoPage) -> None:
        if page.next_skip_page is None:
            return
        # A digest a page, not the page: a walk over a million records stays small. Counts may grow and the order may change between
        # two answers, so neither is part of it.
        digest = hash(frozenset((record.email, record.time, record.subject, repr(record.extra)) for record in page.records))
        if digest in self._seen:
            self._next_page = None
            raise ProtocolError(
                f"getMessageInfo answered page {page.skip_page} with the records of page {self._seen[digest]} again", raw=page.raw
            )
        self._seen[digest] = page.skip_page
