"""
The calls about the account: `CALLS` names the function of each path.

A function gets the account and the members of the request, and returns the members of the response
or raises `Refusal`. The service publishes few of its texts for these calls; the others are the
sandbox's.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

import attrs

from poweremail._types.event import EVENT_NAMES
from poweremail._wire import arguments, readers
from poweremail.sandbox._api.parts import required
from poweremail.sandbox._api.responses import Refusal, refusing
from poweremail.sandbox._store.accounts import AccountStore, Domain, DomainKind, RegisteredWebhook
from poweremail.sandbox._store.database import Store
from poweremail.sandbox._store.limits import UNLIMITED, SmtpLimits
from poweremail.sandbox._store.mails import MailStore

__all__ = ["CALLS", "Account", "SettingCall", "VerifyWebhook"]

VerifyWebhook = Callable[[str], bool]
"""Returns whether a URL responds to the handshake, so that it is a receiver of webhooks."""

_Members = Mapping[str, Any]

_SMTP_LIMITS = ("total_limit", "hourly_limit")
_ACCOUNT_SINCE = 1_458_034_022
"""Epoch seconds at which the account was made: those of the vendor's own example."""


@attrs.frozen
class Account:
    """
    The account at one moment.

    *now*
        Milliseconds since the epoch.
    *limits*
        The limits of SMTP users that have none of their own.
    *verify_webhook*
        Checks the URL of a new webhook; None accepts every URL.
    *handshake*
        The text that a URL must respond with to become a webhook.
    """

    store: Store
    registry: AccountStore
    mails: MailStore
    now: int
    limits: SmtpLimits
    verify_webhook: VerifyWebhook | None
    handshake: str


SettingCall = Callable[[Account, _Members], dict[str, Any]]


# The account.


def _user_detail(member: str, account: Account, _: _Members) -> dict[str, Any]:
    return {
        member: {
            "name": "Sandbox",
            "email": "sandbox@example.com",
            "mobile": "0000000000",
            "create_date": _ACCOUNT_SINCE,
            "allowed_speed": account.limits.per_hour or 3_600,
            "reputation": "100%",
        }
    }


# SMTP users. A password is generated, returned and not stored: the sandbox has no SMTP login.


def _add_smtp(account: Account, members: _Members) -> dict[str, Any]:
    for field in _SMTP_LIMITS:
        if _given(members, field) is None:
            raise Refusal(f"You must specify {field}")
    name = account.store.draw_smtp_user(_smtp_limits(members))
    return {"message": "smtp user added", **_login(name)}


def _edit_smtp(account: Account, members: _Members) -> dict[str, Any]:
    name, enabled = _smtp_user_name(members), _switch(members, "status")
    limits = _smtp_limits(members)
    if enabled is None and not limits.limited:
        raise Refusal("No update field given !!")
    _change_smtp(account, name, enabled=enabled, limits=limits)
    return {"message": "smtp user updated"}


def _reset_smtp_password(account: Account, members: _Members) -> dict[str, Any]:
    name = _smtp_user_name(members)
    _change_smtp(account, name)
    return {"message": "smtp password reset", **_login(name)}


def _list_smtp(account: Account, _: _Members) -> dict[str, Any]:
    listed = []
    for name, enabled, own in account.store.smtp_users():
        limits = account.limits.override(own)
        listed.append(
            {
                "smtp_user_name": name,
                "status": "Enable" if enabled else "Disable",
                # No SMTP user of the service is without these limits, so 0 can mean "no limit".
                **{field: getattr(limits, field) or 0 for field in _SMTP_LIMITS},
            }
        )
    return {"smtp_list": listed}


def _smtp_user_name(members: _Members) -> str:
    if _given(members, "smtp_user_name") is None:
        raise Refusal("smtp user required !!")
    return _text(members, "smtp_user_name")


def _smtp_limits(members: _Members) -> SmtpLimits:
    """Return the limits that the members set; the others are None."""
    given: dict[str, Any] = {}
    for field in _SMTP_LIMITS:
        if (value := _given(members, field)) is not None:
            given[field] = readers.integer(value)
            if given[field] is None:
                raise Refusal(f"Invalid {field}: it must be a number")
    with refusing():
        return attrs.evolve(UNLIMITED, **given)


def _change_smtp(
    account: Account, name: str, *, enabled: bool | None = None, limits: SmtpLimits = UNLIMITED
) -> None:
    """Change what is not None. Raises `Refusal` if there is no such user."""
    if not account.store.edit_smtp_user(name, enabled=enabled, limits=limits):
        raise Refusal("Invalid smtp user")


def _login(name: str) -> dict[str, str]:
    return {"smtp_user_name": name, "smtp_password": secrets.token_urlsafe(12)}


# Domains. A check reports the option of `Sandbox.add_sending_domain`; there is no DNS query.


def _add_domain(kind: DomainKind, account: Account, members: _Members) -> dict[str, Any]:
    if not account.registry.add_domain(kind, _domain_name(members), now=account.now):
        raise Refusal(f"The {kind} domain is already there")
    return {"message": f"{kind} domain added"}


def _delete_domain(kind: DomainKind, account: Account, members: _Members) -> dict[str, Any]:
    account.registry.delete_domain(kind, _domain(kind, account, members).domain)
    return {"message": f"{kind} domain deleted"}


def _check_domain(kind: DomainKind, account: Account, members: _Members) -> dict[str, Any]:
    domain = _domain(kind, account, members)
    valid = _valid(domain)
    records = ("dkim", "spf") if kind == "sending" else ("cname",)
    verdict = "valid_signing" if kind == "sending" else "valid_tracking"
    return {"domain": domain.domain, **dict.fromkeys(records, valid), verdict: valid["valid"]}


def _verify_sending_domain(account: Account, members: _Members) -> dict[str, Any]:
    domain = _domain("sending", account, members).domain
    with refusing():
        mailbox = arguments.mailbox("mailbox", _text(members, "mailbox"), domain)
    return {"message": f"instructions were sent to {mailbox}@{domain}"}


def _list_domains(kind: DomainKind, account: Account, _: _Members) -> dict[str, Any]:
    records = ("dkim", "spf", "verify_domain") if kind == "sending" else ("cname",)
    return {
        f"{kind}_domain_list": [
            {
                "domain": domain.domain,
                "create_date": _epoch_seconds(domain.created),
                **dict.fromkeys(records, _valid(domain)),
            }
            for domain in account.registry.domains(kind)
        ]
    }


def _domain_name(members: _Members) -> str:
    with refusing():
        return arguments.domain("domain", _text(members, "domain")).lower()


def _domain(kind: DomainKind, account: Account, members: _Members) -> Domain:
    domain = account.registry.domain(kind, _domain_name(members))
    if domain is None:
        raise Refusal(f"Invalid {kind} domain")
    return domain


def _valid(domain: Domain) -> dict[str, str]:
    return {"valid": "Yes" if domain.valid else "No"}


# Webhooks.


def _add_webhook(account: Account, members: _Members) -> dict[str, Any]:
    url, options = _webhook_url(account, members)
    # The service does not publish which events it sends if none is named; the sandbox sends all.
    defaults: dict[str, Any] = {"events": EVENT_NAMES, "store_log": False, "description": ""}
    account.registry.add_webhook(url, now=account.now, **defaults | options)
    return {"message": "webhook added"}


def _edit_webhook(account: Account, members: _Members) -> dict[str, Any]:
    webhook_id = _webhook(account, members).webhook_id
    if not members.keys() - {"webhook_id"}:
        raise Refusal("No update field given !!")
    url, options = _webhook_url(account, members)
    if not account.registry.edit_webhook(webhook_id, url=url, **options):
        raise Refusal("Invalid Webhook Id")
    return {"message": "webhook updated"}


def _delete_webhook(account: Account, members: _Members) -> dict[str, Any]:
    account.registry.delete_webhook(_webhook(account, members).webhook_id)
    return {"message": "webhook deleted"}


def _reset_webhook_key(account: Account, members: _Members) -> dict[str, Any]:
    account.registry.reset_webhook_key(_webhook(account, members).webhook_id)
    webhook = _webhook(account, members)
    return {
        "message": "webhook key reset",
        "webhook_id": webhook.webhook_id,
        "key": webhook.key.reveal(),
    }


def _list_webhooks(account: Account, _: _Members) -> dict[str, Any]:
    return {"webhook_list": [_webhook_members(webhook) for webhook in account.registry.webhooks()]}


def _webhook_info(account: Account, members: _Members) -> dict[str, Any]:
    webhook = _webhook(account, members)
    success = webhook.last_success
    return {
        "webhook_data": {
            **_webhook_members(webhook),
            "last_success": None if success is None else _epoch_seconds(success),
            "total_event": webhook.total_event,
        }
    }


def _webhook_members(webhook: RegisteredWebhook) -> dict[str, Any]:
    return {
        "webhook_id": webhook.webhook_id,
        "url": webhook.url,
        "event": ",".join(webhook.events),
        "key": webhook.key.reveal(),
        "store_log": "Enable" if webhook.store_log else "Disable",
        "description": webhook.description,
        "create_date": _epoch_seconds(webhook.created),
    }


def _webhook(account: Account, members: _Members) -> RegisteredWebhook:
    webhook_id = readers.text(members.get("webhook_id"))
    webhook = account.registry.webhook(webhook_id) if webhook_id else None
    if webhook is None:
        raise Refusal("Invalid Webhook Id")
    return webhook


def _webhook_url(account: Account, members: _Members) -> tuple[str, dict[str, Any]]:
    """Return the URL, which responded to the handshake, and the other columns that are given."""
    with refusing():
        url = arguments.url("url", _text(members, "url"))
    description = members.get("description")
    if not isinstance(description, str | None):
        raise Refusal("Invalid description: it must be a string")
    options = {
        "events": _events(members.get("event")),
        "store_log": _switch(members, "store_log"),
        "description": description,
    }
    if account.verify_webhook is not None and not account.verify_webhook(url):
        raise Refusal(f"Invalid url: it must answer {account.handshake}")
    return url, {name: value for name, value in options.items() if value is not None}


def _events(value: Any) -> tuple[str, ...] | None:
    """Read events, a list or a string with commas; return None if none is given."""
    if value is None:
        return None
    known = ",".join(EVENT_NAMES)
    names = readers.words(value)
    if names is None:
        raise Refusal(f"Invalid event: it must be some of {known}")
    for name in names:
        if name not in EVENT_NAMES:
            raise Refusal(f"Invalid event {name}: it must be one of {known}")
    return tuple(dict.fromkeys(names)) or None


# Members.


def _text(members: _Members, field: str) -> str:
    return required(members.get(field), field).strip()


def _given(members: _Members, field: str) -> Any:
    """Return the member, None if it is missing or empty."""
    value = members.get(field)
    return None if value == "" else value


def _switch(members: _Members, field: str) -> bool | None:
    """Read ``Enable`` or ``Disable``; return None if the member is missing or empty."""
    value = _given(members, field)
    switch = readers.yes_no(value)
    if switch is None and value is not None:
        raise Refusal(f"Invalid {field}: it must be Enable or Disable")
    return switch


def _epoch_seconds(moment: datetime) -> int:
    return int(moment.timestamp())


CALLS: dict[str, SettingCall] = {
    "/settings/addSmtp": _add_smtp,
    "/settings/editSmtp": _edit_smtp,
    "/settings/resetSmtpPassword": _reset_smtp_password,
    "/settings/listSmtp": _list_smtp,
    "/settings/addSendingDomain": partial(_add_domain, "sending"),
    "/settings/deleteSendingDomain": partial(_delete_domain, "sending"),
    "/settings/checkSendingDomain": partial(_check_domain, "sending"),
    "/settings/verifySendingDomain": _verify_sending_domain,
    "/settings/listSendingDomain": partial(_list_domains, "sending"),
    "/settings/addTrackingDomain": partial(_add_domain, "tracking"),
    "/settings/deleteTrackingDomain": partial(_delete_domain, "tracking"),
    "/settings/checkTrackingDomain": partial(_check_domain, "tracking"),
    "/settings/listTrackingDomain": partial(_list_domains, "tracking"),
    "/settings/addWebhook": _add_webhook,
    "/settings/editWebhook": _edit_webhook,
    "/settings/deleteWebhook": _delete_webhook,
    "/settings/keyResetWebhook": _reset_webhook_key,
    "/settings/listWebhook": _list_webhooks,
    "/settings/getWebhookInfo": _webhook_info,
    "/account/viewUserDetail": partial(_user_detail, "user_data"),
    "/accounts/userDetails": partial(_user_detail, "user_details"),  # as one deployment has it
}
"""The function for each path. The last part of the path is the name of the call."""
