"""A Redis server for the tests, if its program is installed."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest


class Server:
    """
    A server that keeps nothing on the disk, on a free port of this machine. *address*: where it
    listens for other hosts.
    """

    def __init__(self, folder: Path, *, address: str | None = None) -> None:
        program = shutil.which("redis-server")
        if program is None:
            pytest.skip("redis-server is not installed")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._start = [
            program,
            *("--port", str(self.port), "--dir", str(folder)),
            *("--bind", *filter(None, ("127.0.0.1", address)), "--protected-mode", "no"),
            *("--save", "", "--appendonly", "no", "--loglevel", "warning"),
        ]

    def start(self) -> None:
        self._process = subprocess.Popen(self._start, stdout=subprocess.DEVNULL)
        while not self._answers():
            assert self._process.poll() is None, "redis-server has ended"
            time.sleep(0.02)

    @property
    def process(self) -> int:
        """The number of its process."""
        return self._process.pid

    def stop(self) -> None:
        """Kill it: all that was in it is gone."""
        self._process.kill()
        self._process.wait()

    def flush(self) -> None:
        """Delete all that is in it."""
        assert self._command("FLUSHALL").startswith(b"+OK")

    def _answers(self) -> bool:
        try:
            return self._command("PING").startswith(b"+PONG")
        except OSError:
            return False

    def _command(self, words: str) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), 5.0) as connection:
            connection.sendall(f"{words}\r\n".encode())
            return connection.recv(16)
