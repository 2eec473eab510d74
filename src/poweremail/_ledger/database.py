"""
The database of a ledger: SQLite in a file, or PostgreSQL. It provides transactions, the clock, and
errors in plain words.

It shares nothing with the SQLite files of the runtime: those may lose their last transactions in a
power cut, and close themselves around a fork. Here a commit is on the disk when it returns, and one
code serves two databases, so connections and transactions are SQLAlchemy's.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Boolean, Connection, Engine, Float, create_engine, event, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from poweremail._ledger import schema as tables
from poweremail._types.checks import require
from poweremail.errors import ConfigurationError, LedgerError

__all__ = ["Clock", "Database", "Unflushed", "elapsed"]

# SQLite's log grows to 1,000 pages of 4 KiB until it is first emptied, and the outcomes of mails in
# work must be written in any case.
_MIN_FREE_BYTES = 6 * 1024 * 1024
_RESERVE_BYTES = 1024 * 1024
_BYTES_PER_MAIL = 32 * 1024
# SQLite's codes if it cannot make a file beside the database.
_NO_FILES = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
# PostgreSQL's codes, or their beginnings, if the connection was lost (08, 57P), the transaction was
# undone in favour of another (40), there are too many connections, or the server is a replica, as
# during a failover.
_PASSING_STATES = ("08", "40", "57P", "53300", "25006")
_GOES_ON = "the batch goes on from where it is once that is put right"
# A worker needs a connection for the time of a step only.
_POOL_SIZE = 2
_POOL_OVERFLOW = 3
# A server that is gone without a word is noticed within some 15 seconds.
_CONNECTION = {
    "application_name": "poweremail",
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 10_000,
}
_SETTINGS = "poweremail_settings"
# The next rows of a batch are at the front of an index. Plans are kept, and one that is made while
# the tables are small must not scan or sort all rows when they are large. Set for each transaction,
# because a pooler may share the connection with other clients. If a way that is off must be taken
# all the same, it seems so expensive that the server would compile the query, which takes longer.
_PLANNER = "".join(
    f"; SET LOCAL {way} = off"
    for way in ("enable_seqscan", "enable_sort", "enable_bitmapscan", "jit")
)
_POSTGRESQL_SCHEME = re.compile(r"postgres(?:ql)?(?=://)")


class Clock(FunctionElement[float]):
    """In a statement: the seconds since the epoch by the clock of the database."""

    type = Float()
    inherit_cache = True


@compiles(Clock, "sqlite")
def _compile_for_sqlite(*_: Any, **__: Any) -> str:
    return "(julianday('now') - 2440587.5) * 86400.0"


@compiles(Clock, "postgresql")
def _compile_for_postgresql(*_: Any, **__: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) AS float8)"


class Unflushed(FunctionElement[bool]):
    """
    As a condition of a statement that is a transaction of its own: always true, and on PostgreSQL
    the transaction does not wait for the disk. The next one that does writes it to the disk, too.
    """

    type = Boolean()
    inherit_cache = True


@compiles(Unflushed, "sqlite")
def _no_setting_for_sqlite(*_: Any, **__: Any) -> str:
    return "1 = 1"


@compiles(Unflushed, "postgresql")
def _setting_for_postgresql(*_: Any, **__: Any) -> str:
    return "set_config('synchronous_commit', 'off', true) = 'off'"


def elapsed(since: float, now: float, seconds: float) -> bool:
    """
    Whether more than so many *seconds* lie between two times of a clock that may be set back.

    After such a change the true interval is not known, and it counts as elapsed. Otherwise a
    periodic task would stop until the clock has caught up.
    """
    return abs(now - since) > seconds


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
        url = _parse_place(place)
        self.schema = schema
        self.path: Path | None = Path(url.database or "") if url.drivername == "sqlite" else None
        self._reserve = Path(f"{self.path}-reserve")
        if self.path is None:
            self._engine = _postgresql_engine(url)
        else:
            self._engine = _sqlite_engine(url, timeout)
        if schema is not None:
            if self.path is not None:
                raise ConfigurationError("a file of SQLite has no schemas", field="schema")
            require("schema", schema, "a name", isinstance(schema, str) and bool(schema))
            self._engine = self._engine.execution_options(schema_translate_map={None: schema})
        self._reading_engine = self._engine.execution_options(poweremail_reads=True)
        self._statements_engine = self._engine.execution_options(poweremail_statements=True)
        self._lock = threading.Lock()
        self._file_identities: dict[str, object] = {}
        self._is_prepared = self._is_beside_others = False
        self._process = os.getpid()
        # A ledger that is never closed causes no ResourceWarning.
        weakref.finalize(self, self._engine.dispose).atexit = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._engine.url.render_as_string()}>"

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Begin a transaction. It is committed, and on the disk, at the end of the block."""
        with self._translated_errors():
            self._prepare()
            with self._engine.begin() as connection:
                yield connection

    @contextmanager
    def statements(self) -> Iterator[Connection]:
        """On a server: each statement of the block is a transaction of its own."""
        with self._translated_errors():
            self._prepare()
            with self._statements_engine.connect() as connection:
                yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """
        Begin to read. Others can write meanwhile; all queries of the block see the database as it
        was at one moment.
        """
        with self._translated_errors():
            self._prepare()
            with self._reading_engine.connect() as connection:
                yield connection

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

    def check_file(self) -> None:
        """
        Raise `LedgerError` if a file of SQLite was deleted or replaced since it was opened: the
        database, its write-ahead log, or the index of that log.

        The open connections would still write to the old files, which no other process sees any
        more: the next run would send every mail again.
        """
        if not self._is_prepared:
            return
        for place, identity in self._identify_files().items():
            if identity != self._file_identities[place]:
                raise LedgerError(
                    f"the file {place!r} was deleted or replaced while it was in use",
                    advice="put it back before any command opens it, together with its -wal and"
                    " -shm files; what was sent is in them",
                )

    def check_room(self, mails: int) -> None:
        """
        Raise `LedgerError` if the disk of an SQLite file has too little room for the outcomes of so
        many *mails*: before they are sent, not after.
        """
        free = self._free_bytes()
        needed = _MIN_FREE_BYTES + _BYTES_PER_MAIL * mails
        if free is not None and free < needed:
            raise LedgerError(
                f"the disk of the ledger is full: {free} bytes are free, and {needed} are needed "
                "before a mail is sent",
                advice="make room and run the batch again: it goes on from where it is",
            )

    def reserve(self, mails: int) -> None:
        """
        Reserve the room for the outcomes of so many *mails*, in a file beside an SQLite file,
        because the disk may fill during a run.

        The file stays for the next run. If there is no room for it, `check_room` reports that.
        """
        if self.path is not None:
            with suppress(OSError), self._reserve.open("wb") as file:
                # Written, not only extended: a hole would take no room.
                file.write(bytes(_RESERVE_BYTES + _BYTES_PER_MAIL * mails))

    def release_reserve(self) -> None:
        """Free the reserved room, so that the outcomes of mails in work can be written."""
        if self.path is not None:
            with suppress(OSError):
                self._reserve.unlink()

    def close(self) -> None:
        """Close the connections. The next transaction opens others."""
        with self._lock:
            self._engine.dispose()
            self._is_prepared = False

    def _identify_files(self) -> dict[str, object]:
        """
        The identity of each file of SQLite; empty for a server. A file that was emptied is another
        one, except for the log, which may be empty.

        Raises `LedgerError` if a file cannot be reached, so that it may be there or not.
        """
        found: dict[str, object] = {}
        for suffix in () if self.path is None else ("", "-wal", "-shm"):
            place = f"{self.path}{suffix}"
            found[place] = None
            try:
                status = os.stat(place)  # noqa: PTH116  in every step, and a Path takes longer
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise LedgerError(
                    f"the file {place!r} cannot be reached: {error.strerror}", advice=_GOES_ON
                ) from None
            found[place] = (status.st_dev, status.st_ino, bool(status.st_size or suffix))
        return found

    def _free_bytes(self) -> int | None:
        """The free bytes on the disk of the file; None for a server, or if they are not known."""
        try:
            return None if self.path is None else shutil.disk_usage(self.path.parent).free
        except OSError:
            return None

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            # The database's own words: SQLAlchemy adds the statement, whose values are addresses.
            reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
            free = self._free_bytes()
            if free is not None and free < _MIN_FREE_BYTES:
                # SQLite has many names for it, "disk I/O error" among them.
                reason = f"the disk is full, {free} bytes are free ({reason})"
            temporary = _is_temporary(error)
            if temporary and self.path is None:
                # The other connections lead to the same server.
                self._engine.dispose()
            raise LedgerError(
                f"the ledger cannot be used: {reason}", advice=_GOES_ON, temporary=temporary
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
                current = tables.is_current(connection, beside_others=beside)
            if not current:
                with self._engine.begin() as connection:
                    tables.prepare(connection, beside_others=beside)
            self._file_identities, self._is_prepared = self._identify_files(), True


def _is_temporary(error: SQLAlchemyError) -> bool:
    if not isinstance(error, DBAPIError):
        return isinstance(error, PoolTimeoutError)
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
    state = getattr(error.orig, "sqlstate", None)
    if state is None:  # the client's library has noticed it
        return error.connection_invalidated or isinstance(error, OperationalError)
    return str(state).startswith(_PASSING_STATES)


def _postgresql_engine(url: URL) -> Engine:
    # `_begin_postgresql` begins the transactions, with their settings, in one round trip.
    defaults = {name: value for name, value in _CONNECTION.items() if name not in url.query}
    try:
        engine = create_engine(
            url,
            connect_args=defaults | {"autocommit": True},
            hide_parameters=True,
            pool_size=_POOL_SIZE,
            max_overflow=_POOL_OVERFLOW,
            pool_pre_ping=True,
        )
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{error.name} is not installed; pip install 'poweremail[postgresql]'", field="ledger"
        ) from None
    event.listen(engine, "connect", _look_at_postgresql)
    event.listen(engine, "begin", _begin_postgresql)
    return engine


def _sqlite_engine(url: URL, timeout: float) -> Engine:
    # `_begin_sqlite` begins the transactions, because the module itself begins them too late.
    arguments = {"timeout": timeout, "check_same_thread": False, "isolation_level": None}
    engine = create_engine(url, connect_args=arguments, hide_parameters=True)
    event.listen(engine, "do_connect", _connect_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _connect_sqlite(_: object, __: object, place: Any, options: Any) -> sqlite3.Connection:
    connection: sqlite3.Connection = sqlite3.connect(*place, **options)
    try:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    except sqlite3.DatabaseError as error:
        connection.close()
        path = Path(*place)
        if error.sqlite_errorcode & 0xFF not in _NO_FILES or _is_writable(path.parent):
            raise
        return _connect_read_only(path, options)
    if mode != "wal":
        connection.close()
        raise sqlite3.OperationalError(
            f"the file cannot have a write-ahead log, only {mode!r}: is it on a network disk?"
        )
    # A commit must be on the disk when it returns: a mail may be sent next, or its outcome be
    # reported.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _connect_read_only(path: Path, options: Any) -> sqlite3.Connection:
    """
    Open a file in a directory where SQLite cannot make its two files: the write-ahead log and the
    index of that log, which readers need too.

    Without a log nobody writes, and the file can be read as it is. If the log holds changes, the
    file alone is out of date.
    """
    log = Path(f"{path}-wal")
    with suppress(FileNotFoundError):
        if log.stat().st_size:
            raise sqlite3.OperationalError(
                f"the directory of {str(path)!r} is read-only, and {log.name!r} has changes that "
                "cannot be read there; copy both files to another directory and name that copy"
            )
    connection: sqlite3.Connection = sqlite3.connect(
        f"{path.as_uri()}?immutable=1", uri=True, **options
    )
    return connection


def _is_writable(directory: Path) -> bool:
    return os.access(directory, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock at once; otherwise it could fail in the middle, at its first change.
    reads = connection.get_execution_options().get("poweremail_reads")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _look_at_postgresql(connection: Any, record: Any) -> None:
    pid, commits = connection.execute(
        "SELECT pg_backend_pid(), current_setting('synchronous_commit')"
    ).fetchone()
    if pid != connection.info.backend_pid:
        # A pooler such as PgBouncer stands between, and may give each transaction another server
        # process, which does not know the prepared statements of this one.
        connection.prepare_threshold = None
    # As with SQLite, a commit must be on the disk when it returns, whatever the server's default
    # is. Other values than off stay: they decide about waiting for replicas.
    record.info[_SETTINGS] = _PLANNER + (
        "; SET LOCAL synchronous_commit = on" if commits == "off" else ""
    )


def _begin_postgresql(connection: Connection) -> None:
    # Whatever the server's default is: rows that others have written meanwhile are skipped, and are
    # no error.
    options = connection.get_execution_options()
    if options.get("poweremail_statements"):
        return
    begin = "BEGIN ISOLATION LEVEL READ COMMITTED" + connection.info[_SETTINGS]
    if options.get("poweremail_reads"):
        begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    connection.exec_driver_sql(begin)


def _absolute(path: str) -> str:
    try:
        return str(Path(path).absolute())
    except FileNotFoundError:
        raise ConfigurationError(
            "is a relative path, and the working directory was deleted", field="ledger"
        ) from None


def _parse_place(place: str | os.PathLike[str]) -> URL:
    if not isinstance(place, str | os.PathLike) or not os.fspath(place):
        raise ConfigurationError(
            f"must be the path of a file or a URL, not {type(place).__name__}", field="ledger"
        )
    given = os.fspath(place)
    if "://" not in given:
        return URL.create("sqlite", database=_absolute(given))
    try:
        url = make_url(_POSTGRESQL_SCHEME.sub("postgresql+psycopg", given))
        url.get_dialect()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise ConfigurationError(
            "is no URL such as postgresql://user@host/name or sqlite:///path/to/file",
            field="ledger",
        ) from None
    if url.drivername == "sqlite" and url.database not in (None, "", ":memory:"):
        return url.set(database=_absolute(url.database or ""))
    if url.drivername != "postgresql+psycopg":
        raise ConfigurationError(
            f"must be postgresql://... or a file of SQLite, not {url.drivername}", field="ledger"
        )
    return url
