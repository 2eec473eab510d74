"""
The database of a ledger: SQLite in a file, or PostgreSQL. It provides transactions, the clock, and
errors in plain words.

It shares nothing with the SQLite files of the runtime: those may lose their last transactions in a
power cut, and close themselves around a fork. Here a commit is on the disk when it returns, and one
code serves two databases, so connections and transactions are SQLAlchemy's.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import (
    DBAPIError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from poweremail._ledger import versions
from poweremail._ledger.clock import Clock
from poweremail._ledger.disk import GOES_ON, Files
from poweremail._ledger.on_postgresql import postgresql_engine
from poweremail._ledger.on_sqlite import sqlite_engine
from poweremail._ledger.place import parse_place
from poweremail._types.checks import require
from poweremail.errors import ConfigurationError, LedgerError

# PostgreSQL's codes, or their beginnings, if the connection was lost (08, 57P), the transaction was
# undone in favour of another (40) or because nothing came from here for too long (25P03), there are
# too many connections, or the server is a replica, as during a failover.
_PASSING_STATES = ("08", "40", "57P", "25P03", "53300", "25006")


class Database:
    """
    The database at *place*: the path of a file, or a URL such as ``postgresql://host/name``.

    *timeout*: the seconds to wait for a file that another process is writing.
    *schema*: the schema of the tables in PostgreSQL; None for the first one of the search path.

    It may be used from several threads; a child of a fork opens its own connections. Each failure
    is a `LedgerError` whose text holds neither a password nor an address; it is *temporary* if the
    connection was lost or the database was busy, so that a transaction may be repeated. If that
    happened during a commit, it is not known whether the transaction is on the disk.
    An invalid *place* raises `ConfigurationError`.
    """

    def __init__(
        self,
        place: str | os.PathLike[str],
        *,
        timeout: float = 10.0,
        schema: str | None = None,
    ) -> None:
        url = parse_place(place)
        self.schema = schema
        self.path: Path | None = Path(url.database or "") if url.drivername == "sqlite" else None
        self.files: Files = Files(self.path)
        if self.path is None:
            self._engine = postgresql_engine(url)
        else:
            self._engine = sqlite_engine(url, timeout)
        if schema is not None:
            if self.path is not None:
                raise ConfigurationError("a file of SQLite has no schemas", field="schema")
            require("schema", schema, "a name", isinstance(schema, str) and bool(schema))
            self._engine = self._engine.execution_options(schema_translate_map={None: schema})
        self._reading_engine = self._engine.execution_options(poweremail_reads=True)
        self._statements_engine = self._engine.execution_options(poweremail_statements=True)
        self._lock = threading.Lock()
        self._is_prepared = self._is_beside_others = False
        self._process = os.getpid()
        # A ledger that is never closed causes no ResourceWarning.
        weakref.finalize(self, self._engine.dispose).atexit = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._engine.url.render_as_string()}>"

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Begin a transaction. It is committed, and on the disk, at the end of the block."""
        with self._begun(self._engine) as connection:
            yield connection
            connection.commit()

    def statements(self) -> AbstractContextManager[Connection]:
        """On a server: each statement of the block is a transaction of its own."""
        return self._begun(self._statements_engine)

    def reading(self) -> AbstractContextManager[Connection]:
        """
        Begin to read. Others can write meanwhile; all queries of the block see the database as it
        was at one moment.
        """
        return self._begun(self._reading_engine)

    def create_tables(self) -> None:
        """Create or migrate the tables, also in a file that has the tables of something else."""
        self._is_beside_others = True
        with self._translated_errors():
            self._prepare()

    @staticmethod
    def now(connection: Connection) -> float:
        """The seconds since the epoch by the clock of the database."""
        return float(connection.execute(select(Clock())).scalar_one())

    def count_rows(self, *names: str) -> None:
        """Have the database count the rows of the tables *names*, for its plans of queries."""
        with self.transaction() as connection:
            if self.path is not None:
                # Enough for its plans, and as fast however many rows there are.
                connection.exec_driver_sql("PRAGMA analysis_limit = 1000")
            quote = connection.dialect.identifier_preparer.quote
            for name in names:
                table = name if self.schema is None else f"{quote(self.schema)}.{name}"
                connection.exec_driver_sql(f"ANALYZE {table}")

    def close(self) -> None:
        """Close the connections. The next transaction opens others."""
        with self._lock:
            self._engine.dispose()
            self.files.note_closed()
            self._is_prepared = False

    @contextmanager
    def _begun(self, engine: Engine) -> Iterator[Connection]:
        """Yield a connection that has begun, another one if that of the pool was lost meanwhile."""
        with self._translated_errors():
            self._prepare()
            for is_last in (False, True):
                with engine.connect() as connection:
                    try:
                        connection.begin()
                    except DBAPIError as error:
                        if is_last or not error.connection_invalidated:
                            raise
                        continue
                    yield connection
                    return

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            # The database's own words: SQLAlchemy adds the statement, whose values are addresses.
            reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
            if lack := self.files.lack():
                # SQLite has many names for it, "disk I/O error" among them.
                reason = f"{lack} ({reason})"
            temporary = _is_temporary(error)
            if temporary and self.path is None:
                # The other connections lead to the same server.
                self._engine.dispose()
            raise LedgerError(
                f"the ledger cannot be used: {reason}", advice=GOES_ON, temporary=temporary
            ) from None

    def _prepare(self) -> None:
        """Create or migrate the tables before the first use."""
        with self._lock:
            if self._process != os.getpid():
                # Connections do not survive a fork: the parent's are dropped, not closed.
                self._engine.dispose(close=False)
                self._process, self._is_prepared = os.getpid(), False
            if self._is_prepared:
                return
            # Looked up in a read first, which need not wait for writers, nor be allowed to write.
            beside = self._is_beside_others
            with self._reading_engine.connect() as connection:
                current = versions.is_current(connection, beside_others=beside)
            if not current:
                with self._engine.begin() as connection:
                    versions.prepare(connection, beside_others=beside)
            self.files.note_opened()
            self._is_prepared = True


def _is_temporary(error: SQLAlchemyError) -> bool:
    if not isinstance(error, DBAPIError):
        return isinstance(error, PoolTimeoutError)
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
    state = getattr(error.orig, "sqlstate", None)
    if state is None:  # the client's library has noticed it
        return error.connection_invalidated or isinstance(error, OperationalError)
    return str(state).startswith(_PASSING_STATES)
