"""The calls about caught mails: search, wait, checks and events."""

from __future__ import annotations

import time
from functools import partial
from itertools import islice
from typing import Annotated, Any

import anyio
import anyio.to_thread
from fastapi import APIRouter, HTTPException, Query, Request

from poweremail.sandbox._release.link_check import LinkResult, check_link
from poweremail.sandbox._server.checks import check_mail
from poweremail.sandbox._server.control import bodies, replies
from poweremail.sandbox._server.control.requests import (
    MAX_PAGE,
    ControlOf,
    ControlRoute,
    Number,
    ServiceOf,
)
from poweremail.sandbox._server.protocol import disconnected
from poweremail.sandbox._service import Service
from poweremail.sandbox._store.filter import MailFilter
from poweremail.sandbox._store.links import find_links, is_web_link

_MAX_WAITING = 64
_MAX_LINKS_CHECKED, _CHECKS_AT_ONCE = 100, 8

# Mails come from other threads, too, and none of them wakes a request: looking whether there was a
# change costs next to nothing.
_POLL_SECONDS = 0.05

router = APIRouter(tags=["Messages"], route_class=ControlRoute)


@router.get("/messages", response_model=replies.Page)
async def page(service: ServiceOf, query: Annotated[bodies.PageQuery, Query()]) -> Any:
    """List caught mails, newest first."""
    service.recorder.record_due()
    limit = min(query.limit, MAX_PAGE)
    wanted = MailFilter(after=query.after or 0, before=query.before, **query.conditions())
    found = service.mails.page(wanted, limit + 1, oldest_first=query.after is not None)
    return {
        "messages": found[:limit],
        "more": len(found) > limit,
        "total": service.mails.count(),
    }


@router.delete("/messages")
async def delete_all(
    service: ServiceOf, query: Annotated[bodies.DeleteQuery, Query()]
) -> replies.Forgotten:
    """Delete the mails that match; all mails if there is no condition."""
    wanted = MailFilter(**query.conditions())
    return replies.Forgotten(forgotten=service.mails.delete_all(wanted))


@router.post("/messages/delete")
async def delete_each(service: ServiceOf, body: bodies.DeleteBody) -> replies.Forgotten:
    """Delete the mails with these numbers; one that is not there any more does no harm."""
    return replies.Forgotten(forgotten=service.mails.delete_each(body.numbers))


@router.post("/messages/wait", response_model=replies.Message)
async def wait(control: ControlOf, request: Request, body: bodies.WaitBody) -> Any:
    """
    Return the newest mail that matches, as soon as there is one, or 404 after the timeout.
    """
    if control.waiting >= _MAX_WAITING:
        raise HTTPException(503, f"{_MAX_WAITING} requests wait already")
    control.waiting += 1
    try:
        return await _wait(control.service, request, body)
    finally:
        control.waiting -= 1


async def _wait(service: Service, request: Request, body: bodies.WaitBody) -> Any:
    deadline = time.monotonic() + body.timeout
    wanted = MailFilter(after=body.after, **body.conditions())
    seen = -1
    while True:
        service.recorder.record_due()
        last = service.store.changes.last
        if last != seen:
            seen = last
            number = service.mails.first(wanted)
            if number is not None:
                return await find(service, number)
        left = deadline - time.monotonic()
        if left <= 0:
            raise LookupError("no such mail came in time")
        if await disconnected(request.receive, min(_POLL_SECONDS, left)):
            raise LookupError("the client has disconnected")


@router.get("/messages/{number:digits}", response_model=replies.Message)
async def find(service: ServiceOf, number: Number) -> Any:
    """Return a mail with its parts, links, recipients and events."""
    service.recorder.record_due()
    mail = service.mails.find(number)
    return {**mail, "links": find_links(mail["html"], mail["text"])}


@router.delete("/messages/{number:digits}")
async def delete(service: ServiceOf, number: Number) -> replies.Nothing:
    """Delete a mail."""
    service.mails.delete(number)
    return replies.NOTHING


@router.post("/messages/{number:digits}/read")
async def set_read(service: ServiceOf, number: Number, body: bodies.ReadBody) -> replies.Nothing:
    """Mark a mail as read, or as unread."""
    service.mails.set_read(number, read=body.read)
    return replies.NOTHING


@router.get("/messages/{number:digits}/checks", response_model=replies.Checks)
async def checks(service: ServiceOf, number: Number) -> Any:
    """Check a mail for what mail programs and their users stumble over."""
    # In a thread: an HTML of megabytes takes a while.
    mail = service.mails.mail(number)
    return {"findings": await anyio.to_thread.run_sync(check_mail, mail)}


@router.post("/messages/{number:digits}/links/check", response_model=replies.CheckedLinks)
async def check_links(service: ServiceOf, number: Number) -> Any:
    """
    Send a request to each web link of a mail whose host was allowed when the sandbox was started.
    """
    mail = service.mails.find(number)
    links = filter(is_web_link, find_links(mail["html"], mail["text"]))
    results = dict[int, LinkResult]()
    limiter = anyio.CapacityLimiter(_CHECKS_AT_ONCE)

    async def check(index: int, link: str) -> None:
        work = partial(check_link, link, service.link_hosts)
        results[index] = await anyio.to_thread.run_sync(work, limiter=limiter)

    async with anyio.create_task_group() as group:
        for index, link in enumerate(islice(links, _MAX_LINKS_CHECKED)):
            group.start_soon(check, index, link)
    return {"links": [results[index] for index in sorted(results)]}


@router.post("/messages/{number:digits}/events", response_model=replies.Events)
async def record_event(service: ServiceOf, number: Number, body: bodies.EventBody) -> Any:
    """
    Record an event (open, click, soft_bounce, hard_bounce, spam) at one recipient, or at all.
    """
    members = body.model_dump(exclude_none=True)
    events = service.recorder.record(number, members.pop("kind"), **members)
    return {"events": [event.to_dict() for event in events]}
