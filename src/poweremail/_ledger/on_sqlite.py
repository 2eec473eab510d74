"""
A ledger in a file of SQLite: how connections are opened, and transactions begun.

A commit is on the disk when it returns. Writers take turns, and readers do not wait for them.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL

# SQLite's codes if it cannot make a file beside the database.
_NO_FILES = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


def sqlite_engine(url: URL, timeout: float) -> Engine:
    """Return an engine for the file of *url*. *timeout*: how long a writer waits, in s."""
    # `_begin` begins the transactions, because the module itself begins them too late.
    arguments = {"timeout": timeout, "check_same_thread": False, "isolation_level": None}
    engine = create_engine(url, connect_args=arguments, hide_parameters=True)
    event.listen(engine, "do_connect", _connect)
    event.listen(engine, "begin", _begin)
    return engine


def _connect(_: object, __: object, place: Any, options: Any) -> sqlite3.Connection:
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


def _begin(connection: Connection) -> None:
    # A writer takes the lock at once; otherwise it could fail in the middle, at its first change.
    reads = connection.get_execution_options().get("poweremail_reads")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
