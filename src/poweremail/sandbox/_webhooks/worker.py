"""A thread beside the server that lets due events happen and posts them to the webhooks."""

from __future__ import annotations

import logging
import sqlite3
import threading

from poweremail.sandbox._webhooks.delivering import Courier

__all__ = ["Worker"]

_logger = logging.getLogger("poweremail.sandbox")

_LOOK_EVERY = 0.05
"""Seconds between two looks, each of which costs two small queries."""


class Worker:
    """Has *courier* deliver until it is stopped."""

    def __init__(self, courier: Courier) -> None:
        self._courier = courier
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="poweremail-sandbox-webhooks", daemon=True
        )

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """
        Begin nothing more, and return once what is under way has ended: after seconds at most.
        """
        self._stop.set()
        self._thread.join()
        self._courier.close()

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_EVERY):
            try:
                self._courier.deliver(stop=self._stop)
            except sqlite3.ProgrammingError:
                # The sandbox was closed before its server: nothing is due any more.
                return
            except sqlite3.Error as error:
                # Another process may hold the file for long, or the disk may be full: what is due
                # stays due.
                _logger.warning(
                    "sandbox: webhooks wait, because the database cannot be used: %s", error
                )
                self._stop.wait(1)
