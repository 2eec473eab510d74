"""Create the tables of a ledger."""

from __future__ import annotations

from typing import Any

from django.db import migrations

from poweremail.contrib.django.outbox.migrations import CreateLedger


class _Migration(migrations.Migration):
    initial = True
    dependencies: list[tuple[str, str]] = []  # noqa: RUF012  as Django has it
    operations = [CreateLedger()]  # noqa: RUF012  as Django has it


# Django finds it by this name. Its base has no types, so it is no public type of the library.
Migration: type[Any] = _Migration
