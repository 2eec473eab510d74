"""The programs of the pages about task queues, with the workers that the pages start."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from poweremail.batch import Batch, Entry
from support import redis
from support.messages import message

DOCS = Path(__file__).parents[2] / "docs"
PROGRAMS = Path(sys.executable).parent


def fences(page: str, language: str) -> dict[str, str]:
    """The blocks of a page by their titles, or by their numbers if they have none."""
    found = {}
    for each in MarkdownIt().parse((DOCS / page).read_text()):
        if each.type == "fence" and each.info.partition(" ")[0] == language:
            title = re.search(r'title="([^"]+)"', each.info)
            found[title[1] if title else str(len(found))] = each.content
    return found


@pytest.fixture(scope="session")
def broker():
    with tempfile.TemporaryDirectory() as folder:
        server = redis.Server(Path(folder))
        server.start()
        yield server
        server.stop()


@pytest.fixture
def environ(tmp_path, monkeypatch, served, broker, postgresql):
    """A folder with the files of the examples, and the environment that the pages speak of."""
    broker.flush()
    monkeypatch.chdir(tmp_path)
    return {name: value for name, value in os.environ.items() if "POWEREMAIL" not in name} | {
        "BROKER_URL": broker.url,
        "RQ_REDIS_URL": broker.url,
        "LEDGER": postgresql,
        "POWEREMAIL_OWNER_ID": "me",
        "POWEREMAIL_TOKEN": "any",
        "POWEREMAIL_SMTP_USER_NAME": "smtp12345",
        "POWEREMAIL_BASE_URL": served.url,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH")))),
    }


@contextmanager
def running(*commands: str, environ):
    """Run programs that end after SIGTERM, all at once."""
    processes = []
    try:
        for command in commands:
            program, *arguments = shlex.split(command)
            with Path(f"{program}.log").open("ab") as log:
                processes.append(
                    subprocess.Popen(
                        [PROGRAMS / program, *arguments], env=environ, stdout=log, stderr=log
                    )
                )
        yield
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(30)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def run(*programs: str, environ) -> None:
    """Run programs of the pages, all at once: to load their libraries takes longest."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code], env=environ, stderr=subprocess.PIPE, text=True
        )
        for code in programs
    ]
    for process in processes:
        _, err = process.communicate()
        assert process.returncode == 0, err


def wait_for(served, *subjects: str) -> None:
    """Wait until the sandbox has got mails with these subjects, and no others."""
    until = time.monotonic() + 60
    while (got := sorted(mail.subject for mail in served.outbox)) != sorted(subjects):
        logs = "".join(path.read_text()[-2000:] for path in Path().glob("*.log"))
        assert time.monotonic() < until, f"{got}\n{logs}"
        time.sleep(0.05)


@pytest.mark.parametrize("engine", ["celery", "taskiq", "procrastinate"])
def test_the_programs_of_a_page_run(engine, environ, served):
    page = f"{engine}.md"
    code = fences(page, "python")
    Path("shop.py").write_text(code.pop("shop.py"))
    programs = [text for title, text in code.items() if not title.startswith("shop/")]
    Path("readers.csv").write_text(fences(page, "csv")["readers.csv"])
    commands = [
        line.removesuffix(" &")
        for block in fences(page, "sh").values()
        for line in block.splitlines()
        if line.startswith(engine)
    ]
    (batch,) = (code for code in programs if "read_csv" in code)
    (request,) = (code for code in programs if "outbox.add" in code)
    if "FastAPI" in request:
        Path("web.py").write_text(request)
        request = REQUEST
    for command in commands:
        if "schema" in command:
            program, *arguments = shlex.split(command)
            subprocess.run([PROGRAMS / program, *arguments], env=environ, check=True)
    workers = [command for command in commands if "schema" not in command]
    with running(*workers, environ=environ):
        run(batch, request, environ=environ)
        wait_for(served, "News", "News", "Order 42")


REQUEST = """
from fastapi.testclient import TestClient
from web import app

with TestClient(app) as client:
    assert client.post("/orders/42").json() == {"key": "order-42"}
    assert client.get("/orders/42").json()["state"] in ("planned", "sending", "accepted")
    assert client.get("/orders/43").json() == {"state": None}
"""

SETTINGS = """
import os
from urllib.parse import parse_qs, urlsplit

ledger = urlsplit(os.environ["LEDGER"])
SECRET_KEY = "secret"
ROOT_URLCONF = "shop.urls"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["poweremail.contrib.django.outbox"]
CELERY_BROKER_URL = os.environ["BROKER_URL"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": ledger.path[1:],
        "USER": ledger.username,
        "HOST": ledger.hostname,
        "PORT": ledger.port,
        "OPTIONS": {"options": parse_qs(ledger.query)["options"][0]},
    }
}
"""
URLS = """
from django.urls import path
from shop.views import order

urlpatterns = [path("orders/<int:number>", order)]
"""
DJANGO_REQUEST = """
from django.test import Client

assert Client().post("/orders/42").json() == {"number": 42}
"""


def test_a_project_of_django_sends_a_mail_of_its_transaction(environ, served):
    files = {
        "__init__": "from shop.celery import app as celery_app",
        "settings": SETTINGS,
        "urls": URLS,
    }
    files |= {
        title.removeprefix("shop/").removesuffix(".py"): code
        for title, code in fences("celery.md", "python").items()
        if title.startswith("shop/")
    }
    Path("shop").mkdir()
    for name, code in files.items():
        Path("shop", f"{name}.py").write_text(code)
    environ |= {"DJANGO_SETTINGS_MODULE": "shop.settings"}
    set_up = "import django; django.setup(); "
    migrate = f"{set_up}from django.core.management import call_command; call_command('migrate')"
    with running("celery -A shop worker --queues mail --concurrency 2", environ=environ):
        run(f"{migrate}\n{DJANGO_REQUEST}", environ=environ)
        wait_for(served, "Order 42")


RECIPES = {
    "RqMail": ["rq worker --with-scheduler mail", "rq cron mails"],
    "DramatiqMail": ["dramatiq mails"],
    "SaqMail": ["saq mails.settings"],
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_sends_a_batch(name, environ, served):
    (code,) = (code for code in fences("queues.md", "python").values() if f"class {name}" in code)
    Path("mails.py").write_text(code)
    page = (DOCS / "queues.md").read_text()
    with Batch(None, environ["LEDGER"], "news") as batch:
        batch.add([Entry(message=message(to=f"u{n}@example.com"), key=str(n)) for n in range(5)])
    start = "mails.mail.start('news', runners=2)"
    if "AsyncMail" in code:
        start = f"import asyncio; asyncio.run({start})"
    for command in RECIPES[name]:
        assert f"`{command}`" in re.sub(r"\s+", " ", page)
    with running(*RECIPES[name], environ=environ):
        run(f"import mails; {start}", environ=environ)
        wait_for(served, *["Hi"] * 5)
