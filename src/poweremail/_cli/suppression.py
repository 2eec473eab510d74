"""``poweremail suppression``: who must not get mail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import typer

from poweremail._cli import exits
from poweremail._cli.options import argument, option, printing
from poweremail._cli.output import MAX_ERRORS_REPORTED
from poweremail._cli.session import STORE_VARIABLE, Session, open_list
from poweremail._types.suppression import EVERY_STREAM, REASONS, Suppression
from poweremail.errors import ConfigurationError, LedgerError, PowerEmailError
from poweremail.suppression import import_csv, open_store

_COLUMNS = ("address", "stream", "reason", "since", "note")

app = typer.Typer(
    help="Look up, add and remove addresses that must not get mail.", no_args_is_help=True
)


@attrs.frozen
class StoreOptions:
    """Where the list is."""

    store: str = option(
        "The list: a file, or the URL of a ledger's database, such as postgresql://host/name.",
        "PLACE",
        default=...,
        envvar=STORE_VARIABLE,
    )

    @contextmanager
    def open(self, *, creates: bool = False) -> Iterator[Any]:
        """Open the store for the time of a block. *creates*: it may be a new one."""
        with open_store(self.store) if creates else open_list(self.store) as store:
            try:
                yield store
            except LedgerError as error:
                # That of the ledger says what happened to a batch, and there is none.
                raise PowerEmailError(error.reason, advice=error.advice) from None


def _stream(default: str | None) -> Any:
    return option(
        "The stream, such as newsletter; * is for all mails.", "NAME", "--stream", default=default
    )


def _reason(default: str | None) -> Any:
    return option(f"One of {', '.join(REASONS)}.", "REASON", "--reason", default=default)


def _checked(reason: str | None) -> Any:
    if reason is not None and reason not in REASONS:
        raise ConfigurationError(f"must be one of {', '.join(REASONS)}", field="--reason")
    return reason


@app.command()
@printing
def lookup(
    session: Session,
    options: StoreOptions,
    address: str = argument("The address, in any spelling.", "ADDRESS"),
) -> None:
    """
    Print the entries of an address.

    Exit status: 0 if there is one, 1 if there is none.
    """
    with options.open() as store:
        found = store.find((Suppression(address).address,))
    if not session.out.table(found, _COLUMNS):
        session.out.say("not on any list")
        raise typer.Exit(exits.FAILED)


@app.command("list")
@printing
def list_entries(
    session: Session,
    options: StoreOptions,
    *,
    stream: str | None = _stream(None),
    reason: str | None = _reason(None),
) -> None:
    """Print all entries, or those of a stream or with a reason, by address."""
    with options.open() as store:
        session.out.table(store.entries(stream=stream, reason=_checked(reason)), _COLUMNS)


@app.command()
@printing
def add(
    session: Session,
    options: StoreOptions,
    addresses: list[str] = argument("The addresses.", "ADDRESS..."),
    *,
    stream: str = _stream(EVERY_STREAM),
    reason: str = _reason("manual"),
    note: str | None = option("Where it comes from.", "TEXT"),
) -> None:
    """Add addresses. An entry that is there already stays as it is."""
    entries = [Suppression(each, stream, reason=_checked(reason), note=note) for each in addresses]
    with options.open(creates=True) as store:
        added = store.add(entries)
    session.out.result({"added": added, "known": len(entries) - added}, f"{added} added")


@app.command()
@printing
def remove(
    session: Session,
    options: StoreOptions,
    address: str = argument("The address, in any spelling.", "ADDRESS"),
    *,
    stream: str | None = _stream(None),
    reason: str | None = _reason(None),
) -> None:
    """
    Remove the entries of an address, so that it gets mail again.

    Exit status: 0 if there were some, 1 if there were none.
    """
    with options.open() as store:
        removed = store.remove(address, stream=stream, reason=_checked(reason))
    session.out.result({"removed": removed}, f"{removed} removed")
    if not removed:
        raise typer.Exit(exits.FAILED)


@app.command("import")
@printing
def import_file(
    session: Session,
    options: StoreOptions,
    file: Path = argument("A CSV file, or one address a line.", "FILE"),
    *,
    stream: str = _stream(EVERY_STREAM),
    reason: str = _reason("manual"),
    column: str | None = option("The column of the addresses; found by its name.", "NAME"),
    delimiter: str = option("The character between the columns.", "CHARACTER", default=","),
) -> None:
    """
    Add each address in a file, such as the export of another service.

    Exit status: 0, or 7 if rows without an address were left out.
    """
    with options.open(creates=True) as store:
        imported = import_csv(
            store.add,
            file,
            stream=stream,
            reason=_checked(reason),
            column=column,
            delimiter=delimiter,
        )
    for line, error in imported.bad_rows[:MAX_ERRORS_REPORTED]:
        session.out.error(f"{file}:{line}: {error.explanation}")
    counts = {"added": imported.added, "rows": imported.rows, "invalid": imported.invalid}
    words = f"{imported.added} added of {imported.rows} addresses"
    if imported.invalid:
        words += f"; {imported.invalid} rows have none"
    session.out.result(counts, words)
    if imported.invalid:
        raise typer.Exit(exits.SOME_FAILED)
