"""The files that options name, and standard input, which an option may name by ``-``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from poweremail._wire.json import loads_text
from poweremail.errors import ConfigurationError, UsageError

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


def exists(path: Path, flag: str) -> bool:
    """
    Return whether there is a file. Raises `ConfigurationError`, which names the option *flag*, if
    that cannot be found out, for example because its folder may not be read.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):  # the second where HOME is /dev/null
        return False
    except OSError as failure:
        reason = failure.strerror
    else:
        return True
    raise ConfigurationError(f"{path} cannot be read: {reason}", field=flag)


def read_bytes(path: Path, flag: str, error: type[UsageError] = ConfigurationError) -> bytes:
    """Return the content of a file. Raises an *error* that names the option *flag*."""
    try:
        return path.read_bytes()
    except (OSError, ValueError) as failure:
        reason = failure.strerror if isinstance(failure, OSError) else failure
    raise error(f"{path} cannot be read: {reason}", field=flag)


def read_stdin(flag: str, error: type[UsageError] = ConfigurationError) -> bytes:
    """Return standard input. Raises an *error* that names the option *flag* if it is closed."""
    if sys.stdin is None:
        raise error("standard input is closed", field=flag)
    return sys.stdin.buffer.read()


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


def json_object(
    text: str, shown: str, flag: str, error: type[UsageError] = ConfigurationError
) -> dict[str, Any]:
    """Return the JSON object *text*, which an *error* calls *shown*. Raises as the others do."""
    try:
        members = loads_text(text)
    except ValueError as failure:
        raise error(f"{shown} is not JSON: {failure}", field=flag) from None
    if not isinstance(members, dict):
        raise error(f"{shown} is not a JSON object", field=flag)
    return members


class Source:
    """
    Reads what the options of a mail name, standard input for one option only.

    Raises `UsageError`, which names the option, if something cannot be read.
    """

    def __init__(self) -> None:
        self._stdin_flag = ""

    def read(self, path: Path, flag: str) -> bytes:
        """Return the content of a file, or of standard input if it is named ``-``."""
        name = str(path)
        if name == STDIN:
            return self._stdin(flag)
        if "\n" in name or len(name) > _MAX_NAME_CHARS:
            raise UsageError(
                "must be the name of a file, not its content",
                field=flag,
                advice=f"write the content to a file, or pipe it in and give {flag} -",
            )
        return read_bytes(path, flag, UsageError)

    def read_text(self, path: Path, flag: str) -> str:
        """Return the same as text. It must be UTF-8."""
        return _decoded(self.read(path, flag), path, flag, UsageError)

    def _stdin(self, flag: str) -> bytes:
        if self._stdin_flag:
            raise UsageError(f"standard input is read by {self._stdin_flag} already", field=flag)
        self._stdin_flag = flag
        content = read_stdin(flag, UsageError)
        if not content.strip():
            raise UsageError("standard input is empty", field=flag)
        return content
