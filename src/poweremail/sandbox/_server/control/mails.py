"""The calls about caught mails: search, wait, parts, files and events."""

from __future__ import annotations

import time
from base64 import b64encode
from functools import cache, partial
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response

from poweremail.sandbox._api.inline import image_type
from poweremail.sandbox._release.source import source as mail_source
from poweremail.sandbox._server.control import bodies, replies
from poweremail.sandbox._server.control.requests import (
    MAX_PAGE,
    ControlOf,
    ControlRoute,
    Number,
    ServiceOf,
    ZeroOrOne,
)
from poweremail.sandbox._server.headers import (
    attachment_headers,
    preview_headers,
)
from poweremail.sandbox._server.preview import preview
from poweremail.sandbox._server.protocol import disconnected
from poweremail.sandbox._service import Service
from poweremail.sandbox._store.filter import MailFilter
from poweremail.sandbox._store.mail import find_links

__all__ = ["router"]

_MAX_WAITING = 64

# Mails come from other threads, too, and none of them wakes a request: looking whether there was a
# change costs next to nothing.
_POLL_SECONDS = 0.05

# Browsers show these, and no others, as an image. An SVG that is shown as one runs no script and
# loads nothing.
_IMAGE_TYPES = {
    f"image/{kind}"
    for kind in ("png", "jpeg", "jpg", "gif", "webp", "avif", "bmp", "x-icon", "svg+xml")
}

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
    return {**mail, "links": find_links(mail["html"])}


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


@router.get("/messages/{number:digits}/raw", response_model=dict[str, Any])
async def raw(service: ServiceOf, number: Number) -> Response:
    """Return the JSON of the request that brought a mail, without the credentials."""
    return Response(service.mails.raw(number), media_type="application/json")


@router.get("/messages/{number:digits}/source", response_class=PlainTextResponse)
async def source(
    service: ServiceOf,
    number: Number,
    download: Annotated[ZeroOrOne, Query(description="1 to save it as a file")] = 0,
) -> Response:
    """Return a mail as it would be sent, in the format of RFC 5322."""
    content = mail_source(service.mails.mail(number))
    if download:
        return Response(content, headers=attachment_headers(f"message-{number}.eml"))
    return PlainTextResponse(content)


@router.get("/messages/{number:digits}/text", response_class=PlainTextResponse)
async def text(service: ServiceOf, number: Number) -> Response:
    """Return the text part of a mail."""
    return PlainTextResponse(_part(service.mails.find(number), "text"))


@router.get("/messages/{number:digits}/html", response_class=HTMLResponse)
async def html(
    service: ServiceOf,
    number: Number,
    remote: Annotated[
        ZeroOrOne, Query(description="1 to let it load images, styles and fonts")
    ] = 0,
) -> Response:
    """Return the HTML part of a mail, which in a browser may run nothing and load nothing."""
    mail = service.mails.find(number)
    cids = [image["name"] for image in mail["images"]]
    image = cache(partial(_data_url, service, number))
    shown = preview(_part(mail, "html"), cids, image, remote=bool(remote))
    return HTMLResponse(shown, headers=preview_headers(remote=bool(remote)))


def _data_url(service: Service, number: int, index: int) -> str | None:
    """Return an image of a mail as a ``data:`` URL; None if browsers do not show it."""
    file = service.mails.file(number, "image", index)
    media_type = image_type(file.type, file.content)
    if media_type not in _IMAGE_TYPES:
        media_type = image_type("", file.content)
    return media_type and f"data:{media_type};base64,{b64encode(file.content).decode()}"


def _part(mail: dict[str, Any], name: str) -> str:
    if mail[name] is None:
        raise LookupError(f"mail number {mail['number']} has no {name} part")
    return str(mail[name])


def _add_file_call(kind: str) -> None:
    """Add the call that returns a file of a *kind*."""

    @router.get(
        f"/messages/{{number:digits}}/{kind}s/{{index:digits}}",
        response_class=Response,
        responses={200: {"content": {"application/octet-stream": {}}}},
        name=kind,
        description=f"Return the content of an {kind}, counted from 0.",
    )
    async def file(service: ServiceOf, number: Number, index: Number) -> Response:
        found = service.mails.file(number, kind, index)
        return Response(found.content, headers=attachment_headers(found.name))


for _kind in ("attachment", "image"):
    _add_file_call(_kind)


@router.post("/messages/{number:digits}/events", response_model=replies.Events)
async def record_event(service: ServiceOf, number: Number, body: bodies.EventBody) -> Any:
    """
    Record an event (open, click, soft_bounce, hard_bounce, spam) at one recipient, or at all.
    """
    members = body.model_dump(exclude_none=True)
    events = service.record_event(number, members.pop("kind"), **members)
    return {"events": [event.to_dict() for event in events]}
