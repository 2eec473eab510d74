"""
A server on loopback that closes its connections while the client wants to use them again.

It counts which mails arrived whole. Run as a module it is a process of its own, so that it does not
share the interpreter with the client: it prints its port, and when its input ends, the unique ids
that arrived, as JSON.

The ways in which it closes:

- ``idle``: after 0 to 60 ms without a request;
- ``5 ms``: 5 ms after each response;
- ``at once``: directly after the response;
- ``reset``: the same, by a reset;
- ``few``: after one to five responses, without saying so;
- ``408``: after 0 to 60 ms without a request, with a response of status 408 first.
"""

from __future__ import annotations

import contextlib
import json
import random
import select
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["WAYS", "ClosingServer", "closing_server"]

WAYS = ("idle", "5 ms", "at once", "reset", "few", "408")

_BODY = b'{"status": "success", "message": "message have been Queued ..."}'
_RESPONSE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_BODY)
) + _BODY
_TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class ClosingServer:
    """Serves and closes in one of the `WAYS`; ``arrived`` counts mails by their subject."""

    def __init__(self, way: str, seed: int) -> None:
        self.way = way
        self.arrived: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept no further connections."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection = self._listener.accept()[0]
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        requests_left = self._random.randint(1, 5) if self.way == "few" else sys.maxsize
        with connection, contextlib.suppress(OSError):
            connection.settimeout(30)
            while self._serve_one(connection):
                requests_left -= 1
                if not requests_left or self.way == "at once":
                    return
                if self.way == "reset":
                    linger = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    return
                if self.way != "few" and self._stays_idle(connection):
                    if self.way == "408":
                        connection.sendall(_TOO_LATE)
                    return

    def _stays_idle(self, connection: socket.socket) -> bool:
        seconds = 0.005 if self.way == "5 ms" else self._random.uniform(0, 0.06)
        return not select.select([connection], [], [], seconds)[0]

    def _serve_one(self, connection: socket.socket) -> bool:
        """Answer a request; return whether there was one."""
        received = b""
        while b"\r\n\r\n" not in received:
            more = connection.recv(65536)
            if not more:
                return False
            received += more
        head, _, body = received.partition(b"\r\n\r\n")
        (length,) = (
            int(line.partition(b":")[2])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        )
        while len(body) < length:
            more = connection.recv(65536)
            if not more:
                return False
            body += more
        self.arrived[json.loads(body)["message"]["subject"]] += 1
        connection.sendall(_RESPONSE)
        return True


class _Remote:
    """A `ClosingServer` in a process of its own; ``arrived`` is filled when it ends."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.arrived: Counter[str] = Counter()


@contextmanager
def closing_server(way: str, seed: int) -> Iterator[_Remote]:
    """A server in a process of its own."""
    with subprocess.Popen(
        [sys.executable, Path(__file__), way, str(seed)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        remote = _Remote(int(process.stdout.readline()))
        try:
            yield remote
        finally:
            rest, _ = process.communicate()
            remote.arrived.update(json.loads(rest))


if __name__ == "__main__":
    server = ClosingServer(sys.argv[1], int(sys.argv[2]))
    print(server.port, flush=True)
    sys.stdin.read()
    print(json.dumps(server.arrived), flush=True)
