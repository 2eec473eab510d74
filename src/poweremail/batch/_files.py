"""
Files of rows: which format they are in, and the cells of each row.

A row that cannot be read is a `UsageError` in its place, and spoils no other.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from poweremail._wire.json import loads_text
from poweremail.errors import ConfigurationError, UsageError

_AS_CSV = "open it in a spreadsheet program and save it as CSV, UTF-8"
_AS_UTF_8 = "save it as UTF-8; `iconv -f {0} -t UTF-8` converts it"
_FORMATS = [
    (re.compile(pattern, re.DOTALL | re.IGNORECASE), kind, advice)
    for pattern, kind, advice in (
        (rb"PK\x03\x04", "an Excel workbook (.xlsx) or another ZIP file", _AS_CSV),
        (rb"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)", _AS_CSV),
        (rb"\s*<(?:!doctype|\?xml|html|meta|table)", "HTML or XML", _AS_CSV),
        (rb"\x1f\x8b", "compressed by gzip", "decompress it with gunzip"),
        (rb"BZh[1-9]1AY", "compressed by bzip2", "decompress it with bunzip2"),
        (rb"\xfd7zXZ\0", "compressed by xz", "decompress it with unxz"),
        (rb"\x28\xb5\x2f\xfd", "compressed by zstd", "decompress it with unzstd"),
        (rb"PAR1", "a Parquet file", "`duckdb -csv -c \"FROM 'in.parquet'\"` converts it"),
        (rb"%PDF-", "a PDF", "export the table itself as CSV, UTF-8"),
        (rb"\xff\xfe\0\0|\0\0\xfe\xff", "UTF-32 text", _AS_UTF_8.format("UTF-32")),
        (rb"\xff\xfe|\xfe\xff", "UTF-16 text", _AS_UTF_8.format("UTF-16")),
        # Two ASCII characters, without a byte order mark.
        (rb"[\t-~]\0[\t-~]\0", "UTF-16 text", _AS_UTF_8.format("UTF-16LE")),
        (rb"\0[\t-~]\0[\t-~]", "UTF-16 text", _AS_UTF_8.format("UTF-16BE")),
        (rb"[^\r\n{]*\0", "binary data", _AS_CSV),
        (
            rb"(?:\xef\xbb\xbf)?\s*\[\s*(?:\{|\]|\Z)",
            "one JSON array",
            "`jq -c '.[]'` makes JSON Lines of it, an object in each line, for a file .jsonl",
        ),
    )
]
"""Formats that people take for a table, by their first bytes, and how to convert them."""
_JSON_LINES = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*"')

_SEPARATOR_LINE = re.compile(r'"?sep=([^"\r\n])"?\r?\n?', re.IGNORECASE)
"""The line by which Excel reads the delimiter; many exports write it."""

_UNDECODED_BYTE = re.compile("[\udc80-\udcff]")
"""A byte that is not UTF-8, as ``surrogateescape`` decodes it."""


def open_rows(path: str | os.PathLike[str], *, json_lines: bool = False) -> TextIO:
    """
    Open the file at *path*, CSV or, if *json_lines*, JSON Lines.

    Raises `ConfigurationError` if it cannot be read, or is in another format.
    """
    try:
        # A byte that is not UTF-8 is found in its row.
        file = Path(path).open(  # noqa: SIM115  the caller closes it
            encoding="utf-8-sig", errors="surrogateescape", newline=""
        )
    except (OSError, TypeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"cannot read {str(path)!r}: {reason}", field="path") from None
    # Looked at, not read: a pipe can be read only once.
    start: bytes = file.buffer.peek()  # type: ignore[attr-defined]  # it is a BufferedReader
    kind, advice = next(
        ((kind, advice) for pattern, kind, advice in _FORMATS if pattern.match(start)), ("", "")
    )
    if not kind and not json_lines and _JSON_LINES.match(start):
        kind, advice = "JSON", "read it as JSON Lines: `read_json_lines`, or a file .jsonl"
    if kind:
        file.close()
        raise unusable(path, f"is {kind}, not {'JSON Lines' if json_lines else 'CSV'}", advice)
    return file


def unusable(
    path: str | os.PathLike[str], reason: str, advice: str | None = None
) -> ConfigurationError:
    """The error for the file at *path*, none of whose rows is read."""
    return ConfigurationError(f"{str(path)!r} {reason}", field="path", advice=advice)


def csv_rows(file: TextIO, delimiter: str) -> Iterator[tuple[int, list[str] | UsageError]]:
    """
    The rows of *file*, each with the number of its first line.

    Raises `ConfigurationError` if the end of a row cannot be found.
    """
    first_line = file.readline()
    if found := _SEPARATOR_LINE.fullmatch(first_line):
        # An empty line in its place keeps the numbers of the lines.
        first_line, delimiter = "\n", found[1] if delimiter == "," else delimiter
    try:
        # Strict: a quotation mark that is never closed is an error, not a cell with the rest of the
        # file in it.
        rows = csv.reader(chain([first_line], file), delimiter=delimiter, strict=True)
    except (TypeError, ValueError):
        raise ConfigurationError(
            f"must be one character, not {delimiter!r}", field="delimiter"
        ) from None
    while True:
        first = rows.line_num + 1
        row: list[str] | UsageError
        try:
            row = next(rows)
            _check_utf_8("".join(row))
        except StopIteration:
            return
        except UsageError as error:
            row = error
        except csv.Error as error:
            if "field limit" in str(error):
                # The limit holds for the whole process, so it is not ours to raise.
                raise ConfigurationError(
                    f"the row that begins in line {first} has a cell of more than "
                    f"{csv.field_size_limit():,} characters: "
                    "it is not read, and nothing that follows it",
                    field="path",
                    advice="give such values as JSON Lines, or raise csv.field_size_limit",
                ) from None
            # If it took several lines, more than one mail is missing.
            last = rows.line_num
            lines = "the row is" if last <= first else f"the lines up to {last} are"
            row = UsageError(f"{lines} not CSV: {error}", field="row")
        yield first, row


def json_objects(file: TextIO) -> Iterator[tuple[int, dict[str, Any] | UsageError]]:
    """The object of each line that is not empty, with the number of the line."""
    for line, text in enumerate(file, 1):
        if text.strip():
            try:
                yield line, _json_object(text)
            except UsageError as error:
                yield line, error


def _json_object(text: str) -> dict[str, Any]:
    _check_utf_8(text)
    try:
        members = loads_text(text)
    except ValueError as error:
        raise UsageError(f"the line is not JSON: {error}", field="row") from None
    if not isinstance(members, dict):
        raise UsageError("the line is not a JSON object", field="row")
    return members


def has_text(row: list[str] | UsageError) -> bool:
    """Return whether *row* is an error, or has a cell that is not blank."""
    return isinstance(row, UsageError) or any(map(str.strip, row))


def _check_utf_8(text: str) -> None:
    if not text.isascii() and (found := _UNDECODED_BYTE.search(text)):
        raise UsageError(
            f"is not UTF-8: the byte 0x{ord(found[0]) - 0xDC00:02X} is no text",
            field="row",
            advice="save the file as UTF-8",
        )
