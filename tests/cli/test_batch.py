"""``poweremail batch``."""

from __future__ import annotations

import csv
import inspect
import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress

import attrs
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from poweremail import RateLimits
from poweremail._cli.app import app
from poweremail._cli.batch_options import RunOptions
from poweremail._cli.progress import Pace
from poweremail._ledger.forecast import BudgetUsed, least_seconds
from poweremail._policy.limits import SlidingLog, Window
from poweremail.batch import Batch, Ledger
from poweremail.sandbox import Fault

READERS = "email,name,NAME,key\n" + "".join(
    f"user{n}@example.com,User {n},U{n},k{n}\n" for n in range(20)
)


@pytest.fixture
def batch(command, tmp_path, monkeypatch):
    """The command with a ledger of its own, and a batch of twenty mails and a bad row in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "readers.csv").write_text(READERS + "nobody,x,y,bad\n")
    command.environ["POWEREMAIL_LEDGER"] = str(tmp_path / "ledger.db")
    command.sandbox.add_template("welcome", text="Welcome, {{NAME}}!")
    done = create(command)
    assert done.status == 7, done.err
    assert "line 22: to[0]: 'nobody' has no @" in done.err
    assert "20 added, 0 known already, 1 invalid" in done.err
    return lambda *arguments: command("batch", *arguments)


def create(command, *options: object, name: str = "news", source: str = "readers.csv"):
    common = ("--template", "welcome", "--subject", "News", "--from", "me@example.com")
    return command("batch", "create", name, source, *common, *options)


def received(command) -> Counter[str]:
    return Counter(
        recipient.email for mail in command.sandbox.outbox for recipient in mail.recipients
    )


def test_requests_to_the_service_hold_for_all_mails_of_a_batch(command, batch):
    command.sandbox.add_sending_domain("sign.example.com")
    options = ("--auto-text", "--signing-domain", "sign.example.com")
    assert create(command, *options, name="signed").status == 7
    assert batch("run", "signed").status == 7
    for mail in command.sandbox.outbox:
        assert mail.headers["X-STes-Autotext"] == "yes"
        assert mail.headers["X-STes-SigningDomain"] == "sign.example.com"
    assert len(command.sandbox.outbox) == 20


def test_from_a_file_to_a_report(batch, command, tmp_path):
    assert [
        each["key"] for each in batch("report", "news", "--state", "planned", "--json").objects
    ][:2] == ["k0", "k1"]
    done = batch("run", "news", "--json")
    # One row was bad: not everybody got it.
    assert done.status == 7
    assert (
        done.objects[0]["accepted"],
        done.objects[0]["invalid"],
        done.objects[0]["finished"],
    ) == (20, 1, True)
    assert "poweremail batch report news" in done.err
    assert received(command) == {f"user{n}@example.com": 1 for n in range(20)}
    assert {mail.text for mail in command.sandbox.outbox} == {f"Welcome, U{n}!" for n in range(20)}
    rows = list(csv.DictReader(io.StringIO(batch("report", "news").out)))
    assert Counter(row["state"] for row in rows) == {"accepted": 20, "invalid": 1}
    assert (rows[-1]["recipient"], rows[-1]["line"]) == ("nobody", "22")
    for name, read in (
        ("r.csv", lambda text: list(csv.DictReader(io.StringIO(text)))),
        ("r.jsonl", str.splitlines),
    ):
        assert batch("report", "news", "-o", name).status == 0
        assert len(read((tmp_path / name).read_text())) == 21
    assert (
        json.loads((tmp_path / "r.jsonl").read_text().splitlines()[0])["recipient"]
        == "user0@example.com"
    )
    # Once more is nothing more.
    assert (
        create(command).status,
        batch("run", "news", "-q").status,
        len(command.sandbox.outbox),
    ) == (7, 7, 20)


def test_a_batch_with_every_mail_accepted_exits_with_0(batch, command, tmp_path):
    (tmp_path / "readers.csv").write_text(READERS)
    done = create(command)
    assert (done.status, "0 added, 20 known already, 0 invalid" in done.err) == (0, True)
    assert batch("run", "news").status == 0
    assert batch("status", "news", "--json").objects[0]["accepted"] == 20


def test_pause_resume_and_list(batch, command):
    assert batch("pause", "news", "--reason", "lunch").status == 0
    done = batch("run", "news")
    assert (done.status, command.sandbox.outbox) == (6, [])
    assert "news is paused: lunch" in done.err
    assert batch("list").out.split() == ["news", "20", "0", "20", "lunch"]
    assert batch("resume", "news", "--concurrency", "4").status == 7
    assert len(command.sandbox.outbox) == 20


def test_old_mails_are_purged(batch, command):
    ran = batch("run", "news")
    assert ran.status == 7
    assert "every mail was accepted, but 1 row is no mail" in ran.err
    done = batch("purge", "--older-than", "90d")
    assert "0 mails deleted, 0 batches and 0 files deleted" in done.out + done.err
    done = batch("purge", "news", "--older-than", "0", "--payloads", "--json")
    assert json.loads(done.out)["messages"] == 21
    report = csv.DictReader(io.StringIO(batch("report", "news").out))
    assert {row["recipient"] for row in report} == {""}
    assert create(command).status == 7  # the keys are known, and only the invalid row is read anew
    assert len(received(command)) == 20
    assert batch("purge", "--older-than", "0s").status == 0
    assert json.loads(batch("list", "--json").out or "[]") == []
    wrong = batch("purge", "--older-than", "soon")
    assert (wrong.status, "--older-than: must be an age such as 90d" in wrong.err) == (2, True)


def test_the_demand_for_runners(batch):
    done = batch("demand", "news", "--seconds-per-mail", "30", "--concurrency", "2", "--json")
    found = json.loads(done.out)
    assert (found["runners"], found["due"], found["bound_by"]) == (5, 20, "due")
    batch("pause", "news", "--reason", "because")
    done = batch("demand", "news")
    assert "0 runners: the batch is paused: because" in done.out + done.err


def test_an_error_of_the_account_pauses_the_batch(batch, command):
    command.sandbox.faults.add(
        Fault.error("AuthenticationError", "Token MissMatch"), call="sendTemplate"
    )
    done = batch("run", "news")
    assert done.status == 6
    assert "poweremail batch resume news" in done.err
    assert "refuses the account" in batch("status", "news").out


def test_retry_plans_rejected_rows_again(batch, command):
    command.sandbox.faults.add(Fault.error("ValidationError", "no"), recipient="user3@example.com")
    assert batch("run", "news").status == 7
    command.sandbox.faults.clear()
    assert "0 are planned again" in batch("retry", "news").err
    assert batch("retry", "news", "--rejected", "--json").objects == [{"planned": 1}]
    batch("run", "news")
    assert len(command.sandbox.outbox) == 20


def test_an_empty_source_is_no_success(batch, command, tmp_path):
    (tmp_path / "r.jsonl").write_text("hello\n[1]\n")
    done = create(command, "--json", name="other", source="r.jsonl")
    assert (done.status, done.objects) == (
        7,
        [{"added": 0, "known": 0, "invalid": 2, "shared": 0, "dry_run": False}],
    )
    assert done.err == (
        "line 1: row: the line is not JSON: it goes wrong at character 1, 'hello'\nline 2: row: "
        "the line is not a JSON object\n"
    )


def test_a_corrected_file_clears_its_own_invalid_rows_only(batch, command, tmp_path, monkeypatch):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "readers.csv").write_text("email\nx@example.com\n")
    monkeypatch.chdir(tmp_path / "b")
    create(command)
    assert batch("status", "news", "--json").objects[0]["invalid"] == 1
    monkeypatch.chdir(tmp_path)
    (tmp_path / "readers.csv").write_text("email\ny@example.com\n")
    monkeypatch.chdir(tmp_path / "b")
    create(command, source="../readers.csv")
    assert batch("status", "news", "--json").objects[0].get("invalid", 0) == 0


def test_dry_runs_store_and_send_nothing(batch, command, tmp_path):
    (tmp_path / "more.csv").write_text("email\na@example.com\nx\n")
    done = create(command, "--dry-run", name="other", source="more.csv")
    assert (done.status, "1 could be added" in done.err) == (1, True)
    assert batch("list").out.count("\n") == 1
    done = batch("run", "news", "--dry-run")
    assert (done.status, "20 would be sent, of which 0 could not" in done.err) == (0, True)
    assert batch("run", "news", "--dry-run", "--allow", "user1@*", "--json").objects == [
        {"checked": 20, "bad": 19, "dry_run": True}
    ]
    # That of the client counts, too.
    command.environ["POWEREMAIL_ALLOW"] = "user2@*"
    assert batch("run", "news", "--dry-run", "--json").objects[0]["bad"] == 19
    both = batch("run", "news", "--dry-run", "--allow", "user1@*", "--json")
    assert both.objects[0]["bad"] == 20
    assert command.sandbox.outbox == []


def test_commands_in_advice_name_the_ledger(batch, command, tmp_path):
    place = str(tmp_path / "another.db")
    del command.environ["POWEREMAIL_LEDGER"]
    own = ("--ledger", place)
    create(command, *own, source="readers.csv")
    for done in (
        batch("pause", "news", *own),
        batch("run", "news", *own),
        batch("start", "news", "--runners", "3", *own),
        batch("drain", "news", *own),
    ):
        assert f"--ledger {place}" in done.err, done.err
    assert batch("set", "news", "--lease", "60", *own).status == 0
    done = batch("resume", "news", "--lease", "50", *own)
    assert f"`poweremail batch set news --lease 50.0 --ledger {place}`" in done.err
    assert "must be the path of a file or a URL" in batch("list", "--ledger", "").err
    nowhere = batch("list", "--ledger", "postgresql://127.0.0.1:1/nowhere")
    assert (nowhere.status, "try again" in nowhere.err, "batch goes" in nowhere.err) == (
        *(6, True, False),
    )


def test_a_ledger_in_a_schema(batch, command, postgresql):
    command.environ["POWEREMAIL_LEDGER"] = postgresql
    command.environ["POWEREMAIL_LEDGER_SCHEMA"] = "mails of ours"
    try:
        assert create(command, source="readers.csv").status == 7
        assert batch("work", "news").status == 0
        assert len(command.sandbox.outbox) == 20
        del command.environ["POWEREMAIL_LEDGER_SCHEMA"]
        assert batch("list", "--json").objects == []
        (listed,) = batch("list", "--schema", "mails of ours", "--json").objects
        assert listed["accepted"] == 20
    finally:
        ledger = Ledger(postgresql)
        with ledger.database.transaction() as connection:
            connection.execute(text('DROP SCHEMA "mails of ours" CASCADE'))
        ledger.close()


def test_create_says_how_many_mails_show_their_recipients_to_each_other(batch, command, tmp_path):
    (tmp_path / "more.csv").write_text(
        'email,cc\na@example.com,\n"b@example.com; c@example.com",\nd@example.com,e@example.com\n'
    )
    for option in ("--dry-run", "--fold-case"):
        done = create(command, option, name="other", source="more.csv")
        assert (done.status, "recipients of 2 see each other" in done.err) == (0, True)


def test_a_rehearsal_redirects_every_mail(batch, command):
    assert batch("run", "news", "--redirect-to", "me@example.com").status == 7
    assert received(command) == {"me@example.com": 20}


def test_json_lines_without_a_template(batch, command, tmp_path):
    (tmp_path / "r.jsonl").write_text('{"email": "a@example.com", "name": "Ada"}\n')
    (tmp_path / "t.txt").write_text("Hello")
    (tmp_path / "t.html").write_text("<p>Hello")
    arguments = (
        "--subject",
        "Hi",
        "--from",
        "me@example.com",
        "--text",
        "t.txt",
        "--html",
        "t.html",
        "--attach",
        "t.txt;type=text/x-mine",
    )
    assert batch("create", "plain", "r.jsonl", *arguments, "--json").objects[0]["added"] == 1
    assert batch("run", "plain").status == 0
    (mail,) = command.sandbox.outbox
    assert (mail.text, mail.html, mail.attachments[0].content) == ("Hello", "<p>Hello", b"Hello")
    assert (mail.attachments[0].name, mail.attachments[0].type) == ("t.txt", "text/x-mine")


def test_several_smtp_users_and_limits(batch, command):
    for name in ("a", "b", "smtp12345"):
        command.sandbox.add_smtp_user(name)
    assert (
        batch("run", "news", "--smtp-users", "a, b", "--per-minute", "10", "--lease", "5").status
        == 7
    )
    assert Counter(mail.smtp_user_name for mail in command.sandbox.outbox) == {"a": 10, "b": 10}
    assert batch("run", "news", "--limits").status == 7


def test_invalid_arguments_are_reported(batch, command, tmp_path):
    for arguments in (
        ("run", "nope"),
        ("status", "news", "--ledger", "nowhere.db"),
        ("status", "news", "--ledger", "sqlite:///nowhere.db"),
        ("create", "missing", "readers.csv", "nope.csv"),
        ("create", "x", "readers.csv", "--text", "nope.txt"),
        ("report", "news", "--state", "nonsense"),
        ("report", "news", "--output", "no/such/folder.csv"),
        ("create", "x", "readers.csv", "--delimiter", "::"),
        ("run", "news", "--redirect-to", "nobody"),
        ("create", "x", "readers.csv", "--email-column", "mail"),
        ("create", "x", "."),
        ("create", "x", "readers.csv", "--from", "me"),
        ("create", "x", "readers.csv", "--reply-to", "a@example.com; me"),
        ("create", "x", "readers.csv", "--attach", "."),
        ("report", "nope", "--output", "report.csv"),
        # Whether there is such a file cannot be found out, as in a folder that may not be read.
        ("status", "news", "--ledger", "a" * 300),
        ("status", "news", "--ledger", "readers.csv/ledger.db"),
        ("create", "x", "a" * 300),
    ):
        done = batch(*arguments)
        assert (done.status, done.out) == (2, ""), arguments
        assert "Errno" not in done.err
    assert "--redirect-to: 'nobody' has no @" in batch("run", "news", "--redirect-to", "nobody").err
    assert ": File name too long\n" in batch("status", "news", "--ledger", "a" * 300).err
    assert "--from: 'me' has no @" in batch("create", "x", "readers.csv", "--from", "me").err
    # Nothing of it has left a batch or a file behind.
    assert len(batch("list").out.splitlines()) == 1
    assert not (tmp_path / "report.csv").exists()
    assert not (tmp_path / "nowhere.db").exists()
    assert "missing" not in batch("list").out


def test_a_ledger_of_a_newer_version(batch, command, tmp_path):
    import sqlite3

    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        connection.execute("UPDATE poweremail_ledger SET version = 99")
    connection.close()
    done = batch("status", "news")
    assert (done.status, "version 99" in done.err) == (6, True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_lets_mails_in_progress_finish(batch, command, number):
    command.sandbox.faults.add(Fault.latency(0.3), call="sendTemplate")
    process = command.start("batch", "run", "news", "--concurrency", "2")
    wait_for(lambda: command.sandbox.outbox)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 6, err
    assert b"mails that are being sent are finished first" in err
    sent = len(command.sandbox.outbox)
    assert 0 < sent < 20
    assert dict(line.split(b"\t") for line in out.splitlines())[b"accepted"] == b"%d" % sent
    command.sandbox.faults.clear()
    batch("run", "news")
    assert received(command) == {f"user{n}@example.com": 1 for n in range(20)}


INTERRUPTED = """
import os, signal, sys
from importlib.abc import MetaPathFinder

class Finder(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), {number})
        return None

from poweremail._cli import main
sys.meta_path.insert(0, Finder())
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    "module",
    [
        *("poweremail._cli.app", "typer", "poweremail._cli.batch"),
        *("poweremail._cli.batch_run", "sqlalchemy", "poweremail._sync.client", "httpx"),
    ],
)
def test_a_signal_while_the_command_is_loaded_ends_it_in_order(batch, command, number, module):
    program = INTERRUPTED.format(module=module, number=int(number))
    done = subprocess.run(
        [sys.executable, "-c", program, "batch", "run", "news"],
        env=command.whole_environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (6, ""), done.stderr
    assert done.stderr == "poweremail: interrupted\n"
    assert command.sandbox.outbox == []
    assert batch("run", "news").status == 7
    assert received(command) == {f"user{n}@example.com": 1 for n in range(20)}


def wait_for(true, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_least_seconds_of_budgets():
    windows = RateLimits().windows
    fresh, unlimited = BudgetUsed(windows, ((),) * 3), BudgetUsed((), ())

    def least(mails, *budgets):
        return pytest.approx(least_seconds(mails, budgets), abs=0.1)

    # 10,000 mails at 60 a minute are 2 h 46 min until the last of them may go.
    assert least(10_000, fresh) == 166 * 60
    assert least(10_000, fresh, fresh, fresh, fresh) == 41 * 60
    assert (
        least(60, fresh),
        least(61, fresh),
        least(5, unlimited),
        least(5, fresh, unlimited),
        least(0, fresh),
    ) == (
        0,
        60,
        0,
        0,
        0,
    )
    # What has gone counts: 60 within the last 15 seconds, 20 of them 15 seconds ago.
    used = BudgetUsed(windows, (((5.0, 40), (15.0, 20)),) * 3)
    assert (least(5, used), least(20, used), least(21, used), least(60, used), least(61, used)) == (
        45,
        45,
        55,
        55,
        105,
    )
    assert (least(60, used, fresh), least(65, used, fresh)) == (0, 45)
    day = BudgetUsed((Window(10, 86_400.0),), (((3_600.0, 10),),))
    assert (least(10, day), least(11, day)) == (82_800, 82_800 + 86_400)


@given(
    st.lists(st.floats(0, 30), max_size=12),
    st.builds(Window, st.integers(1, 6), st.sampled_from([2.0, 10.0])),
    st.integers(1, 30),
)
@settings(max_examples=60)
def test_least_seconds_agree_with_the_log(ages, window, mails):
    ages = sorted(ages)
    log = SlidingLog([window])
    for age in reversed(ages):
        log.book(100.0 - age)
    assert least_seconds(
        mails, [BudgetUsed((window,), ([(age, 1) for age in ages],))]
    ) == pytest.approx(log.wait(100.0, mails - 1), abs=0.05)


def test_the_pace_is_measured_over_a_minute():
    pace = Pace()
    assert (pace.per_second, pace.seconds_for(5)) == (0.0, None)
    for second in range(0, 200, 10):
        pace.note(float(second), 2 * second)
    assert (pace.per_second, pace.seconds_for(10)) == (2.0, 5.0)


def test_on_a_terminal_the_progress_is_one_line(batch, command):
    command.sandbox.faults.add(Fault.latency(0.2), call="sendTemplate")
    ours, theirs = pty.openpty()
    environ = {**os.environ, **command.environ, "TERM": "xterm", "COLUMNS": "200"}
    arguments = [
        sys.executable,
        "-m",
        "poweremail",
        "batch",
        "run",
        "news",
        "--concurrency",
        "1",
        "--per-minute",
        "1000",
    ]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=theirs, env=environ)
    os.close(theirs)
    shown = b""
    # Once nobody has the other end, reading fails.
    with suppress(OSError):
        while piece := os.read(ours, 65536):
            shown += piece
    os.close(ours)
    assert process.wait(timeout=60) == 7
    assert b"news: 20 of 20 (100%)" in shown
    assert b" a minute; 0:00:" in shown


def test_options_of_run_that_are_not_given_are_not_given_to_the_library():
    library = inspect.signature(Batch).parameters
    command = typer.main.get_command(app).commands["batch"].commands["run"]
    defaults = {option.name: option.default for option in command.params}
    given = {field.name: defaults[field.name] for field in attrs.fields(RunOptions)}
    options = RunOptions(**given).batch_options()
    assert options.pop("smtp_users") == []
    assert options == {name: library[name].default for name in options}


def test_options_are_the_same_for_all_until_they_are_set(batch, command):
    assert batch("run", "news", "--attempts", "3", "--limits", "--per-minute", "500").status == 7
    (status,) = batch("status", "news", "--json").objects
    assert status["options"] == {"attempts": 3}
    limits = {"smtp12345": {"per_minute": 500, "per_hour": 3600, "per_day": 50000}}
    assert status["limits"] == limits
    assert "attempts 3" in batch("status", "news").out
    # Another value is an error, and names the command that changes it.
    create(command, source="readers.csv", name="other")
    for name, arguments, words in (
        (
            "news",
            ["--attempts", "4"],
            "--attempts: is 3 in the ledger, for all that run the batch, and 4 was given",
        ),
        ("news", ["--per-minute", "90"], "per_minute of the SMTP user smtp12345 is 500"),
        ("other", ["--per-minute", "500"], "per_hour of the SMTP user smtp12345 is 3600"),
    ):
        done = batch("resume", name, *arguments)
        assert (done.status, words in done.err) == (2, True), done.err
        assert f"poweremail batch set {name} --" in done.err
    assert len(command.sandbox.outbox) == 20
    # Only what is given is compared.
    assert batch("set", "news", "--max-wait", "30").status == 0
    assert batch("run", "news", "--attempts", "3").status == 7
    # As the error says:
    assert batch("set", "news", "--attempts", "4", "--per-minute", "90").status == 0
    done = batch("set", "other", "--default", "per-hour", "--default", "per-day", "--json")
    assert done.objects[0]["limits"] == {"smtp12345": {"per_minute": 90}}
    assert batch("run", "news", "--attempts", "4", "--per-minute", "90").status == 7
    assert batch("run", "other", "--per-minute", "90").status == 7
    assert len(command.sandbox.outbox) == 40


def test_set_changes_what_is_named(batch):
    def set_options(*arguments):
        done = batch("set", "news", *arguments, "--json")
        assert done.status == 0, done.err
        return done.objects[0]["options"], done.objects[0]["limits"]

    assert set_options("--lease", "60", "--errors-in-a-row", "50", "--max-wait", "9") == (
        {"lease": 60.0, "errors_in_a_row": 50, "max_wait": 9.0},
        {},
    )
    assert set_options("--default", "lease", "--default", "max-wait", "--visibility", "3") == (
        {"errors_in_a_row": 50, "visibility": 3.0},
        {},
    )
    ours = {"per_minute": 60, "per_hour": 3600, "per_day": 9}
    _, limits = set_options("--smtp-users", "a, b", "--limits", "--per-day", "9")
    assert limits == {"a": ours, "b": ours}
    _, limits = set_options("--smtp-users", "b", "--default", "limits")
    assert limits == {"a": ours}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no option is given"),
        (["--default", "concurrency"], "must be one of attempts"),
        (["--default", "lease", "--lease", "3"], "lease is given a value, too"),
        (["--default", "limits", "--per-day", "3"], "limits is given a value, too"),
        (["--visibility", "5", "--resend-after", "3"], "less than visibility"),
        (["--lease", "0"], "--lease"),
    ],
)
def test_invalid_changes_of_options(batch, arguments, words):
    done = batch("set", "news", *arguments)
    assert (done.status, words in done.err) == (2, True), done.err
    assert batch("status", "news", "--json").objects[0]["options"] == {}


def test_limits_are_set_for_an_smtp_user_that_is_named(batch, command):
    del command.environ["POWEREMAIL_SMTP_USER_NAME"]
    done = batch("set", "news", "--per-minute", "3")
    assert (done.status, "--smtp-users" in done.err) == (2, True), done.err
    assert batch("set", "none", "--lease", "3").status == 2
