"""
The version of the tables of a ledger, and the migrations from older ones.

A new ledger gets the tables of `schema`. An older one is migrated, step by step; to change the
schema, change a table and add the migration, and never change a migration that was released.
tests/batch/test_old_ledger.py compares the two ways. A migration tool
that has a connection of its own gets the statements as text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    Connection,
    create_mock_engine,
    func,
    insert,
    inspect,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.schema import CreateColumn, CreateSchema

from poweremail._ledger.schema import (
    all_tables,
    batches,
    drains,
    lanes,
    messages,
    metadata,
    payloads,
    schema_of,
    smtp_users,
    suppressions,
    version_row,
)
from poweremail._ledger.usage import Usage
from poweremail.errors import LedgerError


def _split_payloads(connection: Connection) -> None:
    """
    Move the payloads into a table of their own, and add what many workers share.

    A worker of the version before it takes no row afterwards, because its query names a column that
    is gone; the outcomes of its mails in work can still be written.
    """
    for table in (payloads, lanes, drains, suppressions):
        table.create(connection)
    connection.exec_driver_sql(
        "INSERT INTO poweremail_payloads (message, payload, files)"
        " SELECT id, payload, files FROM poweremail_messages"
    )
    for column in ("payload", "files"):
        connection.exec_driver_sql(f"ALTER TABLE poweremail_messages DROP COLUMN {column}")
    for table, names in (
        (messages, ("expires", "unreported")),
        (batches, ("kind", "options", "failures_in_a_row", "runners", "swept")),
        (smtp_users, ("limits", "used", "revision", "booked", "free_at", "bulk_free_at")),
    ):
        for name in names:
            column_ddl = CreateColumn(table.c[name]).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {column_ddl}")
    connection.exec_driver_sql("DROP INDEX poweremail_messages_by_state")
    for index in messages.indexes:
        index.create(connection, checkfirst=True)
    _merge_bookings(connection)


def _merge_bookings(connection: Connection) -> None:
    """
    Make the bookings of version 1 a part of their SMTP users.

    The empty table stays: a worker of version 1 that still runs reads it before it writes the last
    outcomes.
    """
    rows = connection.exec_driver_sql(
        "SELECT smtp_user_name, time, count FROM poweremail_bookings ORDER BY id"
    ).all()
    now = max((row.time for row in rows), default=0.0)
    used: dict[str, Usage] = {}
    for name, time, count in rows:
        used.setdefault(name, Usage(None, now)).book(count, at=time)
    for name, usage in used.items():
        row = update(smtp_users).where(smtp_users.c.name == name)
        connection.execute(row.values(used=usage.to_json()))
    connection.exec_driver_sql("DELETE FROM poweremail_bookings")


MIGRATIONS: tuple[Callable[[Connection], None], ...] = (_split_payloads,)
"""The first makes version 2 from version 1, and so on."""

VERSION = 1 + len(MIGRATIONS)

_LOCK = 0x506F454C  # "PoEL"


def prepare(connection: Connection, *, beside_others: bool = False) -> None:
    """
    Create the tables, or migrate them, within the transaction of *connection*.

    *beside_others*: whether a file of SQLite may have the tables of something else as well.

    Raises `LedgerError` if their version is newer than this library, or the file is no ledger.
    """
    schema = schema_of(connection)
    if connection.dialect.name == "postgresql":
        # Two processes may begin at once. The transaction of SQLite is a lock by itself.
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        if schema is not None:
            if not inspect(connection).has_schema(schema):
                connection.execute(CreateSchema(schema))
            # For the migrations, which name no schema.
            name = connection.dialect.identifier_preparer.quote(schema)
            connection.exec_driver_sql(f"SET LOCAL search_path TO {name}")
    version = read_version(connection, beside_others=beside_others)
    if version == 0:
        all_tables.create_all(connection)
    if not version:
        record_version(connection)
        return
    if version > VERSION:
        raise LedgerError(
            f"the ledger has version {version}, and this poweremail knows {VERSION} at most",
            advice="upgrade poweremail",
        )
    for migrate in MIGRATIONS[version - 1 :]:
        migrate(connection)
    connection.execute(update(version_row).values(version=VERSION))


def is_current(connection: Connection, *, beside_others: bool = False) -> bool:
    """Return whether the tables exist in this version, so that `prepare` has nothing to do."""
    return read_version(connection, beside_others=beside_others) == VERSION


def read_version(connection: Connection, *, beside_others: bool = False) -> int | None:
    """The version of the tables; 0 if there are none, None if it was never recorded."""
    names = inspect(connection).get_table_names(schema_of(connection))
    if version_row.name in names:
        # Two processes may have recorded it at once.
        version: int | None = connection.scalar(select(func.max(version_row.c.version)))
        return version
    if names and connection.dialect.name == "sqlite" and not beside_others:
        raise LedgerError(
            "it is a database of something else",
            advice="name another file, or let `create_tables` of an Outbox add the tables",
        )
    return 0


def record_version(connection: Connection) -> None:
    """
    Record the version of new tables, which a migration tool may have made from `metadata`.

    Raises `LedgerError` if their columns are not those of this version.
    """
    for table in all_tables.tables.values():
        # The inspector takes seconds with the settings of a worker's transactions.
        columns: Any = literal_column("*")
        nothing = select(columns).select_from(table).limit(0)
        if set(connection.execute(nothing).keys()) != set(table.c.keys()):
            raise LedgerError(
                f"the columns of the table {table.name} are not those of version {VERSION}",
                advice="make them from poweremail.batch.metadata",
            )
    connection.execute(insert(version_row).values(version=VERSION))


def create_statements(dialect: str) -> list[str]:
    """The statements that create the tables, and record their version, in *dialect*."""

    def make(engine: Any) -> None:
        metadata.create_all(engine, checkfirst=False)
        engine.execute(insert(version_row).values(version=VERSION))

    return _recorded(dialect, make)


def drop_statements(dialect: str) -> list[str]:
    """The statements that drop the tables in *dialect*."""
    return _recorded(dialect, lambda engine: metadata.drop_all(engine, checkfirst=False))


def _recorded(dialect: str, make: Callable[[Any], object]) -> list[str]:
    statements: list[str] = []

    def record(statement: Any, *_: Any, **__: Any) -> None:
        compiled = statement.compile(dialect=engine.dialect, compile_kwargs={"literal_binds": True})
        statements.append(str(compiled).strip())

    # It is never connected; the driver of PostgreSQL need not be installed.
    engine = create_mock_engine(f"{dialect}://", record)
    make(engine)
    return statements
