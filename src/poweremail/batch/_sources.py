"""
Reads messages from files: CSV and JSON Lines, a row at a time.

A column or member with the name of a message's field is that field. Of the others, ``email`` and
``name`` are the recipient, ``key`` is the key, and the rest are the template's dynamic values. An
invalid row becomes a `BadEntry`, and the next one is read.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

import attrs

from poweremail._ledger.entries import BadEntry, Entry
from poweremail._messages.envelope import Tracking
from poweremail._messages.message import Message, TemplateMessage
from poweremail._types.address import recipient, recipients
from poweremail._types.attachment import Attachment
from poweremail._wire.json import loads_text
from poweremail.errors import ConfigurationError, UsageError

__all__ = ["read_csv", "read_json_lines"]

_MEMBERS: dict[type, set[str]] = {
    kind: {field.name for field in attrs.fields(kind)}
    for kind in (Message, TemplateMessage, Tracking)
}
_FIELDS = _MEMBERS[Message] | _MEMBERS[TemplateMessage]
_JSON_FIELDS = _FIELDS - {"images"}
_ADDRESS_LISTS = ("to", "cc", "bcc", "reply_to")
_CSV_FIELDS = {
    *("subject", "from_email", "html", "text", "template_id", "unique_id"),
    *_ADDRESS_LISTS,
}
_MAX_COLUMNS_REPORTED = 20
_SEPARATOR_LINE = re.compile(r'"?sep=([^"\r\n])"?\r?\n?', re.IGNORECASE)
"""The line by which Excel reads the delimiter; many exports write it."""

_UNDECODED_BYTE = re.compile("[\udc80-\udcff]")
"""A byte that is not UTF-8, as ``surrogateescape`` decodes it."""


def read_csv(
    path: str | os.PathLike[str],
    *,
    email: str = "email",
    name: str = "name",
    key: str = "key",
    delimiter: str = ",",
    **fields: Any,
) -> Iterator[Entry | BadEntry]:
    """
    Read the CSV file at *path*: UTF-8, with the names of the columns in its first line.

    Spreadsheets leave traces, which are skipped: a line ``sep=;`` at the beginning, empty lines,
    rows whose cells were cleared, and columns without a name at the end.

    Columns called subject, from_email, to, cc, bcc, reply_to, html, text, template_id or unique_id
    are fields of the message; several addresses in one cell have ``;`` between them. Every other
    column is a dynamic value of the template.

    *email*, *name*, *key*: the columns of the recipient's address, of their name, and of the
    message's key. The name is a dynamic value as well.
    *delimiter*: the character between two columns; that of a line ``sep=`` replaces the default.
    *fields*: the fields that all messages share: ``template_id="news", subject="News",
    from_email="me@example.com"``.

    Raises `ConfigurationError` if the file cannot be read or has no column of addresses. Raises it
    also at a cell that is larger than Python's csv module reads (`csv.field_size_limit`, 131,072
    characters), because the end of that cell, and so the next row, cannot be found.
    """
    with _opened(path) as file:
        reader = _RowReader(_absolute(path), fields, _CSV_FIELDS, email, name, key)
        rows = _csv_rows(file, delimiter)
        line, header = next(((line, row) for line, row in rows if _has_text(row)), (1, []))
        if isinstance(header, UsageError):
            raise ConfigurationError(
                f"{str(path)!r}, line {line}: {header.explanation}",
                field="path",
                advice=header.advice,
            )
        if not header:
            raise ConfigurationError(
                f"{str(path)!r} has no line with the names of its columns", field="path"
            )
        columns = [column.strip() for column in header]
        named = [column for column in columns if column]
        if len(set(named)) < len(named):
            raise ConfigurationError(
                f"{str(path)!r} has two columns of one name among {', '.join(columns)}",
                field="path",
            )
        if not {email, "to"} & {*columns, *fields}:
            found = ", ".join(map(repr, columns[:_MAX_COLUMNS_REPORTED]))
            raise ConfigurationError(
                f"{str(path)!r} has no column {email!r}, only {found}",
                field="path",
                advice="name the column of the addresses; where the columns run together, name the "
                "delimiter, too",
            )
        # An empty cell of a dynamic value is an empty value, so that the placeholder of the
        # template does not stay in the mail. In any other column it is no value.
        dynamic = set(columns) - {*_FIELDS, email, key, ""}
        width = 1 + columns.index(named[-1])
        for line, row in rows:
            if isinstance(row, UsageError):
                yield reader.bad_entry(row, line)
            elif not _has_text(row):
                continue
            elif len(row) < width or any(row[len(columns) :]):
                reason = f"the row has {len(row)} columns, the header has {len(columns)}"
                yield reader.bad_entry(UsageError(reason, field="row"), line)
            else:
                cells = zip(columns, row, strict=False)
                members = {column: cell for column, cell in cells if cell or column in dynamic}
                yield reader.entry(members, line)


def read_json_lines(
    path: str | os.PathLike[str],
    *,
    email: str = "email",
    name: str = "name",
    key: str = "key",
    **fields: Any,
) -> Iterator[Entry | BadEntry]:
    """
    Read the file at *path*, which has a JSON object in each line.

    Members with the name of a field of `Message` or `TemplateMessage` are that field,
    ``dynamic_value`` among them. An attachment is ``{"path": ...}`` or ``{"name": ..., "content":
    base64}``. Every other member is a dynamic value.

    *email*, *name*, *key*: the members for recipient and key, as in `read_csv`.
    *fields*: the fields that all messages share. Those of a row take precedence.

    Raises `ConfigurationError` if the file cannot be read.
    """
    with _opened(path) as file:
        reader = _RowReader(_absolute(path), fields, _JSON_FIELDS, email, name, key)
        for line, text in enumerate(file, 1):
            if not text.strip():
                continue
            try:
                members = _json_object(text)
            except UsageError as error:
                yield reader.bad_entry(error, line)
            else:
                yield reader.entry(members, line)


@attrs.frozen
class _RowReader:
    """
    Makes entries from the rows of one source.

    *common*: the fields that all messages share.
    *fields*: the names of the columns or members that are fields of a message.
    """

    source: str
    common: Mapping[str, Any]
    fields: set[str]
    email: str
    name: str
    key: str

    def __attrs_post_init__(self) -> None:
        """Check what all messages share: an error in it would be in each of them."""
        if unknown := self.common.keys() - _FIELDS:
            raise ConfigurationError(f"no mail has {' or '.join(sorted(unknown))}", field="fields")
        if "from_email" in self.common:
            recipient("from_email", self.common["from_email"])
        if self.common.get("reply_to"):
            recipients("reply_to", _separated(self.common["reply_to"]))

    def bad_entry(self, error: UsageError, line: int, address: Any = None) -> BadEntry:
        return BadEntry(
            error=error,
            recipient=None if address is None else str(address),
            source=self.source,
            line=line,
        )

    def entry(self, row: Mapping[str, Any], line: int) -> Entry | BadEntry:
        fields = self.fields - {self.key}
        members = {**self.common, **{name: row[name] for name in row if name in fields}}
        used = {*self.fields, self.email, self.key}
        rest = {name: row[name] for name in row if name not in used}
        if self.email in row:
            address, name = row[self.email], row.get(self.name)
            members["to"] = [(name, address) if name else address]
        key = row.get(self.key)
        try:
            return Entry(
                message=_message(members, rest),
                key=None if key is None else str(key),
                source=self.source,
                line=line,
            )
        except UsageError as error:
            return self.bad_entry(error, line, row.get(self.email, row.get("to")))


def _message(members: dict[str, Any], rest: Mapping[str, Any]) -> Message | TemplateMessage:
    for field in _ADDRESS_LISTS:
        if field in members:
            members[field] = _separated(members[field])
    for field in ("to", "subject", "from_email"):
        if field not in members:
            raise UsageError("is missing", field=field)
    if isinstance(members.get("tracking"), dict):
        _check_members("tracking", members["tracking"], Tracking, "it")
        members["tracking"] = Tracking(**members["tracking"])
    if "attachments" in members:
        members["attachments"] = _attachments(members["attachments"])
    if "template_id" in members:
        advice = "leave template_id out, or what stands beside it"
        _check_members("row", members, TemplateMessage, "a mail with a template", advice)
        dynamic = members.get("dynamic_value", {})
        if not isinstance(dynamic, Mapping):
            raise UsageError(
                f"must be an object, not {type(dynamic).__name__}", field="dynamic_value"
            )
        members["dynamic_value"] = {**rest, **dynamic}
        return TemplateMessage(**members)
    advice = "give template_id, or leave them out"
    _check_members("row", members, Message, "a mail without a template", advice)
    if unused := {name for name, value in rest.items() if value != ""} - {"name"}:
        reason = f"{', '.join(sorted(unused))}: only a template has dynamic values"
        raise UsageError(reason, field="row", advice=advice)
    return Message(**members)


def _separated(addresses: Any) -> Any:
    if isinstance(addresses, str) and ";" in addresses:
        return [each.strip() for each in addresses.split(";") if each.strip()]
    return addresses


def _check_members(
    field: str, members: Mapping[str, Any], kind: type, name: str, advice: str | None = None
) -> None:
    if unknown := members.keys() - _MEMBERS[kind]:
        raise UsageError(
            f"{name} has no {' and no '.join(sorted(unknown))}", field=field, advice=advice
        )


def _attachments(values: Any) -> list[Attachment]:
    if isinstance(values, Attachment):
        return [values]
    if not isinstance(values, list | tuple):
        raise UsageError(f"must be a list, not {type(values).__name__}", field="attachments")
    return [_attachment(value) for value in values]


def _attachment(value: Any) -> Attachment:
    if isinstance(value, Attachment):
        return value
    if isinstance(value, dict):
        options = {name: value.get(name) for name in ("name", "type")}
        if value.keys() <= {"path", "name", "type"} and isinstance(
            value.get("path"), str | os.PathLike
        ):
            return Attachment.from_path(value["path"], **options)
        if value.keys() <= {"content", "name", "type"} and {"content", "name"} <= value.keys():
            return Attachment.from_base64(value["content"], value["name"], type=options["type"])
    raise UsageError(
        "must have a path, or name and content, and nothing unknown", field="attachments"
    )


def _absolute(path: str | os.PathLike[str]) -> str:
    """The absolute path: a relative one names another file in another working directory."""
    return str(Path(path).resolve())


def _opened(path: str | os.PathLike[str]) -> TextIO:
    try:
        # A byte that is not UTF-8 is found in its row, and spoils no other.
        return Path(path).open(encoding="utf-8-sig", errors="surrogateescape", newline="")
    except (OSError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"cannot read {str(path)!r}: {getattr(error, 'strerror', None) or error}", field="path"
        ) from None


def _csv_rows(file: TextIO, delimiter: str) -> Iterator[tuple[int, list[str] | UsageError]]:
    """The rows of *file*, each with the number of its first line."""
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


def _json_object(text: str) -> dict[str, Any]:
    _check_utf_8(text)
    try:
        members = loads_text(text)
    except ValueError as error:
        raise UsageError(f"the line is not JSON: {error}", field="row") from None
    if not isinstance(members, dict):
        raise UsageError("the line is not a JSON object", field="row")
    return members


def _has_text(row: list[str] | UsageError) -> bool:
    return isinstance(row, UsageError) or any(map(str.strip, row))


def _check_utf_8(text: str) -> None:
    if not text.isascii() and (found := _UNDECODED_BYTE.search(text)):
        raise UsageError(
            f"is not UTF-8: the byte 0x{ord(found[0]) - 0xDC00:02X} is no text",
            field="row",
            advice="save the file as UTF-8",
        )
