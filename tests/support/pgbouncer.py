"""A pooler before a PostgreSQL server of the tests, if PgBouncer is installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from support.postgresql import USER, Server

_START_SECONDS = 30.0


def program() -> str | None:
    """Debian does not add its folder to the path of a user."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


class Pooler:
    """
    PgBouncer in transaction mode on a free port, with files in *folder*, and so many *connections*
    to the server *before* which it stands. It refuses to be root, as the server does.
    """

    def __init__(self, folder: Path, before: Server, connections: int) -> None:
        found = program()
        if found is None:
            pytest.skip("PgBouncer is not installed")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"postgresql://{USER}@127.0.0.1:{self.port}/{USER}"
        settings = folder / "pgbouncer.ini"
        self._log = folder / "log"
        settings.write_text(
            "\n".join(
                (
                    "[databases]",
                    f"* = host=127.0.0.1 port={before.port} user={USER}",
                    "[pgbouncer]",
                    "listen_addr = 127.0.0.1",
                    f"listen_port = {self.port}",
                    "unix_socket_dir =",
                    "auth_type = any",
                    "pool_mode = transaction",
                    f"default_pool_size = {connections}",
                    "server_login_retry = 0.2",
                    f"logfile = {self._log}",
                )
            )
        )
        become = ["runuser", "-u", USER, "--"] if os.geteuid() == 0 else []
        if become:
            folder.chmod(0o755)
            self._log.touch()
            shutil.chown(self._log, USER)
        self._command = [*become, found, "-q", str(settings)]

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + _START_SECONDS
        while True:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < until
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop it at once: it closes all connections."""
        self._process.terminate()
        self._process.wait()


@contextmanager
def running_pooler(before: Server, *, connections: int) -> Iterator[Pooler]:
    """Run a pooler in a folder of its own, and yield it."""
    with tempfile.TemporaryDirectory() as name:
        running = Pooler(Path(name), before, connections)
        running.start()
        try:
            yield running
        finally:
            running.stop()
