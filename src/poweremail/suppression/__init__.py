"""
Addresses that must not get mail: hard bounces, complaints, unsubscribes.

``PowerEmail(..., suppression=store)`` asks the store before each mail. `Suppressions` fills it from
the service's reports, and `import_csv` from a file. Each name is loaded when it is first used.
"""

# The inside. `_file` has the store in a file, `_ledger.suppressions` the one in a ledger, and
# `_importing` reads the lists of other services. Who is left out of a mail is decided in
# `_policy.suppression`.

from __future__ import annotations

from typing import TYPE_CHECKING

from poweremail._lazy import lazily

if TYPE_CHECKING:
    from poweremail._async.suppressions import AsyncSuppressions
    from poweremail._ledger.suppressions import LedgerSuppressionStore
    from poweremail._sync.suppressions import Suppressions
    from poweremail._types.suppression import (
        EVERY_STREAM,
        REASONS,
        AsyncSuppressionStore,
        Reason,
        Suppression,
        SuppressionStore,
    )
    from poweremail.errors import SuppressedError, SuppressionStoreError
    from poweremail.suppression._file import SqliteSuppressionStore, open_store
    from poweremail.suppression._importing import BadRow, Imported, import_csv

_HOMES = {
    "_async.suppressions": ("AsyncSuppressions",),
    "_ledger.suppressions": ("LedgerSuppressionStore",),
    "_sync.suppressions": ("Suppressions",),
    "_types.suppression": (
        "EVERY_STREAM",
        "REASONS",
        "AsyncSuppressionStore",
        "Reason",
        "Suppression",
        "SuppressionStore",
    ),
    "errors": ("SuppressedError", "SuppressionStoreError"),
    "suppression._file": ("SqliteSuppressionStore", "open_store"),
    "suppression._importing": ("BadRow", "Imported", "import_csv"),
}

__all__ = [
    "EVERY_STREAM",
    "REASONS",
    "AsyncSuppressionStore",
    "AsyncSuppressions",
    "BadRow",
    "Imported",
    "LedgerSuppressionStore",
    "Reason",
    "SqliteSuppressionStore",
    "SuppressedError",
    "Suppression",
    "SuppressionStore",
    "SuppressionStoreError",
    "Suppressions",
    "import_csv",
    "open_store",
]

if not TYPE_CHECKING:  # a type checker knows the names above, and no others
    __getattr__, __dir__ = lazily(__name__, _HOMES)
