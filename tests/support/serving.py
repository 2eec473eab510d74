"""Servers of the standard library that serve in a thread."""

from __future__ import annotations

import socketserver
import threading
from http.server import ThreadingHTTPServer
from typing import Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer


class InThread(socketserver.BaseServer):
    """Serves from the beginning of a ``with`` block to its end, as the first of its bases."""

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class HTTPServerInThread(InThread, ThreadingHTTPServer):
    pass


class WSGIServerInThread(InThread, WSGIServer):
    pass


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass
