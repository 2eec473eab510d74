"""What is told where nobody can listen."""

from __future__ import annotations

import errno

from poweremail.errors import UsageError

__all__ = ["cannot_listen"]


def cannot_listen(error: OSError, host: str, port: int) -> UsageError:
    """Return what to raise where opening a socket on *host* and *port* has raised *error*."""
    taken = "; --port 0 takes a free one" if error.errno == errno.EADDRINUSE else ""
    # What Python adds to the system's words says the address again, as a tuple.
    why = (error.strerror or str(error)).partition(" (while attempting")[0]
    return UsageError(f"cannot listen on {host} port {port}: {why}{taken}", mail_state=None)
