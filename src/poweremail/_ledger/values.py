"""What goes into a ledger and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import attrs

from poweremail._ledger.states import State
from poweremail._messages.message import Message, TemplateMessage
from poweremail._types.checks import body_text
from poweremail._types.result import SendResult
from poweremail.errors import PowerEmailError, UsageError

__all__ = [
    "Added",
    "BadEntry",
    "BatchItem",
    "BatchOutcome",
    "BatchStatus",
    "Entry",
    "Finished",
    "Record",
    "Step",
    "Verdict",
    "Work",
]


@attrs.frozen(kw_only=True)
class Entry:
    """
    A message for a batch, and what is known of where it comes from.

    *key* tells it from the others of the batch: what has a key that is there already is not added
    again. Without one it is the message's own ``unique_id``, and where it has none, its content.
    *source* and *line* say where it was read; what is added from a source takes the place of what
    was invalid in it before.
    """

    message: Message | TemplateMessage
    key: str | None = None
    source: str | None = None
    line: int | None = None

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.message, Message | TemplateMessage):
            raise UsageError(
                f"must be a Message or a TemplateMessage, not {type(self.message).__name__}",
                field="message",
            )
        if self.key is not None and (not isinstance(self.key, str) or not self.key.strip()):
            raise UsageError(f"must be a string that is not empty, not {self.key!r}", field="key")
        if self.key is not None and "\0" in body_text("key", self.key):
            raise UsageError("has a NUL character, which not every ledger can keep", field="key")
        if self.key is not None and self.message.unique_id not in (None, self.key):
            raise UsageError(
                "a message that has a unique_id of its own has it as its key",
                field="key",
                advice="give one of the two",
            )


@attrs.frozen(kw_only=True)
class BadEntry:
    """
    A row of a source that is no message: *error* says why, *recipient* is what stood where an
    address belongs.
    """

    error: UsageError
    recipient: str | None = None
    source: str | None = None
    line: int | None = None


BatchItem: TypeAlias = "Message | TemplateMessage | Entry | BadEntry"
"""What can be added to a batch."""


@attrs.frozen(kw_only=True)
class Added:
    """
    What came of `add`: how many messages were *added*, how many were there already (*known*), and
    how many rows are *invalid*.

    *errors* tells of the first hundred invalid ones: line and reason.
    """

    added: int = 0
    known: int = 0
    invalid: int = 0
    errors: tuple[tuple[int | None, str], ...] = ()


@attrs.frozen(kw_only=True)
class Work:
    """
    A row that a worker holds: to be sent (``state`` is sending) or to be looked up (unknown).

    *fence* is what it must show to write to the row again. *taken* and *unknown_since* are times of
    the ledger's clock; *valid_until* is one of `awake`, after which a request must not be begun.
    """

    id: int
    fence: int
    state: State
    key: str
    unique_id: str
    payload: str
    contents: Mapping[str, bytes] = attrs.field(repr=False)
    attempts: int
    looks: int
    smtp_user_name: str
    source: str | None
    line: int | None
    taken: float
    unknown_since: float
    valid_until: float


@attrs.frozen(kw_only=True)
class Verdict:
    """
    What is to be written about a row.

    *delay* is in how many seconds it is due again; None where it is not. *attempted* counts an
    attempt, *looked* a look-up. *refused* is set where the service answered 429, to how many
    seconds it asked to wait (0.0 where it did not). *pause* is why the whole batch has to stop.
    *bad* counts towards the errors in a row.
    """

    state: State
    error: PowerEmailError | None = None
    delay: float | None = None
    attempted: bool = False
    looked: bool = False
    refused: float | None = None
    pause: str | None = None
    bad: bool = False


@attrs.frozen(kw_only=True)
class Finished:
    """A row and what is to be written about it; *value* is handed back as it is."""

    work: Work
    verdict: Verdict
    value: Any = None


@attrs.frozen(kw_only=True)
class BatchOutcome:
    """
    What became of one message of a batch, as the ledger has it.

    *state* is ``accepted``, ``rejected``, ``not_sent`` or ``unknown``. *result* is what the service
    answered where it took the mail, *error* what went wrong where it did not.
    """

    key: str
    unique_id: str
    recipients: tuple[str, ...]
    state: str
    attempts: int
    smtp_user_name: str
    source: str | None = None
    line: int | None = None
    result: SendResult | None = attrs.field(default=None, repr=False)
    error: PowerEmailError | None = None


@attrs.frozen(kw_only=True)
class Step:
    """
    What a step of a worker brought: of what it wrote, *recorded* is on the disk and *lost* belonged
    to another by then.

    *work* is what it is to do next. *wait* says in how many seconds there may be more; None where
    nothing is left to do, now or later. *paused* is the reason for which the batch is paused,
    *rehearsal* what it rehearsed with when *work* was taken, as the ledger has it.
    """

    recorded: tuple[Finished, ...] = ()
    lost: tuple[Finished, ...] = ()
    work: tuple[Work, ...] = ()
    wait: float | None = 0.0
    paused: str | None = None
    rehearsal: str | None = None


@attrs.frozen(kw_only=True)
class BatchStatus:
    """
    How a batch is doing: how many messages are in each state, how many failed for which kind of
    error, and why it is paused.

    *open_unknown* of the unknown ones are still being looked up. *rehearsal* is None for the real
    thing.
    """

    name: str
    counts: Mapping[str, int]
    errors: Mapping[str, int]
    open_unknown: int
    paused: str | None
    rehearsal: Mapping[str, Any] | None
    added: float

    @property
    def total(self) -> int:
        """How many messages it has, invalid rows aside."""
        return sum(self.counts.values()) - self.counts[State.INVALID]

    @property
    def left(self) -> int:
        """How many of them nothing final can be said about yet."""
        return self.counts[State.PLANNED] + self.counts[State.SENDING] + self.open_unknown

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do, unless by `retry`."""
        return self.left == 0

    @property
    def all_accepted(self) -> bool:
        """Whether the service took every one of them, and no row was invalid."""
        return self.finished and self.counts[State.ACCEPTED] == sum(self.counts.values())


@attrs.frozen(kw_only=True)
class Record:
    """
    One message as the ledger has it; times are seconds since the epoch, by the ledger's clock.
    """

    key: str
    unique_id: str | None
    recipients: tuple[str, ...]
    state: str
    attempts: int
    smtp_user_name: str | None
    error_kind: str | None
    error: str | None
    source: str | None
    line: int | None
    added: float
    taken: float | None
    settled: float | None
