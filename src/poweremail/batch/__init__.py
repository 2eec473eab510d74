"""
Durable batches: a named set of messages in a ledger on disk, each of which is sent once, even if
the processes that send them are killed.

The public names are loaded on first use. A ledger needs the extra ``poweremail[batch]``.
"""

# The inside. `_sources` reads files: `_files` has their formats, and `_rows` makes a message of a
# row. `_options`, `_slice` and `_report` belong to the batch itself, which is `_async.durable` over
# the ledger in `_ledger`. A new format of files goes into `_files`, a new option into `_options`.

from __future__ import annotations

from typing import TYPE_CHECKING

from poweremail._lazy import lazily

if TYPE_CHECKING:
    from poweremail._async.durable.batch import AsyncBatch
    from poweremail._async.durable.outbox import AsyncOutbox
    from poweremail._async.durable.report import AsyncBatchReport
    from poweremail._async.durable.run import AsyncBatchRun
    from poweremail._ledger.demand import Demand
    from poweremail._ledger.entries import Added, BadEntry, Entry
    from poweremail._ledger.housekeeping import Purged
    from poweremail._ledger.ledger import Ledger
    from poweremail._ledger.schema import metadata
    from poweremail._ledger.values import (
        BatchOutcome,
        BatchStatus,
        Kick,
        LaneStatus,
        Record,
        Worked,
    )
    from poweremail._sync.durable.batch import Batch
    from poweremail._sync.durable.outbox import Outbox
    from poweremail._sync.durable.report import BatchReport
    from poweremail._sync.durable.run import BatchRun
    from poweremail.batch._sources import read_csv, read_json_lines
    from poweremail.errors import LedgerError

_HOMES = {
    "_async.durable.batch": ("AsyncBatch",),
    "_async.durable.outbox": ("AsyncOutbox",),
    "_async.durable.report": ("AsyncBatchReport",),
    "_async.durable.run": ("AsyncBatchRun",),
    "_sync.durable.batch": ("Batch",),
    "_sync.durable.outbox": ("Outbox",),
    "_sync.durable.report": ("BatchReport",),
    "_sync.durable.run": ("BatchRun",),
    "_ledger.demand": ("Demand",),
    "_ledger.entries": ("Added", "BadEntry", "Entry"),
    "_ledger.housekeeping": ("Purged",),
    "_ledger.ledger": ("Ledger",),
    "_ledger.schema": ("metadata",),
    "_ledger.values": ("BatchOutcome", "BatchStatus", "Kick", "LaneStatus", "Record", "Worked"),
    "batch._sources": ("read_csv", "read_json_lines"),
    "errors": ("LedgerError",),
}

__all__ = [
    "Added",
    "AsyncBatch",
    "AsyncBatchReport",
    "AsyncBatchRun",
    "AsyncOutbox",
    "BadEntry",
    "Batch",
    "BatchOutcome",
    "BatchReport",
    "BatchRun",
    "BatchStatus",
    "Demand",
    "Entry",
    "Kick",
    "LaneStatus",
    "Ledger",
    "LedgerError",
    "Outbox",
    "Purged",
    "Record",
    "Worked",
    "metadata",
    "read_csv",
    "read_json_lines",
]

if not TYPE_CHECKING:  # a type checker knows the names above, and no others
    __getattr__, __dir__ = lazily(__name__, _HOMES)
