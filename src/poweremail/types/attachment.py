"""Files that travel with a mail: attachments, and images that its HTML shows."""

from __future__ import annotations

import base64
import binascii
import mimetypes
import os
import re
import stat
from pathlib import Path, PurePath

import attrs

from poweremail.errors import UsageError
from poweremail.types.text import header_text

__all__ = ["Attachment", "FileContent", "Image"]

_MIME_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+\-]+/[A-Za-z0-9!#$&^_.+\-]+(?:\s*;.*)?\Z")
_WHITE_SPACE = re.compile(rb"\s+")
_UNKNOWN_TYPE = "application/octet-stream"


@attrs.frozen
class FileContent:
    """
    A file that is read only while the mail is being sent.

    *size* in bytes was taken when the attachment was made; a file that has changed size by the time of the send is not sent.
    """

    path: Path
    size: int

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> FileContent:
        """Look at the file at *path*. Raises `UsageError` where it is missing, unreadable or no regular file."""
        try:
            file = Path(path)
            # Looked at before it is opened: opening a pipe waits for its other end.
            if stat.S_ISREG(file.stat().st_mode):
                with file.open("rb") as stream:
                    return cls(file, os.fstat(stream.fileno()).st_size)
        except (OSError, TypeError, ValueError) as error:
            raise UsageError(f"cannot read {str(path)!r}: {error}", field="path") from None
        raise UsageError(f"{str(path)!r} is not a regular file", field="path")

    def __len__(self) -> int:
        return self.size


def _content(value: object) -> bytes | FileContent:
    if isinstance(value, bytes | FileContent):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    raise UsageError(
        f"must be bytes, not {type(value).__name__}",
        field="content",
        advice="from_path takes a path, from_base64 takes base64 text",
    )


def _decode(content: str | bytes) -> bytes:
    if not isinstance(content, str | bytes):
        raise UsageError(f"must be base64 as str or bytes, not {type(content).__name__}", field="content")
    try:
        raw = content.encode("ascii") if isinstance(content, str) else content
        # Base64 made for MIME is wrapped in lines; anything else that is not of the alphabet is an error.
        return base64.b64decode(_WHITE_SPACE.sub(b"", raw), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise UsageError(f"is not base64: {error}", field="content") from None


def _guess_type(name: str, prefix: str = "") -> str:
    # The suffixes alone: guess_type takes a whole name for a URL, and some names for a wrong one.
    guessed, encoding = mimetypes.guess_type("".join(("file", *PurePath(name).suffixes[-2:])))
    # "report.tar.gz" is guessed as a tar that is encoded; what travels is the gzip.
    return guessed if guessed and encoding is None and guessed.startswith(prefix) else _UNKNOWN_TYPE


def _check_type(field: str, value: object) -> str:
    text = header_text(field, value)
    if not _MIME_TYPE.match(text):
        raise UsageError(f"{text!r} is not a MIME type such as text/plain", field=field)
    return text


def _required_name(field: str, value: object) -> str:
    name = header_text(field, value)
    if not name.strip():
        raise UsageError("must not be empty", field=field)
    return name


@attrs.frozen
class Attachment:
    """
    A file to attach.

    *name* is the file name that the recipient sees, *content* its bytes, *type* its MIME type (guessed from *name* where left
    out, ``application/octet-stream`` where that says nothing). See `from_path` and `from_base64` for other sources.
    Raises `UsageError` for a name or type that could not stand in a header.
    """

    name: str
    content: bytes | FileContent = attrs.field(converter=_content, repr=lambda content: f"<{len(content)} bytes>")
    type: str = ""

    def __attrs_post_init__(self) -> None:
        _required_name("attachment.name", self.name)
        object.__setattr__(self, "type", _check_type("attachment.type", self.type or _guess_type(self.name)))

    @classmethod
    def from_path(cls, path: str | os.PathLike[str], *, name: str | None = None, type: str | None = None) -> Attachment:
        """Attach the file at *path*, under its own name unless *name* is given. It is read piece by piece while it is sent."""
        content = FileContent.of(path)
        return cls(name or content.path.name, content, type or "")

    @classmethod
    def from_bytes(cls, content: bytes, name: str, *, type: str | None = None) -> Attachment:
        """Attach *content* as a file called *name*."""
        return cls(name, content, type or "")

    @classmethod
    def from_base64(cls, content: str | bytes, name: str, *, type: str | None = None) -> Attachment:
        """Attach base64 *content* (line breaks allowed) as a file called *name*. Raises `UsageError` where it is not base64."""
        return cls(name, _decode(content), type or "")


@attrs.frozen
class Image:
    """
    An image that the HTML shows with ``<img src="cid:CID">``.

    *cid* is the Content-ID without ``cid:`` and angle brackets, *content* the bytes, *type* the MIME type, which must begin with
    ``image/`` (guessed from *cid* where left out, or from the first bytes of the content).
    """

    cid: str
    content: bytes | FileContent = attrs.field(converter=_content, repr=lambda content: f"<{len(content)} bytes>")
    type: str = ""

    def __attrs_post_init__(self) -> None:
        _required_name("image.cid", self.cid)
        type = self.type or _sniff(self.content) or _guess_type(self.cid, "image/")
        if not _check_type("image.type", type).lower().startswith("image/"):
            raise UsageError(f"{type!r} does not begin with image/", field="image.type")
        object.__setattr__(self, "type", type)

    @classmethod
    def from_path(cls, path: str | os.PathLike[str], *, cid: str | None = None, type: str | None = None) -> Image:
        """Show the file at *path*; *cid* is its file name unless given. It is read piece by piece while it is sent."""
        content = FileContent.of(path)
        name = content.path.name
        return cls(cid or name, content, type or _guess_type(name))

    @classmethod
    def from_bytes(cls, content: bytes, cid: str, *, type: str | None = None) -> Image:
        """Show *content* as ``cid:CID``."""
        return cls(cid, content, type or "")

    @classmethod
    def from_base64(cls, content: str | bytes, cid: str, *, type: str | None = None) -> Image:
        """Show base64 *content* (line breaks allowed) as ``cid:CID``. Raises `UsageError` where it is not base64."""
        return cls(cid, _decode(content), type or "")


# The signatures of the formats that mail programs show (WHATWG MIME Sniffing, "matching an image type pattern").
_SIGNATURES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"), (b"BM", "image/bmp"))


def _sniff(content: bytes | FileContent) -> str | None:
    if isinstance(content, FileContent):
        return None
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "image/webp"
    return next((type for signature, type in _SIGNATURES if content.startswith(signature)), None)
