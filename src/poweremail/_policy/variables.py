"""The environment variables that have the options of a client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from poweremail._types.secret import Secret
from poweremail.errors import ConfigurationError

CONNECTION = ("owner_id", "token", "app_domain", "base_url", "smtp_user_name")
"""The options that say where the service is, and who calls it."""

REHEARSAL = ("redirect_to", "allow", "dry_run")
"""The options that keep mail from some recipients."""


def variable_of(option: str) -> str:
    """Return the variable of *option*, such as ``POWEREMAIL_OWNER_ID``."""
    return f"POWEREMAIL_{option.upper()}"


def from_env(environ: Mapping[str, str], given: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the options that are *given* and, for the others, the variables of *environ*; the token
    as a `Secret`.
    """
    options: dict[str, Any] = {
        option: environ[variable_of(option)]
        for option in CONNECTION
        if environ.get(variable_of(option))
    }
    if given.get("app_domain") is not None:
        # The caller says where the service is, so the environment does not.
        options.pop("base_url", None)
    options |= given
    if "token" in options:
        options["token"] = Secret.of(options["token"])
    return options


def complete(options: dict[str, Any]) -> dict[str, Any]:
    """Return *options*. Raises `ConfigurationError` that names each variable that is missing."""
    missing = [variable_of(option) for option in ("owner_id", "token") if option not in options]
    if "app_domain" not in options and "base_url" not in options:
        missing.append("POWEREMAIL_APP_DOMAIN (or POWEREMAIL_BASE_URL)")
    if missing:
        raise ConfigurationError(
            f"missing from the environment: {', '.join(missing)}", field="environment"
        )
    return options
