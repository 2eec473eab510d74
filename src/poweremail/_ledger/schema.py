"""
The tables, and the way from an older version of them to this one.

A version is the number of migrations that made it. To change the schema, add a migration; never
change one that was released.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    "messages",
    "prepare",
    "smtp_users",
    "storable",
]

_metadata = MetaData()


def storable(text: str) -> str:
    """
    Return *text* as every database can keep it: a lone surrogate has no UTF-8, and PostgreSQL takes
    no NUL. Both become escapes.

    They come from file names, from cells and from what the service answers; a text that cannot be
    kept would stop the batch.
    """
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


class _Words(TypeDecorator[str]):
    """A text that somebody else wrote."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:  # noqa: ARG002  SQLAlchemy's
        return None if value is None else storable(value)


# SQLite counts the rows of a table by an INTEGER only.
_Number = BigInteger().with_variant(Integer, "sqlite")

_version = Table("poweremail_ledger", _metadata, Column("version", Integer, nullable=False))

batches = Table(
    "poweremail_batches",
    _metadata,
    Column("id", _Number, primary_key=True),
    Column("name", _Words, nullable=False, unique=True),
    Column("added", Float, nullable=False),
    Column("paused", Float),  # since when
    Column("pause_reason", _Words),
    Column("rehearsal", Text),  # JSON; None for the real thing
)

messages = Table(
    "poweremail_messages",
    _metadata,
    Column("id", _Number, primary_key=True),
    Column("batch", _Number, ForeignKey("poweremail_batches.id"), nullable=False),
    Column("key", _Words, nullable=False),
    Column("unique_id", Text),
    Column("state", Text, nullable=False),
    Column("due", Float),  # when it is to be sent or looked up; None for never
    Column("attempts", Integer, nullable=False, default=0),
    Column("looks", Integer, nullable=False, default=0),
    # Every change of hands counts up: who holds an older number has lost the row.
    Column("fence", Integer, nullable=False, default=0),
    Column("lease_owner", Text),
    Column("lease_until", Float),
    Column("smtp_user_name", Text),
    Column("error_kind", Text),
    Column("error", _Words),
    Column("source", _Words),
    Column("line", Integer),
    Column("added", Float, nullable=False),
    Column("taken", Float),  # when it last began to be sent
    Column("unknown_since", Float),
    Column("settled", Float),
    Column("files", Text),  # the digests of its contents
    Column("payload", Text, nullable=False),
    UniqueConstraint("batch", "key"),
    # Who is next, who is on the way, and how many there are of each: one index for the three.
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
"""What makes each version of the one before it."""

_LOCK = 0x506F454C  # "PoEL"


def prepare(
    connection: Connection, migrations: Sequence[Callable[[Connection], None]] = MIGRATIONS
) -> None:
    """
    Make the tables, or bring them up to date, within the transaction of *connection*.

    Raises `LedgerError` where they are those of a newer version, or the file is no ledger.
    """
    if connection.dialect.name == "postgresql":
        # Two processes may begin at once; SQLite's transaction is a lock by itself.
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    version = _found(connection)
    if version > len(migrations):
        raise LedgerError(
            f"the ledger has version {version}, and this poweremail knows {len(migrations)} at "
            "most",
            advice="upgrade poweremail",
        )
    if version == len(migrations):
        return
    for migrate in migrations[version:]:
        migrate(connection)
    connection.execute(update(_version).values(version=len(migrations)))


def is_current(
    connection: Connection, migrations: Sequence[Callable[[Connection], None]] = MIGRATIONS
) -> bool:
    """
    Whether the tables are there and those of this version: `prepare` has nothing to do. It only
    reads.
    """
    return _found(connection) == len(migrations)


def _found(connection: Connection) -> int:
    tables = inspect(connection).get_table_names()
    if _version.name in tables:
        return int(connection.execute(select(_version.c.version)).scalar_one())
    if tables and connection.dialect.name == "sqlite":
        raise LedgerError("it is a database of something else", advice="name another file")
    return 0


def insert_new(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An insert into *table* that leaves out what is there already."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()
