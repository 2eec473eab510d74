"""
What a service manager learns of a command that runs for ever: that it is ready, that it lives, and
that it ends.

systemd hears of it by `sd_notify`, whose protocol is a datagram to a socket; Kubernetes looks at a
file.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Self

from poweremail.errors import ConfigurationError


class Service:
    """
    Reports the state of this process, within a block.

    *ready_file*: a file that exists while it is ready, and is touched each time it is `alive`.
    """

    def __init__(self, ready_file: Path | None) -> None:
        self._ready_file = ready_file

    def alive(self, status: str) -> None:
        """It is ready, and not stuck. *status* is what it does, in words."""
        if self._ready_file is not None:
            try:
                self._ready_file.touch()
            except OSError as error:
                raise ConfigurationError(
                    f"cannot write {str(self._ready_file)!r}: {error.strerror}",
                    field="--ready-file",
                ) from None
        _notify(f"READY=1\nWATCHDOG=1\nSTATUS={status}")

    def unwell(self, status: str) -> None:
        """It is not stuck, but something that it needs is missing, as *status* says."""
        self._remove()
        _notify(f"WATCHDOG=1\nSTATUS={status}")

    def __enter__(self) -> Self:
        self._remove()  # of a process that was killed
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()
        _notify("STOPPING=1")

    def _remove(self) -> None:
        if self._ready_file is not None:
            with suppress(OSError):
                self._ready_file.unlink(missing_ok=True)


def _notify(message: str) -> None:
    """Tell systemd, if it wants to know: sd_notify(3)."""
    place = os.environ.get("NOTIFY_SOCKET")
    if not place:
        return
    # A name that begins with @ is in the abstract name space.
    address = f"\0{place[1:]}" if place.startswith("@") else place
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifying:
        notifying.sendto(message.encode(), address)
