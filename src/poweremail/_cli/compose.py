"""Mails from the options of a command."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import attrs

from poweremail._messages.envelope import UNIQUE_ID_HEADER, Tracking
from poweremail._messages.message import Message, TemplateMessage
from poweremail._types.attachment import Attachment, Image
from poweremail._wire.convert import converter
from poweremail._wire.json import loads_text
from poweremail.errors import UsageError

__all__ = [
    "body",
    "draw_unique_id",
    "envelope",
    "from_eml",
    "message",
    "tracking",
    "values",
    "wire_form",
]

T = TypeVar("T")

_STDIN = Path("-")


def draw_unique_id() -> str:
    """
    Return a unique id. It is drawn before anything is sent, so that an interrupted mail can be told
    by it.
    """
    return uuid.uuid4().hex


def envelope(
    *,
    headers: Iterable[str] | None,
    attach: Iterable[Path] | None,
    images: Iterable[str] | None,
    **fields: object,
) -> dict[str, Any]:
    """Return the fields of a message that were given."""
    members = fields | {
        "headers": dict(_pairs("--header", headers or (), ":")),
        "attachments": _files("--attach", Attachment.from_path, attach or ()),
        "images": [
            image
            for cid, path in _pairs("--image", images or (), "=", "CID=FILE")
            for image in _files("--image", partial(Image.from_path, cid=cid), [path])
        ],
    }
    return {name: value for name, value in members.items() if value}


def tracking(
    opens: bool | None,  # noqa: FBT001
    clicks: Literal["html", "text", "both", "no"] | None,
    domain: str | None,
) -> Tracking | None:
    """Return what was said of tracking, None where nothing was."""
    return (
        None
        if opens is None and clicks is None and domain is None
        else Tracking(opens=opens, clicks=clicks, domain=domain)
    )


def body(
    *, text: str | None, text_file: Path | None, html: str | None, html_file: Path | None
) -> dict[str, Any]:
    """Return text and HTML, from wherever they come."""
    both = {"text": _content("text", text, text_file), "html": _content("html", html, html_file)}
    return {name: content for name, content in both.items() if content is not None}


def message(fields: Mapping[str, Any], unique_id: str | None, tracking: Tracking | None) -> Message:
    """
    Return a mail with these *fields*. Raises `UsageError` naming the options that are missing, all
    at once.
    """
    needed = {"from_email": "--from", "subject": "--subject"}
    missing = [flag for name, flag in needed.items() if name not in fields]
    if fields.keys().isdisjoint(("to", "cc", "bcc")):
        missing.append("--to")
    if not (fields.get("text") or fields.get("html")):
        missing.append("--text or --html")
    if missing:
        raise UsageError(
            f"{', '.join(missing)}: missing", advice="give them, or a whole message by --eml"
        )
    mail = Message(**fields, unique_id=unique_id, tracking=tracking)
    return mail if mail.unique_id else attrs.evolve(mail, unique_id=draw_unique_id())


def from_eml(
    path: Path,
    fields: Mapping[str, Any],
    unique_id: str | None,
    tracking: Tracking | None,
    *,
    lossy: bool,
) -> tuple[Message, tuple[str, ...]]:
    """
    Return the message in the file at *path*, which says all of the *fields* itself, and what was
    left out of it.

    Raises `UsageError` for what the service cannot take, unless it is *lossy*.
    """
    if fields:
        raise UsageError(
            f"--eml says {', '.join(sorted(fields))} itself",
            advice="leave the options away, or --eml",
        )
    from email.policy import default  # noqa: PLC0415  only a whole message needs the parser

    from poweremail._mime.headers import parse  # noqa: PLC0415

    try:
        converted = Message.from_email_message(parse(_bytes(path, "--eml"), default), lossy=lossy)
    except UsageError as error:
        # What it advises is for those who write Python.
        advice = "--lossy leaves it out, and tells what it left out" if error.advice else None
        raise UsageError(error.reason, field="--eml", advice=advice) from None
    mail, dropped = (converted, ()) if isinstance(converted, Message) else converted
    changes: dict[str, Any] = {"unique_id": unique_id or mail.unique_id or draw_unique_id()}
    if tracking is not None:
        changes["tracking"] = tracking
    return attrs.evolve(mail, **changes), dropped


def values(pairs: Iterable[str], path: Path | None) -> dict[str, Any]:
    """Return the dynamic values: those of the JSON object at *path*, and over them the *pairs*."""
    return (_object(path) if path is not None else {}) | dict(_pairs("--value", pairs, "="))


def wire_form(message: Message | TemplateMessage) -> dict[str, Any]:
    """
    Return *message* as the service would get it, files by their name, type and size in bytes (None
    where it is not known).
    """
    members: dict[str, Any] = converter.unstructure(message)
    if message.unique_id is not None:
        members["headers"] = {**members.get("headers", {}), UNIQUE_ID_HEADER: message.unique_id}
    for name in ("attachments", "images"):
        for file, described in zip(getattr(message, name), members.get(name, ()), strict=True):
            del described["content"]
            described["size"] = _size(file)
    return members


def _size(file: Attachment | Image) -> int | None:
    return len(file.content) if isinstance(file.content, bytes) else file.content.size


def _content(name: str, given: str | None, path: Path | None) -> str | None:
    if given is not None and path is not None:
        raise UsageError(f"--{name} and --{name}-file exclude each other")
    if path is not None:
        return _text(path, f"--{name}-file")
    if given is None or not given.startswith("@"):
        return given
    return given[1:] if given.startswith("@@") else _text(Path(given[1:]), f"--{name}")


def _files(flag: str, read: Callable[[Any], T], paths: Iterable[Path | str]) -> list[T]:
    try:
        return [read(path) for path in paths]
    except UsageError as error:
        raise UsageError(error.reason, field=flag, advice=error.advice) from None


def _pairs(
    flag: str, texts: Iterable[str], separator: str, form: str | None = None
) -> list[tuple[str, str]]:
    pairs: dict[str, str] = {}
    for text in texts:
        name, found, value = text.partition(separator)
        name = name.strip()
        if not found or not name:
            raise UsageError(f"{flag} takes {form or f'NAME{separator}VALUE'}, not {text!r}")
        if name in pairs:
            raise UsageError(f"{flag}: {name!r} is given twice")
        pairs[name] = value.strip() if separator == ":" else value
    return list(pairs.items())


def _object(path: Path) -> dict[str, Any]:
    try:
        members = loads_text(_text(path, "--values-file"))
    except ValueError as error:
        raise UsageError(f"--values-file {path} is not JSON: {error}") from None
    if not isinstance(members, dict):
        raise UsageError(f"--values-file {path} is not a JSON object")
    return members


def _text(path: Path, flag: str) -> str:
    try:
        return _bytes(path, flag).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{flag}: {path} is not UTF-8 at byte {error.start}") from None


def _bytes(path: Path, flag: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == _STDIN else path.read_bytes()
    except OSError as error:
        raise UsageError(f"{flag}: {path} cannot be read: {error.strerror}") from None
