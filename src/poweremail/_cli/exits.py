"""
The exit statuses of ``poweremail``.

Each state of a mail has a status of its own, so that a script knows whether it may send the mail
again: after *NOT_SENT* that is safe, after *UNKNOWN* it is not.
"""

from __future__ import annotations

from typing import Final

OK: Final = 0
"""Done; a mail was accepted."""

FAILED: Final = 1
"""Something else failed, such as a check of ``poweremail doctor``."""

USAGE: Final = 2
"""
An option is invalid or a setting is missing; nothing was sent. It is typer's own status for an
invalid option.
"""

REJECTED: Final = 3
"""The service rejected the mail or the call."""

NOT_SENT: Final = 4
"""The mail or the call provably never reached the service whole; sending it again is safe."""

UNKNOWN: Final = 5
"""The service may have accepted the mail, and no trustworthy response came."""

UNFINISHED: Final = 6
"""
A batch was paused or stopped, or its ledger failed. Run it again to go on.
"""

SOME_FAILED: Final = 7
"""
A batch is finished and some of its mails were not accepted, or it was filled and some rows are no
mails. Its report has them.
"""

INTERRUPTED: Final = 130
"""Ctrl-C ended the command; shells use the same number."""
