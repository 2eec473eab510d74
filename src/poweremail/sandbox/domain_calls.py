"""``settings/addSendingDomain``, ``settings/addTrackingDomain`` and their siblings. A check tells what the sandbox was told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from poweremail.errors import UsageError
from poweremail.sandbox.account import Account, epoch_seconds, read_domain, read_text
from poweremail.sandbox.account_store import Domain, DomainKind
from poweremail.sandbox.answers import Refusal
from poweremail.wire import arguments

__all__ = [
    "add_sending",
    "add_tracking",
    "check_sending",
    "check_tracking",
    "delete_sending",
    "delete_tracking",
    "list_sending",
    "list_tracking",
    "verify_sending",
]


def add_sending(account: Account, members: Mapping[str, Any]) -> dict[str, Any]:
    """Add a sending domain; nothing about it is right until the sandbox is told so."""
    return _add("sending", account, members)


def delete_sending(account: Account, members: Mapping[str, Any]) -> dict[str, Any]:
    """Forget a sending domain."""
    return _delete("sending", account, members)


def check_sending(account: Account, members: Mapping[str, Any]) -> dict[str, Any]:
    """Tell of its DNS records."""
    domain = _find("sending", account, members)
    valid = _valid(domain)
    return {"domain": domain.domain, "dkim": valid, "spf": valid, "valid_signing": valid["valid"]}


def verify_sending(account: Account, members: Mapping[str, Any]) -> dict[str, Any]:
    """Say that instructions were sent; the sandbox sends none."""
    domain = _find("sending", account, members)
    try:
        mailbox = arguments.mailbox("mailbox", read_text(members, "mailbox"), domain.domain)
    except UsageError as error:
        raise Refusal(f"Invalid {error.reason}") from None
    return {"message": f"instructions were sent to {mailbox}@{domain.domain}"}


def list_sending(account: Account, _: Mapping[str, Any]) -> dict[str, Any]:
    """List the sending domains."""
    return {
        "sending_domain_list": [
            {
                "domain": domain.domain,
                "create_date": epoch_seconds(domain.created),
                "dkim": _valid(domain),
                "spf": _valid(domain),
                "verify_domain": _valid(domain),
            }
            for domain in account.registry.domains("sending")
        ]
    }


def add_tracking(account: Account, members: Mapping[str, Any]) -> dict[str, Any]:
    """Add a tracking domain; its record is not right until the sandbox is told so."""
    return _add("tracking", account, members)


def delete_tracking(account: Account, members: Mapping[str, Any]) -> dict[str, Any]:
    """Forget a tracking domain."""
    return _delete("tracking", account, members)


def check_tracking(account: Account, members: Mapping[str, Any]) -> dict[str, Any]:
    """Tell of its DNS record."""
    domain = _find("tracking", account, members)
    return {"domain": domain.domain, "valid_tracking": _valid(domain)["valid"], "cname": _valid(domain)}


def list_tracking(account: Account, _: Mapping[str, Any]) -> dict[str, Any]:
    """List the tracking domains."""
    return {
        "tracking_domain_list": [
            {"domain": domain.domain, "create_date": epoch_seconds(domain.created), "cname": _valid(domain)}
            for domain in account.registry.domains("tracking")
        ]
    }


def _add(kind: DomainKind, account: Account, members: Mapping[str, Any]) -> dict[str, Any]:
    domain = read_domain(members)
    if not account.registry.add_domain(kind, domain, now=account.now):
        raise Refusal(f"The {kind} domain is already there")
    return {"message": f"{kind} domain added"}


def _delete(kind: DomainKind, account: Account, members: Mapping[str, Any]) -> dict[str, Any]:
    domain = _find(kind, account, members)
    account.registry.delete_domain(kind, domain.domain)
    return {"message": f"{kind} domain deleted"}


def _find(kind: DomainKind, account: Account, members: Mapping[str, Any]) -> Domain:
    domain = account.registry.domain(kind, read_domain(members))
    if domain is None:
        raise Refusal(f"Invalid {kind} domain")
    return domain


def _valid(domain: Domain) -> dict[str, str]:
    return {"valid": "Yes" if domain.valid else "No"}
