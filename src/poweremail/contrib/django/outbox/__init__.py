"""
An app for Django: its migrations create the tables of a ledger in a database of the project, for an
`Outbox`.

Add ``"poweremail.contrib.django.outbox"`` to ``INSTALLED_APPS`` and run ``manage.py migrate``.
"""

from __future__ import annotations

from typing import Any

from django.db import connections
from sqlalchemy.engine import URL

from poweremail.batch import Ledger
from poweremail.errors import ConfigurationError

__all__ = ["ledger", "ledger_place"]


def ledger(alias: str = "default", **options: Any) -> Ledger:
    """
    Return the ledger in the database *alias* of the settings, with connections of its own.

    *options*: those of `Ledger`. Raises `ConfigurationError` if the database is neither PostgreSQL
    nor SQLite.
    """
    return Ledger(ledger_place(alias), **options)


def ledger_place(alias: str) -> str:
    """
    Return the path or the URL of the database *alias*, with its password, as a `Ledger` takes it.

    Raises `ConfigurationError` as `ledger` does.
    """
    connection: Any = connections[alias]
    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        return str(settings["NAME"])
    if connection.vendor != "postgresql":
        raise ConfigurationError(
            f"a ledger is in PostgreSQL or SQLite, not in {connection.vendor}", field="alias"
        )
    # Django's own options are not those of libpq.
    given = {
        name: value
        for name, value in settings["OPTIONS"].items()
        if isinstance(value, str | int) and name not in _NOT_OF_LIBPQ
    }
    port = settings["PORT"]
    url = URL.create(
        "postgresql",
        username=settings["USER"] or None,
        password=settings["PASSWORD"] or None,
        host=settings["HOST"] or None,
        port=int(port) if port else None,
        database=settings["NAME"] or None,
        query={name: str(value) for name, value in given.items()},
    )
    return url.render_as_string(hide_password=False)


_NOT_OF_LIBPQ = ("assume_role", "isolation_level", "pool", "server_side_binding")
