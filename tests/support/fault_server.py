"""
A server on loopback that misbehaves on purpose: raw sockets and threads, so that the async and the
sync client are tested against the same one.

It knows nothing of the library or of its sandbox. Each request gets the next behaviour of
``script``, and the last one when the script has ended.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

SUCCESS = {"status": "success", "message": "message have been Queued ..."}


class Seen(NamedTuple):
    """A request that arrived completely."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {
            name: values[0]
            for name, values in parse_qs(
                urlsplit(self.target).query, keep_blank_values=True
            ).items()
        }

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Behaviour = Callable[["Connection"], bool]
"""Does something with the connection, and returns whether it stays open."""


class Connection:
    """One connection, at the end of a request's head."""

    def __init__(self, server: FaultServer, sock: socket.socket) -> None:
        self.server = server
        self.socket = sock
        self._buffer = b""

    def read_head(self) -> bool:
        while b"\r\n\r\n" not in self._buffer:
            data = self.socket.recv(65536)
            if not data:
                return False
            self._buffer += data
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = first.split(" ", 2)
        self.headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        return True

    def read_body(self) -> Seen:
        if self.headers.get("transfer-encoding") == "chunked":
            chunks: list[bytes] = []
            while size := int(self._read_line(), 16):
                chunks.append(self._read(size))
                self._read_line()
            self._read_line()
            body = b"".join(chunks)
        else:
            body = self._read(int(self.headers.get("content-length", "0")))
        seen = Seen(self.method, self.target, self.headers, body)
        self.server.seen.append(seen)
        return seen

    def _read(self, size: int) -> bytes:
        parts = [self._buffer]
        missing = size - len(self._buffer)
        while missing > 0:
            parts.append(self._receive())
            missing -= len(parts[-1])
        whole = b"".join(parts)
        self._buffer = whole[size:]
        return whole[:size]

    def _read_line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            self._buffer += self._receive()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def _receive(self) -> bytes:
        data = self.socket.recv(1 << 20)
        if not data:
            raise ConnectionResetError("the body ended early")
        return data

    def reset(self) -> bool:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    def send(
        self,
        status: int,
        body: bytes,
        headers: Iterable[tuple[str, str]] = (),
        *,
        length: int | None = None,
    ) -> None:
        lines = [
            f"HTTP/1.1 {status} Whatever",
            f"Content-Length: {len(body) if length is None else length}",
        ]
        lines += [f"{name}: {value}" for name, value in headers]
        self.socket.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)


def respond(
    body: bytes | str | dict[str, Any] | list[Any] = SUCCESS,
    *,
    status: int = 200,
    headers: Iterable[tuple[str, str]] = (("Content-Type", "application/json"),),
) -> Behaviour:
    """Read the request and respond with *body*."""
    content = (
        body
        if isinstance(body, bytes)
        else body.encode()
        if isinstance(body, str)
        else json.dumps(body).encode()
    )

    def behave(connection: Connection) -> bool:
        connection.read_body()
        connection.send(status, content, headers)
        return True

    return behave


def respond_with(make: Callable[[Seen], dict[str, Any]]) -> Behaviour:
    """Read the request and respond with the result of *make*."""

    def behave(connection: Connection) -> bool:
        connection.send(
            200,
            json.dumps(make(connection.read_body())).encode(),
            (("Content-Type", "application/json"),),
        )
        return True

    return behave


def reset_before_body(connection: Connection) -> bool:
    """Reset the connection without reading the body."""
    return connection.reset()


def reset_in_body(connection: Connection) -> bool:
    """Read the beginning of the body and reset the connection."""
    connection._read(1_000)
    return connection.reset()


def reset_after_body(connection: Connection) -> bool:
    """Read the request, reset the connection."""
    connection.read_body()
    return connection.reset()


def close_after_body(connection: Connection) -> bool:
    """Read the request, close the connection in good order."""
    connection.read_body()
    return False


def stall(connection: Connection) -> bool:
    """Read the request and never respond."""
    connection.read_body()
    connection.server.stopped.wait()
    return False


def truncate(connection: Connection) -> bool:
    """Read the request, announce a response and break off in its middle."""
    connection.read_body()
    body = json.dumps(SUCCESS).encode()
    connection.send(200, body[:20], length=len(body))
    return False


def early(status: int) -> Behaviour:
    """Respond before the body has been read, and close."""

    def behave(connection: Connection) -> bool:
        connection.send(status, b"no", (("Connection", "close"),))
        connection.socket.shutdown(socket.SHUT_WR)
        # Let the response arrive: closing with unread input would reset the connection.
        connection.socket.settimeout(1)
        while connection.socket.recv(1 << 16):
            if connection.server.stopped.is_set():
                break
        return False

    return behave


def tunnel(connection: Connection) -> bool:
    """Connect the client with the host that it asks for, as a proxy does for HTTPS."""
    connection.read_body()
    host, _, port = connection.target.rpartition(":")
    with socket.create_connection((host, int(port))) as other:
        connection.socket.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        back = threading.Thread(target=copy, args=(other, connection.socket))
        back.start()
        copy(connection.socket, other)
        back.join()
    return False


def copy(source: socket.socket, target: socket.socket) -> None:
    """Copy what *source* receives to *target*, up to its end."""
    with contextlib.suppress(OSError):  # one of the two sides has gone
        while data := source.recv(1 << 16):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


class FaultServer:
    """Serve *script* on loopback, on a free port or on *port*."""

    def __init__(
        self, *script: Behaviour, tls: ssl.SSLContext | None = None, port: int = 0
    ) -> None:
        self._tls = tls
        self._port = port
        self.script = list(script) or [respond()]
        self.seen: list[Seen] = []
        self.connections = 0
        self.stopped = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()

    @property
    def posts(self) -> int:
        """How many requests arrived whole."""
        return len(self.seen)

    def __enter__(self) -> FaultServer:
        self._listener = socket.create_server(("127.0.0.1", self._port))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for sock in self._open:
                with contextlib.suppress(OSError):  # the other side may have gone already
                    sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.stopped.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._start(self._serve, sock)

    def _next(self) -> Behaviour:
        with self._lock:
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def _serve(self, sock: socket.socket) -> None:
        connection: Connection | None = None
        with self._lock:
            self._open.add(sock)
        try:
            connection = Connection(
                self, self._tls.wrap_socket(sock, server_side=True) if self._tls else sock
            )
            while not self.stopped.is_set() and connection.read_head() and self._next()(connection):
                pass
        except OSError:
            pass
        finally:
            with self._lock:
                self._open.discard(sock)
                sock.close()
                if connection is not None:
                    connection.socket.close()
