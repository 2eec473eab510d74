"""
A hook that is called before each request is sent.

The pytest plugin sets it, so that no request of a test run reaches the real service. Otherwise it
is None.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Stopped", "watcher"]


class Stopped(BaseException):
    """
    Raised by a watcher: the request is not sent.

    It is not an `Exception`, so that no application handles it as a failed send.
    """


watcher: Callable[[str, object], object] | None = None
"""Called with the URL, without its query, and the transport. If it raises, the call ends."""
