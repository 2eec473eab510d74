"""The clock of the database, and other expressions that SQLite and PostgreSQL spell differently."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, Float
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


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
