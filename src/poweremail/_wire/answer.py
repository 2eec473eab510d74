"""The body of an answer as it comes in: inflated, and no larger than allowed."""

from __future__ import annotations

import zlib

from poweremail.errors import ProtocolError

__all__ = ["ACCEPT_ENCODING", "AnswerBody"]

ACCEPT_ENCODING = ("Accept-Encoding", "gzip")
"""
What is asked for, so that a few bytes cannot become gigabytes in an engine before anybody looks at
the limit.
"""

_PLAIN = frozenset(("", "identity"))
_ZIPPED = frozenset(("gzip", "x-gzip", "deflate"))
_GZIP_OR_ZLIB = zlib.MAX_WBITS + 32


class AnswerBody:
    """
    Takes the raw chunks of a body that is encoded as *encoding* (its Content-Encoding), up to
    *limit* bytes when inflated.
    """

    def __init__(self, encoding: str | None, limit: int) -> None:
        self._zipped: zlib._Decompress | None = None
        self._limit = limit
        self._chunks: list[bytes] = []
        self._size = 0
        self.failure: ProtocolError | None = None
        encoding = (encoding or "").strip().lower()
        if encoding in _ZIPPED:
            self._zipped = zlib.decompressobj(_GZIP_OR_ZLIB)
        elif encoding not in _PLAIN:
            self._fail(f"the answer is encoded as {encoding!r}, which was not asked for")

    def feed(self, chunk: bytes) -> bool:
        """Take the next raw chunk; False says that no more need come."""
        if self.failure is None:
            try:
                # One byte more than allowed is enough to know.
                chunk = (
                    chunk
                    if self._zipped is None
                    else self._zipped.decompress(chunk, self._limit - self._size + 1)
                )
            except zlib.error as error:
                self._fail(f"the answer cannot be inflated: {error}")
            else:
                self._chunks.append(chunk)
                self._size += len(chunk)
                if self._size > self._limit:
                    self._fail(
                        f"the answer is larger than {self._limit} bytes, and was not read to its "
                        "end",
                        temporary=False,
                    )
        return self.failure is None

    def finish(self) -> bytes:
        """
        Return the whole body. Raises `ProtocolError` where it is too large or cannot be inflated.
        """
        if (
            self.failure is None
            and self._zipped is not None
            and self._size
            and not self._zipped.eof
        ):
            self._fail("the answer ends before its compressed content does")
        if self.failure is not None:
            raise self.failure
        return b"".join(self._chunks)

    def _fail(self, reason: str, *, temporary: bool = True) -> None:
        self.failure = ProtocolError(reason, temporary=temporary)
