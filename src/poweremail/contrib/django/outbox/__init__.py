"""
An app for Django: its migrations create the tables of a ledger in a database of the project, for an
`Outbox`.

Add ``"poweremail.contrib.django.outbox"`` to ``INSTALLED_APPS`` and run ``manage.py migrate``.
"""

from __future__ import annotations

from typing import Any

from poweremail._ledger.place import DJANGO
from poweremail.batch import Ledger

__all__ = ["ledger"]


def ledger(alias: str = "default", **options: Any) -> Ledger:
    """
    Return the ledger in the database *alias* of the settings, with connections of its own:
    ``Ledger("django:default")``.

    *options*: those of `Ledger`. Raises `ConfigurationError` if the database is neither PostgreSQL
    nor SQLite.
    """
    return Ledger(f"{DJANGO}{alias}", **options)
