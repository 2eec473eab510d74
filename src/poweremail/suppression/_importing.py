"""Reads the list of another service, or of a spreadsheet, into a store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import attrs

from poweremail._types.checks import check_not_awaitable
from poweremail._types.suppression import EVERY_STREAM, Reason, Suppression
from poweremail.batch._files import csv_rows, has_text, open_rows, unusable
from poweremail.errors import UsageError

_COLUMNS = ("email", "address", "emailaddress", "recipient")
"""How exports name the column of the addresses, without case, spaces and hyphens."""

_MAX_BAD_ROWS_KEPT = 1_000


class BadRow(NamedTuple):
    """A row that has no address. *line*: where it begins, from 1. *error*: what is wrong."""

    line: int
    error: UsageError


@attrs.frozen(kw_only=True)
class Imported:
    """
    The result of an import.

    *rows*: the number of rows with an address.
    *added*: the number of entries that are new; None if the store does not tell.
    *invalid*: the number of rows without an address, which were left out.
    *bad_rows*: the first 1,000 of them.
    """

    rows: int
    added: int | None
    invalid: int
    bad_rows: tuple[BadRow, ...] = attrs.field(repr=False)


def import_csv(
    add: Callable[[Iterator[Suppression]], object],
    path: str | os.PathLike[str],
    *,
    stream: str = EVERY_STREAM,
    reason: Reason = "manual",
    column: str | None = None,
    delimiter: str = ",",
) -> Imported:
    """
    Add each address in the CSV file at *path*, which may be as large as it likes.

    *add*: the method of a store, which must not be async: ``store.add``.
    *stream*, *reason*: of all entries. Nothing is read into them from the file, because services
    name reasons in many ways: import a file for each.
    *column*: the name of the column of addresses. By default it is the one called ``email``,
    ``address``, ``Email Address`` or alike. A file without headings, such as one address a line,
    needs none: its first column counts.

    Rows without an address are counted and left out. The file is UTF-8, with or without a byte
    order mark. An import that was interrupted can simply be run again. Raises `ConfigurationError`
    if the file cannot be read or has no such column.
    """
    Suppression("check@example.com", stream, reason=reason)  # before the file is opened
    rows = invalid = 0
    bad_rows: list[BadRow] = []

    def entries() -> Iterator[Suppression]:
        nonlocal rows, invalid
        with open_rows(path) as file:
            index: int | None = None
            for line, row in csv_rows(file, delimiter):
                if not has_text(row):
                    continue
                if index is None and not isinstance(row, UsageError):
                    index, is_heading = _column(row, column, path)
                    if is_heading:
                        continue
                try:
                    if isinstance(row, UsageError):
                        raise row
                    address = row[index or 0] if len(row) > (index or 0) else ""
                    entry = Suppression(address, stream, reason=reason)
                except UsageError as error:
                    invalid += 1
                    if len(bad_rows) < _MAX_BAD_ROWS_KEPT:
                        bad_rows.append(BadRow(line, error))
                else:
                    rows += 1
                    yield entry

    added: Any = add(entries())
    check_not_awaitable("add", added)
    return Imported(
        rows=rows,
        added=added if isinstance(added, int) else None,
        invalid=invalid,
        bad_rows=tuple(bad_rows),
    )


def _column(row: list[str], wanted: str | None, path: str | os.PathLike[str]) -> tuple[int, bool]:
    """Return the place of the addresses, and whether *row*, the first one, has the headings."""
    names = [cell.strip() for cell in row]
    if wanted is not None:
        if wanted in names:
            return names.index(wanted), True
        raise unusable(path, f"has no column {wanted!r}", f"its columns: {', '.join(names)}")
    plain = [name.lower().replace(" ", "").replace("-", "").replace("_", "") for name in names]
    for name in _COLUMNS:
        if name in plain:
            return plain.index(name), True
    if "@" in names[0] or len(names) == 1:
        return 0, "@" not in names[0]
    raise unusable(
        path,
        "has no column with a name such as 'email'",
        f"name it; its columns: {', '.join(names)}",
    )
