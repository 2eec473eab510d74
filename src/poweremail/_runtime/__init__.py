"""
The seam between the async client and the sync client: the same names, written twice by hand.

The modules called ``_async`` use anyio, their twins called ``_sync`` use threads; each pair offers
the same names with the same parameters (``tests/test_architecture.py``). Everything above uses
these names only, so that the sync client can be generated from the async one. A new way to wait, to
lock or to run many things is added to both twins. The other modules are shared by both clients:
budgets of rate limits, what engines have in common, hooks and logs.
"""

from __future__ import annotations

from collections.abc import Callable


class Stopped(BaseException):
    """
    Raised by a `watcher`: the request is not sent.

    It is not an `Exception`, so that no application handles it as a failed send.
    """


watcher: Callable[[str, object], object] | None = None
"""
Called before each request with the URL, without its query, and the transport. If it raises, the
call ends. The pytest plugin sets it, so that no request of a test run reaches the real service.
"""
