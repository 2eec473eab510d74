from __future__ import annotations

import signal
import uuid

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import create_engine, text

from support.postgresql import server
from support.served import ServedSandbox

# What is started in the background may inherit signals that are ignored, and so would the processes
# that the tests send them to.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile(
    "first", max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("again", settings.get_profile("first"), max_examples=50)
settings.load_profile("first")

ON_ASYNCIO_ONLY = {"aiohttp", "a session of aiohttp"}
"""
Engines, and ways to use them. That they say so on trio is shown in
``tests/runtime/test_lifetime.py``.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Make no tests of an engine on trio that cannot run there."""
    items[:] = [item for item in items if _can_run(getattr(item, "callspec", None))]


def _can_run(callspec) -> bool:
    if callspec is None or callspec.params.get("anyio_backend") != "trio":
        return True
    return ON_ASYNCIO_ONLY.isdisjoint(str(callspec.params.get(name)) for name in ("way", "engine"))


@pytest.fixture
def uncovered(monkeypatch):
    """
    Let the processes of a test run without coverage, which makes the start of each longer by two
    thirds: other tests cover the same lines.
    """
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


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
