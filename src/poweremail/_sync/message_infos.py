# Generated from src/poweremail/_async/message_infos.py; do not edit.
"""The walk over the pages of getMessageInfo."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from operator import attrgetter

from poweremail._runtime._sync_many import together
from poweremail._types.message_info import MessageInfo, MessageInfoPage
from poweremail.errors import ProtocolError, UsageError

__all__ = ["MessageInfos"]


_identity = attrgetter("email", "time", "subject")
_LONGEST = 8
"""
Times *look_ahead* that a burst has at most: the next one waits for the slowest of it, so fewer and
longer ones are quicker.
"""


class MessageInfos:
    """
    Every record of a unique id, page by page; a page is fetched when its first record is asked for.

    With *look_ahead*, pages are fetched in bursts, so many at once: none before the first page has
    shown that there are more, *look_ahead* pages then, and each time twice as many, up to eight
    times *look_ahead*. They are held until their turn has come, and nothing is under way between
    two records: the walk may be left at any point, and nothing stays open. Beyond the last page
    that costs up to *look_ahead* - 1 requests more than a walk without.

    It ends on a page that is not full. Raises `ProtocolError` where the service answers a full page
    with the records of an earlier one, which would go on for ever. What a page's request ends in is
    raised when the page's turn has come; going on asks for it again. ``page`` is the page that the
    last record came from, None before the first.
    """

    def __init__(
        self,
        fetch: Callable[[int], MessageInfoPage],
        first_page: int,
        look_ahead: int = 0,
    ) -> None:
        if isinstance(look_ahead, bool) or not isinstance(look_ahead, int) or look_ahead < 0:
            raise UsageError(
                f"must be a number of pages, not {look_ahead!r}",
                field="look_ahead",
                mail_state=None,
            )
        self._fetch = fetch
        self._look_ahead = look_ahead
        self._next_page: int | None = first_page
        self._burst = look_ahead
        self._ahead: deque[MessageInfoPage | Exception] = deque()
        self._records: Iterator[MessageInfo] = iter(())
        self._seen: dict[int, int] = {}
        self.page: MessageInfoPage | None = None

    def __iter__(self) -> MessageInfos:
        return self

    def __next__(self) -> MessageInfo:
        while True:
            for record in self._records:
                return record
            if self._next_page is None:
                raise StopIteration
            page = self._take(self._next_page)
            self._check_new(page)
            self.page = page
            self._next_page = page.next_skip_page
            self._records = iter(page.records)

    def _take(self, number: int) -> MessageInfoPage:
        if self._look_ahead and not self._ahead and self.page is not None:
            numbers = range(number, number + self._burst)
            fetched = together(self._fetch, numbers, self._look_ahead, _is_last)
            self._ahead.extend(fetched)
            # No more is fetched in vain by who leaves early than has been read before, or nearly
            # so.
            self._burst = min(self._burst * 2, self._look_ahead * _LONGEST)
        if not self._ahead:
            return self._fetch(number)
        page = self._ahead.popleft()
        if isinstance(page, Exception):
            self._ahead.clear()
            raise page
        return page

    def _check_new(self, page: MessageInfoPage) -> None:
        if page.next_skip_page is None:
            return
        # A digest a page, not the page: a walk over a million records stays small. Counts may grow
        # and the order may change between two answers, so neither is part of it.
        further = [repr(record.extra) for record in page.records if record.extra]
        digest = hash((frozenset(map(_identity, page.records)), frozenset(further)))
        if digest in self._seen:
            self._next_page = None
            raise ProtocolError(
                f"getMessageInfo answered page {page.skip_page} with the records of page "
                f"{self._seen[digest]} again",
                raw=page.raw,
            )
        self._seen[digest] = page.skip_page


def _is_last(page: MessageInfoPage) -> bool:
    return page.next_skip_page is None
