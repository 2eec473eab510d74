"""Files that travel with a mail: attachments, and images that its HTML shows."""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import AsyncIterable, Iterable
from typing import BinaryIO

import attrs

from poweremail._types.checks import header_text, required_text
from poweremail._types.content import Content, FileContent, OpenFileContent, StreamContent
from poweremail._types.mime_types import guess_type
from poweremail.errors import UsageError

_MIME_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+\-]+/[A-Za-z0-9!#$&^_.+\-]+(?:\s*;.*)?\Z")
_MAX_HEAD_BYTES = 64 * 1024
_WHITE_SPACE = re.compile(rb"\s+")


def _content(value: object) -> Content:
    if isinstance(value, Content):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    raise UsageError(
        f"must be bytes, not {type(value).__name__}",
        field="content",
        advice="from_path takes a path, from_base64 takes base64 text",
    )


def _shown(content: Content) -> str:
    size = len(content) if isinstance(content, bytes) else content.size
    return "<a stream>" if size is None else f"<{size} bytes>"


def _decode(content: str | bytes) -> bytes:
    if not isinstance(content, str | bytes):
        raise UsageError(
            f"must be base64 as str or bytes, not {type(content).__name__}", field="content"
        )
    try:
        raw = content.encode("ascii") if isinstance(content, str) else content
        # Base64 for MIME is wrapped in lines. Any other character beyond the alphabet is an error.
        return base64.b64decode(_WHITE_SPACE.sub(b"", raw), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise UsageError(f"is not base64: {error}", field="content") from None


def _guess_type(name: str, content: Content) -> str:
    type = guess_type(name)
    if type != "text/calendar" or isinstance(content, StreamContent):
        return type
    if isinstance(content, bytes):
        return guess_type(name, content)
    try:
        start = content.read(0, _MAX_HEAD_BYTES)
        content.read(0, 0)  # an open file stays at its position
    except (OSError, ValueError):
        return type  # the send reads it again, and says why it cannot
    return guess_type(name, start)


def _check_type(field: str, value: object) -> str:
    text = header_text(field, value)
    if not _MIME_TYPE.match(text):
        raise UsageError(f"{text!r} is not a MIME type such as text/plain", field=field)
    return text


@attrs.frozen
class Attachment:
    """
    A file to attach.

    *name*: the file name that the recipient sees.
    *content*: its bytes; `from_path` and the other class methods read other sources.
    *type*: its MIME type. If it is empty, it is guessed from *name*;
    ``application/octet-stream`` if that says nothing. A calendar (``.ics``) that is not a stream
    has the method that its content has: ``text/calendar; method=REQUEST; charset=utf-8``.

    Raises `UsageError` if a header cannot contain the name or the type.
    """

    name: str
    content: Content = attrs.field(converter=_content, repr=_shown)
    type: str = ""

    def __attrs_post_init__(self) -> None:
        required_text("attachment.name", self.name)
        type = _check_type("attachment.type", self.type or _guess_type(self.name, self.content))
        # The way of attrs for a derived field of a frozen class.
        object.__setattr__(self, "type", type)

    @classmethod
    def from_path(
        cls, path: str | os.PathLike[str], name: str | None = None, *, type: str | None = None
    ) -> Attachment:
        """
        Attach the file at *path*, under its own name unless *name* is given. It is read piece by
        piece while it is sent.
        """
        content = FileContent.of(path)
        return cls(name or content.path.name, content, type or "")

    @classmethod
    def from_bytes(cls, content: bytes, name: str, *, type: str | None = None) -> Attachment:
        """Attach *content* as a file called *name*."""
        return cls(name, content, type or "")

    @classmethod
    def from_base64(cls, content: str | bytes, name: str, *, type: str | None = None) -> Attachment:
        """
        Attach base64 *content* (line breaks allowed) as a file called *name*. Raises `UsageError`
        if it is not base64.
        """
        return cls(name, _decode(content), type or "")

    @classmethod
    def from_file(cls, file: BinaryIO, name: str, *, type: str | None = None) -> Attachment:
        """
        Attach an open binary *file*, from its position on, as a file called *name*. It must stay
        open until the mail is sent.

        Raises `UsageError` if it cannot seek: see `from_stream`.
        """
        return cls(name, OpenFileContent(file), type or "")

    @classmethod
    def from_stream(
        cls,
        stream: AsyncIterable[bytes] | Iterable[bytes],
        name: str,
        *,
        size: int | None = None,
        type: str | None = None,
    ) -> Attachment:
        """
        Attach what *stream* yields as a file called *name*; async streams are for the async client.

        It can be read only once, so a send that fails after reading has begun is not repeated.
        *size*: its length in bytes, which must be right. Without it the request is sent in chunks.
        """
        return cls(name, StreamContent(stream, size), type or "")


@attrs.frozen
class Image:
    """
    An image that the HTML shows with ``<img src="cid:CID">``.

    *cid*: the Content-ID without ``cid:`` and angle brackets.
    *content*: its bytes; `from_path` and the other class methods read other sources.
    *type*: its MIME type, which begins with ``image/``. If it is empty, it is guessed from the
    first bytes of the content or from *cid*.
    """

    cid: str
    content: Content = attrs.field(converter=_content, repr=_shown)
    type: str = ""

    def __attrs_post_init__(self) -> None:
        required_text("image.cid", self.cid)
        type = self.type or _sniff(self.content) or guess_type(self.cid)
        if not _check_type("image.type", type).lower().startswith("image/"):
            raise UsageError(f"{type!r} does not begin with image/", field="image.type")
        object.__setattr__(self, "type", type)  # as above

    @classmethod
    def from_path(
        cls, path: str | os.PathLike[str], cid: str | None = None, *, type: str | None = None
    ) -> Image:
        """
        Show the file at *path*; *cid* is its file name unless given. It is read piece by piece
        while it is sent.
        """
        content = FileContent.of(path)
        name = content.path.name
        return cls(cid or name, content, type or guess_type(name))

    @classmethod
    def from_bytes(cls, content: bytes, cid: str, *, type: str | None = None) -> Image:
        """Show *content* as ``cid:CID``."""
        return cls(cid, content, type or "")

    @classmethod
    def from_base64(cls, content: str | bytes, cid: str, *, type: str | None = None) -> Image:
        """
        Show base64 *content* (line breaks allowed) as ``cid:CID``. Raises `UsageError` if it is not
        base64.
        """
        return cls(cid, _decode(content), type or "")

    @classmethod
    def from_file(cls, file: BinaryIO, cid: str, *, type: str | None = None) -> Image:
        """
        Show an open binary *file*, from its position on, as ``cid:CID``. It must stay open until
        the mail is sent.

        Raises `UsageError` if it cannot seek: see `from_stream`.
        """
        return cls(cid, OpenFileContent(file), type or "")

    @classmethod
    def from_stream(
        cls,
        stream: AsyncIterable[bytes] | Iterable[bytes],
        cid: str,
        *,
        size: int | None = None,
        type: str | None = None,
    ) -> Image:
        """
        Show what *stream* yields as ``cid:CID``; async streams are for the async client.

        It can be read only once, so a send that fails after reading has begun is not repeated.
        *size*: its length in bytes, which must be right. Without it the request is sent in chunks.
        """
        return cls(cid, StreamContent(stream, size), type or "")


# The signatures of the formats that mail programs show (WHATWG MIME Sniffing, "matching an image
# type pattern").
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
)


def _sniff(content: Content) -> str | None:
    if not isinstance(content, bytes):
        return None
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "image/webp"
    return next((type for signature, type in _SIGNATURES if content.startswith(signature)), None)
