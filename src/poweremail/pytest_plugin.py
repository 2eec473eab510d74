"""
Fixtures for tests of applications that send mail; pytest finds them by itself where the library is
installed.

``poweremail_sandbox``
    A `Sandbox` of the test's own, in this process and without a socket.
``poweremail_client``, ``async_poweremail_client``
    A client of it: sync, and async for asyncio and trio.
``poweremail_outbox``
    Its caught mails: ``poweremail_outbox.one(to="ada@example.com")``.
``poweremail_server``
    The sandbox over HTTP, for applications in other processes: one server for the whole run, empty
    at the start of each test.
``poweremail_session_server``
    That server for fixtures of the session, such as an application that is started once; nothing
    empties it.
``poweremail_environ``
    Sets ``POWEREMAIL_BASE_URL`` and the credentials to that server's, for code that calls
    ``from_env``, and returns them.

``@pytest.mark.poweremail_fault(Fault.html(), call="sendMail", nth=1)`` adds a fault to the test's
sandbox, in-process and over HTTP: the arguments are those of `Faults.add`.

A request of the library to another machine is stopped, and the test fails, even if the application
handles the error. A request that a mock such as respx or pytest-httpx catches is let through; if
one is active and does not see the request, the text says so.
``@pytest.mark.poweremail_allow_hosts("api.tes.example.com")`` lets those of one test through, the
ini option ``poweremail_allow_hosts`` those of all; ``poweremail_guard = false`` switches the guard
off.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import attrs
import pytest

from poweremail import _runtime
from poweremail._mocking import advice_about_mocks, is_mocked
from poweremail._types.checks import is_loopback

if TYPE_CHECKING:
    from poweremail import AsyncPowerEmail, PowerEmail
    from poweremail.sandbox import Outbox, Sandbox

_FAULT = "poweremail_fault"
_ALLOW_HOSTS = "poweremail_allow_hosts"
_GUARD = "poweremail_guard"


@attrs.frozen
class ServedSandbox:
    """A *sandbox* with an HTTP server; *base_url* is the option for its clients."""

    sandbox: Sandbox
    base_url: str

    @property
    def outbox(self) -> Outbox:
        """The caught mails."""
        return self.sandbox.outbox

    @property
    def environ(self) -> dict[str, str]:
        """The variables for ``from_env``."""
        return {
            "POWEREMAIL_OWNER_ID": "sandbox",
            "POWEREMAIL_TOKEN": "sandbox-token",
            "POWEREMAIL_SMTP_USER_NAME": "smtp12345",
            "POWEREMAIL_BASE_URL": self.base_url,
        }


class _Stopped(pytest.fail.Exception, _runtime.Stopped):  # type: ignore[name-defined,misc]  # for mypy it is no class
    """To pytest this is a failed test, to the library a request that was not sent."""

    __module__ = "builtins"  # like pytest's own, so that its report shows the name alone


class Guard:
    """Stops requests to other machines, except to *allowed* hosts, and fails their tests."""

    def __init__(self, allowed: frozenset[str]) -> None:
        self._allowed = allowed
        self._allowed_now = allowed
        self._stopped: list[str] = []

    def __call__(self, url: str, transport: object) -> None:
        """Check a request. Raises a failure of pytest, which is no `Exception`."""
        host = urlsplit(url).hostname or ""
        if not _is_librarys(transport) or is_loopback(host) or host in self._allowed_now:
            return
        if is_mocked(transport):
            return
        text = (
            f"stopped before it was sent: a request to {host}, which is not this machine."
            f"{advice_about_mocks(transport)} Give the application a client of the"
            " sandbox (poweremail_client, poweremail_environ), or allow the host: "
            f"@pytest.mark.{_ALLOW_HOSTS}({host!r})"
        )
        self._stopped.append(text)
        raise _Stopped(text, pytrace=False)  # type: ignore[call-arg]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Set the hosts that this test allows."""
        self._allowed_now = self._allowed.union(
            *(marker.args for marker in item.iter_markers(_ALLOW_HOSTS))
        )
        self._stopped.clear()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        """Fail a test in which another thread made the request, or a handler caught the error."""
        result = yield
        if self._stopped:
            pytest.fail(self._stopped[0], pytrace=False)
        return result


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ini options."""
    parser.addini(
        _GUARD, "fail a test that sends mail to another machine", type="bool", default=True
    )
    parser.addini(
        _ALLOW_HOSTS, "hosts to which tests may send mail for real", type="linelist", default=[]
    )


def pytest_configure(config: pytest.Config) -> None:
    """Add the markers, and set up the guard."""
    config.addinivalue_line(
        "markers", f"{_ALLOW_HOSTS}(*hosts): let this test send to these hosts for real."
    )
    if config.getini(_GUARD):
        guard = Guard(frozenset(config.getini(_ALLOW_HOSTS)))
        config.pluginmanager.register(guard, "poweremail-guard")
        _runtime.watcher = guard
    config.addinivalue_line(
        "markers",
        f"{_FAULT}(fault, **options): add a fault to the sandbox of this test; see Faults.add.",
    )


def pytest_unconfigure() -> None:
    """Remove the guard."""
    _runtime.watcher = None


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """List the caught mails if an assertion about an outbox fails, in place of a dump of them."""
    outbox = next((side for side in (left, right) if type(side).__name__ == "Outbox"), None)
    if outbox is None:
        return None
    from poweremail.sandbox import Outbox  # noqa: PLC0415  it is loaded already

    return (
        [f"{_short(left)} {op} {_short(right)}", *outbox.lines()]
        if isinstance(outbox, Outbox)
        else None
    )


@pytest.fixture
def poweremail_sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """Yield a sandbox of the test's own, in this process."""
    from poweremail.sandbox import Sandbox  # noqa: PLC0415  loaded by the tests that use it

    with Sandbox(seed=request.node.nodeid) as sandbox:
        _add_faults(sandbox, request)
        yield sandbox


@pytest.fixture
def poweremail_client(poweremail_sandbox: Sandbox) -> Iterator[PowerEmail]:
    """Yield a sync client of the test's sandbox."""
    with poweremail_sandbox.client() as client:
        yield client


@pytest.fixture
def async_poweremail_client(poweremail_sandbox: Sandbox) -> AsyncPowerEmail:
    """Return an async client of the test's sandbox. It need not be closed."""
    return poweremail_sandbox.async_client()


@pytest.fixture
def poweremail_outbox(poweremail_sandbox: Sandbox) -> Outbox:
    """Return the mails that the test's sandbox caught."""
    return poweremail_sandbox.outbox


@pytest.fixture(scope="session")
def poweremail_session_server() -> Iterator[ServedSandbox]:
    """Yield one sandbox over HTTP for the whole run; each worker of pytest-xdist has its own."""
    from poweremail.sandbox import Sandbox  # noqa: PLC0415

    with Sandbox() as sandbox, sandbox.server() as server:
        yield ServedSandbox(sandbox, server.base_url)


@pytest.fixture
def poweremail_server(
    poweremail_session_server: ServedSandbox, request: pytest.FixtureRequest
) -> ServedSandbox:
    """Return the sandbox over HTTP, emptied, and its URL."""
    poweremail_session_server.sandbox.clear()
    _add_faults(poweremail_session_server.sandbox, request)
    return poweremail_session_server


@pytest.fixture
def poweremail_environ(
    poweremail_server: ServedSandbox, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """Set the variables for ``from_env`` to the sandbox over HTTP, and return them."""
    for name, value in poweremail_server.environ.items():
        monkeypatch.setenv(name, value)
    return poweremail_server.environ


def _is_librarys(transport: object) -> bool:
    """Return whether *transport* is one of the library's; the guard does not cover others."""
    module = type(transport).__module__
    return module.startswith(("poweremail._async.transports.", "poweremail._sync.transports."))


def _short(side: object) -> str:
    return "outbox" if type(side).__name__ == "Outbox" else repr(side)


def _add_faults(sandbox: Sandbox, request: pytest.FixtureRequest) -> None:
    for marker in reversed(list(request.node.iter_markers(_FAULT))):
        sandbox.faults.add(*marker.args, **marker.kwargs)
