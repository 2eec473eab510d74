"""A SOCKS proxy on loopback, as RFC 1928 and RFC 1929 describe it."""

from __future__ import annotations

import ipaddress
import socket
import socketserver
import threading
from types import TracebackType

from support.fault_server import copy

_WITH_PASSWORD = 2
_DOMAIN = 3


class SocksProxy:
    """Connect clients that know *user* and *password* with the hosts that they ask for."""

    def __init__(self, user: str, password: str) -> None:
        self.user, self.password = user, password
        self.targets: list[tuple[str, int]] = []
        """The hosts and ports that clients were connected with."""

    def __enter__(self) -> SocksProxy:
        proxy = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                proxy._connect(self)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _connect(self, client: socketserver.StreamRequestHandler) -> None:
        read, write = client.rfile.read, client.wfile.write
        _, count = read(2)
        assert _WITH_PASSWORD in read(count)
        write(bytes([5, _WITH_PASSWORD]))
        read(1)
        user, password = (read(read(1)[0]).decode() for _ in range(2))
        is_known = (user, password) == (self.user, self.password)
        write(bytes([1, not is_known]))
        if not is_known:
            return
        *_, kind = read(4)
        host = (
            read(read(1)[0]).decode()
            if kind == _DOMAIN
            else str(ipaddress.ip_address(read(4 if kind == 1 else 16)))
        )
        port = int.from_bytes(read(2), "big")
        self.targets.append((host, port))
        with socket.create_connection((host, port)) as other:
            write(bytes([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]))
            back = threading.Thread(target=copy, args=(other, client.connection))
            back.start()
            copy(client.connection, other)
            back.join()
