"""
HTTP as values: the request with its body, and the body of the response while it is read.

Nothing here does I/O. A transport sends a `Request`, feeds what comes back to a `ResponseBody` and
returns a `poweremail._response.Response`.

Theory of operation. A mail may be larger than memory allows, so a `Body` names what is not in
memory (files, streams) instead of reading it: the transport reads it piece by piece, and a mail
costs the memory of one piece. The length is known before the first piece is read, unless a stream
does not state its own. In the other direction a few compressed bytes can become gigabytes, so the
library inflates a response itself and stops at its limit, instead of leaving it to the HTTP engine.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Iterator
from itertools import groupby

import attrs

from poweremail._types.content import Content, FileContent, OpenFileContent, StreamContent
from poweremail._types.options import Deployment, Timeouts
from poweremail._types.secret import Secret
from poweremail._version import __version__
from poweremail._wire.operations import Operation
from poweremail._wire.redaction import Credentials
from poweremail.errors import ProtocolError

RAW_PIECE_BYTES = 3 * 64 * 1024
"""Content of one piece. A multiple of 3: only the last piece of a file needs padding in base64."""

_PIECE_BYTES = RAW_PIECE_BYTES // 3 * 4
"""The largest piece of a body: 256 KiB."""

ACCEPT_ENCODING = ("Accept-Encoding", "gzip")
"""The only compression that requests allow, because `ResponseBody` inflates it up to its limit."""

_UNCOMPRESSED = frozenset(("", "identity"))
_COMPRESSED = frozenset(("gzip", "x-gzip", "deflate"))
_GZIP_OR_ZLIB = zlib.MAX_WBITS + 32

CONSTANT_HEADERS = (("User-Agent", f"poweremail/{__version__}"), ("Accept", "application/json"))
"""The headers that every request has."""

_HEADERS_OF_BODY = (*CONSTANT_HEADERS, ("Content-Type", "application/json"))
_CHUNKED = ("Transfer-Encoding", "chunked")
_DEPLOYMENT = Deployment()


@attrs.frozen
class Base64:
    """*content*, to be sent as base64."""

    content: Content = attrs.field(repr=False)

    @property
    def length(self) -> int | None:
        """Bytes of the base64; None if a stream does not state its size."""
        size = len(self.content) if isinstance(self.content, bytes) else self.content.size
        return None if size is None else (size + 2) // 3 * 4


@attrs.frozen
class FilePiece:
    """*size* bytes of *content* from *offset* on, to be read and sent as base64."""

    content: FileContent | OpenFileContent
    offset: int
    size: int


Piece = bytes | FilePiece | StreamContent


class Body:
    """
    The body of a request: bytes, which are sent as they are, and content, which is sent as base64.

    *parts*: the bytes and contents, in order. The repr does not show them: they may hold the token.
    *limit*: the number of bytes that must not be exceeded, or None.

    ``length`` is the number of bytes, None if it is not known before a stream is read.

    Two facts about attempts are kept by the exchange, since they matter after a transport is done.
    ``begun`` says whether any of the body has been read in this attempt. ``attempts_ended`` counts
    the attempts that have ended; a reader that began before the last end may not go on.
    """

    __slots__ = ("_parts", "_whole", "attempts_ended", "begun", "length", "limit")

    def __init__(
        self, parts: bytes | Iterable[bytes | Base64], *, limit: int | None = None
    ) -> None:
        self.limit: int | None = limit
        self.begun: bool = False
        self.attempts_ended: int = 0
        # Neighbouring bytes are joined: a small mail is one piece, which costs one write.
        self._parts = (parts,) if isinstance(parts, bytes) else tuple(_joined(parts))
        self._whole: bytes | None = None
        if len(self._parts) == 1 and isinstance(first := self._parts[0], bytes):
            self.length: int | None = len(first)
            self._whole = first if len(first) <= _PIECE_BYTES else None
        else:
            lengths = [
                len(part) if isinstance(part, bytes) else part.length for part in self._parts
            ]
            self.length = None if None in lengths else sum(filter(None, lengths))

    def __repr__(self) -> str:
        return f"<Body of {'unknown length' if self.length is None else f'{self.length} bytes'}>"

    @property
    def is_one_piece(self) -> bool:
        """Whether it is a single piece in memory."""
        return self._whole is not None

    @property
    def whole(self) -> bytes | None:
        """The complete body if it is a single piece in memory, else None. Access counts as read."""
        self.begun = True
        return self._whole

    @property
    def consumed(self) -> bool:
        """True if a stream in it has been read, so that the body cannot be sent again."""
        contents = (part.content for part in self._parts if isinstance(part, Base64))
        return any(isinstance(content, StreamContent) and content.begun for content in contents)

    def pieces(self) -> Iterator[Piece]:
        """
        Yield the body in pieces of at most 256 KiB; files and streams are still to be read.

        Each attempt iterates from the start. The last piece is never a stream.
        """
        self.begun = True
        for part in self._parts:
            if isinstance(part, bytes):
                yield from _slices(part, _PIECE_BYTES)
            elif isinstance(part.content, StreamContent):
                yield part.content
            elif isinstance(part.content, bytes):
                yield from map(base64.b64encode, _slices(part.content, RAW_PIECE_BYTES))
            else:
                size = part.content.size
                yield from (
                    FilePiece(part.content, offset, min(RAW_PIECE_BYTES, size - offset))
                    for offset in range(0, size, RAW_PIECE_BYTES)
                )


def _joined(parts: Iterable[bytes | Base64]) -> Iterator[bytes | Base64]:
    for is_bytes, group in groupby(map(_inline, parts), key=lambda part: isinstance(part, bytes)):
        if is_bytes:
            yield b"".join(group)  # type: ignore[arg-type]
        else:
            yield from group


def _inline(part: bytes | Base64) -> bytes | Base64:
    """Encode small content that is in memory at once."""
    if (
        isinstance(part, Base64)
        and isinstance(part.content, bytes)
        and len(part.content) <= RAW_PIECE_BYTES
    ):
        return base64.b64encode(part.content)
    return part


def _slices(data: bytes, size: int) -> Iterator[bytes]:
    if len(data) <= size:
        yield data
    else:
        yield from (data[start : start + size] for start in range(0, len(data), size))


@attrs.frozen
class Endpoint:
    """
    The service as a client is configured to reach it.

    *base_url*: ends in a slash.
    *credentials*: owner id and token of each request.
    *timeouts*: the time limits of an attempt.
    *max_response_bytes*: the largest response that is read.
    *max_request_bytes*: the largest body that is sent; None for no limit.
    *deployment*: the paths that differ between deployments of the service.
    """

    base_url: str
    credentials: Credentials
    timeouts: Timeouts
    max_response_bytes: int
    max_request_bytes: int | None = None
    deployment: Deployment = _DEPLOYMENT


# Not frozen, although it is never changed: making a frozen one takes three times as long.
@attrs.define
class Request:
    """
    One request.

    The URL of a GET contains the token, so ``url`` is the part before the query; `full_url` has
    all of it. A transport must not follow redirects, and must keep the full URL out of logs and out
    of its local variables.

    *in_doubt*: whether an attempt may have brought it to the service. The exchange keeps this.
    """

    operation: Operation
    endpoint: Endpoint
    query: Secret | None = None
    body: Body | None = None
    in_doubt: bool = False

    @property
    def method(self) -> str:
        """``GET`` or ``POST``."""
        return self.operation.method

    @property
    def url(self) -> str:
        """The URL without its query."""
        return self.endpoint.base_url + self.operation.path

    def full_url(self) -> str:
        """Return the URL with its query, and so with the token in it."""
        return self.url if self.query is None else f"{self.url}?{self.query.reveal()}"

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The headers to send; with a body also its type, and its length or ``chunked``."""
        if self.body is None:
            return CONSTANT_HEADERS
        length = self.body.length
        return (*_HEADERS_OF_BODY, _CHUNKED if length is None else ("Content-Length", str(length)))

    @property
    def constant_headers(self) -> tuple[tuple[str, str], ...]:
        """The headers without the length, for an HTTP engine that frames the body itself."""
        return CONSTANT_HEADERS if self.body is None else _HEADERS_OF_BODY


class ResponseBody:
    """
    Collects the body of a response, inflated, up to a limit.

    *encoding*: the Content-Encoding of the response, or None.
    *limit*: the largest number of inflated bytes.

    ``failure`` is the error that `finish` will raise, None as long as there is none.
    """

    def __init__(self, encoding: str | None, limit: int) -> None:
        self._inflater: zlib._Decompress | None = None
        self._limit = limit
        self._chunks: list[bytes] = []
        self._size = 0
        self.failure: ProtocolError | None = None
        encoding = (encoding or "").strip().lower()
        if encoding in _COMPRESSED:
            self._inflater = zlib.decompressobj(_GZIP_OR_ZLIB)
        elif encoding not in _UNCOMPRESSED:
            self._fail(f"the response is encoded as {encoding!r}, which was not requested")

    def feed(self, chunk: bytes) -> bool:
        """Add the next raw chunk; return whether further chunks are wanted."""
        if self.failure is not None:
            return False
        if self._inflater is not None:
            try:
                # One byte more than allowed shows that the limit is exceeded.
                chunk = self._inflater.decompress(chunk, self._limit - self._size + 1)
            except zlib.error as error:
                self._fail(f"the response cannot be inflated: {error}")
                return False
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size > self._limit:
            self._fail(
                f"the response is larger than {self._limit} bytes and was not read to its end",
                temporary=False,
            )
        return self.failure is None

    def finish(self) -> bytes:
        """Return the whole body. Raises `ProtocolError` if it is too large or incomplete."""
        if self._inflater is not None and self._size and not self._inflater.eof:
            self._fail("the response ends before its compressed content does")
        if self.failure is not None:
            raise self.failure
        return b"".join(self._chunks)

    def _fail(self, reason: str, *, temporary: bool = True) -> None:
        self.failure = self.failure or ProtocolError(reason, temporary=temporary)
