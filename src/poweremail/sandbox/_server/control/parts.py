"""The calls about the parts of a caught mail: its source, bodies, files and images."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, PlainTextResponse, Response

from poweremail._types.mime_types import without_parameters
from poweremail.sandbox._api.inline import shown_type
from poweremail.sandbox._api.mime import read_raw_message
from poweremail.sandbox._release import source as mail_source
from poweremail.sandbox._server.control import replies
from poweremail.sandbox._server.control.requests import (
    ControlRoute,
    Number,
    ServiceOf,
    ZeroOrOne,
)
from poweremail.sandbox._server.headers import (
    attachment_headers,
    preview_headers,
    shown_headers,
)
from poweremail.sandbox._server.preview import preview
from poweremail.sandbox._service import Service
from poweremail.sandbox._store.mail import CaughtFile

router = APIRouter(tags=["Messages"], route_class=ControlRoute)


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
    images: Annotated[ZeroOrOne, Query(description="0 to show no image, not even its own")] = 1,
    dark: Annotated[
        ZeroOrOne | None, Query(description="1 to apply its styles for dark programs, 0 not to")
    ] = None,
    printed: Annotated[ZeroOrOne, Query(description="1 to apply its styles for paper")] = 0,
) -> Response:
    """Return the HTML part of a mail, which in a browser may run nothing and load nothing."""
    mail = service.mails.find(number)
    shown = preview(
        _part(mail, "html"),
        [image["name"] for image in mail["images"]],
        cache(lambda index: _data_url(service.mails.file(number, "image", index))),
        remote=bool(remote),
        dark=None if dark is None else bool(dark),
        printed=bool(printed),
    )
    headers = preview_headers(remote=bool(remote), images=bool(images))
    return HTMLResponse(shown, headers=headers)


def _data_url(file: CaughtFile) -> str | None:
    """Return an image as a ``data:`` URL; None if browsers do not show it."""
    media_type = shown_type(file)
    if media_type is None or not media_type.startswith("image/"):
        return None
    return f"data:{media_type};base64,{b64encode(file.content).decode()}"


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
    async def file(
        service: ServiceOf,
        number: Number,
        index: Number,
        shown: Annotated[
            ZeroOrOne, Query(description="1 to let a browser show it: an image or a PDF")
        ] = 0,
    ) -> Response:
        found = service.mails.file(number, kind, index)
        media_type = shown_type(found) if shown else None
        if shown and media_type is None:
            raise LookupError("this type of file is not shown")
        headers = (
            shown_headers(media_type) if media_type else attachment_headers(found.name, found.type)
        )
        return Response(found.content, headers=headers)


for _kind in ("attachment", "image"):
    _add_file_call(_kind)


@router.get(
    "/messages/{number:digits}/attachments/{index:digits}/message",
    response_model=replies.AttachedMessage,
)
async def attached_message(service: ServiceOf, number: Number, index: Number) -> Any:
    """Return a mail that is attached to a mail."""
    mail = _attached(service, number, index)
    read = read_raw_message(mail)
    files = [*read["attachments"], *read["images"]]
    return {
        **read,
        "files": [
            {"name": file.name, "type": file.type, "size": len(file.content)} for file in files
        ],
    }


@router.get(
    "/messages/{number:digits}/attachments/{index:digits}/html", response_class=HTMLResponse
)
async def attached_html(service: ServiceOf, number: Number, index: Number) -> Response:
    """Return the HTML part of a mail that is attached to a mail, as that of a mail."""
    read = read_raw_message(_attached(service, number, index))
    if read["html"] is None:
        raise LookupError("the attached mail has no html part")
    images = read["images"]
    shown = preview(
        read["html"],
        [image.name for image in images],
        cache(lambda image: _data_url(images[image])),
    )
    return HTMLResponse(shown, headers=preview_headers(remote=False))


def _attached(service: Service, number: int, index: int) -> bytes:
    file = service.mails.file(number, "attachment", index)
    if without_parameters(file.type) != "message/rfc822":
        raise LookupError(f"attachment number {index} of mail number {number} is no mail")
    return file.content
