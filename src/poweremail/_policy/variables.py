"""The environment variables that have the options of a client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from poweremail._types.secret import Secret
from poweremail.errors import ConfigurationError

__all__ = ["complete", "from_env"]

_VARIABLES = {
    "owner_id": "POWEREMAIL_OWNER_ID",
    "token": "POWEREMAIL_TOKEN",
    "app_domain": "POWEREMAIL_APP_DOMAIN",
    "smtp_user_name": "POWEREMAIL_SMTP_USER_NAME",
    "base_url": "POWEREMAIL_BASE_URL",
}


def from_env(environ: Mapping[str, str], given: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the options that are *given* and, for the others, the variables of *environ*; the token
    as a `Secret`.
    """
    options: dict[str, Any] = {
        option: environ[variable]
        for option, variable in _VARIABLES.items()
        if environ.get(variable)
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
    missing = [_VARIABLES[option] for option in ("owner_id", "token") if option not in options]
    if "app_domain" not in options and "base_url" not in options:
        missing.append("POWEREMAIL_APP_DOMAIN (or POWEREMAIL_BASE_URL)")
    if missing:
        raise ConfigurationError(
            f"missing from the environment: {', '.join(missing)}", field="environment"
        )
    return options
