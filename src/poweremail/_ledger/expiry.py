"""Ends the mails of an outbox that were not sent before they expired."""

from __future__ import annotations

from sqlalchemy import (
    BindParameter,
    Connection,
    and_,
    bindparam,
    func,
    literal,
    select,
    update,
)

from poweremail._ledger import State
from poweremail._ledger.payload import recipients
from poweremail._ledger.schema import messages, payloads
from poweremail._ledger.statements import is_in
from poweremail._ledger.values import BatchOutcome
from poweremail.errors import NotSentError

_row = messages.c
_planned = and_(_row.batch == bindparam("of"), is_in(State.PLANNED), _row.expires.is_not(None))
_now: BindParameter[float] = bindparam("now")
_REASON = "it expired before it was sent"

_EXPIRED = (
    select(_row.id)
    .where(_planned, _row.expires <= _now)
    .with_for_update(skip_locked=True, of=messages)
)

_END = (
    update(messages)
    .where(_row.id.in_(_EXPIRED))
    .values(
        state=State.NOT_SENT.value,
        due=None,
        fence=_row.fence + 1,
        settled=_now,
        unreported=bindparam("reported_at"),
        error_kind="Expired",
        # The reason of the last attempt explains why it was not sent in time.
        error=literal(_REASON) + func.coalesce(": " + _row.error, ""),
    )
    .returning(_row.id)
)

_ENDED = (
    select(
        *(_row.id, _row.key, _row.unique_id, _row.attempts, _row.smtp_user_name),
        *(_row.source, _row.line, _row.error, payloads.c.payload),
    )
    .join_from(messages, payloads)
    .where(_row.id.in_(bindparam("rows", expanding=True)))
    .order_by(_row.id)
)

_FIRST = select(func.min(_row.expires)).where(_planned)


def end_expired(
    connection: Connection, batch: int, now: float, *, reported: bool
) -> list[tuple[int, BatchOutcome]]:
    """
    End the planned rows of *batch* that expired before *now*, and return their ids and outcomes.

    *reported*: whether a hook is to be called for them.
    """
    values = {"of": batch, "now": now, "reported_at": now if reported else None}
    rows = connection.scalars(_END, values).all()
    if not rows:
        return []
    return [
        (
            row.id,
            BatchOutcome(
                key=row.key,
                unique_id=row.unique_id,
                recipients=recipients(row.payload),
                state=State.NOT_SENT.value,
                attempts=row.attempts,
                smtp_user_name=row.smtp_user_name or "",
                source=row.source,
                line=row.line,
                error=NotSentError(row.error, temporary=False),
            ),
        )
        for row in connection.execute(_ENDED, {"rows": rows})
    ]


def first_expiry(connection: Connection, batch: int) -> float | None:
    """When the first planned row of *batch* expires; None if none does."""
    first: float | None = connection.scalar(_FIRST, {"of": batch})
    return first
