"""
Keeps the token out of the engines' logs.

httpx logs the whole URL at INFO, and the URL of a GET has the token; httpcore and hpack log headers
at DEBUG, in which a server may repeat it; aiohttp logs names of cookies. The filter on their
loggers replaces the token of the request that is being sent; other records pass unchanged.

A new HTTP engine needs its loggers in `_LOGGERS`.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar

from poweremail._wire.redaction import Credentials

_LOGGERS = (
    "httpx",
    *(f"httpcore.{part}" for part in ("connection", "http11", "http2", "proxy", "socks")),
    "httpx2",
    *(f"httpcore2.{part}" for part in ("connection", "http11", "http2", "proxy", "socks")),
    "hpack.hpack",
    "hpack.table",
    "aiohttp.client",
    "aiohttp.internal",
)
"""All loggers are listed, because a filter on a logger does not see the records of its children."""

credentials_in_use: ContextVar[Credentials | None] = ContextVar(
    "poweremail_credentials", default=None
)
"""The credentials of the request that this task or thread is sending."""


class _Filter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        credentials = credentials_in_use.get()
        if credentials is not None:
            text = record.getMessage()
            redacted = credentials.redact_text(text)
            if redacted != text:
                record.msg, record.args = redacted, ()
        return True


_FILTER = _Filter()


def redact_engine_logs() -> None:
    """Put the filter on the engines' loggers; calling this again changes nothing."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)
