"""
Who of the recipients of a mail is left out because of the suppression list.

Pure decisions: the entries come from a store, which is asked elsewhere. What cannot be checked is
not sent, because a mail to somebody who has unsubscribed cannot be taken back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, cast

import attrs

from poweremail._messages.envelope import OTHER_RECIPIENTS, names_others
from poweremail._messages.raw import AnyMail, RawMessage
from poweremail._policy.send_body import SendBody
from poweremail._types.address_forms import fold_address
from poweremail._types.event import WebhookEvent
from poweremail._types.message_info import MessageInfo
from poweremail._types.suppression import EVERY_STREAM, Reason, Suppression
from poweremail.errors import SuppressedError, UsageError

_REASONS: Mapping[str | None, Reason] = {
    "hard_bounce": "hard_bounce",
    "spam": "spam",
    "unsubscribe": "unsubscribe",
}
"""The events of the service, and its statuses of mails, after which an address gets no more."""


def suppressing(
    recipients: Iterable[str], stream: str | None, found: Iterable[Suppression]
) -> dict[str, Suppression]:
    """
    Return the *recipients* that must not get a mail of *stream*, each with an entry that says so.

    *found*: the entries of their addresses, on any list.
    """
    entries: dict[str, Suppression] = {}
    for entry in found:
        if entry.applies_to(stream):
            entries.setdefault(entry.address, entry)
    folded = ((each, fold_address(each)) for each in recipients) if entries else ()
    return {each: entries[form] for each, form in folded if form in entries}


def check_others(headers: Iterable[object]) -> None:
    """Raise `UsageError` if one of *headers* may name recipients that nobody has looked up."""
    if names_others(headers):
        raise UsageError(
            f"may not have {' or '.join(map(str.title, OTHER_RECIPIENTS))}: the suppression list "
            "is not asked for their recipients",
            field="headers",
        )


def without(message: AnyMail, suppressed: Mapping[str, Suppression]) -> AnyMail:
    """
    Return *message* without the *suppressed* recipients. Raises `SuppressedError` if none is left.
    """
    _check_anybody_left(message.recipients, suppressed)
    if isinstance(message, RawMessage):
        return cast("AnyMail", message.without(suppressed.keys()))
    kept: dict[str, Any] = {
        field: tuple(each for each in getattr(message, field) if each.email not in suppressed)
        for field in ("to", "cc", "bcc")
    }
    return attrs.evolve(message, **kept)


def without_in_body(read: SendBody, suppressed: Mapping[str, Suppression]) -> Mapping[str, Any]:
    """Do the same for a handwritten body."""
    _check_anybody_left(read.recipients, suppressed)
    if read.raw is not None:
        return read.with_raw(read.raw.without(suppressed.keys()))
    entries = read.body["message"]["to"]
    pairs = zip(read.recipients, entries, strict=True)
    return read.with_members(to=[entry for email, entry in pairs if email not in suppressed])


def _check_anybody_left(recipients: tuple[str, ...], suppressed: Mapping[str, Suppression]) -> None:
    if all(each in suppressed for each in recipients):
        raise SuppressedError(_reasons(suppressed.values()), recipients=recipients)


def _reasons(entries: Collection[Suppression]) -> str:
    # Without the addresses, which must not get into logs.
    reasons = sorted({entry.reason.replace("_", " ") for entry in entries})
    whom = "its recipient is" if len(entries) == 1 else "all of its recipients are"
    return f"{whom} on the suppression list ({', '.join(reasons)})"


def of_event(event: WebhookEvent, unsubscribed: str = EVERY_STREAM) -> Suppression | None:
    """
    Return the entry that *event* asks for; None if it asks for none or does not name the recipient.

    *unsubscribed*: the stream of an event that unsubscribes, since the service knows no streams.

    Raises `UsageError` if the recipient's address is none.
    """
    return _reported(event.event, event.recipient, event.time, event.unique_id, unsubscribed)


def asks_for_entry(event: WebhookEvent) -> bool:
    """Return whether an address is suppressed after *event*."""
    return event.event in _REASONS


def of_message_info(
    info: MessageInfo, unique_id: str, unsubscribed: str = EVERY_STREAM
) -> Suppression | None:
    """
    Return the entry that a record of the mail *unique_id* asks for, None if it asks for none.

    *unsubscribed*: as for `of_event`.
    """
    return _reported(info.status, info.email, info.time, unique_id, unsubscribed)


def _reported(
    what: str | None,
    address: str | None,
    since: datetime | None,
    note: str | None,
    unsubscribed: str,
) -> Suppression | None:
    reason = _REASONS.get(what)
    if reason is None or address is None:
        return None
    stream = unsubscribed if reason == "unsubscribe" else EVERY_STREAM
    entry = Suppression(address, stream, reason=reason)
    try:
        return attrs.evolve(entry, since=since, note=note)
    except UsageError:  # an odd time or id is no reason to send to the address again
        return entry
