"""A PostgreSQL server for the tests, if its programs are installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

USER = "postgres"


def programs() -> Path | None:
    """
    The folder of ``initdb`` and ``pg_ctl``, None if they are not installed. Debian does not add it
    to the path.
    """
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


class Server:
    """
    A server whose files are in *folder*, on a free port of this machine. As root it runs as another
    user, because it refuses to be root.

    Unless *fsync* is true, it does not wait for the disk: the tests kill its clients and the
    server, never the machine. *address*: where it listens for other hosts.
    """

    def __init__(
        self,
        folder: Path,
        *,
        fsync: bool = False,
        connections: int = 100,
        address: str | None = None,
    ) -> None:
        programs_of_server = programs()
        if programs_of_server is None:
            pytest.skip("PostgreSQL is not installed")
        self._programs = programs_of_server
        self._folder = folder
        self._settings = f"-c fsync={fsync} -c max_connections={connections}"
        self._addresses = ",".join(filter(None, ("127.0.0.1", address)))
        self._data = folder / "data"
        self._become = ["runuser", "-u", USER, "--"] if os.geteuid() == 0 else []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"postgresql://{USER}@127.0.0.1:{self.port}/{USER}"
        if not self._data.exists():
            folder.mkdir(exist_ok=True)
            if self._become:
                folder.parent.chmod(0o755)
                shutil.chown(folder, USER)
            self._run("initdb", "-D", self._data, "-A", "trust", "-U", USER)
            if address is not None:
                with (self._data / "pg_hba.conf").open("a") as rules:
                    rules.write("host all all samenet trust\n")

    def start(self) -> None:
        settings = (
            f"-p {self.port} -k {self._folder} -c listen_addresses={self._addresses} "
            f"{self._settings}"
        )
        log = self._folder / "log"
        self._run("pg_ctl", "-D", self._data, "-o", settings, "-l", log, "-w", "start")

    def stop(self) -> None:
        """Stop it at once, as a crash does: open transactions are lost."""
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop")

    def _run(self, program: str, *arguments: object) -> None:
        command = map(str, (*self._become, self._programs / program, *arguments))
        done = subprocess.run(
            list(command), cwd=self._folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


@contextmanager
def running_server(*, fsync: bool = False, connections: int = 100) -> Iterator[Server]:
    """Run a server in a folder of its own, and yield it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        running = Server(Path(name, "server"), fsync=fsync, connections=connections)
        running.start()
        try:
            yield running
        finally:
            running.stop()


@contextmanager
def server() -> Iterator[str]:
    """Run a server in a folder of its own, and yield its URL."""
    with running_server() as running:
        yield running.url
