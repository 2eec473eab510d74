"""
A ledger in PostgreSQL: how connections are opened, and transactions begun.

A pooler may stand between, and give each transaction another process of the server. So all settings
are those of a transaction.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL

from poweremail._lazy import extras_needed

# A worker needs a connection for the time of a step only.
_POOL_SIZE = 2

_POOL_OVERFLOW = 3

# A server that is gone without a word is noticed within some 10 seconds: 5 until a connection is
# given up, and 5 until another one is.
_CONNECTION = {
    "application_name": "poweremail",
    "connect_timeout": 5,
    "keepalives_idle": 3,
    "keepalives_interval": 1,
    "keepalives_count": 2,
    "tcp_user_timeout": 5_000,
}

# A worker that is gone without a word, or stands still, in the middle of a transaction keeps the
# locks of its rows, and others wait for some of them. The server undoes its transaction after this
# time; its keepalives find out after two hours.
_IDLE = "; SET LOCAL idle_in_transaction_session_timeout = '10s'"

_SETTINGS = "poweremail_settings"

# The next rows of a batch are at the front of an index. Plans are kept, and one that is made while
# the tables are small must not scan or sort all rows when they are large. Set for each transaction,
# because a pooler may share the connection with other clients. If a way that is off must be taken
# all the same, it seems so expensive that the server would compile the query, which takes longer.
_PLANNER = "".join(
    f"; SET LOCAL {way} = off"
    for way in ("enable_seqscan", "enable_sort", "enable_bitmapscan", "jit")
)


def postgresql_engine(url: URL) -> Engine:
    """Return an engine for the server of *url*. Raises `ConfigurationError` without a driver."""
    # `_begin` begins the transactions, with their settings, in one round trip.
    defaults = {name: value for name, value in _CONNECTION.items() if name not in url.query}
    with extras_needed("ledger"):
        engine = create_engine(
            url,
            connect_args=defaults | {"autocommit": True},
            hide_parameters=True,
            pool_size=_POOL_SIZE,
            max_overflow=_POOL_OVERFLOW,
        )
    event.listen(engine, "connect", _look_at)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "after_cursor_execute", _limit_again, named=True)
    return engine


def _look_at(connection: Any, record: Any) -> None:
    pid, commits, idle = connection.execute(
        "SELECT pg_backend_pid(), current_setting('synchronous_commit'),"
        " current_setting('idle_in_transaction_session_timeout')"
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
    if idle == "0":
        record.info[_SETTINGS] += _IDLE


def _begin(connection: Connection) -> None:
    # Whatever the server's default is: rows that others have written meanwhile are skipped, and are
    # no error. Where each statement is a transaction, an empty one finds out whether the connection
    # was lost.
    options = connection.get_execution_options()
    begin = "BEGIN ISOLATION LEVEL READ COMMITTED" + connection.info[_SETTINGS]
    if options.get("poweremail_reads"):
        begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    elif options.get("poweremail_statements"):
        begin = ";"
    connection.exec_driver_sql(begin)


def _limit_again(*, conn: Connection, cursor: Any, executemany: bool, **_: object) -> None:
    # psycopg flushes after the end of a pipeline, which turns the server's limit for an idle
    # transaction off until the next statement.
    if executemany and not conn.get_execution_options().get("poweremail_statements"):
        cursor.connection.execute(";")
