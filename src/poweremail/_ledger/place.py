"""The place of a ledger as users give it: a path, a URL, or a database of Django's settings."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from poweremail._ledger.schema import schema_of
from poweremail.errors import ConfigurationError

DJANGO = "django:"
"""How a place begins that is an alias in Django's settings: ``django:default``."""

_NOT_OF_LIBPQ = ("assume_role", "isolation_level", "pool", "server_side_binding")
"""The options of Django that are not those of libpq."""

_POSTGRESQL_SCHEME = re.compile(r"postgres(?:ql)?(?=://)")


def _absolute(path: str) -> str:
    try:
        return str(Path(path).absolute())
    except FileNotFoundError:
        raise ConfigurationError(
            "is a relative path, and the working directory was deleted", field="ledger"
        ) from None


def parse_place(place: str | os.PathLike[str]) -> URL:
    """
    Return *place*, a path, a URL or ``django:ALIAS``, as a URL with an absolute path.

    Raises `ConfigurationError` if no ledger can be there.
    """
    is_place = isinstance(place, str | os.PathLike)
    if not is_place or not os.fspath(place):
        given = "an empty text" if is_place else type(place).__name__
        raise ConfigurationError(
            f"must be the path of a file or a URL, not {given}", field="ledger"
        )
    given = os.fspath(place)
    if given.startswith(DJANGO):
        given = django_place(given.removeprefix(DJANGO))
    if "://" not in given:
        return URL.create("sqlite", database=_absolute(given))
    try:
        url = make_url(_POSTGRESQL_SCHEME.sub("postgresql+psycopg", given))
        url.get_dialect()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise ConfigurationError(
            "is no URL such as postgresql://user@host/name or sqlite:///path/to/file",
            field="ledger",
        ) from None
    if url.drivername == "sqlite" and url.database not in (None, "", ":memory:"):
        return url.set(database=_absolute(url.database or ""))
    if url.drivername != "postgresql+psycopg":
        raise ConfigurationError(
            f"must be postgresql://... or a file of SQLite, not {url.drivername}", field="ledger"
        )
    return url


def django_place(alias: str) -> str:
    """
    Return the path or the URL of the database *alias* of Django's settings, with its password.

    Raises `ConfigurationError` if it is neither PostgreSQL nor SQLite, or there are no settings.
    """
    try:
        from django.core.exceptions import ImproperlyConfigured  # noqa: PLC0415  for its users only
        from django.db import connections  # noqa: PLC0415
        from django.utils.connection import ConnectionDoesNotExist  # noqa: PLC0415
    except ModuleNotFoundError:
        raise ConfigurationError(
            "names a database of Django, which is not installed", field="ledger"
        ) from None
    try:
        connection: Any = connections[alias]
    except (ConnectionDoesNotExist, ImproperlyConfigured) as error:
        raise ConfigurationError(
            f"names a database of Django that cannot be found: {error}",
            field="ledger",
            advice="DJANGO_SETTINGS_MODULE names the settings",
        ) from None
    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        return str(settings["NAME"])
    if connection.vendor != "postgresql":
        raise ConfigurationError(
            f"is in PostgreSQL or SQLite, not in {connection.vendor}", field="ledger"
        )
    given = {
        name: str(value)
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
        query=given,
    )
    return url.render_as_string(hide_password=False)


def ledger_flags(connection: Connection) -> list[str]:
    """
    The flags by which a command finds the ledger of *connection*, for advice.

    None for a URL with a password: it is in a variable of the environment, or should be.
    """
    url = connection.engine.url
    if url.password is not None:
        return []
    place = url.database or "" if url.drivername == "sqlite" else url.render_as_string()
    flags = ["--ledger", place.replace("+psycopg", "", 1)]
    schema = schema_of(connection)
    return flags if schema is None else [*flags, "--schema", schema]
