"""
The files of a ledger in SQLite, and the disk that they are on.

Two things go wrong with files that a server looks after by itself: somebody deletes or replaces one
that is in use, and the disk is full when the outcome of a mail must be written.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from poweremail.errors import LedgerError

# SQLite's log grows to 1,000 pages of 4 KiB until it is first emptied, and the outcomes of mails in
# work must be written in any case.
_MIN_FREE_BYTES = 6 * 1024 * 1024
_RESERVE_BYTES = 1024 * 1024
_BYTES_PER_MAIL = 32 * 1024

GOES_ON = "put that right, and try again: it goes on from where it is"
"""The advice if the database of a ledger cannot be used."""


class Files:
    """
    The files of the ledger at *path*. None stands for a server: then nothing here does anything.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._reserve = Path(f"{path}-reserve")
        self._opened: dict[str, object] | None = None

    def note_opened(self) -> None:
        """The database is open now, with the files that are there."""
        self._opened = self._identify()

    def note_closed(self) -> None:
        """The database is closed: its files may change."""
        self._opened = None

    def check(self) -> None:
        """
        Raise `LedgerError` if a file of SQLite was deleted or replaced since it was opened: the
        database, its write-ahead log, or the index of that log.

        The open connections would still write to the old files, which no other process sees any
        more: the next run would send every mail again.
        """
        if self._opened is None:
            return
        for place, identity in self._identify().items():
            if identity != self._opened[place]:
                raise LedgerError(
                    f"the file {place!r} was deleted or replaced while it was in use",
                    advice="put it back before any command opens it, together with its -wal and"
                    " -shm files; what was sent is in them",
                )

    def check_room(self, mails: int) -> None:
        """
        Raise `LedgerError` if the disk of an SQLite file has too little room for the outcomes of so
        many *mails*: before they are sent, not after.
        """
        free = self._free_bytes()
        needed = _MIN_FREE_BYTES + _BYTES_PER_MAIL * mails
        if free is not None and free < needed:
            raise LedgerError(
                f"the disk of the ledger is full: {free} bytes are free, and {needed} are needed "
                "before a mail is sent",
                advice="make room and run the batch again: it goes on from where it is",
            )

    def reserve(self, mails: int) -> None:
        """
        Reserve the room for the outcomes of so many *mails*, in a file beside an SQLite file,
        because the disk may fill during a run.

        The file stays for the next run. If there is no room for it, `check_room` reports that.
        """
        if self._path is not None:
            with suppress(OSError), self._reserve.open("wb") as file:
                # Written, not only extended: a hole would take no room.
                file.write(bytes(_RESERVE_BYTES + _BYTES_PER_MAIL * mails))

    def release(self) -> None:
        """Free the reserved room, so that the outcomes of mails in work can be written."""
        if self._path is not None:
            with suppress(OSError):
                self._reserve.unlink()

    def lack(self) -> str | None:
        """Return that the disk is full, in words; None if it is not."""
        free = self._free_bytes()
        is_full = free is not None and free < _MIN_FREE_BYTES
        return f"the disk is full, {free} bytes are free" if is_full else None

    def _identify(self) -> dict[str, object]:
        """
        The identity of each file of SQLite; empty for a server. A file that was emptied is another
        one, except for the log, which may be empty.

        Raises `LedgerError` if a file cannot be reached, so that it may be there or not.
        """
        found: dict[str, object] = {}
        for suffix in () if self._path is None else ("", "-wal", "-shm"):
            place = f"{self._path}{suffix}"
            found[place] = None
            try:
                status = os.stat(place)  # noqa: PTH116  in every step, and a Path takes longer
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise LedgerError(
                    f"the file {place!r} cannot be reached: {error.strerror}", advice=GOES_ON
                ) from None
            found[place] = (status.st_dev, status.st_ino, bool(status.st_size or suffix))
        return found

    def _free_bytes(self) -> int | None:
        """The free bytes on the disk of the file; None for a server, or if they are not known."""
        try:
            return None if self._path is None else shutil.disk_usage(self._path.parent).free
        except OSError:
            return None
