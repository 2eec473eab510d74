"""
Adds one mail to a ledger in a transaction of the caller.

Theory of operation. The tables are in the caller's database, so the mail is a row of the caller's
transaction: it exists if that transaction is committed, and never existed if it is rolled back.
Nothing here commits, rolls back or sets a savepoint. Everything that can be wrong with the message
is found before the first statement (`NewMail`), because in PostgreSQL a failed statement would
spoil the transaction.

The unique constraint on the key makes two mails with one key one. If two transactions add the same
key at once, the second waits for the first: after its commit it adds nothing, and after its
rollback it adds the mail.

In SQLite a transaction that has read cannot always become one that writes: it fails, without a
wait, if somebody else has written meanwhile. So the first statement here is one that writes, and it
waits for its turn.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs
from sqlalchemy import (
    ColumnElement,
    func,
    insert,
    literal,
    select,
    update,
)

from poweremail._ledger import State
from poweremail._ledger.adding import row_of
from poweremail._ledger.callers import HOW_TO_CREATE, CallersDatabase, Target, database_of
from poweremail._ledger.clock import Clock
from poweremail._ledger.entries import Entry
from poweremail._ledger.options import is_share
from poweremail._ledger.payload import recipients
from poweremail._ledger.schema import (
    OUTBOX,
    batches,
    contents,
    insert_new,
    messages,
    payloads,
    version_row,
)
from poweremail._ledger.values import Record
from poweremail._ledger.versions import VERSION
from poweremail._messages.message import Message, TemplateMessage
from poweremail._types.address import trim
from poweremail._types.checks import must_be
from poweremail.errors import ConfigurationError, LedgerError, UsageError

_row = messages.c
_RECORD_COLUMNS = tuple(field.name for field in attrs.fields(Record) if field.name in _row)


@attrs.frozen
class NewMail:
    """A mail that is to be added, checked and read."""

    row: Mapping[str, Any]
    payload: Mapping[str, Any]
    files: Mapping[str, bytes]

    @classmethod
    def of(
        cls,
        message: Message | TemplateMessage,
        key: str | None,
        not_before: datetime | None,
        expires: datetime | None,
    ) -> NewMail:
        """Read the files of *message*. Raises `UsageError` if anything is invalid."""
        files: dict[str, bytes] = {}
        row = row_of(Entry(message=message, key=key), files)
        del row["former"]
        row |= {"due": _seconds("not_before", not_before), "expires": _seconds("expires", expires)}
        if not_before is not None and expires is not None and expires <= not_before:
            raise UsageError("must be later than not_before", field="expires")
        return cls(row, row.pop("payload"), files)

    @property
    def key(self) -> str:
        """Its key."""
        return str(self.row["key"])


def _seconds(field: str, moment: datetime | None) -> float | None:
    if moment is None:
        return None
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        raise UsageError(
            f"must be a datetime with a time zone, not {moment!r}",
            field=field,
            advice="for example datetime.now(UTC) + timedelta(minutes=30)",
        )
    return moment.timestamp()


@attrs.define(kw_only=True)
class OutboxTables:
    """
    The outbox called *name* in the tables of *schema*; *bulk_share* is the share of each limit that
    other batches may use.
    """

    name: str = attrs.field(
        validator=must_be("a name", lambda value: isinstance(value, str) and bool(value.strip()))
    )
    schema: str | None
    bulk_share: float = attrs.field(validator=must_be("a number above 0 and up to 1", is_share))
    _checked: set[str] = attrs.field(factory=set, init=False)

    def add(self, target: Target, mail: NewMail) -> None:
        """Add *mail* in the transaction of *target*, if its key is new."""
        database = database_of(target, self.schema)
        batch = self._batch(database)
        row = {**mail.row, "attempts": 0, "looks": 0, "fence": 0, "added": Clock()}
        if row["due"] is None:
            row["due"] = Clock()
        add = insert_new(database, messages).values(batch=batch, **row)
        for (number,) in database.rows(add.returning(_row.id)):
            # Sorted, so that no two transactions wait for each other.
            for digest, content in sorted(mail.files.items()):
                # Locked, so that it is not purged before this transaction refers to it.
                known = select(contents.c.digest).where(contents.c.digest == digest)
                known = known.with_for_update(read=True, key_share=True)
                if not database.rows(known):
                    new = insert_new(database, contents)
                    database.rows(new.values(digest=digest, content=content))
            database.rows(insert(payloads).values(message=number, **mail.payload))

    def find(self, target: Target, key: str) -> Record | None:
        """The mail with this *key*, as the transaction of *target* sees it."""
        columns = [_row[name] for name in _RECORD_COLUMNS]
        found = (
            select(payloads.c.payload, *columns)
            .join_from(messages, payloads)
            .where(self._has_key(key))
        )
        for payload, *values in database_of(target, self.schema).rows(found):
            members = dict(zip(_RECORD_COLUMNS, values, strict=True))
            return Record(**members, recipients=recipients(payload))
        return None

    def cancel(self, target: Target, key: str) -> bool:
        """End the mail with this *key*, if it is planned, in the transaction of *target*."""
        change = update(messages).where(self._has_key(key), _row.state == State.PLANNED.value)
        change = change.values(
            state=State.NOT_SENT.value,
            due=None,
            fence=_row.fence + 1,
            settled=Clock(),
            error_kind="Cancelled",
            error="it was cancelled before it was sent",
        )
        return bool(database_of(target, self.schema).rows(change.returning(_row.id)))

    def _has_key(self, key: str) -> ColumnElement[bool]:
        if not isinstance(key, str):
            raise UsageError(f"must be a string, not {key!r}", field="key")
        own = select(batches.c.id).where(batches.c.name == self.name, batches.c.kind == OUTBOX)
        return (_row.batch == own.scalar_subquery()) & (_row.key == trim(key))

    def _batch(self, database: CallersDatabase) -> int:
        """The number of the outbox, whose row is added if it is missing."""
        self._check_version(database)
        own = select(batches.c.id, batches.c.kind).where(batches.c.name == self.name)
        found = database.rows(own)
        if not found:
            options = json.dumps({"bulk_share": self.bulk_share})
            new = insert_new(database, batches).values(
                name=self.name, added=Clock(), kind=OUTBOX, options=options, failures_in_a_row=0
            )
            database.rows(new)
            found = database.rows(own)
        number, kind = found[0]
        if kind != OUTBOX:
            raise ConfigurationError(
                f"{self.name!r} is a batch", field="name", advice="give the outbox another name"
            )
        return int(number)

    def _check_version(self, database: CallersDatabase) -> None:
        """Raise `LedgerError` if the tables are missing, or of another version."""
        if database.dialect.name == "sqlite":
            found = self._lock_sqlite(database)
        elif database.name in self._checked:
            return
        else:
            place = version_row.name
            if self.schema is not None:
                quote = database.dialect.identifier_preparer.quote
                place = f"{quote(self.schema)}.{place}"
            exists = database.rows(select(func.to_regclass(literal(place)).is_not(None)))
            found = database.rows(select(version_row.c.version)) if exists[0][0] else [(0,)]
        if not found:
            # Not noted as checked: the transaction may be rolled back.
            database.adopt()
        elif (version := max(found)[0]) != VERSION:
            state = f"have version {version}, not {VERSION}" if version else "are missing"
            raise LedgerError(f"the tables of the outbox {state}", advice=HOW_TO_CREATE)
        else:
            self._checked.add(database.name)

    @staticmethod
    def _lock_sqlite(database: CallersDatabase) -> list[tuple[Any, ...]]:
        """Wait until this transaction may write, and return the versions of the tables."""
        lock = update(version_row).values(version=version_row.c.version)
        try:
            return database.rows(lock.returning(version_row.c.version))
        except Exception as error:
            if "no such table" in str(error):
                return [(0,)]
            raise
