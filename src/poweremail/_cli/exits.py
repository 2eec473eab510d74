"""
How a command of ``poweremail`` ends.

A script that sends must tell a mail that may be sent again from one that may not, so each state of
a mail has a status of its own: after *NOT_SENT* it is safe to send again, after *UNKNOWN* it is
not.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "FAILED",
    "INTERRUPTED",
    "NOT_SENT",
    "OK",
    "REJECTED",
    "SOME_FAILED",
    "UNFINISHED",
    "UNKNOWN",
    "USAGE",
]

OK: Final = 0
"""Done; a mail was accepted."""

FAILED: Final = 1
"""Something else failed, such as a check of ``poweremail doctor``."""

USAGE: Final = 2
"""
The command was not meant so, or a setting is missing; nothing was sent. typer's own status for a
wrong option.
"""

REJECTED: Final = 3
"""The service refused the mail or the call."""

NOT_SENT: Final = 4
"""The mail or the call provably never reached the service whole; sending it again is safe."""

UNKNOWN: Final = 5
"""The service may have taken the mail and no trustworthy answer came."""

UNFINISHED: Final = 6
"""
A batch was paused or stopped, or its ledger failed: run it again, and it goes on from where it is.
"""

SOME_FAILED: Final = 7
"""
A batch is finished, and not every mail of it was accepted; or it was filled, and not every row is a
mail. Its report tells which.
"""

INTERRUPTED: Final = 130
"""Ended by Ctrl-C, as shells say it."""
