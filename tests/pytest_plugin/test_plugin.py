"""The plugin as a project uses it: pytest runs on tests of its own, in a process of its own."""

from __future__ import annotations

import re

import pytest

from support.plugin_project import MESSAGE, passed


def test_both_clients_share_one_outbox(project) -> None:
    done = project(
        MESSAGE
        + """
import pytest

def test_the_sync_client_sends(poweremail_client, poweremail_outbox):
    assert poweremail_outbox == []
    poweremail_client.messages.send_mail(message())
    assert poweremail_outbox.one(to="ada@example.com").text == "Hi"

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_the_async_client_sends(async_poweremail_client, poweremail_outbox, anyio_backend):
    assert not poweremail_outbox
    await async_poweremail_client.messages.send_mail(message())
    assert [mail.subject for mail in poweremail_outbox] == ["Hello"]

def test_both_clients_share_the_sandbox(poweremail_client, poweremail_sandbox, poweremail_outbox):
    poweremail_sandbox.add_template("t1", text="Hi {{NAME}}")
    assert len(poweremail_outbox) == 0
""",
        "--strict-markers",
        "-W",
        "error",
    )
    assert passed(done) == "4 passed", done.stdout


def test_the_marker_adds_a_fault(project) -> None:
    done = project(
        MESSAGE
        + """
import pytest
from poweremail import DeliveryUnknownError, PowerEmail, ValidationError
from poweremail.sandbox import Fault

@pytest.mark.poweremail_fault(Fault.reset_after_acceptance(), nth=2)
def test_the_fault_hits_the_sandbox_in_process(poweremail_client, poweremail_outbox):
    poweremail_client.messages.send_mail(message())
    with pytest.raises(DeliveryUnknownError):
        poweremail_client.messages.send_mail(message(subject="Again"))
    assert len(poweremail_outbox) == 2

@pytest.mark.poweremail_fault(Fault.html())
def test_the_fault_hits_the_server(poweremail_server):
    with PowerEmail.from_env(poweremail_server.environ) as client:
        with pytest.raises(DeliveryUnknownError):
            client.messages.send_mail(message())

def test_the_next_test_has_no_fault(poweremail_client, poweremail_server):
    assert poweremail_server.outbox == []
    with PowerEmail.from_env(poweremail_server.environ) as client:
        client.messages.send_mail(message())
    assert len(poweremail_server.outbox) == 1
""",
        "--strict-markers",
    )
    assert passed(done) == "3 passed", done.stdout


def test_an_app_in_another_process_sends_to_the_server(project) -> None:
    done = project(
        """
import subprocess, sys

APP = '''
from poweremail import Message, PowerEmail
with PowerEmail.from_env() as client:
    client.messages.send_mail(
        Message(subject="From an app", from_email="a@example.com", to="b@example.com", text="Hi")
    )
'''

def test_the_app_sends_to_the_server(poweremail_environ, poweremail_server):
    subprocess.run([sys.executable, "-c", APP], check=True)
    assert poweremail_server.outbox.one(subject="From an app").to == ("b@example.com",)
"""
    )
    assert passed(done) == "1 passed", done.stdout


def test_a_failed_assertion_shows_the_caught_mails(project) -> None:
    done = project(
        MESSAGE
        + """
def test_one_mail_is_found(poweremail_client, poweremail_outbox):
    poweremail_client.messages.send_mail(message())
    poweremail_outbox.one(to="grace@example.com")

def test_the_length_is_compared(poweremail_client, poweremail_outbox):
    poweremail_client.messages.send_mail(message(cc="eve@example.com"))
    assert len(poweremail_outbox) == 2

def test_the_outbox_is_compared(poweremail_client, poweremail_outbox):
    poweremail_client.messages.send_mail(message())
    assert poweremail_outbox == []
"""
    )
    assert passed(done) == "3 failed"
    line = "#1 'Hello' from a@example.com to ada@example.com"
    assert (
        "AssertionError: expected one mail with to='grace@example.com', but found 0" in done.stdout
    )
    assert (
        "sandbox/_outbox.py" not in done.stdout
    )  # the line of the test is what counts, not the insides of the outbox
    assert "where 1 = len(<Outbox of 1 mail: " + line + ", cc eve@example.com>)" in done.stdout
    assert "assert outbox == []" in done.stdout
    assert len(re.findall(rf"^E +{line}$", done.stdout, re.MULTILINE)) == 2


def test_the_plugin_loads_nothing_until_it_is_used(project) -> None:
    done = project(
        """
import sys

def test_no_heavy_module_is_loaded():
    heavy = {"cattrs", "httpx", "tenacity", "starlette", "uvicorn", "poweremail.sandbox"}
    assert not heavy & sys.modules.keys()
"""
    )
    assert passed(done) == "1 passed", done.stdout


REAL = (
    MESSAGE
    + """
import threading
import pytest
from poweremail import NotSentError, PowerEmail, RetryPolicy

def send(host="192.0.2.1", **options):  # an address that is kept for documentation
    options |= {"base_url": f"https://{host}", "smtp_user_name": "smtp12345"}
    with PowerEmail("me", "token", retry=RetryPolicy(attempts=1), **options) as client:
        client.messages.send_mail(message())
"""
)


def test_a_test_that_sends_to_the_real_service_fails(project) -> None:
    done = project(
        REAL
        + """
def test_a_send_fails():
    send()

def test_a_swallowed_error_fails_the_test():
    try:
        send()
    except BaseException:
        pass

def test_a_send_on_another_thread_fails():
    thread = threading.Thread(target=send)
    thread.start()
    thread.join()

@pytest.mark.anyio
async def test_an_awaited_send_fails():
    from poweremail import AsyncPowerEmail
    client = AsyncPowerEmail("me", "token", "tes.example.com", smtp_user_name="smtp12345")
    async with client:
        await client.messages.send_mail(message())

def test_this_machine_may_be_sent_to(poweremail_server):
    with PowerEmail.from_env(poweremail_server.environ) as client:
        client.messages.send_mail(message())

def test_a_transport_of_the_user_is_not_guarded():
    class Nowhere:
        def handle(self, request):
            from poweremail.transports import Response
            return Response(200, (), b'{"status": "success"}')
        def close(self):
            pass
    send(transport=Nowhere())
""",
        "-p",
        "no:threadexception",
    )
    assert passed(done) == "5 failed, 2 passed"  # what is awaited runs on asyncio and on trio
    assert (
        done.stdout.count(
            "stopped before it was sent: a request to 192.0.2.1, which is not this machine."
        )
        >= 3
    )
    assert "a request to api.tes.example.com" in done.stdout
    assert "@pytest.mark.poweremail_allow_hosts(" in done.stdout
    assert "may or may not have been accepted" not in done.stdout


@pytest.mark.parametrize("how", ["marker", "option", "off"])
def test_a_host_can_be_allowed(project, how, tmp_path) -> None:
    # The loopback device answers here for a name that the guard does not know: nothing leaves this
    # machine.
    settings = {
        "option": "poweremail_allow_hosts = allowed.test",
        "off": "poweremail_guard = false",
    }
    (tmp_path / "pytest.ini").write_text(f"[pytest]\n{settings.get(how, '')}\n")
    marker = '@pytest.mark.poweremail_allow_hosts("allowed.test")' if how == "marker" else ""
    done = project(
        REAL
        + f"""
import socket

{marker}
def test_an_allowed_host_is_connected(monkeypatch):
    def nobody(*arguments, **options):
        raise socket.gaierror("asked for")
    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    with pytest.raises(NotSentError, match="asked for"):
        send("allowed.test")
"""
    )
    assert passed(done) == "1 passed", done.stdout


def test_an_application_of_the_session_has_a_server(project) -> None:
    done = project(
        MESSAGE
        + """
import pytest
from poweremail import PowerEmail

@pytest.fixture(scope="session")
def application(poweremail_session_server):
    with PowerEmail.from_env(poweremail_session_server.environ) as client:
        yield lambda: client.messages.send_mail(message())

@pytest.mark.parametrize("number", range(2))
def test_each_test_begins_with_an_empty_outbox(application, poweremail_server, number):
    application()
    assert poweremail_server.outbox.wait(to="ada@example.com").number == number + 1
    assert len(poweremail_server.outbox) == 1
""",
    )
    assert passed(done) == "2 passed", done.stdout


def test_parallel_workers_do_not_meet(project, tmp_path) -> None:
    done = project(
        MESSAGE
        + """
import time
from pathlib import Path
import pytest
from poweremail import PowerEmail

HERE = Path(__file__).parent

@pytest.mark.parametrize("number", range(2))
def test_each_worker_has_a_server(poweremail_server, number, worker_id):
    (HERE / f"{number}.txt").write_text(f"{worker_id} {poweremail_server.base_url}")
    deadline = time.monotonic() + 60
    while not (HERE / f"{1 - number}.txt").exists() and time.monotonic() < deadline:
        time.sleep(0.01)  # until the other one runs, too
    with PowerEmail.from_env(poweremail_server.environ) as client:
        client.messages.send_mail(message(subject=f"of {number}"))
    assert poweremail_server.outbox.one().subject == f"of {number}"
""",
        "-p",
        "xdist",
        "-n",
        "2",
    )
    assert passed(done) == "2 passed", done.stdout
    one, other = ((tmp_path / f"{number}.txt").read_text().split() for number in range(2))
    assert not {*one} & {*other}


def test_a_server_without_the_extra_says_what_to_install(project) -> None:
    done = project(
        r"""
import sys
import pytest
from poweremail.errors import ConfigurationError
from poweremail.sandbox import Sandbox

def test_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with Sandbox() as sandbox, pytest.raises(ConfigurationError, match=r"poweremail\[sandbox\]"):
        sandbox.server()
""",
    )
    assert passed(done) == "1 passed", done.stdout
