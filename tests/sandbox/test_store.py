"""What is kept, and for how long."""

import contextlib
import gc
import sqlite3
import threading
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from poweremail.errors import UsageError
from poweremail.sandbox import Sandbox, SmtpUsage
from poweremail.sandbox._store.filter import MailFilter
from poweremail.sandbox._store.limits import UNLIMITED
from poweremail.webhooks import WebhookReceiver


def test_a_file_keeps_everything(tmp_path, api):
    path = tmp_path / "caught.db"
    with Sandbox(path) as sandbox:
        sandbox.add_template("t1", text="x")
        sandbox.add_smtp_user("smtp12345")
        api.sandbox = sandbox
        api.send(images=[{"name": "a", "type": "image/gif", "content": "YQ=="}])
        caught = list(sandbox.outbox)
    with Sandbox(str(path)) as sandbox:
        assert sandbox.outbox == caught
        assert sandbox.service.store.template("t1").text == "x"
        assert [user.name for user in sandbox.smtp_users] == ["smtp12345"]


def test_a_file_is_written_ahead(tmp_path):
    with Sandbox(tmp_path / "caught.db"):
        assert (tmp_path / "caught.db-wal").exists()


def test_a_file_that_is_not_a_sandboxs_is_rejected(tmp_path):
    text = tmp_path / "text"
    text.write_text("This is not a database. " * 100)
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE things (x)")
    connection.close()
    for path in (text, other, tmp_path):
        with pytest.raises(UsageError, match=r"path: cannot use"):
            Sandbox(path)


def old_file(path, script, *more):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
        for statement in more:
            connection.execute(statement)
        connection.commit()
    return path


def test_a_file_of_the_first_version_is_migrated(tmp_path, api):
    script = (Path(__file__).parent / "version_1.sql").read_text()
    path = old_file(tmp_path / "old.db", script, "PRAGMA user_version = 1")
    sent = datetime(2016, 3, 15, 9, 27, 2, tzinfo=UTC).timestamp()
    for _ in range(2):
        with Sandbox(path, clock=lambda: sent + 70) as sandbox:
            assert [(mail.subject, mail.to) for mail in sandbox.outbox] == [
                ("mail 1", ("ada@example.com",)),
                ("mail 2", ("ada@example.com", "bob@example.com")),
            ]
            user, other = sandbox.smtp_users
            assert (user.name, user.enabled, user.limits) == ("a", True, UNLIMITED)
            # The first mail was sent 70 seconds ago, the second, with two recipients, 40.
            assert user.used == SmtpUsage(
                per_minute=1, per_hour=2, per_day=2, hourly_limit=3, total_limit=3
            )
            assert (other.name, other.enabled, other.used) == ("b", False, SmtpUsage())
            mailbox = sandbox.service.mails
            assert [
                mail["number"] for mail in mailbox.page(MailFilter(search="MAIL bob@example"), 9)
            ] == [2]
            assert [mail["number"] for mail in mailbox.page(MailFilter(status="delivered"), 9)] == [
                2,
                1,
            ]
    with Sandbox(path, clock=lambda: sent + 70) as sandbox:
        sandbox.add_smtp_user("smtp12345", total_limit=1)
        api.sandbox = sandbox
        assert [api.send()["status"], api.send()["status"]] == ["success", "error"]


def test_a_file_of_the_second_version_is_migrated(tmp_path, api):
    script = (Path(__file__).parent / "version_2.sql").read_text()
    path = old_file(tmp_path / "old.db", script, "PRAGMA user_version = 2")
    for number in (1, 2):
        with Sandbox(path) as sandbox:
            assert [
                (user.name, user.enabled, user.limits.hourly_limit) for user in sandbox.smtp_users
            ] == [
                ("a", True, 5),
                ("b", False, None),
            ]
            assert sandbox.smtp_users[0].used.total_limit == 2
            assert sandbox.service.store.template("t1").text == "Dear {{NAME}}"
            assert sandbox.clock.advanced == 61
            sandbox.add_webhook("https://receiver.example", events="open")
            sandbox.add_sending_domain("a.example")
            assert (len(sandbox.webhooks), len(sandbox.sending_domains)) == (number, 1)
            api.sandbox = sandbox
            assert api("editSmtp", smtp_user_name="b", status="Enable")["status"] == "success"
            api("editSmtp", smtp_user_name="b", status="Disable")


def test_a_file_of_the_sixth_version_means_what_it_meant(tmp_path, api):
    script = (Path(__file__).parent / "version_6.sql").read_text()
    path = old_file(tmp_path / "old.db", script, "PRAGMA user_version = 6")
    then = datetime(2016, 3, 15, 9, 27, 2, tzinfo=UTC)
    with Sandbox(path, clock=then.timestamp) as sandbox:
        [mail] = sandbox.outbox
        assert (mail.number, mail.received, mail.subject) == (1, then, "Grüße")
        assert (mail.to, mail.cc, mail.unique_id) == (("bob@b.example",), ("c@c.example",), "id-1")
        assert mail.headers == {"X-A": "1", "X-Unique-Id": "id-1"}
        assert [(file.name, file.content) for file in mail.attachments] == [("a.bin", b"\x00\xff")]
        assert mail.raw["smtp_user_name"] == "smtp1"
        members = sandbox.service.mails.find(1)
        assert [(event["kind"], event["email"]) for event in members["events"]] == [
            ("hard_bounce", "c@c.example"),
            ("open", "c@c.example"),
            ("open", "bob@b.example"),
        ]
        assert [
            (each["status"], each["open"], each["click"]) for each in members["recipients"]
        ] == [("open", 1, 0), ("hard_bounce", 1, 0)]
        [webhook] = sandbox.webhooks
        assert (webhook.events, webhook.key.reveal()) == (("open", "hard_bounce"), "a-test-key")
        assert (webhook.created, webhook.last_success, webhook.store_log) == (then, None, False)
        assert [(each.domain, each.valid) for each in sandbox.sending_domains] == [
            ("a.example", False)
        ]
        [user] = sandbox.smtp_users
        assert (user.limits.per_minute, user.limits.total_limit) == (9, 100)
        assert user.used == SmtpUsage(
            per_minute=1, per_hour=1, per_day=1, hourly_limit=2, total_limit=2
        )
        assert sandbox.clock.advanced == 0.5
        tried, _, due = sandbox.deliveries
        assert (tried.events, tried.state, tried.created) == (("open",), "waiting", then)
        assert tried.next_attempt == then + timedelta(seconds=1)
        assert [(each.at, each.status, each.answer) for each in tried.attempts] == [
            (then, 500, "no")
        ]
        receiver = WebhookReceiver(
            lambda event: None, url=webhook.url, keys=webhook.key, scheme="form-base64"
        )
        assert [(each.number, each.state) for each in sandbox.deliver(receiver)] == [
            (due.number, "delivered")
        ]
        sandbox.clock.advance(3600)  # the clicks that its script had planned
        assert len(sandbox.deliver(receiver)) == 2
        assert [each["click"] for each in sandbox.service.mails.find(1)["recipients"]] == [1, 1]


@pytest.mark.parametrize(
    ("statements", "reason"),
    [
        (["CREATE TABLE things (x)", "PRAGMA user_version = 1"], "no such table: smtp_users"),
        (
            ["CREATE TABLE things (x)", "PRAGMA user_version = 99"],
            "a newer version of the sandbox has written it",
        ),
        (["PRAGMA user_version = 1"], "it is not a file of the sandbox"),
    ],
)
def test_a_file_that_cannot_be_migrated_stays_unchanged(tmp_path, statements, reason):
    path = old_file(tmp_path / "old.db", "", *statements)
    before = path.read_bytes()
    with pytest.raises(UsageError, match=reason):
        Sandbox(path)
    assert path.read_bytes() == before


def test_clear_deletes_everything_and_numbers_continue(api, sandbox):
    sandbox.add_template("t1", text="x")
    api.send()
    sandbox.add_smtp_user("smtp9")
    sandbox.clear()
    assert (sandbox.outbox, sandbox.faults.rules, sandbox.smtp_users) == ([], (), [])
    assert sandbox.service.store.template("t1") is None
    assert api.info("Id") == []
    api.send()
    assert [mail.number for mail in sandbox.outbox] == [2]


def test_pages_of_mails(api, sandbox):
    for _ in range(5):
        api.send()
    mails = sandbox.service.mails
    assert [mail.number for mail in mails.mails(after=1, limit=2)] == [2, 3]
    assert [mail.number for mail in mails.mails(after=3)] == [4, 5]
    assert mails.count() == 5


def test_lookups_and_pages_use_an_index(sandbox):
    connection = sandbox.service.store._connection
    plans = []
    connection.set_trace_callback(plans.append)
    sandbox.service.mails.records("x", 3, now=0)
    sandbox.service.mails.mails(after=5, limit=1)
    sandbox.service.store.usage("smtp12345", 10**12)
    connection.set_trace_callback(None)
    for query in plans:
        steps = [row["detail"] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
        steps = [step for step in steps if not step.startswith("SCAN json_each")]
        assert not any(step.startswith("SCAN") or "TEMP B-TREE" in step for step in steps), steps


def test_the_parts_of_many_mails_take_a_query_each(api, sandbox):
    for number in range(30):
        api.send(
            to=[{"email": f"r{number}@example.com", "type": "to"}] * 5,
            attachments=[{"name": f"a{number}", "type": "text/plain", "content": "YQ=="}],
            images=[{"name": f"i{number}", "type": "image/gif", "content": "Yg=="}],
        )
    queries = []
    sandbox.service.store._connection.set_trace_callback(queries.append)
    mails = sandbox.service.mails.mails()
    page = sandbox.service.mails.page(MailFilter(), 30)
    sandbox.service.store._connection.set_trace_callback(None)
    assert len(queries) == 6
    for number, mail in enumerate(mails):
        assert [file.name for file in mail.attachments] == [f"a{number}"]
        assert [(file.name, file.content) for file in mail.images] == [(f"i{number}", b"b")]
        assert mail.to == (f"r{number}@example.com",) * 5
    assert page[0]["recipients"][0]["email"] == "r29@example.com"
    assert (len(page[0]["recipients"]), page[0]["recipient_count"]) == (3, 5)
    assert (page[0]["statuses"], page[0]["attachment_count"]) == ({"delivered": 5}, 1)


def test_many_threads(api, sandbox):
    def send():
        for _ in range(20):
            api.send()

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [mail.number for mail in sandbox.outbox] == list(range(1, 161))
    assert len(api.info("Id")) == 100
    assert len(api.info("Id", skip_page=1)) == 60


def test_a_sandbox_that_was_not_closed_leaves_no_warning(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Sandbox(tmp_path / "caught.db")
        Sandbox()
        gc.collect()


def test_close_twice():
    sandbox = Sandbox()
    sandbox.close()
    sandbox.close()
    with pytest.raises(sqlite3.ProgrammingError):
        len(sandbox.outbox)


def test_a_failing_store_keeps_no_part_of_a_mail(api, sandbox, monkeypatch):
    connection = sandbox.service.store._connection
    connection.execute(
        "CREATE TRIGGER no BEFORE INSERT ON recipients BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    with pytest.raises(sqlite3.IntegrityError):
        api.send()
    assert sandbox.outbox == []
