"""The files that options name, and standard input, which an option may name by ``-``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from poweremail.errors import ConfigurationError, UsageError

__all__ = ["STDIN", "Source", "file_and_type", "read_bytes", "read_text"]

STDIN = "-"
_MAX_NAME_CHARS = 1_000


def file_and_type(text: str) -> tuple[Path, str | None]:
    """
    Return the file that *text* names, and the MIME type that follows the last ``;type=``.

    If there is a file of the whole name, all of *text* is the name.
    """
    name, _, type = text.rpartition(";type=")
    if name and type and not os.path.lexists(text):
        return Path(name), type
    return Path(text), None


def read_bytes(path: Path, flag: str, error: type[UsageError] = ConfigurationError) -> bytes:
    """Return the content of a file. Raises an *error* that names the option *flag*."""
    try:
        return path.read_bytes()
    except (OSError, ValueError) as failure:
        reason = failure.strerror if isinstance(failure, OSError) else failure
    raise error(f"{path} cannot be read: {reason}", field=flag)


def read_text(path: Path, flag: str, error: type[UsageError] = ConfigurationError) -> str:
    """Return the text of a file in UTF-8. Raises as `read_bytes` does."""
    return _decoded(read_bytes(path, flag, error), path, flag, error)


def _decoded(content: bytes, path: Path, flag: str, error: type[UsageError]) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        position = failure.start
    # Raised here: the decoder's error, in the chain, would hold the content, which may be a token.
    raise error(f"{path} cannot be read: it is not UTF-8 at byte {position}", field=flag)


class Source:
    """
    Reads what the options of a mail name, standard input for one option only.

    Raises an *error*, which names the option, if something cannot be read.
    """

    def __init__(self, error: type[UsageError] = UsageError) -> None:
        self._error = error
        self._stdin_flag = ""

    def read(self, path: Path, flag: str) -> bytes:
        """Return the content of a file, or of standard input if it is named ``-``."""
        name = str(path)
        if name == STDIN:
            return self._stdin(flag)
        if "\n" in name or len(name) > _MAX_NAME_CHARS:
            raise self._error(
                "must be the name of a file, not its content",
                field=flag,
                advice=f"write the content to a file, or pipe it in and give {flag} -",
            )
        return read_bytes(path, flag, self._error)

    def read_text(self, path: Path, flag: str) -> str:
        """Return the same as text. It must be UTF-8."""
        return _decoded(self.read(path, flag), path, flag, self._error)

    def _stdin(self, flag: str) -> bytes:
        if self._stdin_flag:
            raise self._error(f"standard input is read by {self._stdin_flag} already", field=flag)
        self._stdin_flag = flag
        if sys.stdin is None:
            raise self._error("standard input is closed", field=flag)
        content = sys.stdin.buffer.read()
        if not content.strip():
            raise self._error("standard input is empty", field=flag)
        return content
