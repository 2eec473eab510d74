"""
From the row of a file to a message.

A column or member with the name of a message's field is that field. Of the others, ``email`` and
``name`` are the recipient, ``key`` is the key, and the rest are the template's dynamic values. An
invalid row becomes a `BadEntry`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from poweremail._ledger.entries import BadEntry, Entry
from poweremail._ledger.former import former_members
from poweremail._messages.envelope import OPTION_HEADERS, Tracking
from poweremail._messages.message import Message, TemplateMessage
from poweremail._types.address import recipient, recipients, trim
from poweremail._types.attachment import Attachment
from poweremail._wire.readers import yes_no
from poweremail.errors import ConfigurationError, UsageError

_MEMBERS: dict[type, set[str]] = {
    kind: {field.name for field in attrs.fields(kind)}
    for kind in (Message, TemplateMessage, Tracking)
}
_FIELDS = _MEMBERS[Message] | _MEMBERS[TemplateMessage]
# The last two are common to all rows: in a row they may be dynamic values of a template.
JSON_FIELDS = _FIELDS - {"images", "stream", "unsubscribe"}
BODIES = {"html", "text"}
CSV_FIELDS = {
    *("subject", "from_email", "template_id", "unique_id"),
    *("to", "cc", "bcc", "reply_to"),
    *OPTION_HEADERS,
    *BODIES,
}
_OTHER_CASE = {"CC", "Cc", "BCC", "Bcc"}
"""Other spellings of fields. Taken for dynamic values, they would cost recipients."""


def _absolute(path: str | os.PathLike[str]) -> str:
    """The absolute path: a relative one names another file in another working directory."""
    try:
        return str(Path(path).resolve())
    except FileNotFoundError:
        raise ConfigurationError(
            "is a relative path, and the working directory was deleted", field="path"
        ) from None


@attrs.frozen
class RowReader:
    """
    Makes a message of each row of the file *source*.

    *common*: the fields that all messages share.
    *fields*: the columns that are fields of a message.
    *email*, *name*, *key*, *fold_case*: as in `read_csv`.
    """

    source: str = attrs.field(converter=_absolute)
    common: Mapping[str, Any]
    fields: set[str]
    email: str
    name: str
    key: str
    fold_case: bool
    used: set[str] = attrs.field(
        init=False,
        default=attrs.Factory(lambda self: {*self.fields, self.email, self.key}, takes_self=True),
    )
    """The columns that are no dynamic values."""

    def __attrs_post_init__(self) -> None:
        """Check what all messages share: an error in it would be in each of them."""
        if unknown := self.common.keys() - _FIELDS:
            raise ConfigurationError(f"no mail has {' or '.join(sorted(unknown))}", field="fields")
        if "from_email" in self.common:
            recipient("from_email", self.common["from_email"])
        if self.common.get("reply_to"):
            recipients("reply_to", self.common["reply_to"])

    def bad_entry(self, error: UsageError, line: int, address: Any = None) -> BadEntry:
        """Return the place of an invalid row, whose address is *address*."""
        return BadEntry(
            error=error,
            recipient=None if address is None else str(address),
            source=self.source,
            line=line,
        )

    def entry(self, row: Mapping[str, Any], line: int) -> Entry | BadEntry:
        """Return the message of *row*, which stands in *line*."""
        try:
            return self._entry(row, line)
        except UsageError as error:
            return self.bad_entry(error, line, row.get(self.email, row.get("to")))

    def _entry(self, row: Mapping[str, Any], line: int) -> Entry:
        # The column of the addresses may be the key as well.
        addresses = self.email if self.email in row else "to"
        fields = self.fields - ({self.key} - {addresses})
        given = {**self.common, **{name: row[name] for name in row if name in fields}}
        rest = {name: row[name] for name in row if name not in self.used}
        members = dict(given)
        for other in _OTHER_CASE & rest.keys():
            if "@" in str(rest[other]):
                reason = f"has addresses in {other!r}, which is no field"
                raise UsageError(reason, field="row", advice=f"call it {other.lower()!r}")
        if self.email in row:
            if self.email != "to" and row.get("to", row[self.email]) != row[self.email]:
                raise UsageError(
                    f"has recipients in {self.email!r} and in 'to'",
                    field="row",
                    advice="leave one empty, or name the column of the addresses",
                )
            address, name = row[self.email], row.get(self.name)
            given["to"] = [(name, address) if name else address]
            members["to"] = _to(address, name)
        message = _message(members, rest)
        key = row.get(self.key)
        former = former_members(given, message) if key is None else {"key": str(key)}
        return Entry(
            message=message,
            key=self._key(key, message, is_address=self.key == addresses),
            source=self.source,
            line=line,
            former=former,
        )

    def _key(
        self, value: Any, message: Message | TemplateMessage, *, is_address: bool
    ) -> str | None:
        if value is None:
            return None
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"must be finite, not {value}", field="key")
        texts = [each.email for each in message.to] if is_address else [str(value)]
        return ",".join(sorted({text.casefold() if self.fold_case else text for text in texts}))


def _to(address: Any, name: Any) -> Any:
    """
    The recipients of a row: the mailboxes that *address* lists. A single one gets *name*, which
    belongs to none of several.
    """
    if not name:
        return [address]
    found = recipients("to", [address])
    # In a cell of a spreadsheet, a line end around the name is white space.
    shown = trim(name) if isinstance(name, str) else name
    return [(shown, found[0].email)] if len(found) == 1 else found


def _message(members: dict[str, Any], rest: Mapping[str, Any]) -> Message | TemplateMessage:
    for field in ("to", "subject", "from_email"):
        if field not in members:
            raise UsageError("is missing", field=field)
    for field in ("auto_text", "auto_html"):
        if isinstance(value := members.get(field), str):
            switch = yes_no(value)
            members[field] = value if switch is None else switch
    if isinstance(members.get("tracking"), dict):
        _check_members("tracking", members["tracking"], Tracking, "it")
        members["tracking"] = Tracking(**members["tracking"])
    if "attachments" in members:
        members["attachments"] = _attachments(members["attachments"])
    if "template_id" in members:
        advice = "leave template_id out, or what stands beside it"
        _check_members("row", members, TemplateMessage, "a mail with a template", advice)
        dynamic = members.get("dynamic_value", {})
        if not isinstance(dynamic, Mapping):
            raise UsageError(
                f"must be an object, not {type(dynamic).__name__}", field="dynamic_value"
            )
        members["dynamic_value"] = {**rest, **dynamic}
        return TemplateMessage(**members)
    advice = "give template_id, or leave them out"
    _check_members("row", members, Message, "a mail without a template", advice)
    if unused := {name for name, value in rest.items() if value != ""} - {"name"}:
        reason = f"{', '.join(sorted(unused))}: only a template has dynamic values"
        raise UsageError(reason, field="row", advice=advice)
    return Message(**members)


def _check_members(
    field: str, members: Mapping[str, Any], kind: type, name: str, advice: str | None = None
) -> None:
    if unknown := members.keys() - _MEMBERS[kind]:
        raise UsageError(
            f"{name} has no {' and no '.join(sorted(unknown))}", field=field, advice=advice
        )


def _attachments(values: Any) -> list[Attachment]:
    if isinstance(values, Attachment):
        return [values]
    if not isinstance(values, list | tuple):
        raise UsageError(f"must be a list, not {type(values).__name__}", field="attachments")
    return [_attachment(value) for value in values]


def _attachment(value: Any) -> Attachment:
    if isinstance(value, Attachment):
        return value
    if isinstance(value, dict):
        options = {name: value.get(name) for name in ("name", "type")}
        if value.keys() <= {"path", "name", "type"} and isinstance(
            value.get("path"), str | os.PathLike
        ):
            return Attachment.from_path(value["path"], **options)
        if value.keys() <= {"content", "name", "type"} and {"content", "name"} <= value.keys():
            return Attachment.from_base64(value["content"], value["name"], type=options["type"])
    raise UsageError(
        "must have a path, or name and content, and nothing unknown", field="attachments"
    )
