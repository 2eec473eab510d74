"""Reads messages from files: CSV and JSON Lines, a row at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from poweremail._ledger.entries import BadEntry, Entry
from poweremail._types.address import trim
from poweremail.batch._files import csv_rows, has_text, json_objects, open_rows, unusable
from poweremail.batch._rows import BODIES, CSV_FIELDS, JSON_FIELDS, RowReader
from poweremail.errors import UsageError

_MAX_COLUMNS_REPORTED = 20


def read_csv(
    path: str | os.PathLike[str],
    *,
    email: str = "email",
    name: str = "name",
    key: str = "key",
    fold_case: bool = False,
    delimiter: str = ",",
    **fields: Any,
) -> Iterator[Entry | BadEntry]:
    """
    Read the CSV file at *path*: UTF-8, with the names of the columns in its first line.

    Spreadsheets leave traces, which are skipped: a line ``sep=;`` at the beginning, empty lines,
    rows whose cells were cleared, and columns without a name at the end.

    Columns called subject, from_email, to, cc, bcc, reply_to, html, text, template_id, unique_id,
    auto_text, auto_html (``yes`` or ``no``), signing_domain or return_path_domain are fields of the
    message. Every other column is a dynamic value of the template; its empty
    cells are empty values. Several addresses in one cell are one mail, whose recipients see each
    other.

    *email*, *name*, *key*: the columns of the recipient's address, of their name, and of the
    message's key. The name is a dynamic value as well. If the key is the column of the addresses,
    the key of a row is its addresses, without names, sorted and joined by a comma.
    *fold_case*: keys that differ only in upper and lower case are one key.
    *delimiter*: the character between two columns; that of a line ``sep=`` replaces the default.
    *fields*: the fields that all messages share: ``template_id="news", subject="News",
    from_email="me@example.com"``.

    Raises `ConfigurationError` if the file cannot be read, is in another format, or has no column
    of addresses. Raises it also at a cell that is larger than Python's csv module reads
    (`csv.field_size_limit`, 131,072 characters), because the end of that cell, and so the next row,
    cannot be found.
    """
    with open_rows(path) as file:
        reader = RowReader(path, fields, CSV_FIELDS, email, name, key, fold_case)
        rows = csv_rows(file, delimiter)
        line, header = next(((line, row) for line, row in rows if has_text(row)), (1, []))
        if isinstance(header, UsageError):
            raise unusable(path, f"in line {line}: {header.explanation}", header.advice)
        if not header:
            raise unusable(path, "has no line with the names of its columns")
        columns = [trim(column) for column in header]
        named = [column for column in columns if column]
        if len(set(named)) < len(named):
            raise unusable(path, f"has two columns of one name among {', '.join(columns)}")
        if not {email, "to"} & {*columns, *fields}:
            found = ", ".join(map(repr, columns[:_MAX_COLUMNS_REPORTED]))
            raise unusable(
                path,
                f"has no column {email!r}, only {found}",
                "name the column of the addresses; where the columns run together, name the "
                "delimiter, too",
            )
        # An empty cell of a dynamic value is an empty value, so that the placeholder of the
        # template does not stay in the mail. In any other column it is no value.
        may_lack = (reader.used | {""}) - {name}
        width = 1 + columns.index(named[-1])
        for line, row in rows:
            if isinstance(row, UsageError):
                yield reader.bad_entry(row, line)
            elif not has_text(row):
                continue
            elif len(row) < width or any(row[len(columns) :]):
                reason = f"the row has {len(row)} columns, the header has {len(columns)}"
                yield reader.bad_entry(UsageError(reason, field="row"), line)
            else:
                cells = zip(columns, row, strict=False)
                members = {
                    column: cell
                    for column, cell in cells
                    if column not in may_lack or (cell if column in BODIES else cell.strip())
                }
                yield reader.entry(members, line)


def read_json_lines(
    path: str | os.PathLike[str],
    *,
    email: str = "email",
    name: str = "name",
    key: str = "key",
    fold_case: bool = False,
    **fields: Any,
) -> Iterator[Entry | BadEntry]:
    """
    Read the file at *path*, which has a JSON object in each line.

    Members with the name of a field of `Message` or `TemplateMessage` are that field,
    ``dynamic_value`` among them; null is as if the member were not there. An attachment is
    ``{"path": ...}`` or ``{"name": ..., "content": base64}``. Every other member is a dynamic
    value.

    *email*, *name*, *key*, *fold_case*: the members for recipient and key, as in `read_csv`.
    *fields*: the fields that all messages share. Those of a row take precedence.

    Raises `ConfigurationError` if the file cannot be read, or is in another format.
    """
    with open_rows(path, json_lines=True) as file:
        reader = RowReader(path, fields, JSON_FIELDS, email, name, key, fold_case)
        may_lack = {*reader.used, name}
        for line, members in json_objects(file):
            if isinstance(members, UsageError):
                yield reader.bad_entry(members, line)
            else:
                given = {
                    member: value
                    for member, value in members.items()
                    if value is not None or member not in may_lack
                }
                yield reader.entry(given, line)
