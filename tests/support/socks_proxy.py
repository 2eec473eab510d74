"""A SOCKS proxy on loopback, as RFC 1928 and RFC 1929 describe it."""

from __future__ import annotations

import ipaddress
import socket
import socketserver
import threading

from support.fault_server import copy
from support.serving import InThread

_WITH_PASSWORD = 2
_DOMAIN = 3


class SocksProxy(InThread, socketserver.ThreadingTCPServer):
    """Connect clients that know *user* and *password* with the hosts that they ask for."""

    def __init__(self, user: str, password: str) -> None:
        super().__init__(("127.0.0.1", 0), _Client)
        self.port: int = self.server_address[1]
        self.user, self.password = user, password
        self.targets: list[tuple[str, int]] = []
        """The hosts and ports that clients were connected with."""


class _Client(socketserver.StreamRequestHandler):
    server: SocksProxy

    def handle(self) -> None:
        read, write = self.rfile.read, self.wfile.write
        _, count = read(2)
        assert _WITH_PASSWORD in read(count)
        write(bytes([5, _WITH_PASSWORD]))
        read(1)
        user, password = (read(read(1)[0]).decode() for _ in range(2))
        is_known = (user, password) == (self.server.user, self.server.password)
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
        self.server.targets.append((host, port))
        with socket.create_connection((host, port)) as other:
            write(bytes([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]))
            back = threading.Thread(target=copy, args=(other, self.connection))
            back.start()
            copy(self.connection, other)
            back.join()
