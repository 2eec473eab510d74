"""
A small SQLite database that the processes of a machine share: opened when it is needed, and closed
around a fork.
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

__all__ = ["Kind", "SqliteFile", "open_database"]


@attrs.frozen(kw_only=True)
class Kind:
    """
    What a file is for. *name* says it to the user, and *field* is the option that the file is given
    as.

    *application_id* tells such a file from every other SQLite database, and the next version of it
    from this one. *schema* has the statements that make an empty one, with a semicolon between each
    two.
    """

    name: str
    field: str
    application_id: int
    schema: str


class SqliteFile:
    """
    The file at *path*, for the threads of this process, and for others that have it open as well.

    It is opened by the first transaction, and again by the first one after `close`, an error or a
    fork. *patience* is how many seconds to wait while another has it: a transaction takes less than
    a millisecond, so one that is held for five seconds is held by something else. After a power cut
    the last transactions may be missing. Whoever forgets the object leaves nothing open.
    """

    def __init__(self, path: str | os.PathLike[str], kind: Kind, patience: float = 5.0) -> None:
        # The working directory may change; and SQLite would take some names, such as ":memory:",
        # for something else than a file.
        self._path = Path(path).absolute()
        self._kind = kind
        self._patience = patience
        self._in_use = threading.Lock()  # held during a transaction
        self._connection: sqlite3.Connection | None = None
        with _forking:
            _files.add(self)

    @contextmanager
    def transaction(self, mail_state: MailState | None = None) -> Iterator[sqlite3.Connection]:
        """
        The database, for changes that are made all or not at all; nobody else reads or changes it
        meanwhile.

        What was read from another connection than this one may be out of date. Raises `UsageError`,
        with *mail_state*, for a file that cannot be used.
        """
        with self._in_use:
            done = False
            try:
                connection = self._connection or self._open()
                connection.execute("BEGIN IMMEDIATE")
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
                # Whatever went wrong, Ctrl-C included: the other processes must not wait for this
                # transaction.
                if not done:
                    self._close()

    def close(self) -> None:
        """Close the file, once the transaction that is under way has come to its end."""
        with self._in_use:
            self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection = None
            self._close_connection()

    def _open(self) -> sqlite3.Connection:
        self._connection, self._close_connection = open_database(
            self, self._path, self._prepare, timeout=self._patience
        )
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
) -> tuple[sqlite3.Connection, Callable[[], object]]:
    """
    Open a database for all threads of this process, and return it and the function that closes it.

    *owner*
        It closes with this object, so that an object that nobody closed leaves no ResourceWarning.
    *prepare*
        Creates or checks the tables. If it raises, the database is closed.
    *timeout*
        Seconds to wait while another process holds it.
    """
    connection = sqlite3.connect(
        path, timeout=timeout, isolation_level=None, check_same_thread=False
    )
    close = weakref.finalize(owner, connection.close)
    try:
        prepare(connection)
        # With a log, a commit need not wait for the disk: after a power cut the last transactions
        # may be missing. If another process is at work, or makes the same change, no harm is done:
        # the mode is that of the file.
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        close()
        raise
    return connection, close


# SQLite's locks do not survive a fork: a child that had an open database in its memory would take
# itself for the owner of locks that are its parent's. So all are closed before a fork, and opened
# again by whoever asks next.
_forking = threading.Lock()
_files: weakref.WeakSet[SqliteFile] = weakref.WeakSet()
_held: list[SqliteFile] = []


def _before_fork() -> None:
    _forking.acquire()
    for file in _files:
        file._in_use.acquire()  # noqa: SLF001  they are one thing
        _held.append(file)
        file._close()  # noqa: SLF001


def _after_fork() -> None:
    while _held:
        _held.pop()._in_use.release()  # noqa: SLF001
    _forking.release()


if hasattr(os, "register_at_fork"):  # pragma: no branch  Windows has no fork
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )
