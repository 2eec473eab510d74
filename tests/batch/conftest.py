from __future__ import annotations

import pytest

from poweremail.batch import Ledger


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
