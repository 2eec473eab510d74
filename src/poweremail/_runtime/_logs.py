"""
Keeping the token out of the engines' logs.

httpx logs the whole URL at INFO, and the URL of the GET call carries the token; httpcore and hpack
log headers at DEBUG, in which a server may echo it; aiohttp logs names of cookies. Their loggers
get a filter that replaces the token of the request under way; other records pass untouched.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar, Token
from types import TracebackType

from poweremail._wire.redaction import Credentials

__all__ = ["redacting"]

_LOGGERS = (
    *(
        "httpx",
        "httpcore.connection",
        "httpcore.http11",
        "httpcore.http2",
        "httpcore.proxy",
        "httpcore.socks",
    ),
    *(
        "httpx2",
        "httpcore2.connection",
        "httpcore2.http11",
        "httpcore2.http2",
        "httpcore2.proxy",
        "httpcore2.socks",
    ),
    *("hpack.hpack", "hpack.table", "aiohttp.client", "aiohttp.internal"),
)

_under_way: ContextVar[Credentials | None] = ContextVar("poweremail_credentials", default=None)


class _Filter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        credentials = _under_way.get()
        if credentials is not None:
            text = record.getMessage()
            redacted = credentials.redact_text(text)
            if redacted != text:
                record.msg, record.args = redacted, ()
        return True


_FILTER = _Filter()


class redacting:  # noqa: N801  reads as a verb: with redacting(credentials): ...
    """
    Within this block, in this task or thread, the token of *credentials* is kept out of the
    engines' logs.
    """

    __slots__ = ("_credentials", "_token")

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    @staticmethod
    def install() -> None:
        """Put the filter on the engines' loggers; once is enough, again does no harm."""
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(_FILTER)

    def __enter__(self) -> None:
        self._token: Token[Credentials | None] = _under_way.set(self._credentials)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _under_way.reset(self._token)
