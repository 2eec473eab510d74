"""The outcome for each recipient of a batch, as rows for a table, CSV or JSON."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from poweremail._ledger.values import Record

COLUMNS = (
    "recipient",
    "state",
    "key",
    "unique_id",
    "attempts",
    "smtp_user_name",
    "error_kind",
    "error",
    "source",
    "line",
    "added",
    "sending",
    "settled",
)
"""The members of a row, in order."""

_FORMULA = re.compile(r"[\t\r\n]|[=+\-@](?![\w.+=@-]*\Z)", re.ASCII)
"""
The beginning of a cell that a spreadsheet would read as a formula (OWASP, CSV injection).

A cell of nothing but letters, digits and ``. _ + = @ -`` is left as it is: it calls and links
nothing, and it may be an address or a key, which an additional character would change.
"""


def rows(record: Record) -> Iterator[dict[str, Any]]:
    """
    A row for each recipient of a message, or one without a recipient if it has none. Times are ISO
    8601, in UTC.
    """
    common = {name: getattr(record, name, None) for name in COLUMNS}
    common |= {
        "added": _time(record.added),
        "sending": _time(record.taken),
        "settled": _time(record.settled),
    }
    for recipient in record.recipients or (None,):
        yield common | {"recipient": recipient}


def csv_line(row: dict[str, Any] | None = None) -> str:
    """
    A *row* as a line of CSV, without its line end; the names of the columns if it is None.

    A cell that a spreadsheet would calculate begins with a ``'``.
    """
    text = io.StringIO()
    # The line end of the writer decides which characters in a cell it quotes.
    csv.writer(text, lineterminator="\r\n").writerow(
        COLUMNS if row is None else [_harmless(row[name]) for name in COLUMNS]
    )
    return text.getvalue().removesuffix("\r\n")


def _harmless(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell


def _time(seconds: float | None) -> str | None:
    return (
        None
        if seconds is None
        else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    )
