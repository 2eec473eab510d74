# Generated from src/poweremail/_async/message_infos.py; do not edit.
"""
Iterating over the pages of getMessageInfo.

Theory of operation. The service returns the records of a unique id in pages of 100 and does not say
how many there are: a page that is not full is the last. One page after the other costs a round trip
for each hundred records, so with *look_ahead* the iterator fetches pages in bursts. The invariant
is that nothing runs between two records: a burst is fetched as a whole, inside `__next__`, and its
pages are queued. The caller can therefore stop at any record and nothing stays open. Fetching in
the background would be faster still, but every loop would need a block around it that ends it.

The first page comes alone, since most ids have one. The first burst has *look_ahead* pages and each
further one twice as many, up to `_MAX_BURST_FACTOR` times as many, because a burst ends with its
slowest page: fewer, longer bursts wait less. A caller that stops early has caused about twice as
many requests as it has read pages, at most.

A service that ignores the page number would be read forever, so each full page is compared with all
earlier ones, by a hash: one integer a page keeps a walk over a million records small.

Tests: ``test_pages`` counts requests and repeats pages against an HTTP server.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import takewhile
from operator import attrgetter

from poweremail._policy.outcome import NO_MAIL
from poweremail._runtime._sync_many import BoundedMap
from poweremail._sync.exchange import Exchange
from poweremail._types.checks import is_whole
from poweremail._types.message_info import MessageInfo, MessageInfoPage
from poweremail._wire import decode, encode
from poweremail._wire.http import Endpoint
from poweremail.errors import ConfigurationError, ProtocolError

_MAX_BURST_FACTOR = 16
"""The largest burst, as a multiple of *look_ahead*."""

_identity = attrgetter("email", "time", "subject")


def fetch_page(
    exchange: Exchange,
    endpoint: Endpoint,
    unique_id: str,
    number: int,
    deadline: float = math.inf,
) -> MessageInfoPage:
    """Return page *number* (from 0) of the records of *unique_id*."""
    request = encode.get_message_info(endpoint, unique_id, number)
    response = exchange.run(request, NO_MAIL, deadline)
    return decode.message_info_page(response, unique_id, number)


class MessageInfos:
    """
    Every record of a unique id. A page is fetched when its first record is needed.

    With *look_ahead*, pages after the first are fetched several at once: *look_ahead* pages, then
    twice as many each time, up to sixteen times *look_ahead*. At the end that costs up to
    *look_ahead* - 1 requests for pages that do not exist. The iteration may be left at any record;
    nothing stays open.

    Raises `ProtocolError` if the service returns the records of an earlier page again, and what the
    request for a page raised when that page is due; iterating on requests it again.

    ``page`` is the page that the last record came from, None before the first.
    """

    def __init__(
        self,
        exchange: Exchange,
        endpoint: Endpoint,
        unique_id: str,
        first_page: int = 0,
        look_ahead: int = 0,
        deadline: float = math.inf,
    ) -> None:
        if not is_whole(look_ahead):
            raise ConfigurationError(
                f"must be a number of pages, not {look_ahead!r}", field="look_ahead"
            )
        self._exchange = exchange
        self._endpoint = endpoint
        self._unique_id = unique_id
        self._look_ahead = look_ahead
        self._deadline = deadline
        self._next_page: int | None = first_page
        self._burst = look_ahead
        self._fetched: deque[MessageInfoPage | Exception] = deque()
        self._records: Iterator[MessageInfo] = iter(())
        self._digests: dict[int, int] = {}  # of pages that are not compared yet, by number
        self._known: dict[int, int] = {}  # the numbers of those that are, by digest
        self.page: MessageInfoPage | None = None

    def __iter__(self) -> MessageInfos:
        return self

    def __next__(self) -> MessageInfo:
        while (record := next(self._records, None)) is None:
            if self._next_page is None:
                raise StopIteration
            page = self._get(self._next_page)
            self._check_new(page)
            self.page = page
            self._next_page = page.next_skip_page
            self._records = iter(page.records)
        return record

    def _get(self, number: int) -> MessageInfoPage:
        if self._look_ahead and not self._fetched and self.page is not None:
            self._fetch_burst(range(number, number + self._burst))
            self._burst = min(self._burst * 2, self._look_ahead * _MAX_BURST_FACTOR)
        if not self._fetched:
            return self._fetch(number)
        page = self._fetched.popleft()
        if isinstance(page, Exception):
            self._fetched.clear()
            raise page
        return page

    def _fetch_burst(self, numbers: Iterable[int]) -> None:
        """
        Fetch the pages *numbers*; after an error or the last page no further one is begun.
        """
        fetched: dict[int, MessageInfoPage | Exception] = {}
        ended = False

        def fetch(_: int, number: int) -> None:
            nonlocal ended
            try:
                page = fetched[number] = self._fetch(number)
                ended = ended or page.next_skip_page is None
            except Exception as error:  # noqa: BLE001  raised when its page is due
                fetched[number] = error
                ended = True

        wanted = takewhile(lambda _: not ended, numbers)
        with BoundedMap(fetch, wanted, self._look_ahead) as ends:
            for _ in ends:
                pass
        self._fetched.extend(fetched[number] for number in sorted(fetched))

    def _fetch(self, number: int) -> MessageInfoPage:
        page = fetch_page(self._exchange, self._endpoint, self._unique_id, number, self._deadline)
        # Records without unknown members share one mapping, so few are looked at.
        extras = {id(record.extra): record.extra for record in page.records}.values()
        # Counts may grow and the order may change between two responses, so neither is included.
        # Computed here, where other pages are on their way meanwhile.
        self._digests[number] = hash(
            (frozenset(map(_identity, page.records)), frozenset(map(repr, extras)))
        )
        return page

    def _check_new(self, page: MessageInfoPage) -> None:
        number = page.skip_page
        same = self._known.setdefault(self._digests.pop(number), number)
        if same != number and page.next_skip_page is not None:
            self._next_page = None
            raise ProtocolError(
                f"getMessageInfo returned page {number} with the records of page {same} again",
                raw=page.raw,
            )
