"""
What a command prints.

Data goes to standard output, words for people go to standard error. On a terminal a table has rules
and headings. Elsewhere it is one line a row, with a tab between the columns, uncut and without
headings, so that ``cut`` and ``while read`` can process it. With ``--json`` each item is a JSON
object on a line of its own.

Either stream may be closed (cron, ``>&-``), full or a pipe whose reader has gone. Standard error
then loses its words. Standard output raises `OutputError`, so that a list ends early; if it was
closed from the start, nothing is printed and nothing is raised.
"""

from __future__ import annotations

import functools
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TextIO

import typer

from poweremail._types.secret import Secret

MAX_ERRORS_REPORTED = 20
"""How many invalid rows of a batch are printed; the others are counted."""

_ABOVE_ASCII = r"\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069"
_CONTROL = re.compile(rf"[\x00-\x1f{_ABOVE_ASCII}]")
"""Characters that move the cursor, colour the terminal, or reorder what is on a line."""

_UNSAFE_IN_JSON = re.compile(rf"[{_ABOVE_ASCII}\ud800-\udfff]")
"""Those that JSON may have in a string, and lone surrogates, which no encoding can carry."""


class OutputError(Exception):
    """Standard output cannot be written. ``reader_gone``: it is a pipe that nobody reads."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror or str(error))
        self.reader_gone = isinstance(error, BrokenPipeError)


def plain(value: object) -> str:
    """
    Return *value* as people read it, on one line.

    Subjects and user agents come from strangers: a character that could steer the terminal is
    shown as an escape.
    """
    match value:
        case None:
            return ""
        case True | False:
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(map(plain, value))
        case Mapping():
            return ", ".join(f"{plain(name)} {plain(each)}" for name, each in value.items())
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
        case _:
            return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], str(value))


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether *stream* is a terminal. Python's stream is None if it is closed."""
    return stream is not None and stream.isatty()


class Output:
    """
    Prints for one command.

    - *as_json*: print data as JSON.
    - *quiet*: print data and errors only.
    """

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self.as_json = as_json
        self.quiet = quiet

    def data(self, line: str) -> None:
        """Print one line of data."""
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        _print(line.encode(encoding, "backslashreplace").decode(encoding))

    def say(self, text: str) -> None:
        """Print words for people, unless they asked for quiet."""
        if not self.quiet:
            self.error(text)

    def warn(self, text: str) -> None:
        """Print a warning, unless people asked for quiet."""
        self.say(f"warning: {text}")

    def error(self, text: str) -> None:
        """Print words that people must read."""
        with suppress(OutputError):
            _print("\n".join(map(plain, text.split("\n"))), err=True)

    def json(self, value: object, *, indent: int | None = None, show_secrets: bool = False) -> None:
        """
        Print *value* as JSON, on one line unless *indent* is given.

        A secret is printed as ``***`` unless *show_secrets* is True.
        """
        encoding = getattr(sys.stdout, "encoding", None) or ""
        text = json.dumps(
            value,
            ensure_ascii=encoding.lower().replace("-", "") != "utf8",
            default=functools.partial(_jsonable, show_secrets=show_secrets),
            indent=indent,
        )
        _print(_UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text))

    def result(self, members: Mapping[str, Any], words: str) -> None:
        """Print the *members* as JSON if that is asked for, otherwise the *words* for people."""
        if self.as_json:
            self.json(members)
        else:
            self.say(words)

    def done(self, message: str) -> None:
        """Report that a change was made. *message* is the service's text."""
        self.result({"state": "done", "message": message}, f"done: {message}")

    def record(self, item: object) -> None:
        """Print one *item*, a mapping or a value of the library: a line for each member."""
        shown = members(item)
        if self.as_json:
            self.json(shown)
            return
        if not shown.get("extra", True):
            shown.pop("extra")
        on_terminal = is_terminal(sys.stdout)
        width = max(map(len, shown), default=0)
        for name, value in shown.items():
            heading = f"{name.replace('_', ' '):{width}}  " if on_terminal else f"{name}\t"
            self.data(f"{heading}{plain(value)}")

    def table(self, items: Iterable[object], columns: tuple[str, ...]) -> int:
        """Print the *columns* of *items* (as JSON, all members) and return how many there were."""
        rows = map(members, items)
        if not self.as_json and is_terminal(sys.stdout):
            return _draw(list(rows), columns)
        count = 0
        for count, row in enumerate(rows, 1):  # noqa: B007  the last number is the result
            if self.as_json:
                self.json(row)
            else:
                self.data("\t".join(plain(row[column]) for column in columns))
        return count


def _print(text: str, *, err: bool = False) -> None:
    """Print *text* and flush. Raises `OutputError`."""
    try:
        typer.echo(text, err=err)
    except OSError as error:
        # The text stays in the stream's buffer. Python writes it once more at exit, and if that
        # fails it ends with status 120: so the stream gets a place that accepts it.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), (sys.stderr if err else sys.stdout).fileno())
        raise OutputError(error) from None


def _draw(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> int:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415  only a terminal needs it
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    if rows:
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            table.add_column(column.replace("_", " "), overflow="fold")
        for row in rows:
            table.add_row(*(Text(plain(row[column])) for column in columns))
        Console(highlight=False).print(table)
    return len(rows)


def members(item: object) -> dict[str, Any]:
    """Return the members of *item* by name, without the response from which it was read."""
    if isinstance(item, Mapping):
        return dict(item)
    names = [attribute.name for attribute in getattr(item, "__attrs_attrs__", ())]
    return {name: getattr(item, name) for name in names if name != "raw"}


def _jsonable(value: object, *, show_secrets: bool) -> object:
    """Convert for JSON: times to ISO 8601, mappings and the library's values to objects."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping) or hasattr(value, "__attrs_attrs__"):
        return members(value)
    return value.reveal() if show_secrets and isinstance(value, Secret) else str(value)
