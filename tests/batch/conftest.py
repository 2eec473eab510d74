from __future__ import annotations

import uuid

import pytest
from sqlalchemy import create_engine, text

from poweremail.batch import Ledger
from support.postgresql import server


@pytest.fixture(scope="session")
def _postgresql():
    with server() as url:
        yield url


@pytest.fixture
def postgresql(_postgresql) -> str:
    """The URL of a new schema."""
    name = f"test_{uuid.uuid4().hex}"
    engine = create_engine(_postgresql.replace("://", "+psycopg://"))
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
    engine.dispose()
    return f"{_postgresql}?options=-csearch_path%3D{name}"


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path) -> str:
    """The places of a ledger: a file, and a server if it is installed."""
    return (
        str(tmp_path / "ledger.db")
        if request.param == "sqlite"
        else request.getfixturevalue("postgresql")
    )


@pytest.fixture
def ledger(place):
    ledger = Ledger(place)
    yield ledger
    ledger.close()
