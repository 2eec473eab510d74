"""A URL on loopback that answers as told, as a receiver of webhooks does or does not."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler

from support.serving import HTTPServerInThread

HANDSHAKE = "God bless you, PowerEmail"


class Receiver(HTTPServerInThread):
    """
    *answers* has the status and the text for each method; other methods get 405. ``seen`` has the
    methods that came.
    """

    def __init__(self, answers: dict[str, tuple[int, str]] | None = None) -> None:
        answers = {"GET": (200, HANDSHAKE)} if answers is None else answers
        seen = self.seen = []

        class Handler(BaseHTTPRequestHandler):
            def respond(self) -> None:
                seen.append(self.command)
                status, text = answers.get(self.command, (405, ""))
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", text)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_POST = respond  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/events?a=1"
