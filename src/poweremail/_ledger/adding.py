"""Filling a batch: messages in groups, each group in one transaction."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any

import attrs
from sqlalchemy import and_, delete, select

from poweremail._ledger.database import Database
from poweremail._ledger.payload import pack
from poweremail._ledger.schema import contents, insert_new, messages, storable
from poweremail._ledger.states import State
from poweremail._ledger.values import Added, BadEntry, Entry
from poweremail.errors import UsageError

__all__ = ["Adding"]

_TOLD = 100


class Adding:
    """
    One pass over the sources of the batch with the number *batch*, or over none at all (None) to
    see whether they could be added.

    Adding the same source again adds nothing, so a pass that broke off is simply begun anew.
    """

    def __init__(self, database: Database, batch: int | None) -> None:
        self._database = database
        self._batch = batch
        self._sources: set[str] = set()
        self.total: Added = Added()

    def add(self, entries: Sequence[Entry | BadEntry]) -> None:
        """Add a group, whole or not at all. Raises `LedgerError`."""
        rows: list[dict[str, Any]] = []
        bad: list[dict[str, Any]] = []
        files: dict[str, bytes] = {}
        errors: list[tuple[int | None, str]] = []
        for entry in entries:
            try:
                if isinstance(entry, Entry):
                    rows.append(_row(entry, files))
                    continue
                error, recipient = entry.error, entry.recipient
            except UsageError as failure:  # a file that cannot be read
                error, recipient = failure, None
            bad.append(_bad_row(entry, error, recipient))
            errors.append((entry.line, error.explanation))
        added = len(rows) if self._batch is None else self._write(rows, bad, files)
        self.total = attrs.evolve(
            self.total,
            added=self.total.added + added,
            known=self.total.known + len(rows) - added,
            invalid=self.total.invalid + len(bad),
            errors=(*self.total.errors, *errors)[:_TOLD],
        )

    def _write(
        self, rows: list[dict[str, Any]], bad: list[dict[str, Any]], files: dict[str, bytes]
    ) -> int:
        with self._database.transaction() as connection:
            now = self._database.now(connection)
            common = {"batch": self._batch, "added": now}
            sources = {row["source"] for row in (*rows, *bad)} - self._sources
            for source in sources - {None}:
                # What was wrong with it the last time may have been corrected.
                connection.execute(
                    delete(messages).where(
                        messages.c.batch == self._batch,
                        messages.c.state == State.INVALID,
                        messages.c.source == source,
                    )
                )
            if files:
                kept = set(
                    connection.scalars(
                        select(contents.c.digest).where(contents.c.digest.in_(files))
                    )
                )
                new = [
                    {"digest": digest, "content": content}
                    for digest, content in files.items()
                    if digest not in kept
                ]
                if new:
                    connection.execute(insert_new(connection, contents), new)
            added = 0
            if rows:
                # A message with a key of its own that could not be kept the last time; it comes
                # from no source, or from another.
                corrected = and_(
                    messages.c.batch == self._batch,
                    messages.c.key.in_([row["key"] for row in rows]),
                )
                connection.execute(
                    delete(messages).where(corrected, messages.c.state == State.INVALID)
                )
                statement = insert_new(connection, messages).execution_options(
                    preserve_rowcount=True
                )
                added = connection.execute(statement, [row | common for row in rows]).rowcount
            if bad:
                connection.execute(insert_new(connection, messages), [row | common for row in bad])
        self._sources |= {source for source in sources if source is not None}
        return added


def _row(entry: Entry, files: dict[str, bytes]) -> dict[str, Any]:
    packed = pack(entry.message)
    files |= packed.contents
    own = entry.message.unique_id
    return {
        "key": entry.key or own or packed.digest,
        # Drawn once: whatever happens, the mail can be asked for by it.
        "unique_id": own or uuid.uuid4().hex,
        "state": State.PLANNED,
        "due": 0.0,
        "source": entry.source,
        "line": entry.line,
        "files": json.dumps(sorted(packed.contents)) if packed.contents else None,
        "payload": packed.payload,
    }


def _bad_row(entry: Entry | BadEntry, error: UsageError, recipient: str | None) -> dict[str, Any]:
    # Two rows may be wrong in the same way, and each of them is listed: where they stand tells them
    # apart.
    key = (
        entry.key
        if isinstance(entry, Entry) and entry.key
        else f"invalid {entry.source} {entry.line} {error.explanation}"
    )
    return {
        "key": key,
        "state": State.INVALID,
        "error_kind": type(error).__name__,
        "error": error.explanation,
        "source": entry.source,
        "line": entry.line,
        "payload": json.dumps(
            {"to": [[storable(recipient)]]} if recipient else {}, ensure_ascii=False
        ),
    }
