"""The statements that create and drop the tables, for migration tools that have a connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import create_mock_engine, insert

from poweremail._ledger.schema import metadata, version_row
from poweremail._ledger.versions import VERSION

__all__ = ["create_statements", "drop_statements"]


def create_statements(dialect: str) -> list[str]:
    """The statements that create the tables, and record their version, in *dialect*."""

    def make(engine: Any) -> None:
        metadata.create_all(engine, checkfirst=False)
        engine.execute(insert(version_row).values(version=VERSION))

    return _recorded(dialect, make)


def drop_statements(dialect: str) -> list[str]:
    """The statements that drop the tables in *dialect*."""
    return _recorded(dialect, lambda engine: metadata.drop_all(engine, checkfirst=False))


def _recorded(dialect: str, make: Callable[[Any], object]) -> list[str]:
    statements: list[str] = []

    def record(statement: Any, *_: Any, **__: Any) -> None:
        compiled = statement.compile(dialect=engine.dialect, compile_kwargs={"literal_binds": True})
        statements.append(str(compiled).strip())

    # It is never connected; the driver of PostgreSQL need not be installed.
    engine = create_mock_engine(f"{dialect}://", record)
    make(engine)
    return statements
