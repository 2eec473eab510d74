"""
Messages from files: CSV and JSON Lines, a row at a time.

A column or member that is called like a field of a message is that field; of the others, ``email``
and ``name`` are the recipient, ``key`` is the key, and the rest are the template's dynamic values.
A bad row comes out as a `BadEntry`, and the next one is read.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import attrs

from poweremail._ledger.values import BadEntry, Entry
from poweremail._messages.envelope import Tracking
from poweremail._messages.message import Message, TemplateMessage
from poweremail._types.address import recipient, recipients
from poweremail._types.attachment import Attachment
from poweremail._wire.json import loads_text
from poweremail.errors import UsageError

if TYPE_CHECKING:
    import _csv

__all__ = ["read_csv", "read_json_lines"]

_MEMBERS: dict[type, set[str]] = {
    kind: {field.name for field in attrs.fields(kind)}
    for kind in (Message, TemplateMessage, Tracking)
}
_FIELDS = _MEMBERS[Message] | _MEMBERS[TemplateMessage]
_IN_CSV = _FIELDS & {
    "subject",
    "from_email",
    "to",
    "cc",
    "bcc",
    "reply_to",
    "html",
    "text",
    "template_id",
    "unique_id",
}
_SEVERAL = ("to", "cc", "bcc", "reply_to")
_TOLD = 20
_NOT_UTF_8 = re.compile("[\udc80-\udcff]")
"""A byte that is no text, as `_opened` lets it through."""


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
    Read the CSV file at *path*: UTF-8, the names of the columns in its first line.

    *email*, *name* and *key* are the columns of the recipient's address, of their name and of the
    message's key; the name is a dynamic value, too. Columns called subject, from_email, to, cc,
    bcc, reply_to, html, text, template_id or unique_id are fields of the message (several addresses
    in one with ``;`` between them); every other one is a dynamic value of the template. *fields*
    are those that are the same for all: ``template_id="news", subject="News",
    from_email="me@example.com"``.

    Raises `UsageError` for a file that cannot be read, or has no column with addresses; and at a
    cell that is larger than Python's csv module takes (`csv.field_size_limit`, 131,072 characters),
    because where it ends, and so the next row begins, is not known.
    """
    source = str(path)
    with _opened(path) as file:
        reading = _Reading(_known_as(path), fields, _IN_CSV, email, name, key)
        rows = _rows(file, delimiter)
        header = _next_row(rows)
        if isinstance(header, UsageError):
            raise _usage(f"{source!r}, line 1: {header.explanation}", advice=header.advice)
        if not header:
            raise _usage(f"{source!r} has no line with the names of its columns")
        header = [column.strip() for column in header]
        if len(set(header)) < len(header):
            raise _usage(f"{source!r} has two columns of one name among {', '.join(header)}")
        if not {email, "to"} & {*header, *fields}:
            raise _usage(
                f"{source!r} has no column {email!r}, only {', '.join(map(repr, header[:_TOLD]))}",
                advice="name the column of the addresses; where the columns run together, name the "
                "delimiter, too",
            )
        # An empty cell is an empty value, so that the field of the template does not stay in the
        # mail; elsewhere it is none.
        dynamic = set(header) - {*_FIELDS, email, key, ""}
        while True:
            line = rows.line_num + 1
            row = _next_row(rows)
            if row is None:
                return
            if isinstance(row, UsageError):
                yield BadEntry(error=row, source=reading.source, line=line)
            elif len(row) not in (0, len(header)):
                error = UsageError(
                    f"the row has {len(row)} columns, the header has {len(header)}", field="row"
                )
                yield BadEntry(error=error, source=reading.source, line=line)
            elif row:
                yield reading.entry(
                    {
                        c: value
                        for c, value in zip(header, row, strict=True)
                        if value != "" or c in dynamic
                    },
                    line,
                )


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

    Members that are called like a field of `Message` or `TemplateMessage` are that field,
    ``dynamic_value`` among them; an attachment is ``{"path": ...}`` or ``{"name": ..., "content":
    base64}``. *email*, *name* and *key* are as in `read_csv`, every other member is a dynamic
    value. *fields* are those that are the same for all; a row's own go first.

    Raises `UsageError` for a file that cannot be read.
    """
    with _opened(path) as file:
        source = _known_as(path)
        reading = _Reading(source, fields, _FIELDS - {"images"}, email, name, key)
        for line, text in enumerate(file, 1):
            if not text.strip():
                continue
            if (not_utf_8 := _not_utf_8(text)) is not None:
                yield BadEntry(error=not_utf_8, source=source, line=line)
                continue
            try:
                members = loads_text(text)
            except ValueError as error:
                yield BadEntry(
                    error=UsageError(f"the line is not JSON: {error}", field="row"),
                    source=source,
                    line=line,
                )
                continue
            if isinstance(members, dict):
                yield reading.entry(members, line)
            else:
                yield BadEntry(
                    error=UsageError("the line is not a JSON object", field="row"),
                    source=source,
                    line=line,
                )


@attrs.frozen
class _Reading:
    """How the rows of one source become messages."""

    source: str
    common: Mapping[str, Any]
    fields: set[str]
    email: str
    name: str
    key: str

    def __attrs_post_init__(self) -> None:
        """What is the same for all rows would be wrong in each of them."""
        if unknown := self.common.keys() - _FIELDS:
            raise UsageError(
                f"no mail has {' or '.join(sorted(unknown))}", field="fields", mail_state=None
            )
        if "from_email" in self.common:
            recipient("from_email", self.common["from_email"])
        if self.common.get("reply_to"):
            recipients("reply_to", _separated(self.common["reply_to"]))

    def entry(self, row: Mapping[str, Any], line: int) -> Entry | BadEntry:
        try:
            members = {
                **self.common,
                **{
                    name: value
                    for name, value in row.items()
                    if name in self.fields and name != self.key
                },
            }
            if self.email in row:
                who = row.get(self.name)
                members["to"] = [(who, row[self.email]) if who else row[self.email]]
            rest = {
                name: value
                for name, value in row.items()
                if name not in (*self.fields, self.email, self.key)
            }
            key = row.get(self.key)
            return Entry(
                message=_message(members, rest),
                key=None if key is None else str(key),
                source=self.source,
                line=line,
            )
        except UsageError as error:
            to = row.get(self.email, row.get("to"))
            return BadEntry(
                error=error,
                recipient=None if to is None else str(to),
                source=self.source,
                line=line,
            )


def _message(members: dict[str, Any], rest: Mapping[str, Any]) -> Message | TemplateMessage:
    for field in _SEVERAL:
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
        _check_members(
            "row",
            members,
            TemplateMessage,
            "a mail with a template",
            "leave template_id out, or what stands beside it",
        )
        dynamic = members.get("dynamic_value", {})
        if not isinstance(dynamic, Mapping):
            raise UsageError(
                f"must be an object, not {type(dynamic).__name__}", field="dynamic_value"
            )
        members["dynamic_value"] = {**rest, **dynamic}
        return TemplateMessage(**members)
    _check_members(
        "row", members, Message, "a mail without a template", "give template_id, or leave them out"
    )
    if unused := {name for name, value in rest.items() if value != ""} - {"name"}:
        raise UsageError(
            f"{', '.join(sorted(unused))}: only a template has dynamic values",
            field="row",
            advice="give template_id, or leave them out",
        )
    return Message(**members)


def _separated(addresses: Any) -> Any:
    if isinstance(addresses, str) and ";" in addresses:
        return [each.strip() for each in addresses.split(";") if each.strip()]
    return addresses


def _check_members(
    field: str, members: Mapping[str, Any], kind: type, what: str, advice: str | None = None
) -> None:
    if unknown := members.keys() - _MEMBERS[kind]:
        raise UsageError(
            f"{what} has no {' and no '.join(sorted(unknown))}", field=field, advice=advice
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


def _known_as(path: str | os.PathLike[str]) -> str:
    """
    The absolute name of the file: a relative one is that of another file where it is read from
    another directory.
    """
    return str(Path(path).resolve())


def _opened(path: str | os.PathLike[str]) -> TextIO:
    try:
        # What is not UTF-8 is found in the row that has it, and spoils no other.
        return Path(path).open(encoding="utf-8-sig", errors="surrogateescape", newline="")
    except (OSError, TypeError, ValueError) as error:
        raise _usage(
            f"cannot read {str(path)!r}: {getattr(error, 'strerror', None) or error}"
        ) from None


def _rows(file: TextIO, delimiter: str) -> _csv.Reader:
    try:
        # Strict: a quotation mark that nobody closes is an error, not a value with the rest of the
        # file in it.
        return csv.reader(file, delimiter=delimiter, strict=True)
    except (TypeError, ValueError):
        raise UsageError(
            f"must be one character, not {delimiter!r}", field="delimiter", mail_state=None
        ) from None


def _next_row(rows: _csv.Reader) -> list[str] | UsageError | None:
    first = rows.line_num + 1
    try:
        row = next(rows, None)
    except csv.Error as error:
        if "field limit" in str(error):
            # The limit is one for the whole process, and so not ours to raise.
            raise _usage(
                f"the row that begins in line {first} has a cell of more than "
                f"{csv.field_size_limit():,} characters: "
                "it is not read, and nothing that follows it",
                advice="give such values as JSON Lines, or raise csv.field_size_limit",
            ) from None
        # Whoever reads one line of it is not to think that one mail is missing.
        lines = "the row is" if rows.line_num <= first else f"the lines up to {rows.line_num} are"
        return UsageError(f"{lines} not CSV: {error}", field="row")
    return _not_utf_8("".join(row or ())) or row


def _not_utf_8(text: str) -> UsageError | None:
    """What is wrong with *text* that has bytes which are not UTF-8; None where it has none."""
    if text.isascii() or (found := _NOT_UTF_8.search(text)) is None:
        return None
    byte = ord(found[0]) - 0xDC00
    return UsageError(
        f"is not UTF-8: the byte 0x{byte:02X} is no text",
        field="row",
        advice="save the file as UTF-8",
    )


def _usage(reason: str, advice: str | None = None) -> UsageError:
    return UsageError(reason, field="path", mail_state=None, advice=advice)
