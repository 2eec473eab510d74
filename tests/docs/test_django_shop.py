"""The Django project of the examples, by its own `manage.py`, against the sandbox over HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.webhooks import KEY, event, form, signed

PROJECT = Path(__file__).parents[2] / "docs" / "examples" / "django_shop"
HOOK = "https://shop.example.com/hooks/mail"

# What a browser and the service would do, by Django's own client.
REQUESTS = """
import json, sys
from django.test import Client
for method, path, fields in json.loads(sys.stdin.read()):
    response = getattr(Client(), method)(path, **fields)
    print(response.status_code, response.content.decode())
"""


@pytest.fixture
def manage(tmp_path, served):
    served.service.store.note_smtp_user("smtp12345")
    environ = {
        "POWEREMAIL_OWNER_ID": "me",
        "POWEREMAIL_TOKEN": "any",
        "POWEREMAIL_SMTP_USER_NAME": "smtp12345",
        "POWEREMAIL_BASE_URL": served.url,
        "POWEREMAIL_WEBHOOK_KEY": KEY,
        "SHOP_DATABASE": str(tmp_path / "shop.sqlite3"),
    }

    def manage(*arguments: str, given: str = "") -> str:
        done = subprocess.run(
            [sys.executable, "-W", "error", str(PROJECT / "manage.py"), *arguments],
            env=os.environ | environ,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    manage("migrate")
    return manage


def requests(manage, *wanted: tuple[str, str, dict]) -> list[str]:
    told = manage("shell", "-c", REQUESTS, given=json.dumps(wanted)).splitlines()
    return [line for line in told if line[:3].isdigit() and line[3:4] == " "]


def test_an_order_and_its_mail(manage, served):
    manage("check", "--fail-level", "WARNING")
    manage("makemigrations", "--check", "--dry-run")
    assert requests(
        manage,
        ("post", "/orders", {"data": {"email": "ada@example.com"}}),
        ("post", "/orders", {"data": {"email": "nobody"}}),
        ("get", "/orders/1", {}),
        ("get", "/orders/2", {}),
    )[:3] == [
        '201 {"order": 1, "mail": "queued"}',
        '422 {"error": "give an email"}',
        '200 {"mail": "planned", "bounced": false}',
    ]
    assert not served.outbox
    manage("poweremail", "batch", "work", "outbox")
    (caught,) = served.outbox
    assert (caught.subject, caught.to) == ("Order 1", ("ada@example.com",))
    body = form(event(1, event="hard_bounce", x_unique_id=caught.unique_id))
    headers = signed(body, url=HOOK)
    kind = headers.pop("Content-Type")
    posted = {"data": body.decode(), "content_type": kind, "headers": headers}
    told = requests(manage, ("post", "/hooks/mail", posted), ("get", "/orders/1", {}))
    assert told == [
        "200 God bless you, PowerEmail",
        '200 {"mail": "accepted", "bounced": true}',
    ]
