"""
The calls about the account: `CALLS` names the method of each path.

A method returns the members of the response or raises `Refusal`. The texts of success are those
that are published for this API; of errors few are, and the others are the sandbox's.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, get_args

import attrs

from poweremail._types.event import EVENT_NAMES
from poweremail._wire import arguments, readers
from poweremail.sandbox._api.parts import required
from poweremail.sandbox._api.responses import Members, Refusal, refusing
from poweremail.sandbox._store.accounts import AccountStore, Domain, DomainKind, RegisteredWebhook
from poweremail.sandbox._store.database import Store
from poweremail.sandbox._store.limits import UNLIMITED, SmtpLimits
from poweremail.sandbox._store.mails import MailStore

VerifyWebhook = Callable[[str], bool]
"""Returns whether a URL responds to the handshake, so that it is a receiver of webhooks."""

_SMTP_LIMITS = ("total_limit", "hourly_limit")
_ACCOUNT_SINCE = 1_458_034_022
"""Epoch seconds at which the account was made: those of the vendor's own example."""


@attrs.frozen
class AccountCall:
    """
    A call, and the account at its moment.

    *members*
        Those of the request.
    *now*
        Milliseconds since the epoch.
    *limits*
        The limits of SMTP users that have none of their own.
    *verify_webhook*
        Checks the URL of a new webhook; None accepts every URL.
    *handshake*
        The text that a URL must respond with to become a webhook.
    """

    members: Mapping[str, Any]
    store: Store
    registry: AccountStore
    mails: MailStore
    now: int
    limits: SmtpLimits
    verify_webhook: VerifyWebhook | None
    handshake: str

    # The account.

    def user_detail(self, member: str) -> Members:
        """Describe the account, as the *member* of that name."""
        detail = {
            "name": "Sandbox",
            "email": "sandbox@example.com",
            "mobile": "0000000000",
            "create_date": _ACCOUNT_SINCE,
            "allowed_speed": self.limits.per_hour or 3_600,
            "reputation": "100%",
        }
        return {member: detail}

    # SMTP users. A password is generated, returned and not stored: there is no SMTP login.

    def add_smtp(self) -> Members:
        """Add an SMTP user with the limits given, under a name that is drawn."""
        for field in _SMTP_LIMITS:
            if self._given(field) is None:
                raise Refusal(f"You must specify {field}")
        name = self.store.draw_smtp_user(self._smtp_limits())
        return {"message": "SMTP User Created", **_login(name)}

    def edit_smtp(self) -> Members:
        """Change the status of an SMTP user, or its limits."""
        name, enabled, limits = self._smtp_user_name(), self._switch("status"), self._smtp_limits()
        if enabled is None and not limits.limited:
            raise Refusal("No update field given !!")
        self._change_smtp(name, enabled, limits)
        return {"message": "SMTP User Updated"}

    def reset_smtp_password(self) -> Members:
        """Give an SMTP user another password."""
        name = self._smtp_user_name()
        self._change_smtp(name, None, UNLIMITED)
        return {"message": "password reseted", **_login(name)}

    def list_smtp(self) -> Members:
        """List the SMTP users and their limits of mails."""
        listed = []
        for name, enabled, own in self.store.smtp_users():
            limits = self.limits.override(own)
            listed.append(
                {
                    "smtp_user_name": name,
                    "status": _enabled(enabled),
                    # No SMTP user of the service is without these limits: 0 can mean "no limit".
                    **{field: getattr(limits, field) or 0 for field in _SMTP_LIMITS},
                }
            )
        return {"smtp_list": listed}

    def _smtp_user_name(self) -> str:
        if self._given("smtp_user_name") is None:
            raise Refusal("smtp user required !!")
        return self._text("smtp_user_name")

    def _smtp_limits(self) -> SmtpLimits:
        """Return the limits that the members set; the others are None."""
        given: Members = {}
        for field in _SMTP_LIMITS:
            if (value := self._given(field)) is not None:
                given[field] = readers.integer(value)
                if given[field] is None:
                    raise Refusal(f"Invalid {field}: it must be a number")
        with refusing():
            return attrs.evolve(UNLIMITED, **given)

    def _change_smtp(self, name: str, enabled: bool | None, limits: SmtpLimits) -> None:  # noqa: FBT001
        """Change what is not None. Raises `Refusal` if there is no such user."""
        if not self.store.edit_smtp_user(name, enabled=enabled, limits=limits):
            raise Refusal("Invalid smtp user")

    # Domains. A check reports the option of `Sandbox.add_sending_domain`; there is no DNS query.

    def add_domain(self, kind: DomainKind) -> Members:
        """Add a domain, which is not valid yet."""
        if not self.registry.add_domain(kind, self._domain_name(), now=self.now):
            raise Refusal(f"The {kind} domain is already there")
        return {"message": f"{kind.title()} Domain Added"}

    def delete_domain(self, kind: DomainKind) -> Members:
        """Delete a domain."""
        self.registry.delete_domain(kind, self._domain(kind).domain)
        return {"message": f"{kind.title()} Domain Deleted"}

    def check_domain(self, kind: DomainKind) -> Members:
        """Report whether a domain is valid."""
        domain = self._domain(kind)
        valid = _valid(domain)
        records = ("dkim", "spf") if kind == "sending" else ("cname",)
        verdict = "valid_signing" if kind == "sending" else "valid_tracking"
        return {"domain": domain.domain, **dict.fromkeys(records, valid), verdict: valid["valid"]}

    def verify_sending_domain(self) -> Members:
        """Check the mailbox that would get instructions; none are sent."""
        domain = self._domain("sending").domain
        with refusing():
            mailbox = arguments.mailbox("mailbox", self._text("mailbox"), domain)
        return {"message": f"Verification instruction has been sent to {mailbox}@{domain}"}

    def list_domains(self, kind: DomainKind) -> Members:
        """List the domains, and whether they are valid."""
        records = ("dkim", "spf", "verify_domain") if kind == "sending" else ("cname",)
        listed = [
            {
                "domain": domain.domain,
                "create_date": _epoch_seconds(domain.created),
                **dict.fromkeys(records, _valid(domain)),
            }
            for domain in self.registry.domains(kind)
        ]
        return {f"{kind}_domain_list": listed}

    def _domain_name(self) -> str:
        with refusing():
            return arguments.domain("domain", self._text("domain")).lower()

    def _domain(self, kind: DomainKind) -> Domain:
        domain = self.registry.domain(kind, self._domain_name())
        if domain is None:
            raise Refusal(f"Invalid {kind} domain")
        return domain

    # Webhooks.

    def add_webhook(self) -> Members:
        """Add a webhook."""
        url, options = self._webhook_url()
        # The service does not publish which events it sends if none is named: here, all.
        defaults: Members = {"events": EVENT_NAMES, "store_log": False, "description": ""}
        self.registry.add_webhook(url, now=self.now, **defaults | options)
        return {"message": "Webhook Added"}

    def edit_webhook(self) -> Members:
        """Change the URL of a webhook, and what else is given."""
        webhook_id = self._webhook().webhook_id
        if not self.members.keys() - {"webhook_id"}:
            raise Refusal("No update field given !!")
        url, options = self._webhook_url()
        if not self.registry.edit_webhook(webhook_id, url=url, **options):
            raise Refusal("Invalid Webhook Id")
        return {"message": "Webhook Edited"}

    def delete_webhook(self) -> Members:
        """Delete a webhook."""
        self.registry.delete_webhook(self._webhook().webhook_id)
        return {"message": "Webhook Deleted"}

    def reset_webhook_key(self) -> Members:
        """Give a webhook another key."""
        self.registry.reset_webhook_key(self._webhook().webhook_id)
        webhook = self._webhook()
        return {
            "message": "Webhook key reseted",
            "webhook_id": webhook.webhook_id,
            "key": webhook.key.reveal(),
        }

    def list_webhooks(self) -> Members:
        """List the webhooks."""
        return {"webhook_list": [_described(webhook) for webhook in self.registry.webhooks()]}

    def webhook_info(self) -> Members:
        """Describe a webhook, and say how many events it got."""
        webhook = self._webhook()
        success = webhook.last_success
        return {
            "webhook_data": {
                **_described(webhook),
                "last_success": _epoch_seconds(success) if success else 0,
                "total_event": webhook.total_event,
            }
        }

    def _webhook(self) -> RegisteredWebhook:
        webhook_id = readers.text(self.members.get("webhook_id"))
        webhook = self.registry.webhook(webhook_id) if webhook_id else None
        if webhook is None:
            raise Refusal("Invalid Webhook Id")
        return webhook

    def _webhook_url(self) -> tuple[str, Members]:
        """Return the URL, which responded to the handshake, and the other columns given."""
        with refusing():
            url = arguments.url("url", self._text("url"))
        description = self.members.get("description")
        if not isinstance(description, str | None):
            raise Refusal("Invalid description: it must be a string")
        options = {
            "events": self._events(),
            "store_log": self._switch("store_log"),
            "description": description,
        }
        if self.verify_webhook is not None and not self.verify_webhook(url):
            raise Refusal(f"Invalid url: it must answer {self.handshake}")
        return url, {name: value for name, value in options.items() if value is not None}

    def _events(self) -> tuple[str, ...] | None:
        """Read events, a list or a string with commas; return None if none is given."""
        value = self.members.get("event")
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

    def _text(self, field: str) -> str:
        return required(self.members.get(field), field).strip()

    def _given(self, field: str) -> Any:
        """Return the member, None if it is missing or empty."""
        value = self.members.get(field)
        return None if value == "" else value

    def _switch(self, field: str) -> bool | None:
        """Read ``Enable`` or ``Disable``; return None if the member is missing or empty."""
        value = self._given(field)
        switch = readers.yes_no(value)
        if switch is None and value is not None:
            raise Refusal(f"Invalid {field}: it must be Enable or Disable")
        return switch


def _login(name: str) -> dict[str, str]:
    return {"smtp_user_name": name, "smtp_password": secrets.token_urlsafe(12)}


def _valid(domain: Domain) -> dict[str, str]:
    return {"valid": "Yes" if domain.valid else "No"}


def _described(webhook: RegisteredWebhook) -> Members:
    return {
        "webhook_id": webhook.webhook_id,
        "url": webhook.url,
        "event": ",".join(webhook.events),
        "key": webhook.key.reveal(),
        "store_log": _enabled(webhook.store_log),
        "description": webhook.description,
        "create_date": _epoch_seconds(webhook.created),
    }


def _enabled(value: object) -> str:
    return "Enable" if value else "Disable"


def _epoch_seconds(moment: datetime) -> int:
    return int(moment.timestamp())


CALLS: dict[str, Callable[[AccountCall], Members]] = {
    "/settings/addSmtp": AccountCall.add_smtp,
    "/settings/editSmtp": AccountCall.edit_smtp,
    "/settings/resetSmtpPassword": AccountCall.reset_smtp_password,
    "/settings/listSmtp": AccountCall.list_smtp,
    "/settings/verifySendingDomain": AccountCall.verify_sending_domain,
    **{
        f"/settings/{verb}{kind.title()}Domain": partial(carry_out, kind=kind)
        for kind in get_args(DomainKind)
        for verb, carry_out in (
            ("add", AccountCall.add_domain),
            ("delete", AccountCall.delete_domain),
            ("check", AccountCall.check_domain),
            ("list", AccountCall.list_domains),
        )
    },
    "/settings/addWebhook": AccountCall.add_webhook,
    "/settings/editWebhook": AccountCall.edit_webhook,
    "/settings/deleteWebhook": AccountCall.delete_webhook,
    "/settings/keyResetWebhook": AccountCall.reset_webhook_key,
    "/settings/listWebhook": AccountCall.list_webhooks,
    "/settings/getWebhookInfo": AccountCall.webhook_info,
    "/account/viewUserDetail": partial(AccountCall.user_detail, member="user_data"),
    # as one deployment has it
    "/accounts/userDetails": partial(AccountCall.user_detail, member="user_details"),
}
"""The method for each path. The last part of the path is the name of the call."""
