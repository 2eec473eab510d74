"""
What a server has been doing with the connections that it is expected to keep.

Nobody can prove that a mail was not read whose connection ended after the mail had left, not even
by what the system knows of TCP: a server may read what it does not acknowledge, and may read on
after its own end of the connection is closed. So the way to have no such mails is to send none over
a connection that is about to end. A server that closes connections early does so again, and soon.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import lru_cache

_MAX_SERVERS = 32
_PER_CLOSE = 10
_FREQUENT = 10
_MAX_COUNT = 30


class Closings:
    """
    How often one server closes connections between two requests.

    Each connection that it closed early counts ten, each that it kept takes one back. So a server
    that closes one in ten or more closes *frequently*, and connections to it are used once. That
    ends when it keeps ten to twenty in a row: a restart, which ends all connections at once, costs
    as many new ones.

    ``count`` is 0 if there is nothing to forget. Threads may call `note` at once; if one note is
    lost, the others say the same.
    """

    def __init__(self) -> None:
        self.count = 0
        self.frequent = False

    def note(self, *, closed: bool) -> None:
        """Note that the server *closed* a connection early, or kept it."""
        if closed:
            self.count = min(self.count + _PER_CLOSE, _MAX_COUNT)
        else:
            self.count = max(self.count - 1, 0)
        self.frequent = self.count > _FREQUENT


def closings_by_server() -> Callable[[Hashable], Closings]:
    """Return a function that returns what is known of a server, for those that are in use."""
    return lru_cache(_MAX_SERVERS)(lambda _: Closings())
