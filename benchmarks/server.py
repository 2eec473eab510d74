"""
A server on loopback that answers every request with the same success, fast enough that it is never what is measured.

``python server.py`` prints its port and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

BODY = b'{"status":"success","message":"message have been Queued ..."}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"


class Protocol(asyncio.Protocol):
    """Reads just enough of HTTP to know where each request ends."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._buffer += data
        answers = 0
        while (end := self._buffer.find(HEAD_END)) >= 0:
            head = self._buffer[:end].lower()
            at = head.find(LENGTH)
            length = int(head[at + len(LENGTH) :].partition(b"\r\n")[0]) if at >= 0 else 0
            size = end + len(HEAD_END) + length
            if len(self._buffer) < size:
                break
            self._buffer = self._buffer[size:]
            answers += 1
        if answers:
            self._transport.write(ANSWER * answers)


async def serve() -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Protocol, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


@contextlib.contextmanager
def served() -> Iterator[int]:
    """Run the server in a process of its own; its port."""
    command = [sys.executable, str(Path(__file__))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.communicate()


if __name__ == "__main__":
    asyncio.run(serve())
