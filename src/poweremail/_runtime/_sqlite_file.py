"""
A small SQLite database that the processes of a machine share.

Theory of operation. Each use is one short transaction that begins with the write lock (``BEGIN
IMMEDIATE``), so what is read in it stays true until the commit. A process keeps one connection,
which its threads use in turn. If a transaction fails in any way, the connection is closed: SQLite
then rolls it back and releases the lock, and the other processes do not wait.

SQLite's locks do not survive a fork: a child with an open database in its memory would believe that
it owns its parent's locks. So all files are closed before a fork, and opened again by the next use.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs

from poweremail.errors import MailState, UsageError


@attrs.frozen(kw_only=True)
class Kind:
    """
    A kind of file.

    *name*: its purpose, for error texts.
    *field*: the option that names the file.
    *application_id*: identifies such a file among SQLite databases, and this version of it.
    *schema*: the statements that make an empty one, separated by semicolons.
    *durable*: whether each transaction is on the disk when it ends. Otherwise the last ones may be
    missing after a power cut.
    """

    name: str
    field: str
    application_id: int
    schema: str
    durable: bool = False


class SqliteFile:
    """
    The file at *path*, which other threads and processes may use at the same time.

    It is opened by the first transaction, and again by the first one after `close`, an error, a
    fork, or when another file has taken its place. It is closed when the object is garbage.

    *timeout*: the seconds to wait while another process has the lock. A transaction takes less than
    a millisecond, so a lock that is held for five seconds is another program's.
    """

    def __init__(self, path: str | os.PathLike[str], kind: Kind, timeout: float = 5.0) -> None:
        # Absolute, because the working directory may change and because some names, such as
        # ":memory:", are no files to SQLite.
        self._path = Path(path).absolute()
        self._kind = kind
        self._timeout = timeout
        self._in_use = threading.Lock()  # held during a transaction
        self._connection: sqlite3.Connection | None = None
        with _forking:
            _files.add(self)

    @contextmanager
    def transaction(
        self, mail_state: MailState | None = None, *, reads: bool = False
    ) -> Iterator[sqlite3.Connection]:
        """
        Run a transaction on the database: all of its changes are made, or none.

        *reads*: it only reads, so it need not wait for other processes that write.

        If the connection is not that of the last transaction, what was read then may be out of
        date. Raises `UsageError` with *mail_state* if the file cannot be used.
        """
        with self._in_use:
            done = False
            try:
                if self._is_replaced(reads=reads):
                    self._close()
                connection = self._connection or self._open()
                connection.execute("BEGIN" if reads else "BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
                done = True
            except sqlite3.Error as error:
                raise UsageError(
                    f"cannot use {str(self._path)!r}: {error}",
                    field=self._kind.field,
                    mail_state=mail_state,
                    advice="name a file on a local disk that this process may write and that is "
                    "used for nothing else",
                ) from error
            finally:
                # After any error, Ctrl-C included: other processes must not wait for the lock.
                if not done:
                    self._close()

    def close(self) -> None:
        """Close the file when the current transaction has ended."""
        with self._in_use:
            self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection = None
            self._close_connection()

    def _is_replaced(self, *, reads: bool) -> bool:
        """
        Return whether the path leads to another file than the open one, such as a backup that was
        restored. A file that was deleted can still be read, and keeps no change.
        """
        if self._connection is None:
            return False
        try:
            return not os.path.samestat(self._opened, self._path.stat())
        except OSError:
            return not reads

    def _open(self) -> sqlite3.Connection:
        self._connection, self._close_connection = open_database(
            self, self._path, self._prepare, timeout=self._timeout, durable=self._kind.durable
        )
        self._opened = self._path.stat()
        return self._connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if (application_id, tables) == (0, 0):
            for statement in self._kind.schema.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {self._kind.application_id}")
        elif application_id != self._kind.application_id:
            raise sqlite3.DatabaseError(f"it is not a file of {self._kind.name}")
        connection.execute("COMMIT")


def open_database(
    owner: object,
    path: str | os.PathLike[str],
    prepare: Callable[[sqlite3.Connection], None],
    *,
    timeout: float = 5.0,
    durable: bool = False,
) -> tuple[sqlite3.Connection, Callable[[], object]]:
    """
    Open a database for all threads of this process, and return it and the function that closes it.

    *owner*
        The database is closed when this object is garbage, so that no ResourceWarning appears if
        the object was not closed.
    *prepare*
        Creates or checks the tables. If it raises, the database is closed.
    *timeout*
        Seconds to wait while another process holds it.
    *durable*
        As in `Kind`.
    """
    connection = sqlite3.connect(
        path, timeout=timeout, isolation_level=None, check_same_thread=False
    )
    close = weakref.finalize(owner, connection.close)
    try:
        prepare(connection)
        # With a write-ahead log, readers need not wait for writers, and a commit need not wait for
        # the disk: after a power cut the last transactions may be missing. The mode belongs to the
        # file, so it does not matter if this fails because another process uses the file or sets
        # the mode.
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
    except BaseException:
        close()
        raise
    return connection, close


# All files of this process are closed before a fork: see the theory of operation.
_forking = threading.Lock()
_files: weakref.WeakSet[SqliteFile] = weakref.WeakSet()
_locked_for_fork: list[SqliteFile] = []


def _before_fork() -> None:
    _forking.acquire()
    for file in _files:
        file._in_use.acquire()  # noqa: SLF001  a part of the class, but called once for all objects
        _locked_for_fork.append(file)
        file._close()  # noqa: SLF001


def _after_fork() -> None:
    while _locked_for_fork:
        _locked_for_fork.pop()._in_use.release()  # noqa: SLF001
    _forking.release()


if hasattr(os, "register_at_fork"):  # pragma: no branch  Windows has no fork
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )
