"""
From a message of the standard library to the fields of a `Message`: nothing is lost without being
named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from email.message import Message as StdMessage
from typing import Any

from poweremail._messages.envelope import (
    HEADER_NAME,
    OPTION_HEADERS,
    UNIQUE_ID_HEADER,
    Tracking,
)
from poweremail._mime import File
from poweremail._mime.headers import HeaderLine, header_lines
from poweremail._mime.part import PARSER_FAILURES, reason, shown
from poweremail._mime.reader import read_content
from poweremail._types.address import Recipient, is_domain, recipients
from poweremail._types.address_forms import ascii_domain
from poweremail._types.attachment import Attachment, Image
from poweremail._types.checks import header_text
from poweremail._types.content_id import cid_references, spellings
from poweremail._types.mime_types import guess_suffix, guess_type
from poweremail.errors import UsageError

_NOT_CARRIED = frozenset(
    (
        # The service writes its own. Some receivers refuse a mail that has two of them.
        *("mime-version", "date", "message-id"),
        # How this copy of the message came here, which is not true of the mail that is sent.
        *("received", "return-path", "delivered-to", "x-original-to", "x-received"),
        *("received-spf", "authentication-results"),
        *("dkim-signature", "domainkey-signature"),
        *("arc-seal", "arc-message-signature", "arc-authentication-results"),
    )
)
"""
Headers that are no loss. Those that begin with ``Content-``, except ``Content-Language``, describe
the body and go with it.
"""

_ADDRESS_FIELDS = {
    "from": "from_email",
    "to": "to",
    "cc": "cc",
    "bcc": "bcc",
    "reply-to": "reply_to",
    "sender": "sender",
}
_GENERIC_TYPES = ("application/octet-stream", "application/x-unknown", "binary/octet-stream")
# An empty resource: a reference to an image that is not there shows nothing and loads nothing.
_EMPTY_URL = "data:,"


def read_fields(
    source: object, *, lossy: bool, by_template: bool = False
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """
    Return the fields of a `Message` that says what *source* says, and what was lost, which is
    nothing unless *lossy*. For a mail *by_template* they are those of an `Envelope`, and *source*
    needs no body.

    Raises `UsageError`, which names all of it, if something would be lost or is missing.
    """
    try:
        message, envelope = _opened(source)
        fields, losses = _read_headers(header_lines(message))
        content, lost_content = read_content(message)
    except UsageError:
        raise
    except PARSER_FAILURES as error:
        raise UsageError(f"cannot be read: {reason(error)}", field="email_message") from error
    losses += lost_content
    if envelope is not None:
        _keep_to_envelope(fields, envelope, losses)
    fields["attachments"], fields["images"] = _sort_files(
        content.files, content.html or "", losses, by_template=by_template
    )
    if by_template:
        bodies = {"a text body": content.text, "an HTML body": content.html}
        losses += [
            f"{name}: the template has its own"
            for name, body in bodies.items()
            if body and body.strip()
        ]
    else:
        fields["text"] = content.text
        fields["html"] = _without_dangling(content.html, fields["images"], losses)
    faults = _faults(fields, needs_body=not by_template)
    if faults or (losses and not lossy):
        # A raw message needs a sender and a recipient, and may be all that can carry the content.
        can_be_raw = fields["from_email"] and (fields["to"] or fields["cc"] or fields["bcc"])
        as_raw = "send_raw carries it" if can_be_raw and not by_template else None
        raise UsageError(
            f"the service cannot carry all of it: "
            f"{'; '.join(faults if lossy else (*faults, *losses))}",
            field="email_message",
            advice=as_raw
            if faults or by_template
            else f"lossy=True leaves it out and lists it; {as_raw}",
        )
    return fields, tuple(losses)


def _opened(source: Any) -> tuple[StdMessage, tuple[Recipient, ...] | None]:
    """
    Return *source* as a message of the standard library, and the recipients if it names them: the
    message of a mail object of Django has no Bcc.
    """
    if isinstance(source, StdMessage):
        return source, None
    if callable(getattr(source, "message", None)) and callable(getattr(source, "recipients", None)):
        # Django's may be texts that are translated when they are used.
        addresses = [str(each) for each in source.recipients()]
        return source.message(), recipients("email_message.recipients()", addresses)
    raise UsageError(
        f"must be an email.message.EmailMessage, not {type(source).__name__}",
        field="email_message",
        advice="email.message_from_bytes(data, policy=email.policy.default) makes one",
    )


def _keep_to_envelope(
    fields: dict[str, Any], envelope: tuple[Recipient, ...], losses: list[str]
) -> None:
    """Make Bcc of the recipients in *envelope* that no header has. Nobody else gets the mail."""
    hidden = {_with_ascii_domain(each): each for each in envelope}
    known = set(hidden)
    for field in ("to", "cc", "bcc"):
        for each in fields[field]:
            if _with_ascii_domain(each) not in known:
                losses.append(f"{field.title()} {each}: recipients() does not list it")
            hidden.pop(_with_ascii_domain(each), None)
        fields[field] = [each for each in fields[field] if _with_ascii_domain(each) in known]
    # With domains in ASCII, as Django writes those in headers.
    fields["bcc"] += [Recipient(email, each.name) for email, each in hidden.items()]


def _with_ascii_domain(recipient: Recipient) -> str:
    """The address to compare: Django writes domains in ASCII into the headers."""
    return f"{recipient.email.rpartition('@')[0]}@{ascii_domain(recipient.email)}"


def _faults(fields: dict[str, Any], *, needs_body: bool) -> list[str]:
    """Needed by the service and missing in *fields*; leaving something out is no remedy."""
    needed = {
        "it has no sender (From)": fields["from_email"],
        "it has no recipient (To, Cc or Bcc)": fields["to"] or fields["cc"] or fields["bcc"],
        "it has no subject": fields["subject"].strip(),
        "it has neither a text nor an HTML body": not needs_body
        or fields["text"]
        or fields["html"],
    }
    return [fault for fault, value in needed.items() if not value]


def _read_headers(lines: Iterable[HeaderLine]) -> tuple[dict[str, Any], list[str]]:
    """Return the fields that *lines* give, *from_email* and *subject* perhaps empty, and losses."""
    losses: list[str] = []
    recipients: dict[str, list[Recipient]] = {field: [] for field in _ADDRESS_FIELDS.values()}
    texts: dict[str, tuple[str, str]] = {}
    resent: list[str] = []
    for line in lines:
        name = line.name.lower()
        if name in _NOT_CARRIED or (name.startswith("content-") and name != "content-language"):
            continue
        if name.startswith("resent-"):
            resent.append(line.name)
        elif name in _ADDRESS_FIELDS:
            recipients[_ADDRESS_FIELDS[name]] += _read_recipients(line, losses)
        else:
            _add_text(texts, line, losses)
    if resent:
        names = ", ".join(dict.fromkeys(resent))
        losses.append(f"{names}: a mail that is sent again is sent as a new one")
    from_email = _one_sender(recipients.pop("from_email"), recipients.pop("sender"), losses)
    _, subject = texts.pop("subject", ("", ""))
    _, unique_id = texts.pop(UNIQUE_ID_HEADER.lower(), ("", ""))
    tracking = _options(texts, _TRACKING)
    return {
        "from_email": from_email,
        **recipients,
        "subject": subject,
        "unique_id": unique_id.strip() or None,
        "tracking": Tracking(**tracking) if tracking else None,
        **_options(texts, _OPTIONS),
        "headers": dict(texts.values()),
    }, losses


def _one_sender(
    authors: list[Recipient], senders: list[Recipient], losses: list[str]
) -> Recipient | None:
    author, *others = dict.fromkeys(authors) or [None]
    losses += [f"From {other}: the service takes one sender" for other in others]
    losses += [
        f"Sender {sender}: the service has no sender beside From"
        for sender in dict.fromkeys(senders)
        if author is None or sender.email != author.email
    ]
    return author


def _read_recipients(line: HeaderLine, losses: list[str]) -> list[Recipient]:
    garbled: UnicodeError | None = None
    try:
        try:
            mailboxes = line.mailboxes()
        except UnicodeError as error:
            garbled, mailboxes = error, line.mailboxes(errors="replace")
    except ValueError as error:
        losses.append(f"{line.name} {shown(line.text)}: {error}")
        return []
    losses += [
        f"{line.name}: the name of the group {shown(group)}, whose members are addressed one by one"
        for group in dict.fromkeys(mailbox.group for mailbox in mailboxes)
        if group is not None
    ]
    if garbled is not None:
        losses.append(f"{line.name} {shown(line.text)}: {garbled}")
    found: list[Recipient] = []
    for mailbox in mailboxes:
        if garbled is not None and "\ufffd" in mailbox.address:
            # Named above. A name may lack a character; an address that is a guess gets no mail.
            continue
        try:
            # First without the name: one that cannot be used costs no recipient.
            found.append(Recipient(mailbox.address))
            found[-1] = Recipient(mailbox.address, mailbox.name)
        except UsageError as error:
            what = mailbox.name if error.field == "name" else mailbox.address
            losses.append(f"{line.name} {shown(what)}: {error.reason}")
    return found


def _add_text(texts: dict[str, tuple[str, str]], line: HeaderLine, losses: list[str]) -> None:
    try:
        text = line.decode()
    except UnicodeError as error:
        losses.append(f"{line.name} {shown(line.text)}: cannot be decoded ({error})")
        text = line.decode(errors="replace")
    # Some programs encode the line end with the text. It ends nothing there.
    text = text.strip("\r\n")
    lower = line.name.lower()
    if lower in texts:
        if texts[lower][1] != text:
            losses.append(f"{line.name} {shown(text)}: the service takes a header once")
        return
    if not HEADER_NAME.match(line.name):
        losses.append(f"{shown(line.name)}: is not a header name")
        return
    try:
        texts[lower] = (line.name, header_text("", text))
    except UsageError as error:
        losses.append(f"{line.name} {shown(text)}: {error.reason}")
        if lower == "subject":
            texts[lower] = (line.name, _printable(text, " "))


def _printable(text: str, substitute: str) -> str:
    return "".join(character if character.isprintable() else substitute for character in text)


def _options(
    texts: dict[str, tuple[str, str]], readers: Mapping[str, tuple[str, Callable[[str], Any]]]
) -> dict[str, Any]:
    """Move the options that *readers* can read out of *texts*; any other value stays a header."""
    options: dict[str, Any] = {}
    for option, (header, read) in readers.items():
        value = read(texts.get(header, ("", ""))[1].strip())
        if value is not None:
            options[option] = value
            del texts[header]
    return options


def _yes_no(text: str) -> bool | None:
    return {"yes": True, "no": False}.get(text.lower())


def _parts(text: str) -> str | None:
    return text.lower() if text.lower() in ("html", "text", "both", "no") else None


def _domain(text: str) -> str | None:
    return text if is_domain(text) else None


_TRACKING: dict[str, tuple[str, Callable[[str], Any]]] = {
    "opens": ("x-stes-trackopen", _yes_no),
    "clicks": ("x-stes-trackclick", _parts),
    "domain": ("x-stes-trackingdomain", lambda text: text or None),
}
_OPTIONS: dict[str, tuple[str, Callable[[str], Any]]] = {
    option: (header.lower(), _yes_no if option.startswith("auto_") else _domain)
    for option, header in OPTION_HEADERS.items()
}
"""The headers that are options of a message, and how each is read."""


def _sort_files(
    files: Iterable[File], html: str, losses: list[str], *, by_template: bool
) -> tuple[list[Attachment], list[Image]]:
    """Return *files* as attachments, and as the images that *html*, or the template, shows."""
    referred = {form for found in cid_references(html) for form in spellings(found[2])}
    attachments: list[Attachment] = []
    images: dict[str, Image] = {}
    for file in files:
        used = bool(file.cid) and file.cid in referred
        type = _image_type(file) if used else file.media_type
        is_image = type.startswith("image/") and (
            used or ((file.related or by_template) and bool(file.cid) and not file.is_attachment)
        )
        if used and not is_image:
            losses.append(
                f"that the HTML uses the {file.media_type} part {shown(file.cid)}: only images can "
                "be used; it is carried as attachment"
            )
        elif file.location and file.related and file.location in html:
            losses.append(
                f"that the HTML uses the part at {shown(file.location)}: it is carried as an "
                "attachment"
            )
        if is_image and file.cid in images and images[file.cid].content != file.content:
            losses.append(
                f"that a second image has the Content-ID {shown(file.cid)}: it is carried as an "
                "attachment"
            )
            is_image = False
        if not is_image:
            attachments.append(_attachment(file, len(attachments) + 1, losses))
        elif file.cid not in images:
            try:
                images[file.cid] = Image(file.cid, file.content, type)
            except UsageError as error:
                losses.append(f"an image: {error.explanation}")
    return attachments, list(images.values())


def _attachment(file: File, number: int, losses: list[str]) -> Attachment:
    name = file.name or f"attachment-{number}{guess_suffix(file.media_type)}"
    if file.name_is_garbled:
        losses.append(f"characters of the file name {shown(name)} that cannot be decoded")
    try:
        return Attachment(name, file.content, file.type)
    except UsageError as error:
        losses.append(f"the name or type of the attachment {shown(name)}: {error.explanation}")
        type = file.media_type if "/" in file.media_type else ""
        return Attachment(_printable(name, "_"), file.content, type)


def _image_type(file: File) -> str:
    """
    The type of a file that the HTML shows. Some programs give all files a generic type, and only
    the name says more.
    """
    guessed = guess_type(file.name)
    is_guess = file.media_type in _GENERIC_TYPES and guessed.startswith("image/")
    return guessed if is_guess else file.media_type


def _without_dangling(html: str | None, images: list[Image], losses: list[str]) -> str | None:
    """Return *html* with an empty URL for each reference to an image that the message lacks."""
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
            pieces += (html[position : found.start(2) - len("cid:")], _EMPTY_URL)
            position = found.end(2)
    return "".join((*pieces, html[position:]))
