"""
Deletes what is no longer needed from a ledger, while workers use it.

Theory of operation. Only rows that nothing will change any more are deleted: settled ones, of
batches in which nothing is left to do, whose outcome was reported to the hooks. They go in small
transactions, each of which looks again whether the batch is finished, so a `retry` or an `add`
meanwhile keeps what it needs.

A file may be shared by many messages, and is deleted when none of them is left. Whoever adds a
message with it at the same time must not find it just before it goes. So that transaction locks the
table of files against everybody who adds, and searches for references while it has the lock.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import attrs
from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    exists,
    func,
    or_,
    select,
    text,
    update,
)

from poweremail._ledger import SETTLED, State
from poweremail._ledger.clock import Clock
from poweremail._ledger.database import Database
from poweremail._ledger.lane_conditions import is_unfinished
from poweremail._ledger.schema import batches, contents, lanes, messages, payloads, schema_of
from poweremail._ledger.statements import is_open

_GROUP = 500
_LOCK_SECONDS = 5
_EMPTY = "{}"
"""The payload of a message whose content was deleted."""

_row = messages.c

_given_up = and_(_row.state == State.UNKNOWN, ~is_open())
_is_reported = _row.unreported.is_(None)


@attrs.frozen(kw_only=True)
class Purged:
    """
    The result of `Ledger.purge`.

    *messages*: the number of messages that were deleted, or lost their content.
    *batches*: the number of batches that were deleted, because no message was left in them.
    *files*: the number of files that were deleted, because no message has them any more.
    *kept_unfinished*: the number of messages that are old enough, but belong to a batch in which
    mails are left to be sent or looked up.
    *kept_unknown*: the number of unknown messages that are old enough.
    *kept_unreported*: the number of messages that are old enough, but whose hook was not called
    yet.
    """

    messages: int = 0
    batches: int = 0
    files: int = 0
    kept_unfinished: int = 0
    kept_unknown: int = 0
    kept_unreported: int = 0

    def __add__(self, other: Purged) -> Purged:
        both = (attrs.asdict(self), attrs.asdict(other))
        return Purged(**{name: sum(each[name] for each in both) for name in both[0]})


def has_content() -> ColumnElement[bool]:
    """True for a message whose content was not deleted."""
    of_row = payloads.c.message == _row.id
    return exists().where(of_row, payloads.c.payload != _EMPTY).correlate(messages)


def purge(
    database: Database, older_than: float, batch: int | None, *, unknown: bool, only_payloads: bool
) -> Purged:
    """As `Ledger.purge` describes it."""
    wanted = select(batches.c.id).order_by(batches.c.id)
    if batch is not None:
        wanted = wanted.where(batches.c.id == batch)
    with database.reading() as connection:
        before = database.now(connection) - older_than
        numbers = connection.scalars(wanted).all()
    total = Purged()
    for number in numbers:
        total += _purge_batch(
            database, number, before, unknown=unknown, only_payloads=only_payloads
        )
    return attrs.evolve(total, files=_delete_files(database))


def _purge_batch(
    database: Database, batch: int, before: float, *, unknown: bool, only_payloads: bool
) -> Purged:
    settled = _row.state.in_(sorted(SETTLED))
    is_old = and_(
        _row.batch == batch,
        func.coalesce(_row.settled, _row.added) <= before,
        settled | _given_up,
        *((has_content(),) if only_payloads else ()),
    )
    wanted = settled | _given_up if unknown else settled
    group = select(_row.id).where(is_old, wanted, _is_reported).limit(_GROUP)
    group = group.with_for_update(skip_locked=True, of=messages)
    purged = 0
    while True:
        with database.transaction() as connection:
            ids = connection.scalars(group).all() if _is_finished(connection, batch) else ()
            if ids and only_payloads:
                _empty(connection, ids)
            elif ids:
                connection.execute(delete(messages).where(_row.id.in_(ids)))
        purged += len(ids)
        if len(ids) < _GROUP:
            break

    def count(*conditions: ColumnElement[bool]) -> int:
        counted = select(func.count()).select_from(messages).where(is_old, *conditions)
        return int(connection.execute(counted).scalar_one())

    with database.transaction() as connection:
        if not _is_finished(connection, batch):
            return Purged(messages=purged, kept_unfinished=count())
        return Purged(
            messages=purged,
            batches=0 if only_payloads else _delete_batch(connection, batch, before),
            kept_unknown=0 if unknown else count(_given_up),
            kept_unreported=count(wanted, ~_is_reported),
        )


def _is_finished(connection: Connection, batch: int) -> bool:
    """Return whether nothing of *batch* is left to do. Of an outbox, each message is considered."""
    is_no_outbox = exists().where(batches.c.id == batch, batches.c.kind.is_(None))
    is_left = is_unfinished(batch, reports=False)
    return not connection.scalar(select(and_(is_no_outbox, is_left)))


def _empty(connection: Connection, ids: Sequence[int]) -> None:
    """Delete the content of messages, with the error's text: it often names the address."""
    nothing = {"payload": _EMPTY, "files": None, "trace_context": None}
    connection.execute(update(payloads).where(payloads.c.message.in_(ids)).values(nothing))
    connection.execute(update(messages).where(_row.id.in_(ids)).values(error=None))


def _delete_batch(connection: Connection, batch: int, before: float) -> int:
    """Delete *batch* if it is old and empty, and no worker has it; return the number of batches."""
    row = batches.c
    # While it is locked, nobody can add to it.
    connection.execute(select(row.id).where(row.id == batch).with_for_update())
    is_used = or_(
        exists().where(_row.batch == batch),
        exists().where(lanes.c.batch == batch, lanes.c.lease_until > Clock()),
    )
    is_over = and_(row.id == batch, row.added < before, row.kind.is_(None), ~is_used)
    number = connection.scalar(select(row.id).where(is_over))
    if number is None:
        return 0
    connection.execute(delete(batches).where(row.id == number))
    return 1


def _delete_files(database: Database) -> int:
    """Delete the files that no message has, and return their number."""
    with database.reading() as connection:
        unused = sorted(set(connection.scalars(select(contents.c.digest))) - _used(connection))
    for first in range(0, len(unused), _GROUP):
        with database.transaction() as connection:
            _lock_files(connection)
            group = set(unused[first : first + _GROUP]) - _used(connection)
            connection.execute(delete(contents).where(contents.c.digest.in_(group)))
    return len(unused)


def _lock_files(connection: Connection) -> None:
    """Wait for those who add files, not long. The transaction of SQLite is a lock by itself."""
    if connection.dialect.name == "postgresql":
        names = filter(None, (schema_of(connection), contents.name))
        table = ".".join(map(connection.dialect.identifier_preparer.quote, names))
        # Whoever wants to add a file meanwhile waits as well.
        connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'"))
        connection.execute(text(f"LOCK TABLE {table} IN EXCLUSIVE MODE"))


def _used(connection: Connection) -> set[str]:
    """The digests of the files of all messages."""
    lists = select(payloads.c.files).where(payloads.c.files.is_not(None)).distinct()
    return {digest for files in connection.scalars(lists) for digest in json.loads(files)}
