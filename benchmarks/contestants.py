"""
The workers of `benchmarks.workers`, each a program: ``python -m benchmarks.contestants NAME JSON``.

It prints a line when it is ready, begins when it reads one, prints one when all is sent, and ends
with its standard input. The naive task and django-post_office send by this library, too: the
difference is what is around it.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import attrs
from benchmarks import samples

from poweremail import PowerEmail, RateLimits, RetryPolicy
from poweremail.batch import Batch, Entry, Ledger

__all__ = ["BATCH", "Setting", "fill_ledger", "fill_post_office", "fill_queue"]

BATCH = "news"
WAY_ABOVE = RateLimits(per_minute=1_000_000, per_hour=10_000_000, per_day=100_000_000)
"""Limits that never bind."""

CONCURRENCY = 4
"""The mails that a worker sends at once, if it can do so."""


class Setting(NamedTuple):
    """Where everything is, and how it is sent."""

    base_url: str
    database: str
    broker: str
    users: int
    limited: bool
    workers: int

    @property
    def smtp_users(self) -> list[str]:
        """The names of the SMTP users."""
        return [f"smtp{number}" for number in range(self.users)]

    def client(self) -> PowerEmail:
        """A client as each worker has one."""
        return PowerEmail(
            samples.OWNER_ID,
            samples.TOKEN,
            base_url=self.base_url,
            smtp_user_name=self.smtp_users[0],
        )


def fill_ledger(setting: Setting, mails: int) -> None:
    """Make the batch, and as many runners as there are workers."""
    message = attrs.evolve(samples.small_mail(), unique_id=None)
    with Batch(None, setting.database, BATCH) as batch:
        batch.add(Entry(message=message, key=str(number)) for number in range(mails))
        batch.start(runners=setting.workers)


def run(setting: Setting) -> Callable[[], None]:
    """``batch.run()``."""
    batch = _batch(setting)

    def send() -> None:
        with batch.run() as outcomes:
            for _ in outcomes:
                pass

    return send


def work(setting: Setting) -> Callable[[], None]:
    """``batch.work()``, slice after slice, as a task queue calls it."""
    batch = _batch(setting)

    def send() -> None:
        while batch.work(2.0, idle=0.5).reason not in ("finished", "runners"):
            pass

    return send


def _batch(setting: Setting) -> Batch:
    client = setting.client()
    client.prepare()
    return Batch(
        client,
        Ledger(setting.database),
        BATCH,
        smtp_users=setting.smtp_users,
        concurrency=CONCURRENCY,
        limits=WAY_ABOVE if setting.limited else None,
    )


def celery_app(setting: Setting) -> Any:
    """The task that everybody writes: one for each mail."""
    from celery import Celery

    app = Celery("naive", broker=setting.broker, set_as_current=False)
    app.conf.update(worker_prefetch_multiplier=4, broker_connection_retry_on_startup=True)
    clients: list[PowerEmail] = []

    @app.task(name="send", acks_late=True, autoretry_for=(Exception,), retry_backoff=True)
    def send(members: dict[str, Any]) -> None:
        from poweremail import Message

        if not clients:  # one in each process
            no_retries = RetryPolicy(attempts=1)
            clients.append(setting.client().with_options(retry=no_retries))
        clients[0].messages.send_mail(Message(**members))

    return app


def fill_queue(setting: Setting, mails: int) -> None:
    """Put a task for each mail into the queue."""
    mail = samples.small_mail()
    members = {
        "subject": mail.subject,
        "from_email": str(mail.from_email),
        "to": [str(each) for each in mail.to],
        "text": mail.text,
    }
    app = celery_app(setting)
    with app.connection_for_write() as connection:
        for _ in range(mails):
            app.send_task("send", [members], connection=connection)


def serve_queue(setting: Setting) -> None:
    """Be a worker of Celery, with a process for each of ours."""
    from celery.signals import worker_ready

    def ready(**_: object) -> None:
        print("ready", file=sys.__stdout__, flush=True)  # Celery redirects the other one

    worker_ready.connect(ready, weak=False)
    celery_app(setting).worker_main(
        f"worker -c {setting.workers} -l ERROR --without-gossip --without-mingle".split()
    )


def set_up_django(setting: Setting) -> None:
    """Configure Django, with django-post_office over this library's backend."""
    from urllib.parse import urlsplit

    import django
    from django.conf import settings

    place = urlsplit(setting.database)
    settings.configure(
        INSTALLED_APPS=["django.contrib.contenttypes", "post_office"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": place.path[1:],
                "USER": place.username,
                "HOST": place.hostname,
                "PORT": place.port,
            }
        },
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        EMAIL_BACKEND="post_office.EmailBackend",
        POST_OFFICE={
            "BACKENDS": {"default": "poweremail.contrib.django.EmailBackend"},
            "THREADS_PER_PROCESS": CONCURRENCY,
            "BATCH_SIZE": 10_000,
        },
        POWEREMAIL={
            "owner_id": samples.OWNER_ID,
            "token": samples.TOKEN,
            "base_url": setting.base_url,
            "smtp_user_name": setting.smtp_users[0],
        },
        USE_TZ=True,
        SECRET_KEY="secret",
    )
    django.setup()
    logging.disable(logging.INFO)


def fill_post_office(setting: Setting, mails: int) -> None:
    """Make the tables of django-post_office, and add the mails. It runs in a process of its own."""
    set_up_django(setting)
    from django.core.management import call_command
    from post_office import mail
    from post_office.models import Email

    call_command("migrate", verbosity=0)
    Email.objects.all().delete()
    sample = samples.small_mail()
    mail.send_many(
        [
            {
                "sender": "orders@example.com",
                "recipients": [each.email for each in sample.to],
                "subject": sample.subject,
                "message": sample.text,
            }
            for _ in range(mails)
        ]
    )


def post_office(setting: Setting) -> Callable[[], None]:
    """``manage.py send_queued_mail``, with a process for each of ours."""
    set_up_django(setting)
    from post_office.mail import send_queued

    def send() -> None:
        send_queued(processes=setting.workers, log_level=0)

    return send


PROGRAMS: dict[str, Callable[[Setting], Callable[[], None]]] = {
    "run": run,
    "work": work,
    "post_office": post_office,
}


def _lines() -> Iterator[str]:
    yield from sys.stdin


def main(arguments: Iterable[str]) -> None:
    """Be the contestant that the arguments name."""
    name, setting = arguments
    given = Setting(**json.loads(setting))
    if name == "celery":
        serve_queue(given)
        return
    if name == "fill_post_office":
        fill_post_office(given, int(next(_lines())))
        return
    send = PROGRAMS[name](given)
    lines = _lines()
    print("ready", flush=True)
    next(lines)
    send()
    print("done", flush=True)
    next(lines, None)


if __name__ == "__main__":
    main(sys.argv[1:])
