"""
What a command prints.

Data goes to standard output, words for people to standard error. On a terminal a table has rules
and headings; elsewhere it is one line a row with a tab between the columns, whole and without
headings, so that ``cut`` and ``while read`` can have it. With ``--json`` each thing is one JSON
object on a line of its own.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import typer

from poweremail._types.secret import Secret

__all__ = ["Output", "plain"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def plain(value: object) -> str:
    """
    Return *value* as people read it, on one line.

    Subjects and user agents come from strangers, so that what could move the cursor of a terminal
    is shown as an escape.
    """
    match value:
        case None:
            return ""
        case True | False:
            return "yes" if value else "no"
        case str():
            text = value
        case list() | tuple():
            text = ", ".join(map(plain, value))
        case datetime():
            text = f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
        case _:
            text = str(value)
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


class Output:
    """Prints as the options *as_json* and *quiet* say."""

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self.as_json = as_json
        self._quiet = quiet

    def data(self, line: str) -> None:
        """Print one line of data."""
        encoding = sys.stdout.encoding or "utf-8"
        typer.echo(line.encode(encoding, "backslashreplace").decode(encoding))

    def say(self, text: str) -> None:
        """Tell people something, unless they asked for quiet."""
        if not self._quiet:
            self.error(text)

    def warn(self, text: str) -> None:
        """Tell people of something that they should change, unless they asked for quiet."""
        self.say(f"warning: {text}")

    def error(self, text: str) -> None:
        """Tell people something that they must know."""
        typer.echo("\n".join(map(plain, text.split("\n"))), err=True)

    def json(self, value: object, *, indent: int | None = None, show_secrets: bool = False) -> None:
        """
        Print *value* as JSON, on one line unless *indent* is given. A secret is printed as ``***``,
        unless it is to be shown.
        """
        readable = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
        typer.echo(
            json.dumps(
                value,
                ensure_ascii=not readable,
                default=_plainly if show_secrets else _jsonable,
                indent=indent,
            )
        )

    def done(self, message: str) -> None:
        """Tell that a change was made; *message* is what the service said."""
        if self.as_json:
            self.json({"state": "done", "message": message})
        else:
            self.say(f"done: {message}")

    def record(self, thing: object) -> None:
        """
        Print one *thing*, a mapping or a value of the library: a line for each of its members.
        """
        members = _members(thing)
        if self.as_json:
            self.json(members)
            return
        if not members.get("extra", True):
            members = {name: value for name, value in members.items() if name != "extra"}
        if sys.stdout.isatty():
            width = max(map(len, members), default=0)
            for name, value in members.items():
                self.data(f"{name.replace('_', ' '):{width}}  {plain(value)}")
        else:
            for name, value in members.items():
                self.data(f"{name}\t{plain(value)}")

    def table(self, things: Iterable[object], columns: tuple[str, ...]) -> int:
        """
        Print the *columns* of *things*, with ``--json`` all that they have, and return how many
        there were.
        """
        rows = map(_members, things)
        if not self.as_json and sys.stdout.isatty():
            return _draw(list(rows), columns)
        count = 0
        for row in rows:
            count += 1
            if self.as_json:
                self.json(row)
            else:
                self.data("\t".join(plain(row[column]) for column in columns))
        return count


def _draw(rows: list[Mapping[str, Any]], columns: tuple[str, ...]) -> int:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415  only terminals need it
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


def _members(thing: object) -> Mapping[str, Any]:
    """What *thing* has, by name; the answer in which it came is no part of it."""
    if isinstance(thing, Mapping):
        return dict(thing)
    # What attrs keeps about a class, read without loading attrs.
    names = [attribute.name for attribute in getattr(thing, "__attrs_attrs__", ())]
    return {name: getattr(thing, name) for name in names if name != "raw"}


def _jsonable(value: object) -> object:
    """
    What JSON has no form of: times as ISO 8601, mappings and values of the library as objects,
    secrets as ``***``.
    """
    if isinstance(value, datetime):
        return value.isoformat()
    return (
        _members(value)
        if isinstance(value, Mapping) or hasattr(value, "__attrs_attrs__")
        else str(value)
    )


def _plainly(value: object) -> object:
    """As `_jsonable`, secrets as they are."""
    return value.reveal() if isinstance(value, Secret) else _jsonable(value)
