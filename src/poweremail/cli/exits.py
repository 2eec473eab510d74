"""What the exit status of a command says."""

from __future__ import annotations

__all__ = ["FAILED", "INTERRUPTED", "NOT_SENT", "OK", "REJECTED", "UNKNOWN", "USAGE"]

OK = 0
FAILED = 1
USAGE = 2
REJECTED = 3
NOT_SENT = 4
UNKNOWN = 5
INTERRUPTED = 130
