from __future__ import annotations

import gc

import pytest

from support.served import ServedSandbox


def pytest_collection_finish() -> None:
    """What has been imported and collected stays until the end: no garbage collection need look through it again."""
    gc.collect()
    gc.freeze()


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
