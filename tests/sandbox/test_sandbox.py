"""The sandbox and its clients, without a socket."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import poweremail
from poweremail import Secret
from poweremail.sandbox import (
    AsyncSandboxTransport,
    AttemptResult,
    Fault,
    Sandbox,
    SandboxTransport,
)

PACKAGE = str(Path(poweremail.__file__).parent)
MESSAGE = poweremail.Message(
    subject="Hi", from_email="me@example.com", to="Ada <ada@example.com>", text="Hello"
)


def test_the_sync_client(sandbox):
    with sandbox.client() as client:
        result = client.messages.send_mail(MESSAGE)
        page = client.messages.get_message_info(result.unique_id)
    assert [record.email for record in page] == ["ada@example.com"]
    assert sandbox.outbox[0].unique_id == result.unique_id
    assert sandbox.outbox[0].recipients[0].name == "Ada"


async def test_the_async_client(sandbox):
    async with sandbox.async_client(smtp_user_name="mine") as client:
        await client.messages.send_mail(MESSAGE)
    assert [mail.smtp_user_name for mail in sandbox.outbox] == ["mine"]


async def test_clients_know_the_credentials():
    with Sandbox(owner_id="me", token="my-token") as sandbox:
        async with sandbox.async_client() as client:
            await client.messages.send_mail(MESSAGE)
        with (
            sandbox.client(token="other-token") as client,
            pytest.raises(poweremail.AuthenticationError),
        ):
            client.messages.send_mail(MESSAGE)
    assert "my-token" not in repr(sandbox)


def test_the_token_is_a_secret():
    with (
        Sandbox(owner_id="me", token="my-token") as sandbox,
        Sandbox(token=Secret("my-token")) as other,
    ):
        shown = "".join(
            repr(vars(each)) + repr(vars(each.service)) + repr(each.service.requests)
            for each in (sandbox, other)
        )
    assert "my-token" not in shown
    assert shown.count("Secret('***')") == 6  # what reads requests has it, alone and in its owner


@pytest.mark.parametrize(
    "fail",
    [
        lambda: Sandbox("/nowhere/at/all", token="my-token"),
        lambda: Sandbox(token="my-token").client(timeouts=5),
        lambda: Sandbox().async_client(token="my-token", timeouts=5),
    ],
)
def test_no_frame_that_fails_has_the_token(fail):
    with pytest.raises(poweremail.UsageError) as caught:
        fail()
    frames = [entry.frame for entry in caught.traceback if str(entry.path).startswith(PACKAGE)]
    assert frames
    assert "my-token" not in "".join(repr(dict(frame.f_locals)) for frame in frames)


def test_empty_credentials_accept_any():
    with Sandbox(owner_id="", token="") as sandbox, sandbox.client() as client:
        client.messages.send_mail(MESSAGE)


def test_options_of_a_client_do_not_change_its_sandbox(sandbox):
    with (
        Sandbox() as other,
        sandbox.client(app_domain="example.com") as client,
        other.client(base_url="http://localhost:1") as second,
    ):
        client.messages.send_mail(MESSAGE)
        second.messages.send_mail(MESSAGE)
        assert (len(sandbox.outbox), len(other.outbox)) == (1, 1)


def test_a_lost_response_is_an_unknown_outcome(sandbox):
    sandbox.faults.add(Fault.reset_after_acceptance())
    with sandbox.client() as client, pytest.raises(poweremail.DeliveryUnknownError) as caught:
        client.messages.send_mail(MESSAGE)
    assert sandbox.outbox[0].unique_id == caught.value.unique_id


def test_a_sandbox_without_a_server_loads_no_server_module():
    code = (
        "import sys, poweremail.sandbox as s; s.Sandbox(); print({'starlette', 'uvicorn', "
        "'httpx', 'anyio'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("poweremail.transports", "AsyncSandboxTransport", AsyncSandboxTransport),
        ("poweremail.transports", "SandboxTransport", SandboxTransport),
        ("poweremail.sandbox", "Answered", AttemptResult),
    ],
)
def test_old_names_still_work(module, old, new):
    with pytest.warns(DeprecationWarning, match=f"{module}.{old} is now poweremail.sandbox"):
        assert getattr(importlib.import_module(module), old) is new
