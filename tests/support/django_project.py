"""One Django for all tests of a process: it can be configured only once."""

from __future__ import annotations

from contextlib import contextmanager

import django
from django.conf import settings

HAS_MAILERS = django.VERSION >= (6, 1)


def configure() -> None:
    """Configure Django as `startproject` does, as far as tests need it."""
    if settings.configured:
        return
    settings.configure(
        ALLOWED_HOSTS=["testserver"],
        CACHES={"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}},
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=["poweremail.contrib.django", "poweremail.contrib.django.outbox"],
        MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"],
        ROOT_URLCONF="support.django_project",
        SECRET_KEY="tests",
        USE_TZ=True,
    )
    django.setup()


urlpatterns: list = []


@contextmanager
def mailer(backend: str, options: dict | None = None, **changes):
    """Have mail sent by *backend*, in the way of this version of Django."""
    from django.test import override_settings

    place = f"poweremail.contrib.django.{backend}"
    if HAS_MAILERS:
        changes["MAILERS"] = {"default": {"BACKEND": place, "OPTIONS": options or {}}}
    else:
        assert not options
        changes["EMAIL_BACKEND"] = place
    with override_settings(**changes):
        yield
