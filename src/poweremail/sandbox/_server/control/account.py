"""The calls about the account and the sandbox itself: settings, faults, events, webhooks, clock."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, get_args

import anyio.to_thread
from fastapi import APIRouter, Query
from pydantic import create_model

from poweremail._version import __version__
from poweremail.sandbox._server.control import bodies, replies
from poweremail.sandbox._server.control.replies import NOTHING, Nothing
from poweremail.sandbox._server.control.requests import (
    MAX_PAGE,
    ControlRoute,
    Number,
    ServiceOf,
)
from poweremail.sandbox._service import Service
from poweremail.sandbox._store.accounts import DomainKind
from poweremail.sandbox._store.limits import SmtpLimits
from poweremail.sandbox._store.mail import Template

router = APIRouter(tags=["The service"], route_class=ControlRoute)


def _add_list(
    name: str, item: type[replies.Reply], read: Callable[[Service], object], description: str
) -> None:
    """Add the call that returns the list *name*, which *read* makes, of *item*s."""

    async def listed(service: ServiceOf) -> Any:
        return {name: read(service)}

    members: dict[str, Any] = {name: (list[item], ...)}  # type: ignore[valid-type]
    model = create_model(
        name.title().replace("_", ""), __base__=replies.Reply, __doc__=description, **members
    )
    router.get(f"/{name}", response_model=model, name=name, description=description)(listed)


_add_list(
    "smtp_users",
    replies.SmtpUser,
    Service.smtp_users,
    "SMTP users, their limits, and how much of each is used.",
)
_add_list(
    "templates",
    replies.Template,
    lambda service: service.store.templates(),
    "List the templates.",
)
_add_list(
    "webhooks",
    replies.Webhook,
    lambda service: service.registry.webhooks(),
    "List the webhooks, without their keys.",
)
_add_list(
    "faults",
    replies.Fault,
    lambda service: [rule.to_dict() for rule in service.faults.rules],
    "List the faults that are switched on.",
)
_add_list(
    "event_rules",
    replies.EventRule,
    lambda service: service.script.rules,
    "List the rules of the script: the events that mails get by themselves.",
)


@router.post("/smtp_users")
async def add_smtp_user(service: ServiceOf, user: bodies.SmtpUserBody) -> Nothing:
    """Add or replace an SMTP user."""
    limits = SmtpLimits(**user.model_dump(exclude={"name", "enabled"}))
    service.store.put_smtp_user(user.name, enabled=user.enabled, limits=limits)
    return NOTHING


@router.post("/templates")
async def add_template(service: ServiceOf, template: bodies.TemplateBody) -> Nothing:
    """Add or replace a template."""
    service.store.put_template(Template(**template.model_dump()))
    return NOTHING


def _add_domains(kind: DomainKind) -> None:
    """Add the calls about the domains of a *kind*."""
    _add_list(
        f"{kind}_domains",
        replies.Domain,
        lambda service: service.registry.domains(kind),
        f"List the {kind} domains.",
    )

    @router.post(
        f"/{kind}_domains",
        name=f"add_{kind}_domain",
        description=f"Add a {kind} domain, or set whether it is valid.",
    )
    async def add_domain(service: ServiceOf, body: bodies.DomainBody) -> Nothing:
        service.put_domain(kind, body.domain, valid=body.valid)
        return NOTHING


for _kind in get_args(DomainKind):
    _add_domains(_kind)


@router.post("/faults", response_model=replies.Fault)
async def add_fault(service: ServiceOf, rule: bodies.FaultBody) -> Any:
    """Switch a fault on."""
    return service.faults.add_dict(rule.model_dump(exclude_unset=True)).to_dict()


@router.delete("/faults")
async def delete_faults(service: ServiceOf) -> Nothing:
    """Switch all faults off."""
    service.faults.clear()
    return NOTHING


@router.delete("/faults/{number:digits}")
async def delete_fault(service: ServiceOf, number: Number) -> Nothing:
    """Switch a fault off."""
    service.faults.remove(number)
    return NOTHING


@router.post("/event_rules", response_model=replies.EventRule)
async def add_rule(service: ServiceOf, body: bodies.RuleBody) -> Any:
    """Add a rule to the script, for mails from then on: EVENT SHARE% [within TIME]."""
    return service.script.add(body.rule)


@router.delete("/event_rules")
async def delete_rules(service: ServiceOf) -> Nothing:
    """Remove all rules of the script."""
    service.script.clear()
    return NOTHING


@router.delete("/event_rules/{number:digits}")
async def delete_rule(service: ServiceOf, number: Number) -> Nothing:
    """Remove a rule of the script."""
    service.script.remove(number)
    return NOTHING


@router.get("/deliveries", response_model=replies.Deliveries)
async def deliveries(service: ServiceOf, query: Annotated[bodies.DeliveriesQuery, Query()]) -> Any:
    """List what was and is to be posted to webhooks, newest first."""
    service.recorder.record_due()
    limit = min(query.limit, MAX_PAGE)
    found = service.deliveries.page(
        limit + 1, before=query.before, webhook_id=query.webhook_id or None, state=query.state
    )
    return {"deliveries": found[:limit], "more": len(found) > limit}


@router.get("/deliveries/{number:digits}", response_model=replies.WholeDelivery)
async def delivery(service: ServiceOf, number: Number) -> Any:
    """Return a delivery: exactly what is posted, and the response to each attempt."""
    return service.deliveries.find(number)


@router.post("/deliveries/{number:digits}/replay", response_model=replies.WholeDelivery)
async def replay(service: ServiceOf, number: Number) -> Any:
    """Post a delivery once more, byte for byte, and return it with the response."""
    # In a thread, because the receiver may be waiting for this very server.
    return await anyio.to_thread.run_sync(service.deliverer.replay, number)


@router.get("/release")
async def smtp_server(service: ServiceOf) -> replies.SmtpServer:
    """Return the SMTP server that mails can be released to, and the addresses it may get."""
    server = service.smtp_server
    if server is None:
        return replies.SmtpServer(server=None, allow=[])
    return replies.SmtpServer(server=f"{server.host}:{server.port}", allow=[*server.allow])


@router.post(
    "/messages/{number:digits}/release", response_model=replies.Released, tags=["Messages"]
)
async def release(service: ServiceOf, number: Number, body: bodies.ReleaseBody) -> Any:
    """
    Hand a mail on to the SMTP server: to all its recipients on the allow-list, or to the allowed
    addresses given.
    """
    return await anyio.to_thread.run_sync(partial(service.release, number, to=body.to))


@router.get("/clock")
async def clock(service: ServiceOf) -> replies.Clock:
    """Return the time, in seconds since the epoch."""
    return replies.Clock(now=service.clock.now(), advanced=service.clock.advanced)


@router.post("/clock")
async def advance_clock(service: ServiceOf, body: bodies.AdvanceBody) -> replies.Clock:
    """Advance the clock by seconds."""
    service.clock.advance(body.advance)
    return await clock(service)


@router.post("/reset")
async def reset(service: ServiceOf) -> Nothing:
    """Delete everything: mails, settings, faults, the script and the time that was added."""
    service.clear()
    return NOTHING


@router.get("/health")
async def health(service: ServiceOf) -> replies.Health:
    """Return the version, and the number of mails."""
    return replies.Health(status="ok", version=__version__, messages=service.mails.count())
