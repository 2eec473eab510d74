"""
A message as the ledger stores it: a text, and the contents of its files apart from it.

Theory of operation. The text is JSON, and the key of a row without a key of its own is a digest of
it. So the same message must make the same text, byte by byte, in every release: otherwise a source
that is added again would be sent again. The converter of the wire writes the members, with other
forms for addresses and files, and `_ORDER` fixes their order, which must not follow that of the
fields in a class. A new field goes to the end of `_ORDER` and is left out if it has its default.
tests/batch/test_old_ledger.py keeps a ledger of release 0.1 and compares the texts and the keys.
A message that 0.1 read otherwise, and so stored under another key, is looked up by the digest of
its old text, too.

Links to unsubscribe are no part of the digest: one that is signed anew is another text, and the
mail is the same.

Contents are stored by their digest, so a hundred thousand mails with one price list have it once.
"""

from __future__ import annotations

import hashlib
import json
import mimetypes
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

import attrs
from cattrs import ForbiddenExtraKeysError
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from poweremail._messages.envelope import OPTION_HEADERS, Envelope
from poweremail._messages.message import Message, TemplateMessage
from poweremail._types import FrozenMapping
from poweremail._types.address import Recipient
from poweremail._types.attachment import Attachment, Image
from poweremail._types.content import read_whole
from poweremail._types.mime_types import UNKNOWN_TYPE, guess_type
from poweremail._wire.convert import converter
from poweremail.errors import UsageError

_FILES = ("attachments", "images")
_ORDER = (
    "subject",
    "from_email",
    "to",
    "cc",
    "bcc",
    "reply_to",
    "html",
    "text",
    "template_id",
    "headers",
    "dynamic_value",
    "tracking",
    *_FILES,
    *OPTION_HEADERS,
    "stream",
    "unsubscribe",
)

_converter = converter.copy()


def _is_message(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Envelope)


@_converter.register_unstructure_hook_factory(_is_message)
def _write_hook(kind: type[Envelope]) -> Callable[[Envelope], dict[str, Any]]:
    return make_dict_unstructure_fn(
        kind, _converter, _cattrs_omit_if_default=True, unique_id=override(omit=True)
    )


@_converter.register_structure_hook_factory(_is_message)
def _read_hook(kind: type[Envelope]) -> Callable[[Any, Any], Envelope]:
    # A member that this release does not know, because a later one wrote it, is part of the mail.
    return make_dict_structure_fn(kind, _converter, _cattrs_forbid_extra_keys=True)


# An address is [email] or [email, name].
_converter.register_unstructure_hook(
    Recipient, lambda each: [each.email] if each.name is None else [each.email, each.name]
)
_converter.register_structure_hook(Recipient, lambda parts, _: Recipient(*parts))

# A file is [name, type, content]; in the text, its digest stands for the content.
_converter.register_unstructure_hook(Attachment, lambda file: [file.name, file.type, file.content])
_converter.register_unstructure_hook(Image, lambda file: [file.cid, file.type, file.content])
for _kind in (Attachment, Image):
    _converter.register_structure_hook(
        _kind, lambda parts, kind: kind(parts[0], parts[2], parts[1])
    )


@attrs.frozen
class Packed:
    """
    A message as it is stored.

    *payload*: the text.
    *contents*: the contents of its files, by their digest.
    *digest*: the digest of the text.
    *former*: the digest of the text that release 0.1 made of it.
    """

    payload: str
    contents: Mapping[str, bytes]
    digest: str
    former: str


def pack(message: Envelope, former: Mapping[str, Any] = FrozenMapping()) -> Packed:
    """
    Return *message* as it is stored, without its unique id. *former*: the members that release 0.1
    read otherwise.

    Reads its files. Raises `UsageError` if a file cannot be read, or is a stream, which could be
    read only once.
    """
    contents: dict[str, bytes] = {}
    members = _converter.unstructure(message)
    for field in _FILES:
        for file in members.get(field, ()):
            content = read_whole(file[2], "attachments")
            file[2] = hashlib.blake2b(content, digest_size=32).hexdigest()
            contents[file[2]] = content
    payload = _text(members)
    has_links = members.pop("unsubscribe", None) is not None
    digest = was = _digest(_text(members) if has_links else payload)
    for file in members.get("attachments", ()):
        # The type was guessed, and 0.1 guessed by the tables of the machine.
        if file[1] == guess_type(file[0], contents[file[2]]):
            file[1] = _former_type(file[0])
            was = ""
    if former or not was:
        was = _digest(_text({**members, **_converter.unstructure(former)}))
    return Packed(payload, contents, digest, was)


def _text(members: Mapping[str, Any]) -> str:
    known = {name: members[name] for name in _ORDER if name in members}
    return json.dumps(known, ensure_ascii=False, separators=(",", ":"))


def _digest(payload: str) -> str:
    return hashlib.blake2b(payload.encode(), digest_size=16).hexdigest()


def _former_type(name: str) -> str:
    type, encoding = mimetypes.guess_type("".join(("file", *PurePath(name).suffixes[-2:])))
    return type if type and not encoding else UNKNOWN_TYPE


def unpack(
    payload: str, contents: Mapping[str, bytes], unique_id: str
) -> Message | TemplateMessage:
    """
    Return the message of *payload* with *unique_id*. Raises `UsageError` if there is none in it.
    """
    try:
        members = json.loads(payload)
        for field in _FILES:
            for file in members.get(field, ()):
                file[2] = contents[file[2]]
        kind: type[Message | TemplateMessage] = Message
        if "template_id" in members:
            kind = TemplateMessage
        return _converter.structure({**members, "unique_id": unique_id}, kind)
    except (LookupError, AttributeError, TypeError, ValueError, ForbiddenExtraKeysError) as error:
        raise UsageError(f"the ledger's row cannot be read: {error}", field="payload") from None


def recipients(payload: str) -> tuple[str, ...]:
    """Return the addresses in *payload*: to, cc, then bcc."""
    members = json.loads(payload)
    return tuple(each[0] for name in ("to", "cc", "bcc") for each in members.get(name, ()))
