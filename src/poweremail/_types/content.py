"""
The sources of an attachment's bytes: memory, a file on disk, an open file, or a stream.

All but the bytes in memory are read piece by piece while the mail is being sent, so that a mail
costs the memory of one piece.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import AsyncIterable, Iterable
from pathlib import Path
from typing import BinaryIO

import attrs

from poweremail._types.checks import is_whole
from poweremail.errors import UsageError


@attrs.frozen
class FileContent:
    """
    A file on disk, opened for each piece that is read.

    *size* (in bytes) and *stamp* are those of the time when the attachment was made. A file that
    has changed since then is not sent.
    """

    path: Path
    size: int
    stamp: tuple[int, ...] | None = attrs.field(default=None, repr=False, eq=False)

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> FileContent:
        """
        Check the file at *path*. Raises `UsageError` if it is missing, unreadable or no regular
        file.
        """
        try:
            # Absolute, so that it is the same file when it is read.
            file = Path(path).absolute()
            # Checked before it is opened: opening a pipe waits for its other end.
            if stat.S_ISREG(file.stat().st_mode):
                with file.open("rb") as stream:
                    status = os.fstat(stream.fileno())
                    return cls(file, status.st_size, _stamp(status))
        except (OSError, TypeError, ValueError) as error:
            raise UsageError(
                f"cannot read {str(path)!r}: {getattr(error, 'strerror', error)}", field="path"
            ) from None
        raise UsageError(f"{str(path)!r} is not a regular file", field="path")

    @property
    def label(self) -> str:
        """Its name in errors."""
        return repr(str(self.path))

    def read(self, offset: int, size: int) -> bytes:
        """
        Return *size* bytes from *offset* on. Raises OSError, also if the file has changed.
        Blocks.
        """
        with self.path.open("rb") as file:
            if self.stamp not in (None, _stamp(os.fstat(file.fileno()))):
                raise OSError("it has changed since it was attached")
            file.seek(offset)
            return file.read(size)

    def read_cached(self, offset: int, size: int) -> bytearray | None:
        """
        Return the same bytes if the system has them in memory, else None.

        It does not wait for the disk to read them, so an event loop may call it. To read them in a
        thread costs as much as to encode 100 KB.
        """
        if _NO_WAIT is None:
            return None
        content = bytearray(size)
        try:
            file = os.open(self.path, os.O_RDONLY)
            try:
                unchanged = self.stamp in (None, _stamp(os.fstat(file)))
                if unchanged and os.preadv(file, [content], offset, _NO_WAIT) == size:
                    return content
            finally:
                os.close(file)
        except OSError:  # it would have to wait, or cannot tell
            pass
        return None


_NO_WAIT: int | None = getattr(os, "RWF_NOWAIT", None)
"""Linux only: read what is in the page cache, and fail instead of waiting for the rest."""


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    """Values that change with the content of a file, or with the file behind a path."""
    return status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev


class OpenFileContent:
    """
    A binary file that the user has opened, from its position on. It must stay open until the mail
    is sent.

    Several sends may read it at once. Raises `UsageError` if it cannot be read or cannot seek.
    """

    def __init__(self, file: BinaryIO) -> None:
        try:
            self._start = file.tell()
            self.size = file.seek(0, os.SEEK_END) - self._start
            file.seek(self._start)
            is_binary = isinstance(file.read(0), bytes)
        except (AttributeError, OSError, ValueError) as error:
            raise UsageError(
                f"is no open file that can seek: {error}",
                field="file",
                advice="from_stream takes a source that can be read only once",
            ) from None
        if not is_binary:
            raise UsageError("must be opened in binary mode", field="file")
        self._file = file
        self._lock = threading.Lock()

    @property
    def label(self) -> str:
        """Its name in errors."""
        return repr(getattr(self._file, "name", "the file"))

    def read(self, offset: int, size: int) -> bytes:
        """
        Return *size* bytes from *offset* on, or fewer if the file ends before. Raises OSError or
        ValueError. Blocks.
        """
        with self._lock:
            self._file.seek(self._start + offset)
            return self._file.read(size)


class StreamContent:
    """
    A source that can be read only once: an iterable of bytes, for the async client also an async
    iterable.

    *size*: its length in bytes, None if it is not known. A stream of another length is an error.

    Once reading has begun (``begun``), the mail cannot be sent again.
    """

    def __init__(self, stream: AsyncIterable[bytes] | Iterable[bytes], size: int | None) -> None:
        if isinstance(stream, bytes | bytearray | memoryview | str) or not isinstance(
            stream, AsyncIterable | Iterable
        ):
            raise UsageError(
                f"must be an iterable of bytes, not {type(stream).__name__}", field="stream"
            )
        if size is not None and not is_whole(size):
            raise UsageError(f"must be a number of bytes or None, not {size!r}", field="size")
        self._stream = stream
        self.size = size
        self.begun: bool = False

    def begin(self) -> AsyncIterable[bytes] | Iterable[bytes]:
        """Return the stream. Raises `UsageError` if it was returned before."""
        if self.begun:
            raise UsageError(
                "the stream has been read already",
                field="content",
                advice="make a new message with a new stream",
            )
        self.begun = True
        return self._stream


Content = bytes | FileContent | OpenFileContent | StreamContent


def read_whole(content: Content, field: str) -> bytes:
    """
    Return all bytes of *content*, which may be read again. Blocks.

    Raises `UsageError` for *field* if it can be read only once, is gone, or has become shorter.
    """
    if isinstance(content, bytes):
        return content
    if isinstance(content, StreamContent):
        raise UsageError(
            "is a stream, which can be read only once",
            field=field,
            advice="read it, and give the bytes instead",
        )
    try:
        data = content.read(0, content.size)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {content.label}: {error}", field=field) from None
    if len(data) < content.size:
        raise UsageError(f"{content.label} has become shorter since it was attached", field=field)
    return data
