"""What a test asks of the outbox."""

from __future__ import annotations

import re
import threading

import anyio
import pytest

from poweremail import Message, TemplateMessage
from poweremail.errors import ConfigurationError
from poweremail.sandbox import Outbox, Sandbox


@pytest.fixture
def sandbox():
    with Sandbox() as sandbox, sandbox.client() as client:
        sandbox.add_template("welcome", text="Hello {{NAME}}")
        client.messages.send_mail(
            Message(
                subject="Invoice 42",
                from_email="billing@example.com",
                to="Ada@example.com",
                bcc="box@example.com",
                html="<p>Thanks</p>",
            )
        )
        client.messages.send_template(
            TemplateMessage(
                template_id="welcome",
                subject="Welcome",
                from_email="a@example.com",
                to="bob@example.com",
                dynamic_value={"NAME": "Bob"},
                unique_id="id-1",
            )
        )
        yield sandbox


@pytest.mark.parametrize(
    ("criteria", "numbers"),
    [
        ({}, [1, 2]),
        ({"to": "ada@EXAMPLE.com"}, [1]),
        ({"to": "box@example.com"}, [1]),
        ({"to": "Ada"}, []),
        ({"from_email": "A@example.com"}, [2]),
        ({"subject": "Invoice 42"}, [1]),
        ({"subject": "Invoice"}, []),
        ({"subject": re.compile(r"\d+$")}, [1]),
        ({"containing": "Thanks"}, [1]),
        ({"containing": "Hello Bob"}, [2]),
        ({"unique_id": "id-1"}, [2]),
        ({"template_id": "welcome"}, [2]),
        ({"template_id": "welcome", "to": "ada@example.com"}, []),
    ],
)
def test_find(sandbox, criteria, numbers) -> None:
    assert [mail.number for mail in sandbox.outbox.find(**criteria)] == numbers


def test_an_outbox_grows_and_a_result_does_not(sandbox) -> None:
    outbox, found = sandbox.outbox, sandbox.outbox.find(to="ada@example.com")
    with sandbox.client() as client:
        client.messages.send_mail(
            Message(subject="Again", from_email="a@example.com", to="ada@example.com", text="Hi")
        )
    assert (len(outbox), len(found)) == (3, 1)
    assert outbox[-1].subject == "Again"
    assert outbox[1:] == list(outbox)[1:]
    assert outbox == list(outbox)
    assert outbox == tuple(outbox)
    assert outbox == sandbox.outbox != 3
    sandbox.clear()
    assert not outbox


def test_one(sandbox) -> None:
    assert sandbox.outbox.one(template_id="welcome").subject == "Welcome"
    with pytest.raises(AssertionError) as caught:
        sandbox.outbox.one(to="eve@example.com", subject=re.compile("^In"))
    assert str(caught.value).splitlines() == [
        "expected one mail with to='eve@example.com', subject=/^In/, but found 0",
        "caught 2 mails:",
        "  #1 'Invoice 42' from billing@example.com to Ada@example.com, bcc box@example.com",
        "  #2 'Welcome' (template welcome) from a@example.com to bob@example.com",
    ]
    with pytest.raises(AssertionError, match=r"^expected one mail, but found 2\ncaught 2 mails:\n"):
        sandbox.outbox.one()
    sandbox.clear()
    with pytest.raises(
        AssertionError, match=r"^expected one mail, but found 0\nnothing was caught$"
    ):
        sandbox.outbox.one()


def test_an_error_lists_the_latest_of_many_mails(sandbox) -> None:
    mail = sandbox.outbox[0]
    many = Outbox(lambda: [mail] * 30)
    assert many.lines()[0] == "caught 30 mails, of which the last 20 are:"
    assert len(many.lines()) == 21
    assert repr(many).count("#1") == 20
    assert repr(many).endswith("; ...>")
    assert repr(Outbox(list)) == "<Outbox of 0 mails>"


def send(sandbox, subject) -> None:
    with sandbox.client() as client:
        client.messages.send_mail(
            Message(subject=subject, from_email="a@example.com", to="ada@example.com", text="Hi")
        )


def test_wait_for_a_mail_of_another_thread(sandbox) -> None:
    assert sandbox.outbox.wait(template_id="welcome", timeout=0).number == 2
    looked = threading.Event()

    def send_late() -> None:
        looked.wait(10)
        send(sandbox, "Early")
        send(sandbox, "Late")

    position = sandbox.service.store.changes

    class Watched(Outbox):
        def find(self, **conditions):
            looked.set()
            return super().find(**conditions)

    outbox = Watched(sandbox.service.mails.mails, position=lambda: position.last)
    thread = threading.Thread(target=send_late)
    thread.start()
    assert outbox.wait(subject="Late", timeout=30).subject == "Late"
    thread.join()


@pytest.mark.anyio
async def test_wait_while_other_tasks_run(sandbox) -> None:
    async with anyio.create_task_group() as tasks, sandbox.async_client() as client:
        message = Message(
            subject="Late", from_email="a@example.com", to="ada@example.com", text="Hi"
        )
        tasks.start_soon(client.messages.send_mail, message)
        mail = await sandbox.outbox.wait_async(subject="Late", timeout=30)
        assert mail.number == 3
    with pytest.raises(AssertionError, match="waited 0 seconds for one mail with to='x'"):
        await sandbox.outbox.wait_async(to="x", timeout=0)


def test_a_wait_that_fails_lists_what_was_caught(sandbox) -> None:
    with pytest.raises(AssertionError) as caught:
        sandbox.outbox.wait(to="eve@example.com", timeout=0.05)
    assert str(caught.value).splitlines() == [
        "waited 0.05 seconds for one mail with to='eve@example.com', but none came",
        "caught 2 mails:",
        "  #1 'Invoice 42' from billing@example.com to Ada@example.com, bcc box@example.com",
        "  #2 'Welcome' (template welcome) from a@example.com to bob@example.com",
    ]
    with pytest.raises(AssertionError, match="^expected one mail, but found 2"):
        sandbox.outbox.wait()
    with pytest.raises(ConfigurationError, match="timeout: must be a number of seconds"):
        sandbox.outbox.wait(timeout=-1)


def test_a_wait_sees_what_another_process_adds_to_the_file(tmp_path) -> None:
    """Two sandboxes are as two processes: neither knows of the changes of the other."""
    with Sandbox(tmp_path / "caught.db") as one, Sandbox(tmp_path / "caught.db") as other:
        send(other, "Hello")
        assert one.outbox.wait(subject="Hello", timeout=0).number == 1
