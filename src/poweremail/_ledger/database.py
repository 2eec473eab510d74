"""
The database under a ledger: SQLite in a file, or PostgreSQL; its transactions, its clock, and what
its failures are called.
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

from sqlalchemy import (
    Connection,
    Engine,
    Executable,
    Float,
    create_engine,
    event,
    literal_column,
    select,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from poweremail._ledger import schema
from poweremail.errors import LedgerError, UsageError

__all__ = ["Database"]

_CLOCK = {
    "sqlite": "(julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) AS float8)",
}
# What the outcomes of mails on their way may need, and SQLite's log until it is first emptied
# (1,000 pages of 4 KiB).
_ROOM = 6 * 1024 * 1024
_RESERVED = 1024 * 1024
_DRIVER = re.compile(r"postgres(?:ql)?(?=://)")


class Database:
    """
    The database at *place*: the path of a file, or a URL such as ``postgresql://host/name``.

    *patience* is how many seconds to wait for a file that another process is writing. Safe to use
    from several threads; a child of a fork opens it anew. Every failure is a `LedgerError`, whose
    text has neither a password nor an address; a *place* that cannot be meant is a `UsageError`.
    """

    def __init__(self, place: str | os.PathLike[str], *, patience: float = 10.0) -> None:
        self._url = _url(place)
        self._patience = patience
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._process = os.getpid()
        self.path: Path | None = (
            Path(self._url.database or "") if self._url.drivername == "sqlite" else None
        )
        self._reserve = Path(f"{self.path}-reserve")
        # What is counted by several questions is counted at one moment.
        self._reads = (
            {"poweremail_reads": True}
            if self.path is not None
            else {"isolation_level": "REPEATABLE READ"}
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._url.render_as_string(hide_password=True)}>"

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """
        Begin a transaction, and commit it at the end of the block: what it wrote is then on the
        disk.
        """
        try:
            with self._open().begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise self._failure(error) from None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Begin to read, without keeping others from writing."""
        try:
            with self._open().connect().execution_options(**self._reads) as connection:
                yield connection
        except SQLAlchemyError as error:
            raise self._failure(error) from None

    @staticmethod
    def now(connection: Connection) -> float:
        """The seconds since the epoch by the clock of the database, which is one for all hosts."""
        return float(
            connection.execute(
                select(literal_column(_CLOCK[connection.dialect.name], Float))
            ).scalar_one()
        )

    def look(self, batch: int) -> Executable:
        """
        The question for the time, for the reason why *batch* is paused, and for what it rehearses
        with.
        """
        clock = literal_column(_CLOCK["sqlite" if self.path is not None else "postgresql"], Float)
        return select(clock, schema.batches.c.pause_reason, schema.batches.c.rehearsal).where(
            schema.batches.c.id == batch
        )

    def check_room(self, mails: int) -> None:
        """
        Raise `LedgerError` where the disk has too little room for the outcomes of so many *mails*:
        before they are sent, not after.

        It looks at the disk of an SQLite file; a server has an eye on its own.
        """
        free = self._free()
        needed = _ROOM + 32 * 1024 * mails
        if free is not None and free < needed:
            raise LedgerError(
                f"the disk of the ledger is full: {free} bytes are free, and {needed} are wanted "
                "before a mail is sent",
                advice="make room and run the batch again: it goes on from where it is",
            )

    def reserve(self, mails: int) -> None:
        """
        Put aside, in a file beside an SQLite ledger, what the outcomes of so many *mails* need: the
        disk may fill meanwhile.

        The file stays, for the next who sends; where there is no room for it, `check_room` says so.
        """
        if self.path is None:
            return
        with suppress(OSError), self._reserve.open("wb") as file:
            # Written, not only made so long: a hole would take no room.
            file.write(bytes(_RESERVED + 32 * 1024 * mails))

    def spend_reserve(self) -> None:
        """Give back what was put aside, so that what is on its way can be written down."""
        if self.path is not None:
            with suppress(OSError):
                self._reserve.unlink()

    def close(self) -> None:
        """Close the connections. The next transaction opens others."""
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
                self._engine = None

    def _free(self) -> int | None:
        """How many bytes the disk of the file has left; None where that is not for us to know."""
        try:
            return None if self.path is None else shutil.disk_usage(self.path.parent).free
        except OSError:
            return None

    def _failure(self, error: SQLAlchemyError) -> LedgerError:
        """
        The *error* in the database's own words: those of SQLAlchemy add the statement, whose values
        are people's addresses.
        """
        words = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        free = self._free()
        if free is not None and free < _ROOM:
            # SQLite calls it many names, "disk I/O error" among them.
            words = f"the disk is full, {free} bytes are free ({words})"
        return LedgerError(
            f"the ledger cannot be used: {words}",
            advice="the batch goes on from where it is once that is put right",
        )

    def _open(self) -> Engine:
        with self._lock:
            if self._process != os.getpid():
                # Connections do not survive a fork: the parent's are let go of, and not closed.
                if self._engine is not None:
                    self._engine.dispose(close=False)
                self._engine, self._process = None, os.getpid()
            if self._engine is None:
                engine = self._connect()
                try:
                    # Who only wants to look does not wait for those who write.
                    with engine.connect().execution_options(**self._reads) as connection:
                        current = schema.is_current(connection)
                    if not current:
                        with engine.begin() as connection:
                            schema.prepare(connection)
                except BaseException:
                    engine.dispose()
                    raise
                self._engine = engine
                # Whoever forgets to close it is not to be told so by a ResourceWarning, out of
                # place and out of time.
                weakref.finalize(self, engine.dispose).atexit = False
            return self._engine

    def _connect(self) -> Engine:
        if self.path is None:
            try:
                # Whatever the server's default: rows that others have written meanwhile are passed
                # over, and are no error.
                engine = create_engine(
                    self._url, hide_parameters=True, isolation_level="READ COMMITTED"
                )
            except ModuleNotFoundError as error:
                raise _usage(
                    f"{error.name} is not installed; pip install 'poweremail[postgresql]'"
                ) from None
            event.listen(engine, "connect", _prepare_postgresql)
            return engine
        arguments: dict[str, Any] = {"timeout": self._patience, "check_same_thread": False}
        engine = create_engine(self._url, connect_args=arguments, hide_parameters=True)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine


def _prepare_sqlite(connection: sqlite3.Connection, _: object) -> None:
    # The transactions are begun below; the module's own way begins them too late.
    connection.isolation_level = None
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise sqlite3.OperationalError(
            f"the file cannot have a write-ahead log, only {mode!r}: is it on a network disk?"
        )
    # A commit has to be on the disk when it returns: a mail may be sent next, or its outcome be
    # told.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock with its first word, so that it never finds out in the middle that
    # another was faster.
    reads = connection.get_execution_options().get("poweremail_reads")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _prepare_postgresql(connection: Any, _: object) -> None:
    with connection.cursor() as cursor:
        # As with SQLite: a commit has to be on the disk when it returns, whatever the server's
        # default.
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE "
            "current_setting('synchronous_commit') = 'off'"
        )
        # The next rows of a batch are those at the front of an index. A plan that is made before
        # the numbers of rows are known may sort all of them, in every step.
        cursor.execute(
            "SET plan_cache_mode = force_custom_plan; SET enable_sort = off; SET enable_bitmapscan "
            "= off"
        )
    connection.commit()


def _url(place: str | os.PathLike[str]) -> URL:
    if not isinstance(place, str | os.PathLike) or not os.fspath(place):
        raise _usage(f"must be the path of a file or a URL, not {type(place).__name__}")
    given = os.fspath(place)
    if "://" not in given:
        return URL.create("sqlite", database=str(Path(given).absolute()))
    try:
        url = make_url(_DRIVER.sub("postgresql+psycopg", given))
        url.get_dialect()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise _usage(
            "is no URL such as postgresql://user@host/name or sqlite:///path/to/file"
        ) from None
    if url.drivername == "sqlite" and url.database not in (None, "", ":memory:"):
        return url.set(database=str(Path(url.database or "").absolute()))
    if url.drivername != "postgresql+psycopg":
        raise _usage(f"must be postgresql://... or a file of SQLite, not {url.drivername}")
    return url


def _usage(reason: str) -> UsageError:
    return UsageError(reason, field="ledger", mail_state=None)
