"""
A terminal of its own for a test: a shell that keeps its variables, jobs and folder from one block
of commands to the next, and the output as a person sees it.

The shell reads commands from a pipe, and it writes to a pseudo-terminal, so that programs print
tables and words as they do for people. What is started with ``&`` writes to a file, because its
output could come in the middle of another one's.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import time
from contextlib import suppress
from pathlib import Path

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
_IN_BACKGROUND = re.compile(r"[^&]&\s*$")
_COLUMNS = 88
_SERVERS = {
    r"poweremail sandbox(?=[\s&]|$)(?! health)": 8025,
    r"poweremail webhook listen": 8026,
    r"uvicorn \w+:\w+": 8000,
    r"manage\.py poweremail sandbox": 8025,
    r"manage\.py runserver": 8000,
}
"""Commands that listen, and the ports that they listen on if nothing else is said."""


class Terminal:
    """
    A shell in *folder* with these variables alone.

    *places* are what stands in place of URLs of the pages. Ports of servers are replaced by free
    ones.

    Use it as a context manager: it ends what it started.
    """

    def __init__(self, folder: Path, environ: dict[str, str], places: dict[str, str]) -> None:
        self._places = places
        self._folder = folder
        self._ports: dict[int, int] = {}
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, _COLUMNS, 0, 0))
        self._shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=environ | {"NO_COLOR": "1", "COLUMNS": str(_COLUMNS), "TERM": "xterm"},
            stdin=subprocess.PIPE,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._blocks = 0
        self.run("set -eo pipefail")

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        for each in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self._shell.pid, each)
            with suppress(subprocess.TimeoutExpired):
                self._shell.wait(5)
        self._shell.stdin.close()
        os.close(self._ours)

    def localize(self, text: str) -> str:
        """Return *text* with the URLs and ports of this terminal in place of the usual ones."""
        for printed, ours in self._places.items():
            text = text.replace(printed, ours)
        return re.sub(
            r"(127\.0\.0\.1:|localhost:|--port )(8\d\d\d)\b",
            lambda found: f"{found[1]}{self._port(int(found[2]))}",
            text,
        )

    def _port(self, usual: int) -> int:
        return self._ports.setdefault(usual, _free_port())

    def run(self, commands: str, timeout: float = 60.0) -> str:
        """Run the *commands* and return what they print. Raises AssertionError if one fails."""
        self._blocks += 1
        commands, awaited = self._prepare(commands)
        block = self._folder / f".block-{self._blocks}"
        block.write_text(commands)
        mark = f"end-of-block-{self._blocks}"
        self._shell.stdin.write(f". '{block}'; printf '%s' {mark[:3]}''{mark[3:]}\n".encode())
        self._shell.stdin.flush()
        output = self._read_until(mark, timeout)
        for port in awaited:
            self._wait_for(port)
        return output

    def background(self) -> str:
        """Return what the programs in the background have printed."""
        logs = sorted(self._folder.glob(".background-*"))
        return "".join(_plain(log.read_text()) for log in logs)

    def _prepare(self, commands: str) -> tuple[str, list[int]]:
        lines, awaited = [], []
        for line in self.localize(commands).splitlines():
            listening, port = self._with_a_port(line)
            awaited += [port] if port else []
            lines.append(self._into_a_log(listening))
        return "\n".join(lines) + "\n", awaited

    def _with_a_port(self, line: str) -> tuple[str, int | None]:
        """Let a server listen on our port in place of its usual one. Return the port, too."""
        if "--port" in line:
            port = re.search(r"--port (\d+)", line)
            return line, int(port[1]) if port and _IN_BACKGROUND.search(line) else None
        if "--help" not in line:
            for server, usual in _SERVERS.items():
                told, found = re.subn(server, rf"\g<0> --port {self._port(usual)}", line, count=1)
                if found:
                    return told, self._port(usual)
        return line, None

    def _into_a_log(self, line: str) -> str:
        """Let what runs in the background write to a file."""
        if not _IN_BACKGROUND.search(line):
            return line
        log = self._folder / f".background-{self._blocks}"
        return f"{line.rstrip().removesuffix('&')} >>'{log}' 2>&1 &"

    def _read_until(self, mark: str, timeout: float) -> str:
        output = b""
        until = time.monotonic() + timeout
        while mark.encode() not in output:
            ready, _, _ = select.select([self._ours], [], [], max(until - time.monotonic(), 0))
            assert ready, f"no end after {timeout} s:\n{_plain(output.decode(errors='replace'))}"
            try:
                output += os.read(self._ours, 65536)
            except OSError:  # the shell has ended: a command failed
                told = _plain(output.decode(errors="replace"))
                raise AssertionError(f"failed:\n{told}\n{self.background()}") from None
        return _plain(output.decode(errors="replace").partition(mark)[0])

    def _wait_for(self, port: int) -> None:
        until = time.monotonic() + 30
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            assert time.monotonic() < until, f"nobody listens on {port}:\n{self.background()}"
            time.sleep(0.02)


def _plain(output: str) -> str:
    return _ESCAPES.sub("", output)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]
