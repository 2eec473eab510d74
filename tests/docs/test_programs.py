"""The programs of the examples, each against the sandbox over HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import nbclient
import nbformat
import pytest
from starlette.testclient import TestClient

from poweremail.sandbox import Fault
from support import redis

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
PROGRAMS = Path(sys.executable).parent


@pytest.fixture
def environ(served, tmp_path, monkeypatch):
    served.service.store.note_smtp_user("smtp12345")
    monkeypatch.chdir(tmp_path)
    return {name: value for name, value in os.environ.items() if "POWEREMAIL" not in name} | {
        "POWEREMAIL_OWNER_ID": "me",
        "POWEREMAIL_TOKEN": "any",
        "POWEREMAIL_SMTP_USER_NAME": "smtp12345",
        "POWEREMAIL_BASE_URL": served.url,
        "PYTHONPATH": str(EXAMPLES),
    }


def run(environ, name: str, *arguments: str, status: int = 0, **more: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments],
        env=environ | more,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return sorted(done.stdout.splitlines())


def test_an_alarm_reaches_all(environ, served):
    served.faults.add(Fault.reset_after_acceptance(), recipient="grace@example.com", times=1)
    people = "ada@example.com,grace@example.com"
    assert run(environ, "trio_alarm.py", "Fire", ON_DUTY=people) == [
        "ada@example.com: accepted",
        "grace@example.com: accepted",
    ]
    assert sorted(mail.to[0] for mail in served.outbox) == people.split(",")
    served.faults.add(Fault.error("ValidationError", "no"), recipient="ada@example.com")
    run(environ, "trio_alarm.py", "Fire", ON_DUTY=people, status=1)


def test_a_newsletter_goes_once_to_those_who_want_it(environ, served, monkeypatch):
    Path("readers.csv").write_text("email,name\nada@example.com,Ada\ngrace@example.com,Grace\n")
    Path("may.txt").write_text("News of May")
    Path("june.txt").write_text("News of June")
    settings = {
        "NEWSLETTER_URL": "https://news.example.com/unsubscribe",
        "NEWSLETTER_KEYS": "a key of sixteen letters or more",
    }
    for _ in range(2):
        assert "2 accepted" in run(environ, "newsletter.py", "readers.csv", "may.txt", **settings)
    assert [mail.text for mail in served.outbox] == ["News of May"] * 2

    (to_grace,) = (mail for mail in served.outbox if mail.to == ("grace@example.com",))
    link = to_grace.headers["List-Unsubscribe"].partition("<")[2].partition(">")[0]
    assert to_grace.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import newsletter

    token = link.rpartition("/")[2]
    with TestClient(newsletter.app) as browser:
        assert browser.get(f"/{token}").status_code == 200
        click = {"List-Unsubscribe": "One-Click"}
        assert browser.post(f"/{token}", data=click).status_code == 200
    newsletter.store.close()
    told = run(environ, "newsletter.py", "readers.csv", "june.txt", status=1, **settings)
    assert any("not_sent" in line for line in told)
    assert [mail.to for mail in served.outbox if mail.text == "News of June"] == [
        ("ada@example.com",)
    ]


def test_a_report_is_sent_once_a_day(environ, served):
    for _ in range(2):
        assert run(environ, "nightly_report.py", REPORT_TO="boss@example.com") == []
    (mail,) = served.outbox
    assert mail.subject.startswith("Report of 20")


def test_a_notebook_runs(served):
    del served
    book = nbformat.read(EXAMPLES / "notebook.ipynb", as_version=4)
    nbclient.NotebookClient(book, timeout=60).execute()
    shown = [
        output["data"]["text/plain"]
        for cell in book.cells
        for output in cell.get("outputs", ())
        if "data" in output
    ]
    assert shown[:2] == ["['accepted', 'accepted']", "'success'"]
    assert "You have 17." in shown[2]


def test_workers_of_celery_send_the_mail_of_an_order(environ, served, postgresql):
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        broker = redis.Server(Path(folder))
        broker.start()
        stack.callback(broker.stop)
        places = {"BROKER_URL": broker.url, "LEDGER": postgresql}
        assert run(environ, "celery_shop.py", "ada@example.com", **places) == ["order 1"]
        command = [PROGRAMS / "celery", "-A", "celery_shop", "worker", "--queues", "mail"]
        with Path("celery.log").open("wb") as log:
            worker = subprocess.Popen(command, env=environ | places, stdout=log, stderr=log)
        stack.callback(worker.wait)
        stack.callback(worker.terminate)
        until = time.monotonic() + 60
        while not served.outbox:
            assert time.monotonic() < until, Path("celery.log").read_text()
            time.sleep(0.05)
        assert served.outbox[0].subject == "Order 1"
