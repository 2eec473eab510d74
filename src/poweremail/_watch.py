"""
Who is told of each request before it goes out.

Nobody, as a rule. A test run looks where its requests go, so that none of them reaches the real
service.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Stopped", "watcher"]


class Stopped(BaseException):
    """
    For a watcher to raise: the request does not go out. It is no `Exception`, so that no
    application takes it for a failure.
    """


watcher: Callable[[str, object], object] | None = None
"""Called with the URL, without its query, and the transport. What it raises ends the call."""
