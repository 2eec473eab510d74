"""Calls about settings and about the account, as requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from poweremail._wire import arguments, operations
from poweremail._wire.encode import post
from poweremail._wire.http import Endpoint, Request
from poweremail._wire.operations import Operation
from poweremail.errors import UsageError

_MEMBERS: dict[str, tuple[str, Callable[[str, Any], str | int]]] = {
    "description": ("description", arguments.description),
    "domain": ("domain", arguments.domain),
    "enabled": ("status", arguments.enabled),
    "events": ("event", arguments.events),
    "hourly_limit": ("hourly_limit", arguments.limit),
    "smtp_user_name": ("smtp_user_name", arguments.identifier),
    "store_log": ("store_log", arguments.enabled),
    "total_limit": ("total_limit", arguments.limit),
    "url": ("url", arguments.url),
    "webhook_id": ("webhook_id", arguments.identifier),
}
"""The member that carries an argument, and the check that the argument must pass."""


def request(
    endpoint: Endpoint,
    operation: Operation,
    optional: Mapping[str, Any] | None = None,
    /,
    **required: Any,
) -> Request:
    """
    Return a request for *operation*. Raises `UsageError` if an argument is invalid.

    *optional*: arguments that are left out if they are None.
    *required*: all others.
    """
    given = {name: value for name, value in (optional or {}).items() if value is not None}
    members: dict[str, str | int] = {}
    for name, value in (required | given).items():
        member, check = _MEMBERS[name]
        members[member] = check(name, value)
    return post(endpoint, operation, members)


def edit_smtp(endpoint: Endpoint, smtp_user_name: str, changes: Mapping[str, Any]) -> Request:
    """Return a ``settings/editSmtp`` request. Raises `UsageError` if all *changes* are None."""
    if all(value is None for value in changes.values()):
        raise UsageError(
            "nothing to change: give total_limit, hourly_limit or enabled", mail_state=None
        )
    return request(endpoint, operations.EDIT_SMTP, changes, smtp_user_name=smtp_user_name)


def verify_sending_domain(endpoint: Endpoint, domain: str, mailbox: str) -> Request:
    """Return a ``settings/verifySendingDomain`` request."""
    domain = arguments.domain("domain", domain)
    members = {"domain": domain, "mailbox": arguments.mailbox("mailbox", mailbox, domain)}
    return post(endpoint, operations.VERIFY_SENDING_DOMAIN, members)


def user_detail(endpoint: Endpoint) -> Request:
    """Return an ``account/viewUserDetail`` request, with the path that the deployment has."""
    path = endpoint.deployment.user_detail
    return request(endpoint, attrs.evolve(operations.VIEW_USER_DETAIL, path=path))
