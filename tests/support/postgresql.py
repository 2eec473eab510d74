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


@contextmanager
def server() -> Iterator[str]:
    """
    Run a server on a free port of this machine, and yield its URL. As root it runs as another user,
    because it refuses to be root.

    It does not wait for the disk: the tests kill its clients, never the machine.
    """
    where = programs()
    if where is None:
        pytest.skip("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name, "server")
        folder.mkdir()
        become: list[str] = []
        if os.geteuid() == 0:
            become = ["runuser", "-u", USER, "--"]
            Path(name).chmod(0o755)
            shutil.chown(folder, USER)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        data = folder / "data"
        run([*become, where / "initdb", "-D", data, "-A", "trust", "-U", USER], folder)
        settings = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        run(
            [
                *become,
                where / "pg_ctl",
                "-D",
                data,
                "-o",
                settings,
                "-l",
                folder / "log",
                "-w",
                "start",
            ],
            folder,
        )
        try:
            yield f"postgresql://{USER}@127.0.0.1:{port}/{USER}"
        finally:
            run([*become, where / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"], folder)


def run(command: list[object], folder: Path) -> None:
    done = subprocess.run(
        list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
