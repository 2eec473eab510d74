"""Adds messages to a batch in groups, each in one transaction."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from typing import Any

import attrs
from sqlalchemy import ColumnElement, Connection, and_, delete, insert, or_, select

from poweremail._ledger import State
from poweremail._ledger.clock import Clock
from poweremail._ledger.database import Database
from poweremail._ledger.entries import Added, BadEntry, BatchItem, Entry
from poweremail._ledger.former import former_of
from poweremail._ledger.payload import pack
from poweremail._ledger.schema import contents, insert_new, messages, payloads, storable
from poweremail._runtime._observed import traceparent
from poweremail._types.address import trim
from poweremail._types.content import Content
from poweremail.errors import UsageError

# An entry of an index of PostgreSQL has at most 2,704 bytes.
_MAX_KEY_BYTES = 2_000
_MAX_ERRORS_REPORTED = 100
_MAX_GROUP = 500
_MAX_GROUP_BYTES = 16 * 1024 * 1024

_COUNT_AFTER = 5_000
"""
The rows after which the database counts them again, for its plans; then after twice as many, and so
on, because it takes longer the more there are. PostgreSQL would do so by itself, but a minute later
than the first worker begins.
"""


class Adding:
    """
    One pass over the sources of the batch with the number *batch*. If that is None, nothing is
    written, and the pass shows whether the messages are valid.

    To add a source again adds nothing, so a pass that was interrupted can be repeated.
    """

    def __init__(self, database: Database, batch: int | None) -> None:
        self._database = database
        self._batch = batch
        self._sources: set[str | None] = {None}
        self._trimmed: set[str] | None = None
        self._count_after = _COUNT_AFTER
        self._clear()
        self.total: Added = Added()

    def append(self, item: BatchItem) -> None:
        """Add *item* to the group that the next `flush` writes."""
        entry = item if isinstance(item, Entry | BadEntry) else Entry(message=item)
        self._group.append(entry)
        if isinstance(entry, BadEntry):
            return
        message = entry.message
        bodies = (getattr(message, name, None) for name in ("html", "text"))
        self._bytes += sum(len(body or "") for body in bodies)
        files: set[Content] = {file.content for file in message.attachments}
        files |= {file.content for file in message.images}
        # A file that many mails share is read and stored once.
        for file in files - self._files:
            self._bytes += len(file) if isinstance(file, bytes) else file.size or 0
        self._files |= files

    @property
    def is_full(self) -> bool:
        """True if the group is as large as a transaction should be, or as memory allows."""
        return len(self._group) >= _MAX_GROUP or self._bytes >= _MAX_GROUP_BYTES

    def flush(self) -> None:
        """Write the group, whole or not at all. Raises `LedgerError`."""
        self.add(self._group)
        self._clear()

    def _clear(self) -> None:
        self._group: list[Entry | BadEntry] = []
        self._files: set[Content] = set()
        self._bytes = 0

    def add(self, entries: Sequence[Entry | BadEntry]) -> None:
        """Write *entries* as one group."""
        rows: list[dict[str, Any]] = []
        bad: list[dict[str, Any]] = []
        files: dict[str, bytes] = {}
        errors: list[tuple[int | None, str]] = []
        shared = 0
        to: tuple[str, ...]
        for entry in entries:
            if isinstance(entry, BadEntry):
                error, to = entry.error, (entry.recipient,) if entry.recipient else ()
            else:
                try:
                    rows.append(row_of(entry, files))
                except UsageError as failure:  # a file that cannot be read, a key that is too long
                    error, to = failure, entry.message.recipients
                else:
                    shared += len(entry.message.to) + len(entry.message.cc) > 1
                    continue
            bad.append(_bad_row(entry, error, to))
            errors.append((entry.line, error.explanation))
        added = len(rows) if self._batch is None else self._write(rows, bad, files)
        self.total = attrs.evolve(
            self.total,
            added=self.total.added + added,
            known=self.total.known + len(rows) - added,
            invalid=self.total.invalid + len(bad),
            errors=(*self.total.errors, *errors)[:_MAX_ERRORS_REPORTED],
            shared=self.total.shared + shared,
        )
        if self._batch is not None and self.total.added >= self._count_after:
            self._count_after = 2 * self.total.added
            self._database.count_rows(messages.name, payloads.name)

    def _write(
        self, rows: list[dict[str, Any]], bad: list[dict[str, Any]], files: dict[str, bytes]
    ) -> int:
        """Write the rows of messages and the *bad* ones, and return the number of new messages."""
        new_sources = {row["source"] for row in (*rows, *bad)} - self._sources
        with self._database.transaction() as connection:
            # The invalid rows of a source may have been corrected since it was last added. So may
            # one that has a key of its own and is from no source, or from another one.
            corrected = or_(
                messages.c.source.in_(new_sources),
                messages.c.key.in_([row["key"] for row in rows]),
            )
            of_batch = messages.c.batch == self._batch
            invalid = and_(of_batch, messages.c.state == State.INVALID)
            connection.execute(delete(messages).where(invalid, corrected))
            _add_contents(connection, files)
            if self._trimmed is None:
                self._trimmed = _trimmed_keys(connection, of_batch)
            rows = [row for row in rows if row["key"] not in self._trimmed]
            rows = _without_stored(connection, of_batch, rows)
            added, _ = (_insert(connection, self._batch, each) for each in (rows, bad))
        self._sources |= new_sources
        return added


def _insert(connection: Connection, batch: int | None, rows: list[dict[str, Any]]) -> int:
    """Insert those of *rows* whose key is new, with their payloads, and return their number."""
    if not rows:
        return 0
    texts = {storable(row["key"]): row.pop("payload") for row in rows}
    add = insert_new(connection, messages).values(batch=batch, added=Clock())
    found = connection.execute(add.returning(messages.c.id, messages.c.key), rows).all()
    if found:
        connection.execute(insert(payloads), [{"message": id, **texts[key]} for id, key in found])
    return len(found)


def _trimmed_keys(connection: Connection, of_batch: ColumnElement[bool]) -> set[str]:
    """
    The keys that release 0.1 stored with white space around them, without it: whoever has corrected
    such a key since then does not want a second mail.
    """
    key = messages.c.key
    blank = or_(*(key.like(f"{each}%") | key.like(f"%{each}") for each in " \t\u00a0"))
    found = select(key).where(of_batch, messages.c.state != State.INVALID, blank)
    return set(map(trim, connection.scalars(found)))


def _without_stored(
    connection: Connection, of_batch: ColumnElement[bool], rows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return those of *rows* that are not in the batch under their former key."""
    former = [storable(row.pop("former") or "") for row in rows]
    found = select(messages.c.key).where(
        of_batch, messages.c.key.in_({*former} - {""}), messages.c.state != State.INVALID
    )
    stored = set(connection.scalars(found)) if any(former) else ()
    return [row for row, key in zip(rows, former, strict=True) if key not in stored]


def _add_contents(connection: Connection, files: dict[str, bytes]) -> None:
    """Store those of *files* that the ledger does not have; they are not sent to a server twice."""
    if not files:
        return
    # Locked, so that none of them is purged before this transaction refers to it.
    known = select(contents.c.digest).where(contents.c.digest.in_(files))
    known = known.with_for_update(read=True, key_share=True)
    # Sorted, so that no two processes wait for each other.
    new = sorted(files.keys() - set(connection.scalars(known)))
    if new:
        rows = [{"digest": digest, "content": files[digest]} for digest in new]
        connection.execute(insert_new(connection, contents), rows)


def row_of(entry: Entry, files: dict[str, bytes]) -> dict[str, Any]:
    """
    The row of *entry*, and *former*, the key that an earlier release gave it, if that is another.
    """
    own = entry.message.unique_id
    former = {} if entry.key or own else entry.former or former_of(entry.message)
    packed = pack(entry.message, former)
    key = entry.key or trim(own or "") or packed.digest
    if _bytes(key) > _MAX_KEY_BYTES:
        raise UsageError(
            f"has {_bytes(key):,} bytes, and not every ledger can keep more than "
            f"{_MAX_KEY_BYTES:,}",
            field="key",
        )
    files |= packed.contents
    former_key = entry.former.get("key") if entry.key else own or packed.former
    return {
        "key": key,
        # It is drawn once, so that every attempt and every lookup has the same one.
        "unique_id": own or uuid.uuid4().hex,
        "state": State.PLANNED,
        "due": 0.0,
        "source": entry.source,
        "line": entry.line,
        "payload": {
            "payload": packed.payload,
            "files": json.dumps(sorted(packed.contents)) if packed.contents else None,
            "trace_context": traceparent(),
        },
        "former": former_key if former_key != key else None,
    }


def _bytes(key: str) -> int:
    return len(storable(key).encode())


def _bad_row(entry: Entry | BadEntry, error: UsageError, to: tuple[str, ...]) -> dict[str, Any]:
    # Two rows may have the same error, and each of them is listed: their places distinguish them.
    key = entry.key if isinstance(entry, Entry) else None
    key = key or f"invalid {entry.source} {entry.line} {error.explanation}"
    if _bytes(key) > _MAX_KEY_BYTES:
        key = f"invalid {hashlib.sha256(storable(key).encode()).hexdigest()}"
    return {
        "key": key,
        "state": State.INVALID,
        "error_kind": type(error).__name__,
        "error": error.explanation,
        "source": entry.source,
        "line": entry.line,
        "payload": {
            "payload": json.dumps({"to": [[storable(each)] for each in to]}, ensure_ascii=False),
            "files": None,
            "trace_context": None,
        },
    }
