"""The place of a ledger as users give it: the path of a file, or a URL."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from poweremail.errors import ConfigurationError

__all__ = ["ledger_flags", "parse_place"]

_POSTGRESQL_SCHEME = re.compile(r"postgres(?:ql)?(?=://)")


def _absolute(path: str) -> str:
    try:
        return str(Path(path).absolute())
    except FileNotFoundError:
        raise ConfigurationError(
            "is a relative path, and the working directory was deleted", field="ledger"
        ) from None


def parse_place(place: str | os.PathLike[str]) -> URL:
    is_place = isinstance(place, str | os.PathLike)
    if not is_place or not os.fspath(place):
        given = "an empty text" if is_place else type(place).__name__
        raise ConfigurationError(
            f"must be the path of a file or a URL, not {given}", field="ledger"
        )
    given = os.fspath(place)
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
    names: Any = connection.get_execution_options().get("schema_translate_map") or {}
    schema: str | None = names.get(None)
    return flags if schema is None else [*flags, "--schema", schema]
