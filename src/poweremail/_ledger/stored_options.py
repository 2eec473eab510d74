"""
The options that all workers of a batch share, and the limits of the SMTP users, which all batches
share, in the ledger.

An option that was never given is not stored, and means its default. The first run that gives one
stores it. From then on it must be given with the same value or not at all, so that no two hosts do
different things to one batch; `change` gives it another value for all of them.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, exists, or_, select, update

from poweremail._ledger import State
from poweremail._ledger.options import (
    RETRY_OPTIONS,
    WINDOWS,
    SharedOptions,
    is_share,
    limits_of,
    windows_of,
)
from poweremail._ledger.place import ledger_flags
from poweremail._ledger.schema import OUTBOX, batches, insert_new, messages, smtp_users
from poweremail._ledger.statements import change_batch
from poweremail._policy.limits import RateLimits
from poweremail._types.checks import require
from poweremail.errors import ConfigurationError

Values = Mapping[str, Any]


def settle(
    connection: Connection, batch: int, given: Values, limits: Mapping[str, RateLimits]
) -> SharedOptions:
    """
    Store what is *given* for *batch*, and the *limits* by SMTP user, unless others are stored.

    Returns the options of the batch. Raises `ConfigurationError` if another value is stored.
    """
    name, kind, stored = _lock_batch(connection, batch)
    flags = ledger_flags(connection)
    for option, value in given.items():
        if stored.get(option, value) != value:
            raise _conflict(name, option, stored[option], value, flags=flags)
    options = _write_batch(connection, batch, kind, stored, {**stored, **given})
    for user in sorted(limits):
        current = _lock_smtp_user(connection, user)
        known = limits_of(current)
        wanted = windows_of(limits[user])
        for window, value in wanted.items():
            if known is not None and getattr(known, window) != value:
                raise _conflict(name, window, getattr(known, window), value, user, flags=flags)
        _write_smtp_user(connection, user, current, {**current, **wanted})
    return options


def are_stored(
    connection: Connection, batch: int, given: Values, limits: Mapping[str, RateLimits]
) -> bool:
    """Return whether all that is *given*, and all *limits*, are stored with the same values."""
    found = select(batches.c.options).where(batches.c.id == batch)
    stored: dict[str, Any] = json.loads(connection.scalar(found) or "{}")
    return given.items() <= stored.items() and read_limits(connection, limits) == dict(limits)


def change(
    connection: Connection, batch: int, changes: Values, limits: Mapping[str, Values]
) -> None:
    """
    Change options of *batch*, and *limits* by SMTP user. None gives an option its default, and
    disables a window.

    Raises `ConfigurationError` if the options do not fit together then.
    """
    _, kind, stored = _lock_batch(connection, batch)
    if "bulk_share" in changes:
        _change_share(connection, kind, changes["bulk_share"])
    merged = {**stored, **changes}
    left = {option: value for option, value in merged.items() if value is not None}
    _write_batch(connection, batch, kind, stored, left)
    for user in sorted(limits):
        current = _lock_smtp_user(connection, user)
        changed: dict[str, Any] = {**dict.fromkeys(WINDOWS), **current, **limits[user]}
        if all(changed[window] is None for window in WINDOWS):
            changed = {key: value for key, value in changed.items() if key not in WINDOWS}
        _write_smtp_user(connection, user, current, changed)


def _change_share(connection: Connection, kind: str | None, share: object) -> None:
    """Check *share*, and let all batches find out anew who may send."""
    if kind != OUTBOX:
        raise ConfigurationError(
            "is an option of an outbox: other batches leave the rest to it", field="bulk_share"
        )
    require("bulk_share", share, "a number above 0 and up to 1", share is None or is_share(share))
    connection.execute(update(smtp_users).values(bulk_free_at=0.0))


def read(connection: Connection, batch: int) -> SharedOptions:
    """Read the options of *batch*."""
    found = select(batches.c.options).where(batches.c.id == batch)
    return SharedOptions.from_json(connection.scalar(found))


def read_limits(
    connection: Connection, names: Iterable[str] | None = None
) -> dict[str, RateLimits]:
    """Read the limits of the SMTP users *names* that have some; of all without *names*."""
    found = select(smtp_users.c.name, smtp_users.c.limits).where(smtp_users.c.limits.is_not(None))
    if names is not None:
        found = found.where(smtp_users.c.name.in_(list(names)))
    read = ((row.name, limits_of(json.loads(row.limits))) for row in connection.execute(found))
    return {name: limits for name, limits in sorted(read) if limits is not None}


def rehearse(
    connection: Connection, batch: int, rehearsal: Values | None, *, keep: bool
) -> Values | None:
    """
    Make *batch* a *rehearsal*, unless it is None, and return what it is then. Without *keep*
    nothing is written.

    Raises `ConfigurationError` if mails were sent already, or the batch is another rehearsal.
    """
    found = select(batches.c.rehearsal).where(batches.c.id == batch)
    stored = connection.scalar(found.with_for_update(key_share=True) if keep else found)
    given = None if rehearsal is None else json.dumps(rehearsal, sort_keys=True)
    if given is None or given == stored:
        return None if stored is None else dict(json.loads(stored))
    row = messages.c
    # A planned row may have been sent before as well: after a 429, or by `retry`.
    was_sent = or_(row.state.not_in([State.PLANNED, State.INVALID]), row.taken.is_not(None))
    reason = None
    if stored is not None:
        reason = "it is another rehearsal already"
    elif connection.scalar(select(exists().where(row.batch == batch, was_sent))):
        reason = "mails of it were sent already"
    if reason is not None:
        raise ConfigurationError(
            f"the batch cannot become this rehearsal: {reason}",
            field="redirect_to",
            advice="make another batch",
        )
    if keep:
        change_batch(connection, batch, rehearsal=given)
    return rehearsal


def _conflict(
    batch: str,
    option: str,
    stored: object,
    given: object,
    smtp_user: str | None = None,
    *,
    flags: Sequence[str],
) -> ConfigurationError:
    """*flags*: those of the command line that name the ledger."""
    is_now, wanted = ("no limit" if value is None else value for value in (stored, given))
    reason = f"is {is_now} in the ledger, for all that run the batch, and {wanted} was given"
    field = f"retry.{option}" if option in RETRY_OPTIONS else option
    name = option.replace("_", "-")
    command = ["poweremail", "batch", "set", batch]
    if smtp_user is not None:
        field, reason = "limits", f"{option} of the SMTP user {smtp_user} {reason}"
        command += ["--smtp-users", smtp_user]
    command += ["--default", name] if given is None else [f"--{name}", f"{given}"]
    command += flags
    return ConfigurationError(
        reason,
        field=field,
        advice=f"leave it out, or change it for all: `{shlex.join(command)}`, in Python "
        "`batch.set_options`",
    )


def _lock_batch(connection: Connection, batch: int) -> tuple[str, str | None, dict[str, Any]]:
    """Lock the row of *batch*, and return its name, its kind and what is stored."""
    # Without the key: mails that are added meanwhile refer to it.
    found = select(batches.c.name, batches.c.kind, batches.c.options).where(batches.c.id == batch)
    row = connection.execute(found.with_for_update(key_share=True)).one()
    return row.name, row.kind, json.loads(row.options or "{}")


def _write_batch(
    connection: Connection, batch: int, kind: str | None, stored: Values, values: Values
) -> SharedOptions:
    options = SharedOptions.from_dict(values)
    if kind == OUTBOX and options.resend_after is not None:
        raise ConfigurationError(
            "a mail of an outbox that is unknown is never sent again",
            field="resend_after",
            advice="leave it out; `poweremail batch retry --unknown` sends it again all the same",
        )
    if values != stored:
        change_batch(connection, batch, options=json.dumps(values, sort_keys=True))
    return options


def _lock_smtp_user(connection: Connection, name: str) -> dict[str, Any]:
    """Lock the row of an SMTP user, which is made if it is missing, and return what is stored."""
    connection.execute(insert_new(connection, smtp_users).values(name=name))
    found = select(smtp_users.c.limits).where(smtp_users.c.name == name)
    values: dict[str, Any] = json.loads(
        connection.scalar(found.with_for_update(key_share=True)) or "{}"
    )
    return values


def _write_smtp_user(connection: Connection, name: str, stored: Values, values: Values) -> None:
    limits_of(values)
    if values != stored:
        written = json.dumps(values, sort_keys=True) if values else None
        connection.execute(
            update(smtp_users)
            .where(smtp_users.c.name == name)
            # What was found out within the former limits is not known any more.
            .values(limits=written, free_at=0.0, bulk_free_at=0.0)
        )
