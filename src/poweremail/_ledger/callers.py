"""
The transaction of a caller, on a connection of SQLAlchemy or of Django.

Nothing here commits, rolls back or sets a savepoint. The same statements run on both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

from sqlalchemy import Connection, Executable
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Session, scoped_session

from poweremail._ledger.schema import schema_of
from poweremail._ledger.versions import record_version
from poweremail.errors import ConfigurationError, LedgerError, UsageError

Target: TypeAlias = Connection | Session | scoped_session[Any] | str
"""What stands for a transaction: a connection or session of SQLAlchemy, or an alias of Django."""


class CallersDatabase(Protocol):
    """Executes statements in the caller's transaction."""

    name: str
    """The same for every connection to one database."""

    @property
    def dialect(self) -> Dialect: ...

    def rows(self, statement: Executable) -> list[tuple[Any, ...]]:
        """Execute *statement*, and return its rows."""
        ...

    def adopt(self) -> None:
        """Record the version of tables that have none."""
        ...


class _OnSqlalchemy:
    def __init__(self, connection: Connection, schema: str | None) -> None:
        options = connection.get_execution_options()
        if options.get("isolation_level") == "AUTOCOMMIT":
            raise UsageError(
                "commits each statement, so there is no transaction", field="connection"
            )
        self._connection = connection
        self._options: dict[str, Any] = (
            {} if schema is None else {"schema_translate_map": {None: schema}}
        )
        self.name = f"{connection.engine.url!r} {schema or schema_of(connection)}"

    @property
    def dialect(self) -> Dialect:
        return self._connection.dialect

    def rows(self, statement: Executable) -> list[tuple[Any, ...]]:
        done = self._connection.execute(statement, execution_options=self._options)
        return [tuple(row) for row in done] if done.returns_rows else []

    def adopt(self) -> None:
        record_version(self._connection)


class _OnDjango:
    """Uses Django's own cursor, so that its logs, its wrappers and its broken transactions work."""

    _DIALECTS: Mapping[str, Any] = {
        name: make(paramstyle="format")
        for name, make in (
            ("postgresql", postgresql.dialect),
            ("sqlite", sqlite.dialect),
        )
    }

    def __init__(self, alias: str, schema: str | None) -> None:
        from django.db import connections  # noqa: PLC0415  loaded for its users only

        self._connection = connections[alias]
        self._schema = schema
        self.name = f"django {alias} {self._connection.settings_dict['NAME']} {schema}"
        self.dialect: Any = self._DIALECTS.get(self._connection.vendor)
        if self.dialect is None:
            raise _unsupported(self._connection.vendor)
        if not self._connection.in_atomic_block:
            raise UsageError(
                f"the database {alias!r} is in no transaction",
                field="connection",
                advice="add the mail in a block `with transaction.atomic():`",
            )

    def rows(self, statement: Executable) -> list[tuple[Any, ...]]:
        compilable: Any = statement
        compiled = compilable.compile(
            dialect=self.dialect,
            schema_translate_map=None if self._schema is None else {None: self._schema},
            render_schema_translate=self._schema is not None,
        )
        bound = [self._bound(compiled, name) for name in compiled.positiontup]
        with self._connection.cursor() as cursor:
            cursor.execute(str(compiled), bound)
            return [] if cursor.description is None else [tuple(row) for row in cursor.fetchall()]

    def _bound(self, compiled: Any, name: str) -> Any:
        process = compiled.binds[name].type.dialect_impl(self.dialect).bind_processor(self.dialect)
        value = compiled.params[name]
        return value if process is None else process(value)

    def adopt(self) -> None:
        raise LedgerError("the tables have no version", advice=HOW_TO_CREATE)


HOW_TO_CREATE = (
    "create them: `manage.py migrate` with poweremail.contrib.django.outbox, Alembic with "
    "poweremail.batch.metadata, or `create_tables()` of the outbox"
)


def _unsupported(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"an outbox is in PostgreSQL or SQLite, not in {name}",
        field="connection",
        advice="add the mail to a ledger of its own after the commit, by `batch.add` with a key: a "
        "crash between the two loses the mail, unless a job adds again what is missing",
    )


def database_of(target: Target, schema: str | None) -> CallersDatabase:
    """Return what executes statements in the transaction of *target*, on tables in *schema*."""
    if isinstance(target, str):
        return _OnDjango(target, schema)
    if isinstance(target, scoped_session):
        target = target()
    connection = target.connection() if isinstance(target, Session) else target
    if not isinstance(connection, Connection):
        raise UsageError(
            "must be a Connection or Session of SQLAlchemy, or an alias of Django, not "
            f"{type(connection).__name__}",
            field="connection",
            advice="give the one that has the transaction",
        )
    if connection.dialect.name not in ("postgresql", "sqlite"):
        raise _unsupported(connection.dialect.name)
    return _OnSqlalchemy(connection, schema)
