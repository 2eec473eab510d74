"""
Batches and an outbox that are sent by the workers of a task queue: Celery, taskiq, procrastinate,
or another one by a subclass of `Mail` or `AsyncMail`.

The mails are in the ledger, and the queue carries only the permission to work on them: a broker may
lose, double or delay what it carries. The public names are loaded on first use. Each engine has an
extra of its name, such as ``poweremail[celery]``.
"""

# The work of all engines is in `_async`, and `_sync` is generated from it. A module for one engine
# holds only what is peculiar to it.

from __future__ import annotations

from typing import TYPE_CHECKING

from poweremail._lazy import lazily

if TYPE_CHECKING:
    from poweremail._ledger.values import Kick, LaneStatus, Worked
    from poweremail.engines._async import AsyncMail
    from poweremail.engines._sync import Mail
    from poweremail.engines.celery import CeleryMail
    from poweremail.engines.procrastinate import ProcrastinateMail
    from poweremail.engines.taskiq import TaskiqMail

_HOMES = {
    "_ledger.values": ("Kick", "LaneStatus", "Worked"),
    "engines._async": ("AsyncMail",),
    "engines._sync": ("Mail",),
    "engines.celery": ("CeleryMail",),
    "engines.procrastinate": ("ProcrastinateMail",),
    "engines.taskiq": ("TaskiqMail",),
}

__all__ = [
    "AsyncMail",
    "CeleryMail",
    "Kick",
    "LaneStatus",
    "Mail",
    "ProcrastinateMail",
    "TaskiqMail",
    "Worked",
]

if not TYPE_CHECKING:  # a type checker knows the names above, and no others
    __getattr__, __dir__ = lazily(__name__, _HOMES)
