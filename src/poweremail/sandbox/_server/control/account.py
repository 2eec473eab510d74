"""The calls about the account and the sandbox itself: SMTP users, templates, faults, the clock."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from poweremail._version import __version__
from poweremail._wire import arguments
from poweremail.sandbox._server.control import bodies, replies
from poweremail.sandbox._server.control.requests import ControlRoute, Number, ServiceOf
from poweremail.sandbox._service import Service
from poweremail.sandbox._store.accounts import DomainKind
from poweremail.sandbox._store.limits import SmtpLimits
from poweremail.sandbox._store.mail import Template

__all__ = ["router"]

router = APIRouter(tags=["The service"], route_class=ControlRoute)


@router.get("/smtp_users", response_model=replies.SmtpUsers)
async def smtp_users(service: ServiceOf) -> Any:
    """SMTP users, their limits, and how much of each is used."""
    return {"smtp_users": service.smtp_users()}


@router.post("/smtp_users", response_model=replies.Nothing)
async def add_smtp_user(service: ServiceOf, user: bodies.SmtpUserBody) -> Any:
    """Add or replace an SMTP user."""
    limits = SmtpLimits(**user.model_dump(exclude={"name", "enabled"}))
    service.store.put_smtp_user(user.name, enabled=user.enabled, limits=limits)
    return {}


@router.get("/templates", response_model=replies.Templates)
async def templates(service: ServiceOf) -> Any:
    """List the templates."""
    return {"templates": service.store.templates()}


@router.post("/templates", response_model=replies.Nothing)
async def add_template(service: ServiceOf, template: bodies.TemplateBody) -> Any:
    """Add or replace a template."""
    service.store.put_template(Template(**template.model_dump()))
    return {}


@router.get("/sending_domains", response_model=replies.SendingDomains)
async def sending_domains(service: ServiceOf) -> Any:
    """List the sending domains."""
    return {"sending_domains": service.registry.domains("sending")}


@router.post("/sending_domains", response_model=replies.Nothing)
async def add_sending_domain(service: ServiceOf, domain: bodies.DomainBody) -> Any:
    """Add a sending domain, or set whether it is valid."""
    return _put_domain(service, "sending", domain)


@router.get("/tracking_domains", response_model=replies.TrackingDomains)
async def tracking_domains(service: ServiceOf) -> Any:
    """List the tracking domains."""
    return {"tracking_domains": service.registry.domains("tracking")}


@router.post("/tracking_domains", response_model=replies.Nothing)
async def add_tracking_domain(service: ServiceOf, domain: bodies.DomainBody) -> Any:
    """Add a tracking domain, or set whether it is valid."""
    return _put_domain(service, "tracking", domain)


def _put_domain(service: Service, kind: DomainKind, body: bodies.DomainBody) -> dict[str, Any]:
    domain = arguments.domain("domain", body.domain).lower()
    now = service.clock.milliseconds()
    service.registry.put_domain(kind, domain, now=now, valid=body.valid)
    return {}


@router.get("/webhooks", response_model=replies.Webhooks)
async def webhooks(service: ServiceOf) -> Any:
    """List the webhooks, without their keys."""
    return {"webhooks": service.registry.webhooks()}


@router.get("/faults", response_model=replies.Faults)
async def faults(service: ServiceOf) -> Any:
    """List the faults that are switched on."""
    return {"faults": [rule.to_dict() for rule in service.faults.rules]}


@router.post("/faults", response_model=replies.Fault)
async def add_fault(service: ServiceOf, rule: bodies.FaultBody) -> Any:
    """Switch a fault on."""
    return service.faults.add_dict(rule.model_dump(exclude_unset=True)).to_dict()


@router.delete("/faults", response_model=replies.Nothing)
async def delete_faults(service: ServiceOf) -> Any:
    """Switch all faults off."""
    service.faults.clear()
    return {}


@router.delete("/faults/{number}", response_model=replies.Nothing)
async def delete_fault(service: ServiceOf, number: Number) -> Any:
    """Switch a fault off."""
    service.faults.remove(number)
    return {}


@router.get("/clock", response_model=replies.Clock)
async def clock(service: ServiceOf) -> Any:
    """Return the time, in seconds since the epoch."""
    return {"now": service.clock.now(), "advanced": service.clock.advanced}


@router.post("/clock", response_model=replies.Clock)
async def advance_clock(service: ServiceOf, body: bodies.AdvanceBody) -> Any:
    """Advance the clock by seconds."""
    service.clock.advance(body.advance)
    return await clock(service)


@router.post("/reset", response_model=replies.Nothing)
async def reset(service: ServiceOf) -> Any:
    """Delete everything: mails, settings, faults, the script and the time that was added."""
    service.clear()
    return {}


@router.get("/health", response_model=replies.Health)
async def health(service: ServiceOf) -> Any:
    """Return the version, and the number of mails."""
    return {"status": "ok", "version": __version__, "messages": service.mails.count()}
