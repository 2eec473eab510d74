from __future__ import annotations

import pytest

from support.served import ServedSandbox


@pytest.fixture(scope="session")
def _server():
    with ServedSandbox() as sandbox, sandbox.server() as server:
        sandbox.url = server.url
        yield sandbox


@pytest.fixture
def served(_server) -> ServedSandbox:
    """One server for the whole run, as empty as a new one."""
    _server.clear()
    return _server
