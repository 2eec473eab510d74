"""Which mock catches which requests, with the real packages; all others are stopped."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).with_name("mocks_project.py").read_text()
CAUGHT = {
    "respx": {"httpx", "client-of-httpx"},
    "respx-of-httpx": {"client-of-httpx"},
    "pytest-httpx": {"client-of-httpx"},
    "httpx2-pytest": {"client-of-httpx2"},
    "aioresponses": {"aiohttp", "session"},
    "vcr": {"allowed"},  # it may record, and so send
    "none": {"mock-transport"},
}


@pytest.fixture
def stopped(project, monkeypatch) -> dict[tuple[str, str, str], str | None]:
    """Run the project, and return the reason for each test that failed, None for the others."""
    monkeypatch.setenv("COLUMNS", "1000")  # the reasons are cut off there
    done = project(PROJECT, "-rA", "--tb=no", mocks=True)
    raising = r"^PASSED \S+::test_a_mock_that_raises_has_read_the_mail"
    assert len(re.findall(raising, done.stdout, re.MULTILINE)) == 4, done.stdout
    lines = re.findall(
        r"^(PASSED|FAILED) \S+::(\w+)\[([a-z0-9-]+)\](?: - (.*))?$", done.stdout, re.MULTILINE
    )
    assert len(lines) == 6 * (6 + 4) + 3, done.stdout
    return {
        (test, *_mock_and_way(parameters)): reason if result == "FAILED" else None
        for result, test, parameters, reason in lines
    }


def _mock_and_way(parameters: str) -> tuple[str, str]:
    parameters = parameters.removesuffix("-asyncio")
    mock = max((name for name in CAUGHT if parameters.startswith(f"{name}-")), key=len)
    return mock, parameters.removeprefix(f"{mock}-")


def test_what_a_mock_catches_passes_and_all_else_is_stopped_with_advice(stopped):
    for (test, mock, way), reason in stopped.items():
        assert (reason is None) is (way in CAUGHT[mock]), (test, mock, way, reason)
        if reason is not None:
            assert "stopped before it was sent: a request to api.tes.example.com" in reason
    assert (
        "pytest-httpx is active and does not catch it: give the client "
        "transport=HttpxTransport(httpx.Client()) of poweremail.transports."
    ) in stopped["test_sync", "pytest-httpx", "httpx"]
    assert (
        "transport=AsyncHttpxTransport(httpx2.AsyncClient())"
        in (stopped["test_async", "httpx2-pytest", "httpx2"])
    )
    assert "respx is active and does not catch it" in stopped["test_async", "respx", "aiohttp"]
    assert "allow the host for that" in stopped["test_async", "vcr", "client-of-httpx"]
    assert "is active" not in stopped["test_an_instrumentation_is_no_mock", "none", "instrumented"]
