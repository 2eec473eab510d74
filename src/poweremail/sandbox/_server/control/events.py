"""The calls about events after the sending: the script, the deliveries to webhooks, the release."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Query

from poweremail.sandbox._server.control import bodies, replies
from poweremail.sandbox._server.control.requests import (
    MAX_NUMBER,
    ControlRoute,
    Number,
    ServiceOf,
    expects,
)
from poweremail.sandbox._webhooks.deliveries import DeliveryState

__all__ = ["router"]

_MAX_PAGE = 1_000

router = APIRouter(tags=["The service"], route_class=ControlRoute)


@router.get("/release", response_model=replies.SmtpServer)
async def smtp_server(service: ServiceOf) -> Any:
    """Return the SMTP server that mails can be released to, and the addresses it may get."""
    server = service.smtp_server
    if server is None:
        return {"server": None, "allow": []}
    return {"server": f"{server.host}:{server.port}", "allow": server.allow}


@router.post("/messages/{number}/release", response_model=replies.Released, tags=["Messages"])
async def release(service: ServiceOf, number: Number, body: bodies.ReleaseBody) -> Any:
    """
    Hand a mail on to the SMTP server: to all its recipients on the allow-list, or to the allowed
    addresses given.
    """
    return await anyio.to_thread.run_sync(partial(service.release, number, to=body.to))


@router.get("/event_rules", response_model=replies.EventRules)
async def rules(service: ServiceOf) -> Any:
    """List the rules of the script: the events that mails get by themselves."""
    return {"event_rules": service.script.rules}


@router.post("/event_rules", response_model=replies.EventRule)
async def add_rule(service: ServiceOf, body: bodies.RuleBody) -> Any:
    """Add a rule to the script, for mails from then on: EVENT SHARE% [within TIME]."""
    return service.script.add(body.rule)


@router.delete("/event_rules", response_model=replies.Nothing)
async def delete_rules(service: ServiceOf) -> Any:
    """Remove all rules of the script."""
    service.script.clear()
    return {}


@router.delete("/event_rules/{number}", response_model=replies.Nothing)
async def delete_rule(service: ServiceOf, number: Number) -> Any:
    """Remove a rule of the script."""
    service.script.remove(number)
    return {}


@router.get("/deliveries", response_model=replies.Deliveries)
async def deliveries(
    service: ServiceOf,
    webhook_id: Annotated[str, Query(description="only those of one webhook")] = "",
    state: Annotated[
        DeliveryState | None,
        expects("one of waiting, delivered, failed"),
        Query(description="waiting, delivered or failed"),
    ] = None,
    before: Annotated[
        Number,
        Query(description="only lower numbers: the next page begins before the last of this one"),
    ] = MAX_NUMBER,
    limit: Annotated[Number, Query(description="the most to return, up to 1000")] = 50,
) -> Any:
    """List what was and is to be posted to webhooks, newest first."""
    service.recorder.record_due()
    limit = min(limit, _MAX_PAGE)
    found = service.deliveries.page(
        limit + 1, before=before, webhook_id=webhook_id or None, state=state
    )
    return {"deliveries": found[:limit], "more": len(found) > limit}


@router.get("/deliveries/{number}", response_model=replies.WholeDelivery)
async def delivery(service: ServiceOf, number: Number) -> Any:
    """Return a delivery: exactly what is posted, and the response to each attempt."""
    return service.deliveries.find(number)


@router.post("/deliveries/{number}/replay", response_model=replies.WholeDelivery)
async def replay(service: ServiceOf, number: Number) -> Any:
    """Post a delivery once more, byte for byte, and return it with the response."""
    # In a thread, because the receiver may be waiting for this very server.
    return await anyio.to_thread.run_sync(service.deliverer.replay, number)
