"""Mails from the options of ``poweremail send`` and ``template``."""

from __future__ import annotations

import codecs
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from poweremail._cli.failures import from_option
from poweremail._cli.files import STDIN, Source, file_and_type, json_object
from poweremail._cli.mail_options import BodyOptions, EnvelopeOptions, FileOptions, ValueOptions
from poweremail._messages.envelope import UNIQUE_ID_HEADER, Tracking
from poweremail._messages.message import Message, TemplateMessage
from poweremail._types.attachment import Attachment, Image
from poweremail._wire.convert import converter
from poweremail.errors import UsageError


def mail(
    envelope: EnvelopeOptions,
    body: BodyOptions,
    files: FileOptions,
    tracking: Tracking | None,
    service: Mapping[str, Any],
) -> tuple[Message, tuple[str, ...]]:
    """
    Return the mail, and what was left out of a whole message.

    Raises `UsageError` if an option is invalid; one error names all options that are missing.
    """
    source = Source()
    fields: dict[str, Any] = _fields(envelope, files) | _bodies(body, source)
    if body.eml is not None:
        if fields:
            raise UsageError(
                f"the message already has {', '.join(sorted(fields))}",
                field="--eml",
                advice="leave these options out, or --eml",
            )
        content = source.read(body.eml, "--eml")
        message, dropped = _whole_message(content, lossy=body.lossy)
    else:
        bodies = not (fields.get("text") or fields.get("html"))
        _require(fields, ["--text or --html"] if bodies else [], ", or a whole message by --eml")
        message, dropped = Message(**fields), ()
    changes: dict[str, Any] = {"unique_id": envelope.unique_id or message.unique_id or _draw_id()}
    if tracking is not None:
        changes["tracking"] = tracking
    changes |= service
    return attrs.evolve(message, **changes), dropped


def template_mail(
    template_id: str,
    envelope: EnvelopeOptions,
    values: ValueOptions,
    files: FileOptions,
    tracking: Tracking | None,
    service: Mapping[str, Any],
    *,
    with_id: bool,
) -> TemplateMessage:
    """Return a mail made from a template; *with_id* draws a unique id if none is given."""
    fields = _fields(envelope, files)
    _require(fields, [])
    return TemplateMessage(
        template_id=template_id,
        dynamic_value=_values(values),
        unique_id=envelope.unique_id or (_draw_id() if with_id else None),
        tracking=tracking,
        **service,
        **fields,
    )


def wire_form(message: Message | TemplateMessage) -> dict[str, Any]:
    """
    Return *message* as the service would get it.

    A file has its name, type and size in bytes (None if unknown) instead of its content.
    """
    members: dict[str, Any] = converter.unstructure(message)
    if message.unique_id is not None:
        members["headers"] = {**members.get("headers", {}), UNIQUE_ID_HEADER: message.unique_id}
    for name in ("attachments", "images"):
        for file, described in zip(getattr(message, name), members.get(name, ()), strict=True):
            del described["content"]
            described["size"] = _size(file)
    return members


def _bodies(body: BodyOptions, source: Source) -> dict[str, str]:
    """Return text and HTML, as far as they are given."""
    bodies: dict[str, str] = {}
    for name in ("text", "html"):
        flag, given, path = f"--{name}", getattr(body, name), getattr(body, f"{name}_file")
        if path is not None:
            if given is not None:
                raise UsageError(f"{flag} and {flag}-file exclude each other")
            bodies[name] = source.read_text(path, f"{flag}-file")
        elif given == STDIN or (given or "").startswith("@"):
            is_text = given.startswith("@@")
            file = Path(given.removeprefix("@"))
            bodies[name] = given[1:] if is_text else source.read_text(file, flag)
        elif given is not None:
            bodies[name] = given
    return bodies


def _values(options: ValueOptions) -> dict[str, Any]:
    """Return the dynamic values."""
    pairs = _pairs("--value", options.dynamic_value or (), "=")
    path, flag = options.values_file, "--values-file"
    if path is None:
        return dict(pairs)
    return json_object(Source().read_text(path, flag), str(path), flag, UsageError) | pairs


def _fields(envelope: EnvelopeOptions, files: FileOptions) -> dict[str, Any]:
    """Return the fields of a message that are given."""
    fields: dict[str, Any] = attrs.asdict(envelope)
    del fields["unique_id"]
    fields["headers"] = _pairs("--header", envelope.headers or (), ":")
    with from_option("--attach", path="--attach"):
        fields["attachments"] = [
            Attachment.from_path(path, type=type)
            for path, type in map(file_and_type, files.attachments or ())
        ]
    images = _pairs("--image", files.images or (), "=", "CID=FILE")
    with from_option("--image", path="--image"):
        fields["images"] = [
            Image.from_path(path, cid=cid, type=type)
            for cid, (path, type) in zip(images, map(file_and_type, images.values()), strict=True)
        ]
    return {name: value for name, value in fields.items() if value}


def _require(fields: dict[str, Any], missing: list[str], otherwise: str = "") -> None:
    """Raise `UsageError` if *fields* lack the envelope, or if something else is *missing*."""
    flags = {"from_email": "--from", "subject": "--subject"}
    absent = [flag for name, flag in flags.items() if name not in fields]
    if fields.keys().isdisjoint(("to", "cc", "bcc")):
        absent.append("--to")
    if absent := absent + missing:
        raise UsageError(f"{', '.join(absent)}: missing", advice=f"give them{otherwise}")


def _whole_message(content: bytes, *, lossy: bool) -> tuple[Message, tuple[str, ...]]:
    from email.policy import default  # noqa: PLC0415  only a whole message needs the parser

    from poweremail._mime.headers import parse  # noqa: PLC0415

    try:
        # Editors of Windows write a byte order mark, which would hide the first header.
        message = parse(content.removeprefix(codecs.BOM_UTF8), default)
        converted = Message.from_email_message(message, lossy=lossy)
    except UsageError as error:
        # The library's advice is for those who write Python.
        can_be_left_out = "lossy" in error.advice
        advice = "--lossy leaves it out, and says what it left out" if can_be_left_out else None
        raise UsageError(error.reason, field="--eml", advice=advice) from None
    return (converted, ()) if isinstance(converted, Message) else converted


def _pairs(flag: str, texts: Iterable[str], separator: str, form: str = "") -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        name, found, value = text.partition(separator)
        name = name.strip()
        if not found or not name:
            form = form or f"NAME{separator}VALUE"
            raise UsageError(f"must be {form}, not {text!r}", field=flag)
        if name in pairs:
            raise UsageError(f"{name!r} is given twice", field=flag)
        pairs[name] = value.strip() if separator == ":" else value
    return pairs


def _draw_id() -> str:
    """Draw a unique id before the mail is sent, so that an interruption can name the mail."""
    return uuid.uuid4().hex


def _size(file: Attachment | Image) -> int | None:
    return len(file.content) if isinstance(file.content, bytes) else file.content.size
