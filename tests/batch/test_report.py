"""The lines of a report."""

from __future__ import annotations

import csv
import io

import pytest

from poweremail.batch._report import COLUMNS, csv_line

NOTHING: dict[str, object] = dict.fromkeys(COLUMNS)


def cells(**members: object) -> dict[str, str]:
    (row,) = csv.DictReader(
        io.StringIO(f"{csv_line()}\n{csv_line(NOTHING | members)}\n", newline="")
    )
    return row


@pytest.mark.parametrize(
    "text",
    [
        '=HYPERLINK("http://example.com","x")',
        "+1 234",
        "-1+cmd|' /C calc'!A0",
        "@SUM(A1:A9)",
        "\t=1",
        "\r=1",
        "\n=1",
        "=1+1;",
    ],
)
def test_cells_that_a_spreadsheet_would_calculate_are_text(text):
    row = cells(recipient=text, error=text, key=text)
    assert {row[column] for column in ("recipient", "error", "key")} == {f"'{text}"}


@pytest.mark.parametrize(
    "text",
    [
        "+tag@example.com",
        "-a.b_c=d@example.com",
        "=x@example.com",
        "-5",
        "Ada = Bob (x)",
        "a=1",
        "-",
    ],
)
def test_addresses_and_keys_are_not_changed(text):
    assert cells(recipient=text, key=text)["recipient"] == text
    assert cells(attempts=-1)["attempts"] == "-1"
