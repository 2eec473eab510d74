"""
The tables of a ledger. To change one, add a migration to `versions`.

The state of a mail is apart from its payload, because each step rewrites the state: a row of
PostgreSQL is rewritten whole.
"""

from __future__ import annotations

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
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect

all_tables = MetaData()


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

version_row = Table("poweremail_ledger", all_tables, Column("version", Integer, nullable=False))

batches = Table(
    "poweremail_batches",
    all_tables,
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
    all_tables,
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
    all_tables,
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
    all_tables,
    Column("digest", Text, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

smtp_users = Table(
    "poweremail_smtp_users",
    all_tables,
    Column("name", Text, primary_key=True),
    Column("refused_until", Float, nullable=False, default=0.0),
    Column("refusals", Integer, nullable=False, default=0),
    Column("limits", Text),  # JSON; None if it has none
    Column("used", Text),  # JSON, see `Usage`; None if nothing was ever booked
    # It grows with each change of *used*: whoever has read an older one reads again.
    Column("revision", Integer, nullable=False, server_default="0"),
    # When it was booked last, and when its limits allow more after that: for an outbox, and for
    # other batches, which may use a share of them.
    Column("booked", Float, nullable=False, server_default="0"),
    Column("free_at", Float, nullable=False, server_default="0"),
    Column("bulk_free_at", Float, nullable=False, server_default="0"),
)

# A lane is the permission to be one of the workers of a batch.
lanes = Table(
    "poweremail_lanes",
    all_tables,
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
    all_tables,
    Column("id", _Number, primary_key=True),
    Column("batch", _Number, ForeignKey("poweremail_batches.id", ondelete="CASCADE")),
    Column("host", _ForeignText),
    Column("since", Float, nullable=False),
)

# Addresses that must not get mail.
suppressions = Table(
    "poweremail_suppressions",
    all_tables,
    Column("address", _ForeignText, primary_key=True),
    Column("stream", Text, primary_key=True),
    Column("reason", Text, primary_key=True),
    Column("since", Float, nullable=False),
    Column("note", _ForeignText),
)


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
    for table in all_tables.sorted_tables:
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
