"""
A message as text, and back.

Attachments and images are kept apart, by the digest of their content: a hundred thousand mails with
one price list have it once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypeVar

import attrs

from poweremail._ledger.values import BadEntry, Entry
from poweremail._messages.envelope import Envelope, Tracking
from poweremail._messages.message import Message, TemplateMessage
from poweremail._types.address import Recipient
from poweremail._types.attachment import Attachment, Image
from poweremail._types.content import Content, StreamContent
from poweremail.errors import UsageError

__all__ = ["Group", "Packed", "pack", "recipients", "unpack"]

_ADDRESSES = ("to", "cc", "bcc", "reply_to")
_BODIES = ("html", "text")
_TEXTS = (*_BODIES, "template_id")
_MAPPINGS = ("headers", "dynamic_value")
_FILES: tuple[tuple[str, type[Attachment | Image], str], ...] = (
    ("attachments", Attachment, "name"),
    ("images", Image, "cid"),
)

_GROUP = 500
_GROUP_BYTES = 16 * 1024 * 1024

F = TypeVar("F", Attachment, Image)


class Group:
    """
    Messages that are added together: as many as share a transaction well, and fewer where they are
    large, for the memory.
    """

    def __init__(self) -> None:
        self.entries: list[Entry | BadEntry] = []
        self._contents: set[Content] = set()
        self._bytes = 0

    def append(self, entry: Entry | BadEntry) -> None:
        """Take it in."""
        self.entries.append(entry)
        if isinstance(entry, BadEntry):
            return
        message = entry.message
        self._bytes += sum(len(getattr(message, name, None) or "") for name in _BODIES)
        files: tuple[Attachment | Image, ...] = (*message.attachments, *message.images)
        for file in files:
            # One that many mails have is read and kept once.
            if file.content not in self._contents:
                self._contents.add(file.content)
                self._bytes += (
                    len(file.content) if isinstance(file.content, bytes) else file.content.size or 0
                )

    @property
    def full(self) -> bool:
        """Whether it is to be added before it takes in more."""
        return len(self.entries) >= _GROUP or self._bytes >= _GROUP_BYTES


@attrs.frozen
class Packed:
    """
    A message as it is kept: its *payload*, the *contents* that go with it by their digest, and a
    *digest* of the whole.
    """

    payload: str
    contents: Mapping[str, bytes]
    digest: str


def pack(message: Envelope) -> Packed:
    """
    Return *message* as text, without its unique id.

    Files are read. Raises `UsageError` for one that cannot be, and for streams, which could be read
    only once.
    """
    contents: dict[str, bytes] = {}
    members: dict[str, Any] = {
        "subject": message.subject,
        "from_email": _address(message.from_email),
    }
    members |= {
        name: [_address(each) for each in value]
        for name in _ADDRESSES
        if (value := getattr(message, name))
    }
    members |= {
        name: value for name in _TEXTS if (value := getattr(message, name, None)) is not None
    }
    members |= {name: dict(value) for name in _MAPPINGS if (value := getattr(message, name, None))}
    if message.tracking is not None:
        members["tracking"] = attrs.asdict(message.tracking)
    for field, _, name in _FILES:
        if files := getattr(message, field):
            members[field] = [
                [getattr(file, name), file.type, _keep(file.content, contents)] for file in files
            ]
    payload = json.dumps(members, ensure_ascii=False, separators=(",", ":"))
    return Packed(payload, contents, hashlib.blake2b(payload.encode(), digest_size=16).hexdigest())


def unpack(
    payload: str, contents: Mapping[str, bytes], unique_id: str
) -> Message | TemplateMessage:
    """
    Return the message of *payload* under its *unique_id*. Raises `UsageError` where it is none.
    """
    try:
        members = json.loads(payload)
        members["from_email"] = _recipient(members["from_email"])
        for name in _ADDRESSES:
            if name in members:
                members[name] = [_recipient(each) for each in members[name]]
        if "tracking" in members:
            members["tracking"] = Tracking(**members["tracking"])
        for field, kind, _ in _FILES:
            if field in members:
                members[field] = [
                    kind(name, contents[digest], type) for name, type, digest in members[field]
                ]
        kind_of_mail = TemplateMessage if "template_id" in members else Message
        return kind_of_mail(**members, unique_id=unique_id)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"the ledger's row cannot be read: {error}", field="payload") from None


def recipients(payload: str) -> tuple[str, ...]:
    """The addresses in *payload*: to, cc, then bcc."""
    members = json.loads(payload)
    return tuple(each[0] for name in ("to", "cc", "bcc") for each in members.get(name, ()))


def _address(recipient: Recipient) -> list[str]:
    return [recipient.email] if recipient.name is None else [recipient.email, recipient.name]


def _recipient(parts: list[str]) -> Recipient:
    return Recipient(*parts)


def _keep(content: Content, contents: dict[str, bytes]) -> str:
    if isinstance(content, StreamContent):
        raise UsageError(
            "a stream can be read only once, and a batch may have to try again",
            field="attachments",
            advice="give bytes or a path",
        )
    if isinstance(content, bytes):
        raw = content
    else:
        try:
            raw = content.read(0, content.size)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"cannot read {content.label}: {error}", field="attachments"
            ) from error
    digest = hashlib.blake2b(raw, digest_size=32).hexdigest()
    contents[digest] = raw
    return digest
