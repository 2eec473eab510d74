"""
The statements that every step of a worker needs, made once: making them costs more than carrying
them out.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Executable, and_, bindparam, select, update

from poweremail._ledger.schema import messages
from poweremail._ledger.states import SETTLED, State
from poweremail._ledger.values import Finished
from poweremail.errors import PowerEmailError

__all__ = ["PLANNED", "TAKE", "UNKNOWN", "WRITE", "written"]

_LONGEST_ERROR = 500

_row = messages.c


def _due(state: State, *conditions: ColumnElement[bool]) -> Executable:
    """
    The question for the next rows in *state*. What another worker is just taking is passed over,
    not waited for.
    """
    columns = (
        *(
            _row.id,
            _row.fence,
            _row.key,
            _row.unique_id,
            _row.payload,
            _row.files,
            _row.attempts,
            _row.looks,
        ),
        *(_row.smtp_user_name, _row.source, _row.line, _row.unknown_since),
    )
    wanted = and_(
        _row.batch == bindparam("of"),
        _row.state == state.value,
        _row.due <= bindparam("now"),
        *conditions,
    )
    found = select(*columns).where(wanted).order_by(_row.due, _row.id).limit(bindparam("room"))
    return found.with_for_update(skip_locked=True)


PLANNED = _due(State.PLANNED)
"""Finds rows to send: at most *room* of batch *of*, at the time *now*."""

UNKNOWN = _due(State.UNKNOWN, _row.lease_owner.is_(None))
"""Finds rows to look up, as `PLANNED` does those to send."""

TAKE = (
    update(messages)
    .where(_row.id == bindparam("row"))
    .values(
        state=State.SENDING.value,
        taken=bindparam("at"),
        due=None,
        fence=_row.fence + 1,
        lease_owner=bindparam("owner"),
        lease_until=bindparam("until"),
        smtp_user_name=bindparam("name"),
    )
)
"""Gives *row* to *owner* until the time *until*, to be sent as the SMTP user *name*."""

WRITE = (
    update(messages)
    .where(_row.id == bindparam("row"), _row.fence == bindparam("held"))
    .values(
        state=bindparam("to_state"),
        due=bindparam("to_due"),
        attempts=_row.attempts + bindparam("attempted"),
        looks=bindparam("to_looks"),
        fence=_row.fence + 1,
        lease_owner=None,
        lease_until=None,
        error_kind=bindparam("kind"),
        error=bindparam("words"),
        unknown_since=bindparam("since"),
        settled=bindparam("at"),
    )
)
"""Writes down what `written` says of a row, unless another worker has it by now."""


def written(each: Finished, now: float) -> dict[str, Any]:
    """What `WRITE` needs to know of *each* row."""
    verdict, work = each.verdict, each.work
    became_unknown = work.unknown_since if work.state is State.UNKNOWN else now
    settled = verdict.state in SETTLED or (verdict.state is State.UNKNOWN and verdict.delay is None)
    return {
        "row": work.id,
        "held": work.fence,
        "to_state": verdict.state.value,
        "to_due": None if verdict.delay is None else now + verdict.delay,
        "attempted": int(verdict.attempted),
        "to_looks": work.looks + 1 if verdict.looked else 0,
        "kind": None if verdict.error is None else type(verdict.error).__name__,
        "words": None if verdict.error is None else _words_of(verdict.error),
        "since": became_unknown if verdict.state is State.UNKNOWN else None,
        "at": now if settled else None,
    }


def _words_of(error: PowerEmailError) -> str:
    """The text of *error*, as long as a ledger or an outcome needs it."""
    text = error.explanation
    return text if len(text) <= _LONGEST_ERROR else f"{text[: _LONGEST_ERROR - 1]}…"
