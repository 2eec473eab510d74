"""
A line in the terminal for each mail that the sandbox catches.

A thread follows the mails and prints, so that no catch waits for the terminal. A terminal may stand
still, and a pipe may have no reader who keeps up: then the lines are late, or left out, and the
sandbox goes on.
"""

from __future__ import annotations

import os
import select
import sqlite3
import sys
import threading
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from poweremail._cli.output import Output, OutputError, plain

if TYPE_CHECKING:
    from poweremail.sandbox import Sandbox

_POLL_SECONDS = 0.1
_END_SECONDS = 2.0
_PAGE = 100
_MAX_BEHIND = 5_000
"""Of more mails that came since the last look, the oldest get no line."""

_MAX_SUBJECT_CHARS = 80
_MAX_LINE_CHARS = 400
"""A pipe that is ready takes a short line without waiting."""


class CaughtLines:
    """A context manager that prints a line to *out* for each mail that *sandbox* catches in it."""

    def __init__(self, out: Output, sandbox: Sandbox) -> None:
        self._out = out
        self._mails = sandbox.service.mails
        self._changes = sandbox.service.store.changes
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="poweremail-caught", daemon=True)
        self._last = self._newest()
        self._seen = self._changes.last

    def __enter__(self) -> Self:
        if not self._out.quiet:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_END_SECONDS)

    def _newest(self) -> int:
        from poweremail.sandbox._store.filter import MailFilter  # noqa: PLC0415  it loads the store

        return self._mails.first(MailFilter()) or 0

    def _run(self) -> None:
        try:
            stopping = False
            while not stopping:
                stopping = self._stop.wait(_POLL_SECONDS)
                # Another process may hold the file for long: then it is tried again.
                with suppress(sqlite3.OperationalError):
                    if self._changes.last != self._seen:
                        self._follow()
        except OutputError:
            return  # nobody reads; the sandbox goes on

    def _follow(self) -> None:
        from poweremail.sandbox._store.filter import MailFilter  # noqa: PLC0415

        seen, newest = self._changes.last, self._newest()
        # No number is used twice, not even after a reset.
        self._last = max(self._last, newest - _MAX_BEHIND)
        while found := self._mails.page(MailFilter(after=self._last), _PAGE, oldest_first=True):
            for mail in found:
                if not self._can_print():
                    return
                self._last = mail["number"]
                if self._out.as_json:
                    self._out.json(mail)
                else:
                    self._out.data(_line(mail))
        self._seen = seen

    def _can_print(self) -> bool:
        """Wait until standard output takes a line; return False if the sandbox ends first."""
        try:
            stream = sys.stdout.fileno()
        except (AttributeError, OSError):
            return True  # it is closed, or no file
        while os.name != "nt":
            if select.select([], [stream], [], _POLL_SECONDS)[1]:
                return True
            if self._stop.is_set():
                return False
        return True


def _line(mail: dict[str, Any]) -> str:
    more = mail["recipient_count"] - 1
    to = plain(mail["recipients"][0]["email"]) + (f" and {more} more" if more else "")
    subject = plain(mail["subject"])
    if len(subject) > _MAX_SUBJECT_CHARS:
        subject = f"{subject[:_MAX_SUBJECT_CHARS]}..."
    at = datetime.fromisoformat(mail["received"]).astimezone().strftime("%H:%M:%S")
    line = f"{at}  #{mail['number']}  {plain(mail['from_email'])} to {to}: {subject}"
    return line[:_MAX_LINE_CHARS]
