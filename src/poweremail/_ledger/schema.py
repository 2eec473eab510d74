"""
The tables of a ledger, and the migrations from older versions.

A version is the number of migrations that made it. To change the schema, add a migration; never
change one that was released.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from poweremail.errors import LedgerError

__all__ = [
    "MIGRATIONS",
    "batches",
    "bookings",
    "contents",
    "insert_new",
    "is_current",
    "messages",
    "prepare",
    "smtp_users",
    "storable",
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

_version = Table("poweremail_ledger", _metadata, Column("version", Integer, nullable=False))

batches = Table(
    "poweremail_batches",
    _metadata,
    Column("id", _Number, primary_key=True),
    Column("name", _ForeignText, nullable=False, unique=True),
    Column("added", Float, nullable=False),
    Column("paused", Float),  # since when
    Column("pause_reason", _ForeignText),
    Column("rehearsal", Text),  # JSON; None if it is no rehearsal
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
    Column("files", Text),  # the digests of its files, as JSON
    Column("payload", Text, nullable=False),
    UniqueConstraint("batch", "key"),
    # One index for three queries: the next rows, the rows in work, and the count of each state.
    Index("poweremail_messages_by_state", "batch", "state", "due", "id"),
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
)

bookings = Table(
    "poweremail_bookings",
    _metadata,
    Column("id", _Number, primary_key=True),
    Column("smtp_user_name", Text, nullable=False),
    Column("time", Float, nullable=False),
    Column("count", Integer, nullable=False),
    Index("poweremail_bookings_by_user", "smtp_user_name", "id"),
)


def _create(connection: Connection) -> None:
    _metadata.create_all(connection)
    connection.execute(insert(_version).values(version=0))


MIGRATIONS: tuple[Callable[[Connection], None], ...] = (_create,)
"""Each makes one version from the version before it."""

_LOCK = 0x506F454C  # "PoEL"


def prepare(connection: Connection) -> None:
    """
    Create the tables, or migrate them, within the transaction of *connection*.

    Raises `LedgerError` if their version is newer than this library, or the file is no ledger.
    """
    if connection.dialect.name == "postgresql":
        # Two processes may begin at once. The transaction of SQLite is a lock by itself.
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    version = _read_version(connection)
    if version > len(MIGRATIONS):
        raise LedgerError(
            f"the ledger has version {version}, and this poweremail knows {len(MIGRATIONS)} at "
            "most",
            advice="upgrade poweremail",
        )
    for migrate in MIGRATIONS[version:]:
        migrate(connection)
    connection.execute(update(_version).values(version=len(MIGRATIONS)))


def is_current(connection: Connection) -> bool:
    """Return whether the tables exist in this version, so that `prepare` has nothing to do."""
    return _read_version(connection) == len(MIGRATIONS)


def _read_version(connection: Connection) -> int:
    tables = inspect(connection).get_table_names()
    if _version.name in tables:
        return int(connection.execute(select(_version.c.version)).scalar_one())
    if tables and connection.dialect.name == "sqlite":
        raise LedgerError("it is a database of something else", advice="name another file")
    return 0


def insert_new(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An insert into *table* that skips rows which exist already."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()
