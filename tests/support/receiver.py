"""A URL on loopback that answers as told, as a receiver of webhooks does or does not."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

HANDSHAKE = "God bless you, PowerEmail"


class Receiver:
    """
    *answers* has the status and the text for each method; other methods get 405. ``seen`` has the
    methods that came.
    """

    def __init__(self, answers: dict[str, tuple[int, str]] | None = None) -> None:
        answers = {"GET": (200, HANDSHAKE)} if answers is None else answers
        seen = self.seen = []

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                seen.append(self.command)
                status, text = answers.get(self.command, (405, ""))
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", text)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_POST = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/events?a=1"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
