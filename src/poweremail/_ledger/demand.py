"""
How many runners a batch can use now, for autoscalers.

The formula: the mails that can be worked on in the next seconds are those in work, those to be
looked up, and of those that are due to be sent as many as the limits of the SMTP users allow in
that time. A runner works on *concurrency* mails at once, each of which takes some seconds. So many
runners as it takes to do all of them in that time are worth having, and no more than the batch may
have.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Literal

import attrs
from sqlalchemy import Connection, and_, case, func, select

from poweremail._ledger import State, stored_options
from poweremail._ledger.database import Database
from poweremail._ledger.forecast import BudgetUsed, least_seconds, read_used
from poweremail._ledger.schema import batches, messages, smtp_users
from poweremail._ledger.statements import is_open
from poweremail._policy.limits import RateLimits

_DAY_SECONDS = 86_400.0
_MAILS_MEASURED = 100
_SECONDS_PER_MAIL = 0.5
"""The time of a mail, until one was measured."""

_row = messages.c


@attrs.frozen(kw_only=True)
class Demand:
    """
    How many runners a batch can use now.

    *runners*: their number, 0 if nothing can be done.
    *bound_by*: what keeps it from being larger: ``paused``; ``due``, if so many do all that is due;
    ``limits``, those of the SMTP users; or ``runners``, the most that the batch may have.
    *reason*: the same in words, with figures.
    *due*: the number of mails to be sent or looked up now, and of those in work.
    *left*: the number of mails whose outcome is not final yet.
    *seconds_per_mail*: the time of a mail, as measured, or as given.
    *per_day*: the number of mails that the limits of the SMTP users allow in a day; None without
    limits.
    """

    runners: int
    bound_by: Literal["paused", "due", "limits", "runners"]
    reason: str
    due: int
    left: int
    seconds_per_mail: float
    per_day: int | None


def read_demand(
    database: Database,
    batch: int,
    smtp_user_names: Sequence[str],
    limits: Mapping[str, RateLimits | None],
    *,
    concurrency: int,
    within: float,
    seconds_per_mail: float | None,
) -> Demand:
    """As `Batch.demand` describes it."""
    with database.reading() as connection:
        now = database.now(connection)
        of_batch = connection.execute(select(batches).where(batches.c.id == batch)).one()
        names = smtp_user_names or connection.scalars(select(smtp_users.c.name)).all()
        limits = {**limits, **stored_options.read_limits(connection, names)}
        waiting = select(smtp_users.c.name).where(smtp_users.c.refused_until > now + within)
        refused = set(connection.scalars(waiting))
        used = [
            read_used(connection, name, limits.get(name)) for name in names if name not in refused
        ]
        planned, begun, left = _counts(connection, batch, now)
        if seconds_per_mail is None:
            seconds_per_mail = _measure(connection, batch)
    # No SMTP user has sent yet, so there is no limit to consider.
    allowed = _allowed(planned, within, used) if names else planned
    per_day = _per_day([limits.get(name) for name in names])
    wanted = math.ceil((begun + allowed) * seconds_per_mail / (concurrency * within))
    runners = wanted if of_batch.runners is None else min(wanted, of_batch.runners)
    bound_by: Literal["paused", "due", "limits", "runners"] = "due"
    reason = f"{planned + begun:,} mails are due"
    if of_batch.pause_reason is not None:
        runners, bound_by = 0, "paused"
        reason = f"the batch is paused: {of_batch.pause_reason}"
    elif runners < wanted:
        bound_by = "runners"
        reason = f"the batch may have {runners:,} runners, and could use {wanted:,}"
    elif allowed < planned:
        bound_by = "limits"
        reason = _about_limits(allowed, planned, within, left, per_day, len(names))
    return Demand(
        runners=runners,
        bound_by=bound_by,
        reason=reason,
        due=planned + begun,
        left=left,
        seconds_per_mail=seconds_per_mail,
        per_day=per_day,
    )


def _counts(connection: Connection, batch: int, now: float) -> tuple[int, int, int]:
    """
    The numbers of mails that are due to be sent, that are to be looked up now or in work, and that
    are left.
    """
    is_planned = _row.state == State.PLANNED
    is_due = _row.due <= now
    is_begun = _row.lease_owner.is_not(None) | and_(_row.state == State.UNKNOWN, is_due)

    def count(condition: Any) -> Any:
        return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)

    is_left = _row.state.in_([State.PLANNED, State.SENDING, State.UNKNOWN])
    planned, begun, left = connection.execute(
        select(count(is_planned & is_due), count(is_begun), func.count()).where(
            _row.batch == batch, is_left, is_planned | (_row.state == State.SENDING) | is_open()
        )
    ).one()
    return planned, begun, left


def _measure(connection: Connection, batch: int) -> float:
    """The median time from taking to accepting a mail, of those that were added last."""
    accepted = (_row.batch == batch, _row.state == State.ACCEPTED, _row.due.is_(None))
    latest = select(_row.settled - _row.taken).where(*accepted, _row.taken.is_not(None))
    times = connection.scalars(latest.order_by(_row.id.desc()).limit(_MAILS_MEASURED)).all()
    return max(0.001, median(times)) if times else _SECONDS_PER_MAIL


def _allowed(mails: int, within: float, used: Sequence[BudgetUsed]) -> int:
    """How many of *mails* can begin *within* so many seconds."""
    if not used:
        return 0
    return bisect_right(range(1, mails + 1), within, key=lambda n: least_seconds(n, used))


def _per_day(limits: Sequence[RateLimits | None]) -> int | None:
    windows = [() if each is None else each.windows for each in limits]
    if not windows or not all(windows):
        return None
    rates = (min(each.limit / each.seconds for each in of_user) for of_user in windows)
    return int(sum(rates) * _DAY_SECONDS)


def _about_limits(
    allowed: int, due: int, within: float, left: int, per_day: int | None, users: int
) -> str:
    reason = (
        f"{due:,} mails are due to be sent, and the limits of the SMTP users allow {allowed:,} of "
        f"them in {within:g} seconds"
    )
    if per_day is None:
        return reason
    reason += f"; they allow {per_day:,} in a day"
    if left > per_day:
        needed = math.ceil(left * users / per_day)
        reason += f", and the {left:,} that are left need {needed:,} SMTP users, or other limits"
    return reason
