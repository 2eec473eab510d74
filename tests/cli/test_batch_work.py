"""``poweremail batch work`` and the commands about workers."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from poweremail import RateLimits
from poweremail.batch import Batch, Ledger, Outbox
from poweremail.sandbox import Fault
from support.ledgers import entries, lanes_on
from support.messages import message


@pytest.fixture
def place(tmp_path):
    return tmp_path / "ledger.db"


@pytest.fixture
def batch(command, place):
    """The command with a ledger of its own, and a batch of twenty mails in it."""
    command.environ["POWEREMAIL_LEDGER"] = str(place)
    fill(place, "news", 20)
    return lambda *arguments: command("batch", *arguments)


def fill(place, name: str, count: int) -> None:
    with Batch(None, place, name) as batch:
        batch.add(entries(count))


def received(command) -> Counter[str]:
    return Counter(
        recipient.email for mail in command.sandbox.outbox for recipient in mail.recipients
    )


def wait_for(true, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_one_slice_of_named_batches(batch, command):
    assert batch("work", "news", "--json").objects == [
        {"name": "news", "counts": {"accepted": 20}, "reason": "finished", "again_in": None}
    ]
    done = batch("work", "news")
    assert (done.status, done.err) == (0, "news: nothing; finished\n")
    assert batch("work").err == ""
    assert set(received(command).values()) == {1}
    done = batch("work", "nothing")
    assert (done.status, "there is no batch called 'nothing'" in done.err) == (2, True)


def test_all_batches_of_the_ledger_have_their_turn(batch, command, place):
    fill(place, "other", 3)
    err = batch("work").err
    assert "news: 20 accepted; finished" in err
    assert "other: 3 accepted; finished" in err


def test_start_workers_status_and_drain(batch, command, place):
    assert batch("start", "news").status == 2
    for runners in ("10001", "99999999999"):
        refused = batch("start", "news", "--runners", runners)
        assert refused.status == 2
        assert "must be a number from 1 to 10,000" in refused.err
    assert "news may have 2 workers" in batch("start", "news", "--runners", "2").err
    ledger = Ledger(place)
    lane = lanes_on(ledger, "web-1").take_any(ledger.find("news"), lease=60.0)
    (worker,) = batch("workers", "news", "--json").objects
    assert (worker["lane"], worker["host"], worker["process"]) == (1, "web-1", 7)
    assert batch("workers", "news").out.split()[:3] == ["1", "web-1", "7"]
    assert batch("drain").status == 2
    assert "on web-1 end" in batch("drain", "--host", "web-1").err
    assert ledger.lanes.renew(lane, lease=60.0) == "drained"
    assert "may begin" in batch("undrain", "--host", "web-1").err
    assert ledger.lanes.renew(lane, lease=60.0) is None
    assert "the workers of news end" in batch("drain", "news").err
    (status,) = batch("status", "news", "--json").objects
    assert (status["workers"], status["runners"], status["drained"]) == (1, 2, True)
    assert batch("work", "news").err == "news: nothing; drained\n"
    ran = batch("run", "news")
    assert ran.status == 6
    assert "poweremail batch undrain news" in ran.err
    assert batch("start", "news").status == 0
    assert batch("work", "news").err == "news: 20 accepted; finished\n"
    ledger.close()


@pytest.fixture
def notifications(tmp_path, command):
    """The messages that systemd would get."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(60.0)
        command.environ["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        yield listening


def test_forever_means_until_a_signal(batch, command, place, tmp_path, notifications):
    ready = tmp_path / "ready"
    process = command.start(
        *("batch", "work", "--forever", "--poll", "0.1", "--ready-file", str(ready), "--json")
    )
    assert notifications.recv(1000).startswith(b"READY=1\nWATCHDOG=1\nSTATUS=")
    wait_for(lambda: len(command.sandbox.outbox) == 20)
    assert ready.exists()
    # It waits for more.
    fill(place, "more", 5)
    wait_for(lambda: len(command.sandbox.outbox) == 25)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    # The signal may come before the last mail's outcome is on the disk.
    assert b'"accepted": 20' in out
    assert b'"accepted": 5' in out
    assert not ready.exists()
    notifications.setblocking(False)
    with pytest.raises(BlockingIOError):
        while last := notifications.recv(1000):
            pass
    assert last == b"STOPPING=1"


def test_a_worker_that_waits_for_limits_begins_no_slice(batch, command, place):
    user = command.environ["POWEREMAIL_SMTP_USER_NAME"]
    with Batch(None, place, "news") as news:
        news.set_options(limits={user: RateLimits(per_minute=3)})
        process = command.start("batch", "work", "--forever", "--poll", "0.1")
        wait_for(lambda: len(command.sandbox.outbox) == 3)
        time.sleep(2.0)  # so that it polls many times
        wait_for(lambda: not news.workers())
        (kick,) = news.start(1)
        assert kick.turn <= 3
        # A change of the limits is seen nevertheless.
        news.set_options(limits={user: RateLimits(per_minute=100)})
        wait_for(lambda: len(command.sandbox.outbox) == 20)
        process.terminate()
        process.communicate(timeout=60)


def test_the_mail_of_an_outbox_does_not_wait_behind_a_newsletter(batch, command, place):
    command.sandbox.faults.add(Fault.latency(0.3), call="sendMail")
    fill(place, "long", 200)
    process = command.start("batch", "work", "--forever", "--concurrency", "1", "--poll", "0.5")
    wait_for(lambda: command.sandbox.outbox)
    engine = create_engine(f"sqlite:///{place}")
    with Outbox(place) as outbox, engine.begin() as connection:
        outbox.add(connection, message(to="reset@example.com"), key="reset")
    engine.dispose()
    wait_for(lambda: received(command)["reset@example.com"])
    process.terminate()
    process.communicate(timeout=60)
    # Else it would have its turn after 20 seconds, or some sixty mails.
    assert len(command.sandbox.outbox) < 50


def test_sigterm_in_the_middle_ends_within_a_request(batch, command):
    command.sandbox.faults.add(Fault.latency(0.5), call="sendMail")
    process = command.start("batch", "work", "news", "--forever", "--concurrency", "2")
    wait_for(lambda: command.sandbox.outbox)
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert b"mails that are being sent are finished first" in err
    sent = len(command.sandbox.outbox)
    assert 0 < sent < 20
    (status,) = batch("status", "news", "--json").objects
    assert (status["accepted"], status["planned"]) == (sent, 20 - sent)
    assert (status["unknown"], status["workers"]) == (0, 0)
    command.sandbox.faults.clear()
    assert batch("work", "news").status == 0
    assert received(command) == {f"user{n}@example.com": 1 for n in range(20)}


def test_a_ready_file_that_cannot_be_written_is_an_error(batch, tmp_path):
    done = batch("work", "--forever", "--ready-file", str(tmp_path / "no" / "ready"))
    assert (done.status, "--ready-file" in done.err) == (2, True)


def test_a_worker_that_was_killed_is_replaced(batch, command, place):
    """Its lane and its mails are free when their leases end."""
    batch("start", "news", "--runners", "1")
    command.sandbox.faults.add(Fault.stall(), call="sendMail", nth=3)
    process = command.start(
        *("batch", "work", "news", "--forever", "--concurrency", "1", "--lease", "1")
    )
    wait_for(lambda: len(command.sandbox.outbox) == 3)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    ledger = Ledger(place)
    number = ledger.find("news")
    assert len(ledger.lanes.workers(number)) == 1
    wait_for(lambda: ledger.lanes.workers(number)[0].lost)
    wait_for(lambda: batch("work", "news", "--visibility", "0") and ledger.status(number).finished)
    assert received(command) == {f"user{n}@example.com": 1 for n in range(20)}
    ledger.close()


def test_the_ready_file_of_a_killed_process_is_removed_first(batch, tmp_path):
    ready = Path(tmp_path, "ready")
    ready.touch()
    assert batch("work", "news", "--ready-file", str(ready)).status == 0
    assert not ready.exists()
