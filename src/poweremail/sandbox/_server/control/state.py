"""The calls about everything but mails: SMTP users, templates, webhooks, faults, the clock."""

from __future__ import annotations

from typing import Any

from poweremail._version import __version__
from poweremail._wire import arguments
from poweremail.errors import UsageError
from poweremail.sandbox._server.control.operations import Asked
from poweremail.sandbox._service import Service
from poweremail.sandbox._store.accounts import Domain, DomainKind, RegisteredWebhook
from poweremail.sandbox._store.limits import LIMITS, SmtpLimits, SmtpUser
from poweremail.sandbox._store.mail import Template

__all__ = ["State"]


class State:
    """Each method answers one operation: see `poweremail.sandbox._server.control`."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def health(self, _: Asked) -> dict[str, Any]:
        """Return what one asks to see that it runs."""
        return {"status": "ok", "version": __version__, "messages": self._service.mails.count()}

    async def faults(self, _: Asked) -> dict[str, Any]:
        """Return the rules."""
        return {"faults": [rule.to_dict() for rule in self._service.faults.rules]}

    async def add_fault(self, asked: Asked) -> dict[str, Any]:
        """Add a rule."""
        return self._service.faults.add_dict(
            asked.members("fault", "call", "recipient", "nth", "times", "chance")
        ).to_dict()

    async def forget_faults(self, _: Asked) -> dict[str, Any]:
        """Forget the rules."""
        self._service.faults.clear()
        return {}

    async def forget_fault(self, asked: Asked) -> dict[str, Any]:
        """Forget one rule."""
        self._service.faults.remove(asked.number("number", 0))
        return {}

    async def templates(self, _: Asked) -> dict[str, Any]:
        """Return the templates."""
        names = ("template_id", "subject", "html", "text")
        return {
            "templates": [
                {name: getattr(each, name) for name in names}
                for each in self._service.store.templates()
            ]
        }

    async def add_template(self, asked: Asked) -> dict[str, Any]:
        """Add or replace a template."""
        members = asked.members("template_id", "subject", "html", "text")
        texts = (
            _text(members, name, needed=name == "template_id")
            for name in ("template_id", "subject", "html", "text")
        )
        template_id, subject, html, text = texts
        self._service.store.put_template(Template(template_id or "", subject, html, text))
        return {}

    async def smtp_users(self, _: Asked) -> dict[str, Any]:
        """Return the SMTP users, their limits, and how much of each is used."""
        return {"smtp_users": [_smtp_user(user) for user in self._service.smtp_users()]}

    async def add_smtp_user(self, asked: Asked) -> dict[str, Any]:
        """Add or replace an SMTP user."""
        members = asked.members("name", "enabled", *LIMITS)
        enabled = _switch(members, "enabled")
        limits: dict[str, Any] = {limit: members.get(limit) for limit in LIMITS}
        name = _text(members, "name", needed=True) or ""
        self._service.store.put_smtp_user(name, enabled=enabled, limits=SmtpLimits(**limits))
        return {}

    async def sending_domains(self, _: Asked) -> dict[str, Any]:
        """Return the sending domains."""
        return {
            "sending_domains": [
                _domain(domain) for domain in self._service.registry.domains("sending")
            ]
        }

    async def tracking_domains(self, _: Asked) -> dict[str, Any]:
        """Return the tracking domains."""
        return {
            "tracking_domains": [
                _domain(domain) for domain in self._service.registry.domains("tracking")
            ]
        }

    async def add_sending_domain(self, asked: Asked) -> dict[str, Any]:
        """Add a sending domain, or say whether it is right."""
        return self._put_domain("sending", asked)

    async def add_tracking_domain(self, asked: Asked) -> dict[str, Any]:
        """Add a tracking domain, or say whether it is right."""
        return self._put_domain("tracking", asked)

    def _put_domain(self, kind: DomainKind, asked: Asked) -> dict[str, Any]:
        members = asked.members("domain", "valid")
        domain, valid = (
            arguments.domain("domain", members.get("domain")).lower(),
            _switch(members, "valid"),
        )
        self._service.registry.put_domain(
            kind, domain, now=self._service.clock.milliseconds(), valid=valid
        )
        return {}

    async def webhooks(self, _: Asked) -> dict[str, Any]:
        """Return the webhooks."""
        return {"webhooks": [_webhook(webhook) for webhook in self._service.registry.webhooks()]}

    async def clock(self, _: Asked) -> dict[str, Any]:
        """Return the time."""
        clock = self._service.clock
        return {"now": clock.now(), "advanced": clock.advanced}

    async def advance(self, asked: Asked) -> dict[str, Any]:
        """Let time pass."""
        # What is no number is told by the clock itself.
        self._service.clock.advance(asked.members("advance").get("advance"))  # type: ignore[arg-type]
        return await self.clock(asked)

    async def reset(self, _: Asked) -> dict[str, Any]:
        """Forget everything."""
        self._service.clear()
        return {}


def _text(members: dict[str, Any], field: str, *, needed: bool = False) -> str | None:
    value = members.get(field)
    if not isinstance(value, str) and (needed or value is not None):
        raise UsageError("must be a string", field=field, mail_state=None)
    return value


def _switch(members: dict[str, Any], field: str) -> bool:
    """A member that is true unless it says otherwise."""
    value = members.get(field, True)
    if not isinstance(value, bool):
        raise UsageError("must be true or false", field=field, mail_state=None)
    return value


def _domain(domain: Domain) -> dict[str, Any]:
    return {"domain": domain.domain, "created": domain.created.isoformat(), "valid": domain.valid}


def _webhook(webhook: RegisteredWebhook) -> dict[str, Any]:
    """All but the key: whoever sees the page would be able to sign."""
    return {
        "webhook_id": webhook.webhook_id,
        "url": webhook.url,
        "events": list(webhook.events),
        "store_log": webhook.store_log,
        "description": webhook.description,
        "created": webhook.created.isoformat(),
        "last_success": None if webhook.last_success is None else webhook.last_success.isoformat(),
        "total_event": webhook.total_event,
    }


def _smtp_user(user: SmtpUser) -> dict[str, Any]:
    return {
        "name": user.name,
        "enabled": user.enabled,
        "limits": user.limits.to_dict(),
        "used": user.used.to_dict(),
    }
