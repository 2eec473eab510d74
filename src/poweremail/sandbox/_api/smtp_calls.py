"""
``settings/addSmtp`` and its siblings. A password is drawn, answered and forgotten: nothing here is
ever logged in to.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import attrs

from poweremail._wire import readers
from poweremail.errors import UsageError
from poweremail.sandbox._api.account import Account, read_switch, read_text
from poweremail.sandbox._api.responses import Refusal
from poweremail.sandbox._store.limits import UNLIMITED, SmtpLimits

__all__ = ["add", "edit", "listing", "reset_password"]

_LIMITS = ("total_limit", "hourly_limit")


def add(account: Account, members: Mapping[str, Any]) -> dict[str, Any]:
    """Add an SMTP user with both limits."""
    for field in _LIMITS:
        if members.get(field) in (None, ""):
            raise Refusal(f"You must specify {field}")
    name = account.store.draw_smtp_user(_limits(members))
    return {"message": "smtp user added", "smtp_user_name": name, "smtp_password": _password()}


def edit(account: Account, members: Mapping[str, Any]) -> dict[str, Any]:
    """Change limits, or whether it may send."""
    name, enabled, limits = _name(members), read_switch(members, "status"), _limits(members)
    if enabled is None and not limits.limited:
        raise Refusal("No update field given !!")
    if not account.store.edit_smtp_user(name, enabled=enabled, limits=limits):
        raise Refusal("Invalid smtp user")
    return {"message": "smtp user updated"}


def reset_password(account: Account, members: Mapping[str, Any]) -> dict[str, Any]:
    """Draw a password anew."""
    name = _name(members)
    if name not in {known for known, _, _ in account.store.smtp_users()}:
        raise Refusal("Invalid smtp user")
    return {"message": "smtp password reset", "smtp_user_name": name, "smtp_password": _password()}


def listing(account: Account, _: Mapping[str, Any]) -> dict[str, Any]:
    """List the SMTP users, without passwords."""
    return {
        "smtp_list": [
            _entry(name, enabled, account.limits.override(own))
            for name, enabled, own in account.store.smtp_users()
        ]
    }


def _entry(name: str, enabled: bool, limits: SmtpLimits) -> dict[str, Any]:  # noqa: FBT001
    return {
        "smtp_user_name": name,
        "status": "Enable" if enabled else "Disable",
        # The service has no SMTP user without these limits, so 0 is free to mean that there is
        # none.
        "total_limit": limits.total_limit or 0,
        "hourly_limit": limits.hourly_limit or 0,
    }


def _name(members: Mapping[str, Any]) -> str:
    if members.get("smtp_user_name") in (None, ""):
        raise Refusal("smtp user required !!")
    return read_text(members, "smtp_user_name")


def _limits(members: Mapping[str, Any]) -> SmtpLimits:
    """The limits that are given; None for the others."""
    given: dict[str, Any] = {
        field: readers.integer(value)
        for field in _LIMITS
        if (value := members.get(field)) not in (None, "")
    }
    for field, number in given.items():
        if number is None:
            raise Refusal(f"Invalid {field}: it must be a number")
    try:
        return attrs.evolve(UNLIMITED, **given)
    except UsageError as error:
        raise Refusal(f"Invalid {error.explanation}") from None


def _password() -> str:
    return secrets.token_urlsafe(12)
