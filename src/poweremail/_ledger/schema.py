"""
The tables of a ledger, and the migrations from older versions.

A new ledger gets the tables as they are below. An older one is migrated, step by step; to change
the schema, change a table and add the migration, and never change a migration that was released.
tests/batch/test_old_ledger.py compares the two ways.

The state of a mail is apart from its payload, because each step rewrites the state: a row of
PostgreSQL is rewritten whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    func,
    insert,
    inspect,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateColumn, CreateSchema

from poweremail._ledger.usage import Usage
from poweremail.errors import LedgerError

__all__ = [
    "OUTBOX",
    "VERSION",
    "batches",
    "contents",
    "drains",
    "insert_new",
    "is_current",
    "lanes",
    "messages",
    "metadata",
    "payloads",
    "prepare",
    "read_version",
    "record_version",
    "schema_of",
    "smtp_users",
    "storable",
    "version_row",
]

_metadata = MetaData()


def storable(text: str) -> str:
    """
    Return *text* as every database can store it: lone surrogates, which have no UTF-8, and NUL,
    which PostgreSQL refuses, become escapes.

    Both occur in file names, in cells and in responses, and one such text would stop the batch.
    """
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


class _ForeignText(TypeDecorator[str]):
    """A text from outside, stored as `storable` says."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:  # noqa: ARG002  the signature is SQLAlchemy's
        return None if value is None else storable(value)


# SQLite numbers the rows of a table only in a column of the type INTEGER.
_Number = BigInteger().with_variant(Integer, "sqlite")

version_row = Table("poweremail_ledger", _metadata, Column("version", Integer, nullable=False))

batches = Table(
    "poweremail_batches",
    _metadata,
    Column("id", _Number, primary_key=True),
    Column("name", _ForeignText, nullable=False, unique=True),
    Column("added", Float, nullable=False),
    Column("paused", Float),  # since when
    Column("pause_reason", _ForeignText),
    Column("rehearsal", Text),  # JSON; None if it is no rehearsal
    Column("kind", Text),  # "outbox"; None for a batch
    Column("options", Text),  # JSON: the options that all its workers share
    Column("failures_in_a_row", Integer, nullable=False, server_default="0"),
    Column("runners", Integer),  # the most lanes; None for any number
    # When a worker last searched for leases that have ended: one search serves all workers.
    Column("swept", Float, nullable=False, server_default="0"),
)

messages = Table(
    "poweremail_messages",
    _metadata,
    Column("id", _Number, primary_key=True),
    Column("batch", _Number, ForeignKey("poweremail_batches.id"), nullable=False),
    Column("key", _ForeignText, nullable=False),
    Column("unique_id", Text),
    Column("state", Text, nullable=False),
    Column("due", Float),  # when to send it or to look it up; None for never
    Column("attempts", Integer, nullable=False, default=0),
    Column("looks", Integer, nullable=False, default=0),
    # It grows with each change of owner: the holder of an older number has lost the row.
    Column("fence", Integer, nullable=False, default=0),
    Column("lease_owner", Text),
    Column("lease_until", Float),
    Column("smtp_user_name", Text),
    Column("error_kind", Text),
    Column("error", _ForeignText),
    Column("source", _ForeignText),
    Column("line", Integer),
    Column("added", Float, nullable=False),
    Column("taken", Float),  # when a worker last took it to send it
    Column("unknown_since", Float),
    Column("settled", Float),
    Column("expires", Float),  # a planned row is not sent after that; None for never
    # Since when a hook waits for the outcome; None if it was called, or there is none.
    Column("unreported", Float),
    UniqueConstraint("batch", "key"),
    # Each query has an index of its own with only the rows that it may return. So its plan is the
    # right one even before the database has counted the rows of a new batch.
    *(
        Index(
            f"poweremail_messages_{name}",
            *("batch", *columns),
            postgresql_where=text(rows),
            sqlite_where=text(rows),
        )
        for name, columns, rows in (
            ("planned", ("due", "id"), "state = 'planned'"),
            ("unknown", ("due", "id"), "state = 'unknown'"),
            ("in_work", ("lease_until",), "lease_until IS NOT NULL"),
            ("by_expiry", ("expires",), "state = 'planned' AND expires IS NOT NULL"),
            ("by_report", ("unreported",), "unreported IS NOT NULL"),
        )
    ),
)

payloads = Table(
    "poweremail_payloads",
    _metadata,
    Column(
        "message",
        _Number,
        ForeignKey("poweremail_messages.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("payload", Text, nullable=False),
    Column("files", Text),  # the digests of its files, as JSON
    Column("trace_context", Text),
)

contents = Table(
    "poweremail_contents",
    _metadata,
    Column("digest", Text, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

smtp_users = Table(
    "poweremail_smtp_users",
    _metadata,
    Column("name", Text, primary_key=True),
    Column("refused_until", Float, nullable=False, default=0.0),
    Column("refusals", Integer, nullable=False, default=0),
    Column("limits", Text),  # JSON; None if it has none
    Column("used", Text),  # JSON, see `Usage`; None if nothing was ever booked
    # It grows with each change of *used*: whoever has read an older one reads again.
    Column("revision", Integer, nullable=False, server_default="0"),
)

# A lane is the permission to be one of the workers of a batch.
lanes = Table(
    "poweremail_lanes",
    _metadata,
    Column(
        "batch", _Number, ForeignKey("poweremail_batches.id", ondelete="CASCADE"), primary_key=True
    ),
    Column("lane", Integer, primary_key=True, autoincrement=False),
    # It grows each time the lane is taken: a message that carries an older one is out of date.
    Column("turn", Integer, nullable=False, server_default="0"),
    # When it is worth taking again; None for as soon as the batch has work. If it is held: since
    # when somebody waits for it.
    Column("due", Float),
    Column("owner", Text),
    Column("host", _ForeignText),
    Column("process", Integer),
    Column("taken", Float),
    Column("lease_until", Float),
    Column("kicked", Float),  # when somebody was last asked to take it, since it was left
)

# Whose workers are to end: those of a batch (None: of all), on a host (None: on all).
drains = Table(
    "poweremail_drains",
    _metadata,
    Column("id", _Number, primary_key=True),
    Column("batch", _Number, ForeignKey("poweremail_batches.id", ondelete="CASCADE")),
    Column("host", _ForeignText),
    Column("since", Float, nullable=False),
)


def _split_payloads(connection: Connection) -> None:
    """
    Move the payloads into a table of their own, and add what many workers share.

    A worker of the version before it takes no row afterwards, because its query names a column that
    is gone; the outcomes of its mails in work can still be written.
    """
    for table in (payloads, lanes, drains):
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
        (smtp_users, ("limits", "used", "revision")),
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
        _metadata.create_all(connection)
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
    for table in _metadata.tables.values():
        # The inspector takes seconds with the settings of a worker's transactions.
        columns: Any = literal_column("*")
        nothing = select(columns).select_from(table).limit(0)
        if set(connection.execute(nothing).keys()) != set(table.c.keys()):
            raise LedgerError(
                f"the columns of the table {table.name} are not those of version {VERSION}",
                advice="make them from poweremail.batch.metadata",
            )
    connection.execute(insert(version_row).values(version=VERSION))


def schema_of(connection: Connection) -> str | None:
    """The schema of the tables; None for the first one of the search path."""
    names: Any = connection.get_execution_options().get("schema_translate_map") or {}
    name: str | None = names.get(None)
    return name


class HasDialect(Protocol):
    """Whatever executes statements in a dialect."""

    @property
    def dialect(self) -> Dialect: ...


def insert_new(connection: HasDialect, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An insert into *table* that skips rows which exist already."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


def _public_metadata() -> MetaData:
    """
    The tables for migration tools, which write the types of columns into files: plain types, and
    no class of this library.
    """
    public = MetaData()
    for table in _metadata.sorted_tables:
        for column in table.to_metadata(public).columns:
            if isinstance(column.type, _ForeignText):
                column.type = Text()
    return public


OUTBOX = "outbox"
"""The kind of a batch that is an outbox."""

metadata: MetaData = _public_metadata()
"""
The tables of a ledger for migration tools such as Alembic: one of the *metadata* from which they
create and compare tables.
"""
