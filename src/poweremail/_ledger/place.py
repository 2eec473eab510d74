"""The place of a ledger as users give it: the path of a file, or a URL."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from poweremail.errors import ConfigurationError

__all__ = ["parse_place"]

_POSTGRESQL_SCHEME = re.compile(r"postgres(?:ql)?(?=://)")


def _absolute(path: str) -> str:
    try:
        return str(Path(path).absolute())
    except FileNotFoundError:
        raise ConfigurationError(
            "is a relative path, and the working directory was deleted", field="ledger"
        ) from None


def parse_place(place: str | os.PathLike[str]) -> URL:
    if not isinstance(place, str | os.PathLike) or not os.fspath(place):
        raise ConfigurationError(
            f"must be the path of a file or a URL, not {type(place).__name__}", field="ledger"
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
