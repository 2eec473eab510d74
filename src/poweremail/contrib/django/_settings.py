"""The setting ``POWEREMAIL``: a dict that has the options of a client, and a few of Django's."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

from django.conf import settings

from poweremail import ConfigurationError, PowerEmail, Secret
from poweremail._types.checks import is_whole

CLIENT_OPTIONS = frozenset(signature(PowerEmail).parameters)
"""Those of `PowerEmail`."""

_OTHERS = frozenset(
    (
        "concurrency",
        "failover",
        "metadata_header",
        "outbox",
        "sandbox_url",
        "tags_header",
        "webhook",
    )
)


def read_settings() -> dict[str, Any]:
    """
    Return the members of ``settings.POWEREMAIL``, by their name in lower case.

    Raises `ConfigurationError` if one is not known or is given twice.
    """
    if not isinstance(getattr(settings, "POWEREMAIL", {}), Mapping):
        raise ConfigurationError("must be a dict", field="POWEREMAIL")
    given = _sealed()
    names = [name for name, _ in given]
    for name in names:
        if name not in CLIENT_OPTIONS | _OTHERS:
            known = ", ".join(sorted(CLIENT_OPTIONS | _OTHERS)).upper()
            raise ConfigurationError(
                "is not an option", field=f"POWEREMAIL[{name.upper()!r}]", advice=f"known: {known}"
            )
        if names.count(name) > 1:
            raise ConfigurationError("is given twice", field=f"POWEREMAIL[{name.upper()!r}]")
    options = dict(given)
    _check_failover(options.get("failover", {}))
    if not is_whole(options.get("concurrency", 1), 1):
        raise ConfigurationError("must be 1 or more", field="POWEREMAIL['CONCURRENCY']")
    return options


def _check_failover(targets: object) -> None:
    field = "POWEREMAIL['FAILOVER']"
    if not isinstance(targets, Mapping):
        raise ConfigurationError("must be a dict of targets", field=field)
    if "main" in targets:
        raise ConfigurationError("is the account of POWEREMAIL itself", field=f"{field}['main']")
    for name, options in targets.items():
        if not isinstance(options, Mapping):
            raise ConfigurationError("must be a dict of options", field=f"{field}[{name!r}]")
        for option in options:
            if option not in CLIENT_OPTIONS:
                raise ConfigurationError(
                    "is not an option of a client", field=f"{field}[{name!r}][{option.upper()!r}]"
                )


def _sealed() -> list[tuple[str, Any]]:
    """The members. No frame that can raise an error has a plain token or key in it."""
    return [(str(name).lower(), _seal(name, value)) for name, value in _members()]


def _members() -> list[tuple[object, Any]]:
    return list(getattr(settings, "POWEREMAIL", {}).items())


def _seal(name: object, value: Any) -> Any:
    name = str(name).lower()
    if name == "webhook" and isinstance(value, Mapping):
        return {str(inner).lower(): _seal(inner, each) for inner, each in value.items()}
    if name == "failover" and isinstance(value, Mapping):
        return {
            str(target): {str(inner).lower(): _seal(inner, each) for inner, each in options.items()}
            if isinstance(options, Mapping)
            else options
            for target, options in value.items()
        }
    if name == "keys" and isinstance(value, list | tuple | set):
        return tuple(Secret(key) if isinstance(key, str) else key for key in value)
    if name in ("token", "keys") and isinstance(value, str):
        return Secret(value)
    return value
