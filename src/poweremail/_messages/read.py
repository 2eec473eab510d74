"""From a message of the standard library to one of ours: nothing is lost without being named."""

from __future__ import annotations

import mimetypes
from email.message import Message as StdMessage
from typing import Any

from poweremail._messages.message import Message
from poweremail._mime.bodies import File, read_bodies
from poweremail._mime.fields import read_fields
from poweremail._mime.part import PARSER_FAILURES, Part, header_lines, reason, shown
from poweremail._types.attachment import Attachment, Image
from poweremail._types.content_id import cid_references, spellings
from poweremail.errors import UsageError

__all__ = ["read"]

_GENERIC = ("application/octet-stream", "application/x-unknown", "binary/octet-stream")
_EXTENSIONS = {
    "message/rfc822": ".eml",
    "text/plain": ".txt",
    "text/html": ".html",
    "text/calendar": ".ics",
    "image/jpeg": ".jpg",
}
# An empty resource: what refers to an image that is not there shows nothing, and loads nothing.
_NOTHING = "data:,"


def read(source: StdMessage, *, lossy: bool) -> tuple[Message, tuple[str, ...]]:
    """
    Return *source* as a message of ours and, where *lossy* allows any, what was lost.

    Raises `UsageError` that names everything which cannot be said.
    """
    if not isinstance(source, StdMessage):
        raise UsageError(
            f"must be an email.message.EmailMessage, not {type(source).__name__}",
            field="email_message",
            advice="email.message_from_bytes(data, policy=email.policy.default) makes one",
        )
    losses: list[str] = []
    try:
        fields = read_fields(header_lines(source), losses)
        body, files = read_bodies(Part(source), losses)
        fields |= {"text": body.text, "html": body.html} | _files(files, body.html or "", losses)
    except PARSER_FAILURES as error:
        raise UsageError(f"cannot be read: {reason(error)}", field="email_message") from error
    fields["html"] = _without_dangling(body.html, fields["images"], losses)
    faults = _faults(fields)
    if faults or (losses and not lossy):
        named = [*faults, *([] if lossy else losses)]
        advice = None if faults else "lossy=True leaves it out, and tells what it left out"
        raise UsageError(
            f"the service cannot be told all of it: {'; '.join(named)}",
            field="email_message",
            advice=advice,
        )
    return Message(**fields), tuple(losses)


def _faults(fields: dict[str, Any]) -> list[str]:
    """What the service needs and *fields* has not: nothing can be dropped to mend that."""
    needed = {
        "it has no sender (From)": fields["from_email"],
        "it has no recipient (To, Cc or Bcc)": fields["to"] or fields["cc"] or fields["bcc"],
        "it has no subject": fields["subject"].strip(),
        "it has neither a text nor an HTML body": fields["text"] or fields["html"],
    }
    return [fault for fault, given in needed.items() if not given]


def _files(files: list[File], html: str, losses: list[str]) -> dict[str, Any]:
    referred = {form for found in cid_references(html) for form in spellings(found[2])}
    attachments: list[Attachment] = []
    images: dict[str, Image] = {}
    for file in files:
        part = file.part
        used = bool(part.cid) and part.cid in referred
        type = _image_type(part) if used else part.type
        is_image = type.startswith("image/") and (
            used or (file.related and part.cid and part.disposition != "attachment")
        )
        if used and not is_image:
            losses.append(
                f"that the HTML uses the {part.type} part {shown(part.cid)}: only images can be "
                "used; it is carried as attachment"
            )
        elif part.location and file.related and part.location in html:
            losses.append(
                f"that the HTML uses the part at {shown(part.location)}: it is carried as an "
                "attachment"
            )
        content = _content(part, losses)
        if not is_image:
            attachments.append(_attachment(part, content, attachments, losses))
        elif part.cid not in images:
            try:
                images[part.cid] = Image(part.cid, content, type)
            except UsageError as error:
                losses.append(f"an image: {error.explanation}")
        elif images[part.cid].content != content:
            losses.append(
                f"that a second image has the Content-ID {shown(part.cid)}: it is carried as an "
                "attachment"
            )
            attachments.append(_attachment(part, content, attachments, losses))
    return {"attachments": attachments, "images": list(images.values())}


def _content(part: Part, losses: list[str]) -> bytes:
    try:
        content = part.content()
    except PARSER_FAILURES as error:
        losses.append(f"the content of a {part.type} part: {reason(error)}")
        return b""
    if part.cut_off:
        losses.append(
            f"the end of the {part.type} part {shown(part.name)}, whose base64 is cut off"
        )
    return content


def _attachment(
    part: Part, content: bytes, others: list[Attachment], losses: list[str]
) -> Attachment:
    name = part.name or _made_up_name(part.type, len(others) + 1)
    if part.name_is_garbled:
        losses.append(f"characters of the file name {shown(name)} that cannot be decoded")
    try:
        return Attachment(name, content, part.type_with_parameters)
    except UsageError as error:
        losses.append(f"the name or type of the attachment {shown(name)}: {error.explanation}")
        printable = "".join(character if character.isprintable() else "_" for character in name)
        return Attachment(printable, content, part.type if "/" in part.type else "")


def _made_up_name(type: str, number: int) -> str:
    return (
        f"attachment-{number}{_EXTENSIONS.get(type) or mimetypes.guess_extension(type) or '.bin'}"
    )


def _image_type(part: Part) -> str:
    """
    The type of a part that the HTML shows: some programs call every file a stream of bytes,
    whatever its name says.
    """
    guessed = mimetypes.guess_type(part.name or "")[0] or ""
    return guessed if part.type in _GENERIC and guessed.startswith("image/") else part.type


def _without_dangling(html: str | None, images: list[Image], losses: list[str]) -> str | None:
    if html is None or "cid:" not in html.lower():
        return html
    known = {image.cid for image in images}
    pieces: list[str] = []
    position = 0
    for found in cid_references(html):
        if known.isdisjoint(spellings(found[2])):
            losses.append(
                f"that the HTML refers to cid:{shown(found[2])}: the message has no such image"
            )
            pieces += (html[position : found.start(2) - len("cid:")], _NOTHING)
            position = found.end(2)
    return "".join((*pieces, html[position:]))
