"""A server whose response never ends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 0.2
"""A limit for a peer of it: a piece of the response comes every quarter of this time."""


@contextmanager
def dripping(greeting: bytes, drip: bytes) -> Iterator[int]:
    """Serve a response that never ends, and return the port: *greeting*, then *drip* for ever."""
    ended = threading.Event()

    def serve():
        while True:
            connection, _ = listener.accept()
            with connection:
                if ended.is_set():
                    return
                try:
                    connection.sendall(greeting)
                    while not ended.wait(SECONDS / 4):
                        connection.sendall(drip)
                except OSError:
                    continue

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        try:
            yield port
        finally:
            ended.set()
            socket.create_connection(("127.0.0.1", port)).close()
            thread.join()
