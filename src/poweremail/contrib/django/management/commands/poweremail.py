"""``manage.py poweremail``: the command ``poweremail`` with the settings of the project."""

from __future__ import annotations

import os
from argparse import REMAINDER, ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.apps import apps
from django.core.management.base import CommandError

from poweremail import ConfigurationError, Secret
from poweremail._cli import main
from poweremail._policy.variables import CONNECTION, REHEARSAL, variable_of
from poweremail.contrib.django._bases import BaseCommand
from poweremail.contrib.django._outbox import outbox_database
from poweremail.contrib.django._settings import read_settings

__all__ = ["Command"]


class Command(BaseCommand):
    """Runs a command of ``poweremail`` with the account and the rehearsal of the settings."""

    help = (
        "Run a command of poweremail with the account of this project: doctor, info, sandbox, "
        "batch work and so on. `manage.py poweremail -- --help` lists them."
    )
    requires_system_checks: list[str] = []  # noqa: RUF012  as Django has it; doctor finds more

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take all arguments as they are."""
        parser.add_argument("arguments", nargs=REMAINDER, help="those of the command")

    def handle(self, *, arguments: list[str], **_: Any) -> None:
        """Run the command. It ends the process with its own status."""
        try:
            _export(read_settings())
            _export_ledger()
        except ConfigurationError as error:
            raise CommandError(str(error)) from None
        if arguments[:1] == ["--"]:
            del arguments[0]
        main(arguments, "manage.py poweremail")


def _export(options: Mapping[str, Any]) -> None:
    """Set the variables that the command reads. It starts no process of somebody else."""
    if options.get("base_url") or options.get("app_domain"):
        # The settings say where the service is, so the environment does not.
        for name in ("base_url", "app_domain"):
            os.environ.pop(variable_of(name), None)
    for name in CONNECTION:
        if (value := options.get(name)) is not None:
            os.environ[variable_of(name)] = value.reveal() if isinstance(value, Secret) else value
    for name in REHEARSAL:
        if (value := options.get(name)) not in (None, False):
            text = "1" if value is True else value if isinstance(value, str) else ",".join(value)
            if os.environ.get(variable_of(name), text) != text:
                raise ConfigurationError(
                    f"differs from {variable_of(name)}, and a command can follow one of them only",
                    field=f"POWEREMAIL[{name.upper()!r}]",
                )
            os.environ[variable_of(name)] = text


def _export_ledger() -> None:
    """Let the ledger of the command be the database of the outbox, if the project has one."""
    if apps.is_installed("poweremail.contrib.django.outbox"):
        from poweremail._ledger.place import django_place  # noqa: PLC0415  it loads SQLAlchemy

        os.environ.setdefault("POWEREMAIL_LEDGER", django_place(outbox_database()))
