"""
``settings/addSendingDomain``, ``settings/addTrackingDomain`` and their siblings. A check tells what
the sandbox was told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from poweremail._wire import arguments
from poweremail.errors import UsageError
from poweremail.sandbox._api.account import Account, epoch_seconds, read_domain, read_text
from poweremail.sandbox._api.responses import Refusal
from poweremail.sandbox._store.accounts import Domain, DomainKind

__all__ = ["add", "check", "delete", "listing", "verify_sending"]

# What a check looks at, what it answers in the end, and what a list tells of each domain.
_RECORDS: dict[DomainKind, tuple[str, ...]] = {"sending": ("dkim", "spf"), "tracking": ("cname",)}
_VERDICT: dict[DomainKind, str] = {"sending": "valid_signing", "tracking": "valid_tracking"}
_LISTED: dict[DomainKind, tuple[str, ...]] = {
    "sending": ("dkim", "spf", "verify_domain"),
    "tracking": ("cname",),
}


def add(kind: DomainKind, account: Account, members: Mapping[str, Any]) -> dict[str, Any]:
    """Add a domain; nothing about it is right until the sandbox is told so."""
    domain = read_domain(members)
    if not account.registry.add_domain(kind, domain, now=account.now):
        raise Refusal(f"The {kind} domain is already there")
    return {"message": f"{kind} domain added"}


def delete(kind: DomainKind, account: Account, members: Mapping[str, Any]) -> dict[str, Any]:
    """Forget a domain."""
    domain = _find(kind, account, members)
    account.registry.delete_domain(kind, domain.domain)
    return {"message": f"{kind} domain deleted"}


def check(kind: DomainKind, account: Account, members: Mapping[str, Any]) -> dict[str, Any]:
    """Tell of a domain's DNS records."""
    domain = _find(kind, account, members)
    valid = _valid(domain)
    return {
        "domain": domain.domain,
        **dict.fromkeys(_RECORDS[kind], valid),
        _VERDICT[kind]: valid["valid"],
    }


def verify_sending(account: Account, members: Mapping[str, Any]) -> dict[str, Any]:
    """Say that instructions were sent; the sandbox sends none."""
    domain = _find("sending", account, members)
    try:
        mailbox = arguments.mailbox("mailbox", read_text(members, "mailbox"), domain.domain)
    except UsageError as error:
        raise Refusal(f"Invalid {error.explanation}") from None
    return {"message": f"instructions were sent to {mailbox}@{domain.domain}"}


def listing(kind: DomainKind, account: Account, _: Mapping[str, Any]) -> dict[str, Any]:
    """List the domains."""
    return {
        f"{kind}_domain_list": [
            {
                "domain": domain.domain,
                "create_date": epoch_seconds(domain.created),
                **dict.fromkeys(_LISTED[kind], _valid(domain)),
            }
            for domain in account.registry.domains(kind)
        ]
    }


def _find(kind: DomainKind, account: Account, members: Mapping[str, Any]) -> Domain:
    domain = account.registry.domain(kind, read_domain(members))
    if domain is None:
        raise Refusal(f"Invalid {kind} domain")
    return domain


def _valid(domain: Domain) -> dict[str, str]:
    return {"valid": "Yes" if domain.valid else "No"}
