"""The calls about settings and about the account, as requests. What is None is left out."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from poweremail._types.event import EventName
from poweremail._wire import arguments, operations
from poweremail._wire.encode import post
from poweremail._wire.http import Endpoint, Request
from poweremail._wire.operations import Operation
from poweremail.errors import UsageError

__all__ = [
    "about_domain",
    "about_smtp_user",
    "about_webhook",
    "add_smtp",
    "add_webhook",
    "edit_smtp",
    "edit_webhook",
    "listing",
    "user_detail",
    "verify_sending_domain",
]

Events = Iterable[EventName] | EventName | None


def listing(endpoint: Endpoint, operation: Operation) -> Request:
    """A call that asks for all there is of a kind."""
    return post(endpoint, operation, {})


def about_smtp_user(endpoint: Endpoint, operation: Operation, smtp_user_name: str) -> Request:
    """A call that names an SMTP user and no more."""
    return post(
        endpoint,
        operation,
        {"smtp_user_name": arguments.identifier("smtp_user_name", smtp_user_name)},
    )


def about_domain(endpoint: Endpoint, operation: Operation, domain: str) -> Request:
    """A call that names a domain and no more."""
    return post(endpoint, operation, {"domain": arguments.domain("domain", domain)})


def about_webhook(endpoint: Endpoint, operation: Operation, webhook_id: str) -> Request:
    """A call that names a webhook and no more."""
    return post(endpoint, operation, {"webhook_id": arguments.identifier("webhook_id", webhook_id)})


def add_smtp(endpoint: Endpoint, total_limit: int, hourly_limit: int) -> Request:
    """A ``settings/addSmtp`` request."""
    limits = {"total_limit": total_limit, "hourly_limit": hourly_limit}
    return post(
        endpoint,
        operations.ADD_SMTP,
        {field: arguments.limit(field, value) for field, value in limits.items()},
    )


def edit_smtp(
    endpoint: Endpoint,
    smtp_user_name: str,
    *,
    total_limit: int | None,
    hourly_limit: int | None,
    enabled: bool | None,
) -> Request:
    """A ``settings/editSmtp`` request. Raises `UsageError` where nothing is to be changed."""
    members: dict[str, str | int] = {
        "smtp_user_name": arguments.identifier("smtp_user_name", smtp_user_name)
    }
    limits = {"total_limit": total_limit, "hourly_limit": hourly_limit}
    members |= {
        field: arguments.limit(field, value) for field, value in limits.items() if value is not None
    }
    if enabled is not None:
        members["status"] = arguments.enabled("enabled", enabled)
    if len(members) == 1:
        raise UsageError(
            "nothing to change: give total_limit, hourly_limit or enabled", mail_state=None
        )
    return post(endpoint, operations.EDIT_SMTP, members)


def verify_sending_domain(endpoint: Endpoint, domain: str, mailbox: str) -> Request:
    """A ``settings/verifySendingDomain`` request."""
    domain = arguments.domain("domain", domain)
    members = {"domain": domain, "mailbox": arguments.mailbox("mailbox", mailbox, domain)}
    return post(endpoint, operations.VERIFY_SENDING_DOMAIN, members)


def add_webhook(
    endpoint: Endpoint, url: str, *, events: Events, description: str | None, store_log: bool | None
) -> Request:
    """A ``settings/addWebhook`` request."""
    return post(
        endpoint,
        operations.ADD_WEBHOOK,
        _webhook(url, events=events, description=description, store_log=store_log),
    )


def edit_webhook(
    endpoint: Endpoint,
    webhook_id: str,
    url: str,
    *,
    events: Events,
    description: str | None,
    store_log: bool | None,
) -> Request:
    """A ``settings/editWebhook`` request."""
    members = {
        "webhook_id": arguments.identifier("webhook_id", webhook_id),
        **_webhook(url, events=events, description=description, store_log=store_log),
    }
    return post(endpoint, operations.EDIT_WEBHOOK, members)


def user_detail(endpoint: Endpoint) -> Request:
    """An ``account/viewUserDetail`` request, by the path that the deployment has."""
    return post(
        endpoint,
        attrs.evolve(operations.VIEW_USER_DETAIL, path=endpoint.deployment.user_detail),
        {},
    )


def _webhook(
    url: str, *, events: Events, description: str | None, store_log: bool | None
) -> dict[str, str]:
    members = {"url": arguments.url("url", url)}
    if events is not None:
        members["event"] = arguments.events("events", events)
    if description is not None:
        members["description"] = arguments.description("description", description)
    if store_log is not None:
        members["store_log"] = arguments.enabled("store_log", store_log)
    return members
