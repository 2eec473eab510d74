"""The outbox of an application with a task queue."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine

from poweremail.engines import Mail
from poweremail.sandbox import Sandbox
from support.messages import message


class Queue(Mail):
    def send_kick(self, kick, delay):
        self.kicks.append(kick)


@pytest.fixture
def sandbox():
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def mail(sandbox, tmp_path):
    mail = Queue(str(tmp_path / "ledger.db"), client=sandbox.client, outbox_runners=2)
    mail.kicks = []
    mail.outbox.create_tables()
    return mail


def add(mail, key: str, *, commit: bool = True) -> None:
    engine = create_engine(f"sqlite:///{mail.ledger.database.path}")
    with engine.connect() as connection:
        mail.outbox.add(connection, message(), key=key)
        (connection.commit if commit else connection.rollback)()
    engine.dispose()
    mail.kick()


def test_a_kick_after_the_commit_sends_the_mail(mail, sandbox):
    add(mail, "a")
    assert mail.drive(mail.kicks.pop()).reason == "finished"
    assert len(sandbox.outbox) == 1
    assert mail.outbox.find("a").state == "accepted"


def test_a_mail_that_was_rolled_back_is_not_sent(mail, sandbox):
    add(mail, "a")
    mail.drive(mail.kicks.pop())
    add(mail, "b", commit=False)
    for kick in mail.kicks:
        mail.drive(kick)
    assert len(sandbox.outbox) == 1


def test_many_mails_at_once_need_few_kicks(mail, sandbox):
    for number in range(20):
        add(mail, str(number))
    assert len(mail.kicks) < 20
    for kick in mail.kicks:
        mail.drive(kick)
    mail.beat()
    assert mail.outbox.find("19").state == "accepted"
    assert len({mail.unique_id for mail in sandbox.outbox}) == 20
