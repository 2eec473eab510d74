"""The items that are added to a batch, and the result of adding them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import attrs

from poweremail._messages.message import Message, TemplateMessage
from poweremail._types import FrozenMapping
from poweremail._types.address import trim
from poweremail._types.checks import body_text
from poweremail.errors import UsageError


@attrs.frozen(kw_only=True)
class Entry:
    """
    A message for a batch, with its origin.

    *key*: identifies the message in its batch. A message whose key is in the batch already is not
    added again. The default is the message's ``unique_id``, and without one its content.
    White space around it does not count. It has at most 2,000 bytes.
    *former*: the key and the stored members by which an earlier release knows the same message, if
    they differ: a message that it has stored is not added again.
    *source*, *line*: where it was read. Adding a source again replaces the rows of it that were
    invalid before.
    """

    message: Message | TemplateMessage
    key: str | None = None
    source: str | None = None
    line: int | None = None
    former: Mapping[str, Any] = attrs.field(factory=FrozenMapping[Any], eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.message, Message | TemplateMessage):
            raise UsageError(
                f"must be a Message or a TemplateMessage, not {type(self.message).__name__}",
                field="message",
            )
        if self.key is None:
            return
        if not isinstance(self.key, str) or not trim(self.key):
            raise UsageError(f"must be a string that is not empty, not {self.key!r}", field="key")
        if "\0" in body_text("key", self.key):
            raise UsageError("has a NUL character, which not every ledger can keep", field="key")
        key = trim(self.key)
        if key != self.key:
            # The way of attrs to set a field of a frozen class while it is made.
            object.__setattr__(self, "former", {"key": self.key, **self.former})
            object.__setattr__(self, "key", key)
        if self.message.unique_id is not None and trim(self.message.unique_id) != key:
            raise UsageError(
                "a message that has a unique_id of its own has it as its key",
                field="key",
                advice="give one of the two",
            )


@attrs.frozen(kw_only=True)
class BadEntry:
    """
    A row of a source that is not a valid message.

    *error*: why.
    *recipient*: the text in the place of the address.
    """

    error: UsageError
    recipient: str | None = None
    source: str | None = None
    line: int | None = None


BatchItem: TypeAlias = "Message | TemplateMessage | Entry | BadEntry"
"""An item that can be added to a batch."""


@attrs.frozen(kw_only=True)
class Added:
    """
    The result of `add`.

    *added*: the number of new messages.
    *known*: the number of messages that were in the batch already, or have the key of another row.
    *invalid*: the number of invalid rows.
    *errors*: line and reason of the first hundred invalid rows.
    *shared*: the number of messages, new or known, whose recipients see each other, because *to*
    and *cc* list several.
    """

    added: int = 0
    known: int = 0
    invalid: int = 0
    errors: tuple[tuple[int | None, str], ...] = ()
    shared: int = 0
