"""A PostgreSQL server for the tests, and a pooler before it, if their programs are installed."""

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

import attrs
import pytest

USER = "postgres"

_START_SECONDS = 30.0


def programs() -> Path | None:
    """
    The folder of ``initdb`` and ``pg_ctl``, None if they are not installed. Debian does not add it
    to the path.
    """
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


@contextmanager
def server() -> Iterator[str]:
    """
    Run a server on a free port of this machine, and yield its URL. As root it runs as another user,
    because it refuses to be root.

    It does not wait for the disk: the tests kill its clients, never the machine.
    """
    with running_server() as running:
        yield running.url


@attrs.define
class Server:
    """A server in *folder* on *port*, which can be stopped at once and started again."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{USER}"

    def start(self) -> None:
        settings = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._control("-o", settings, "-l", self.folder / "log", "start")

    def stop(self) -> None:
        """Stop it as a crash does: no transaction ends, and no client is told."""
        self._control("-m", "immediate", "stop")

    def _control(self, *arguments: object) -> None:
        data = self.folder / "data"
        run([*_become(), _program("pg_ctl"), "-D", data, "-w", *arguments], self.folder)


@contextmanager
def running_server() -> Iterator[Server]:
    """Run a server, as `server` does, and yield it."""
    with _folder() as folder:
        data = folder / "data"
        run([*_become(), _program("initdb"), "-D", data, "-A", "trust", "-U", USER], folder)
        running = Server(folder, _free_port())
        running.start()
        try:
            yield running
        finally:
            running.stop()


@attrs.define
class Pooler:
    """PgBouncer in transaction mode before a server, which can be stopped and started again."""

    folder: Path
    port: int
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{USER}"

    def start(self) -> None:
        program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        self._process = subprocess.Popen(
            list(map(str, [*_become(), program, "-q", self.folder / "pgbouncer.ini"])),
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + _START_SECONDS
        while True:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            assert self._process.poll() is None, (self.folder / "pgbouncer.log").read_text()
            assert time.monotonic() < until
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop it at once: SIGTERM is its immediate shutdown."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None


@contextmanager
def running_pooler(before: Server, *, connections: int) -> Iterator[Pooler]:
    """Run PgBouncer with so many *connections* to the server *before* which it stands."""
    if shutil.which("pgbouncer") is None and not Path("/usr/sbin/pgbouncer").exists():
        pytest.skip("PgBouncer is not installed")
    with _folder() as folder:
        pooler = Pooler(folder, _free_port())
        (folder / "pgbouncer.ini").write_text(
            f"""
            [databases]
            * = host=127.0.0.1 port={before.port} user={USER}
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = {pooler.port}
            unix_socket_dir =
            auth_type = any
            pool_mode = transaction
            default_pool_size = {connections}
            server_login_retry = 0.2
            logfile = {folder}/pgbouncer.log
            """.replace(" " * 12, "")
        )
        pooler.start()
        try:
            yield pooler
        finally:
            pooler.stop()


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder that belongs to the user whom `_become` names."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name, "server")
        folder.mkdir()
        if _become():
            Path(name).chmod(0o755)
            shutil.chown(folder, USER)
        yield folder


def _become() -> list[str]:
    return ["runuser", "-u", USER, "--"] if os.geteuid() == 0 else []


def _program(name: str) -> Path:
    where = programs()
    if where is None:
        pytest.skip("PostgreSQL is not installed")
    return where / name


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def run(command: list[object], folder: Path) -> None:
    done = subprocess.run(
        list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
