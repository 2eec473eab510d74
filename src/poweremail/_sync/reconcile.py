# Generated from src/poweremail/_async/reconcile.py; do not edit.
"""Looking up a mail whose outcome is unknown."""

from __future__ import annotations

import time
from collections.abc import Callable

import attrs

from poweremail._policy.unknown import UnknownPolicy, folded
from poweremail._response import Response
from poweremail._runtime._sync import sleep
from poweremail._sync.message_infos import MessageInfos
from poweremail._types.result import SendResult
from poweremail._wire.decode import reconciled_result
from poweremail.errors import DeliveryUnknownError, PowerEmailError, UsageError

__all__ = ["look_up"]


def look_up(
    walk: Callable[[str], MessageInfos], unknown: DeliveryUnknownError, policy: UnknownPolicy
) -> SendResult:
    """
    Look for the mail of *unknown* until each of its recipients is shown, or the patience of
    *policy* is over: the index may lag.

    *walk* begins a walk over the records of a unique id. Mails may share it, so one record alone
    proves nothing. Raises `DeliveryUnknownError`, whose ``seen`` says what was shown.
    """
    if unknown.unique_id is None:
        raise UsageError(
            "a mail without one cannot be looked up", field="unique_id", mail_state="unknown"
        ) from unknown
    began = time.monotonic()
    look_ups = 0
    while True:
        asked_after = time.monotonic() - began
        sighting = _look(walk(unknown.unique_id), folded(unknown.recipients))
        look_ups += 1
        if sighting.accepted is not None:
            return reconciled_result(
                unknown.unique_id, unknown.recipients or tuple(sighting.seen), sighting.accepted
            )
        # An answer that is long in coming may be as old as its question: what was asked too early
        # does not end it.
        if asked_after >= policy.patience or not sighting.may_change:
            break
        remaining = policy.patience - (time.monotonic() - began)
        sleep(policy.pause(look_ups, max(remaining, 0.0)))
    raise DeliveryUnknownError(
        f"{unknown.reason}; {sighting.told(policy.patience)}",
        unique_id=unknown.unique_id,
        recipients=unknown.recipients,
        cause=unknown.cause,
        seen=None if sighting.error is not None else bool(sighting.seen),
    ) from unknown


@attrs.frozen
class _Sighting:
    """
    One look: the recipients *seen*, those *missing*, and what it ended in where it did not end
    well.

    *accepted* is the page that showed the last of the recipients (or, where they are not known,
    anything), else None.
    """

    seen: frozenset[str]
    missing: frozenset[str]
    accepted: Response | None
    error: PowerEmailError | None

    @property
    def may_change(self) -> bool:
        """Whether another look may show more."""
        return self.error is None or self.error.temporary

    def told(self, seconds: float) -> str:
        """What to say of a mail that was not found in *seconds*."""
        if self.error is not None:
            return f"and it could not be looked up: {self.error}"
        if self.seen:
            rest = ", ".join(sorted(self.missing))
            return (
                f"within {seconds:g} s getMessageInfo showed it for some of its recipients, "
                "not "
                f"for {rest}"
            )
        return f"getMessageInfo did not show it within {seconds:g} s"


def _look(records: MessageInfos, wanted: frozenset[str]) -> _Sighting:
    seen: frozenset[str] = frozenset()
    accepted: Response | None = None
    error: PowerEmailError | None = None
    try:
        for record in records:
            shown = folded((record.email or "",))
            seen |= shown & wanted if wanted else shown
            if seen and seen >= wanted and records.page is not None:
                accepted = records.page.raw
                break
    except PowerEmailError as failure:
        error = failure
    return _Sighting(seen, wanted - seen, accepted, error)
