"""The tables of an outbox by Django's migrations and by Alembic, in real projects."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from poweremail.batch import Outbox
from support.messages import message

SHOP = """
from django.db import connection, transaction
from poweremail import ConfigurationError, Message
from poweremail.batch import Batch, Outbox
from poweremail.contrib.django.outbox import ledger
from poweremail.errors import LedgerError, UsageError
from poweremail.sandbox import Sandbox

outbox = Outbox(ledger())

def mail(to, **fields):
    return Message(subject="Hi", from_email="me@example.com", to=to, text="100 % {0}", **fields)

class Undo(Exception):
    pass

def order(number, undo=False):
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM django_migrations")
            outbox.add("default", mail(f"user{number}@example.com"), key=f"order-{number}")
            if undo:
                raise Undo
    except Undo:
        pass
"""

SOLD = """
for wrong in ("django:other", "django:"):
    try:
        Outbox(wrong)
        raise AssertionError("there is no such database")
    except ConfigurationError as error:
        assert "cannot be found" in str(error), error
for number in range(4):
    order(number, undo=number == 2)
    order(number, undo=number == 2)
with transaction.atomic():
    assert outbox.find("order-1", within="default").state == "planned"
    try:
        outbox.add("default", mail("ada@example.com"), key="")
    except UsageError:
        pass
    from poweremail import Attachment
    file = Attachment("prices.bin", bytes(range(256)))
    outbox.add("default", mail("file@example.com", attachments=[file]), key="NUL?")
try:
    outbox.add("default", mail("ada@example.com"))
    raise AssertionError("it is in no transaction")
except UsageError as error:
    assert "transaction.atomic()" in str(error)
with transaction.atomic():
    assert outbox.cancel("order-3", within="default")
with Sandbox() as sandbox, sandbox.client(smtp_user_name="smtp1") as client:
    with Batch(client, "django:default", "outbox") as batch, batch.run() as outcomes:
        assert {each.state for each in outcomes} == {"accepted"}
    print(sorted(mail.recipients[0].email for mail in sandbox.outbox))
"""

MISSING = """
with transaction.atomic():
    try:
        outbox.add("default", mail("ada@example.com"))
        raise AssertionError("there are no tables")
    except LedgerError as error:
        assert "manage.py migrate" in str(error)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM django_migrations")
"""

MIGRATE = """
call_command("sqlmigrate", "poweremail_outbox", "0001")
call_command("migrate")
call_command("makemigrations", check_changes=True, dry_run=True)
call_command("check")
"""

MIGRATE_BACK = """
call_command("migrate", "poweremail_outbox", "zero", verbosity=0)
call_command("migrate", "poweremail_outbox", verbosity=0)
"""


def run(folder: Path, *command: str) -> str:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO")}
    done = subprocess.run(
        [sys.executable, "-W", "error", *command],
        cwd=folder,
        env=environ | {"PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def django_databases(place: str) -> str:
    if "://" not in place:
        # A transaction takes the lock when it begins: see the docs.
        values = {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": place,
            "OPTIONS": {"transaction_mode": "IMMEDIATE"},
        }
        return repr({"default": values})
    found = re.fullmatch(
        r"postgresql://(\w+)@([\d.]+):(\d+)/(\w+)\?options=-csearch_path%3D(\w+)", place
    )
    user, host, port, name, schema = found.groups()
    values = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": user,
        "HOST": host,
        "PORT": port,
        "OPTIONS": {"options": f"-c search_path={schema}"},
    }
    return repr({"default": values})


def test_a_project_of_django(place, tmp_path):
    run(tmp_path, "-m", "django", "startproject", "shop", ".")
    with (tmp_path / "shop" / "settings.py").open("a") as settings:
        settings.write("INSTALLED_APPS += ['poweremail.contrib.django.outbox']\n")
        settings.write(f"DATABASES = {django_databases(place)}\n")
    run(tmp_path, "manage.py", "migrate", "contenttypes")
    (tmp_path / "missing.py").write_text(SHOP + MISSING + MIGRATE)
    (tmp_path / "sold.py").write_text(SHOP + SOLD + MIGRATE_BACK)
    start = (
        "import django, os; os.environ['DJANGO_SETTINGS_MODULE'] = 'shop.settings'; "
        "django.setup(); from django.core.management import call_command; exec(open({!r}).read())"
    )
    migrated = run(tmp_path, "-c", start.format("missing.py"))
    assert "CREATE TABLE poweremail_messages" in migrated
    assert "No changes detected" in migrated
    sent = run(tmp_path, "-c", start.format("sold.py"))
    assert sent.strip() == "['file@example.com', 'user0@example.com', 'user1@example.com']"


ENV = """
from alembic import context
from sqlalchemy import create_engine
from poweremail.batch import metadata

with create_engine({url!r}).connect() as connection:
    context.configure(connection=connection, target_metadata=[metadata])
    with context.begin_transaction():
        context.run_migrations()
"""


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_project_with_alembic(place, tmp_path):
    run(tmp_path, "-m", "alembic", "init", "migrations")
    url = place if "://" in place else f"sqlite:///{place}"
    url = url.replace("postgresql://", "postgresql+psycopg://")
    (tmp_path / "migrations" / "env.py").write_text(ENV.format(url=url))
    run(tmp_path, "-m", "alembic", "revision", "--autogenerate", "-m", "outbox")
    (made,) = (tmp_path / "migrations" / "versions").glob("*.py")
    assert "poweremail." not in made.read_text()
    run(tmp_path, "-m", "alembic", "upgrade", "head")
    run(tmp_path, "-m", "alembic", "check")
    engine = create_engine(url)
    with Outbox(place) as outbox:
        with engine.connect() as connection:  # the first mail of a new database records the version
            outbox.add(connection, message(), key="undone")
            connection.rollback()
        with engine.begin() as connection:
            outbox.add(connection, message(), key="k")
            assert connection.scalar(text("SELECT version FROM poweremail_ledger")) == 2
        assert outbox.find("k").state == "planned"
    engine.dispose()
    run(tmp_path, "-m", "alembic", "check")
    run(tmp_path, "-m", "alembic", "downgrade", "base")
