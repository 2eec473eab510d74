"""A mail server on loopback that says what it is told to and keeps what it is given."""

from __future__ import annotations

import socket
import ssl
import threading
from types import TracebackType
from typing import BinaryIO, Self


class SmtpReceiver:
    """
    Answers each verb with *answers* of it (None closes the connection), and what is right
    otherwise.

    ``said`` has the lines that came, ``mails`` what was handed over, dots undone. With *context* it
    offers STARTTLS, or begins with TLS where *at_once* is true.
    """

    def __init__(
        self,
        answers: dict[str, bytes | None] | None = None,
        *,
        context: ssl.SSLContext | None = None,
        at_once: bool = False,
    ) -> None:
        self.answers = answers or {}
        self.said: list[str] = []
        self.mails: list[bytes] = []
        self.secured = False
        self._context = context
        self._at_once = at_once
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Wakes it up where nobody came any more; what it is told then is nothing.
        with socket.create_connection(("127.0.0.1", self.port)):
            self._ending = True
        self._thread.join()
        self._listener.close()

    _ending = False

    def _serve(self) -> None:
        while not self._ending:
            connection, _ = self._listener.accept()
            try:
                with connection:
                    self._talk(connection)
            except (OSError, ValueError):
                # The other side has gone, or wants no TLS like this.
                continue

    def _talk(self, connection: socket.socket) -> None:
        if self._context is not None and self._at_once:
            with self._context.wrap_socket(connection, server_side=True) as secure:
                self.secured = True
                return self._converse(secure)
        return self._converse(connection)

    def _converse(self, connection: socket.socket, *, greet: bool = True) -> None:
        stream = connection.makefile("rwb")
        if greet:
            self._reply(stream, b"220 hello")
        while line := stream.readline().decode():
            # Commands may be said in capitals or not, and the library does it differently from one
            # Python to the next.
            command, colon, argument = line.rstrip("\r\n").partition(":")
            said = (
                f"{command.upper()}:{argument}"
                if command.upper() in ("MAIL FROM", "RCPT TO")
                else f"{command}{colon}{argument}"
            )
            self.said.append(said)
            verb = said.split(maxsplit=1)[0].upper()
            answer = self.answers.get(
                f"{verb} {said.rsplit(maxsplit=1)[-1]}", self.answers.get(verb, self._usual(verb))
            )
            if answer is None:
                return None
            self._reply(stream, answer)
            if verb == "STARTTLS" and self._context is not None:
                with self._context.wrap_socket(connection, server_side=True) as secure:
                    self.secured = True
                    return self._converse(secure, greet=False)
            elif verb == "DATA" and answer.startswith(b"354"):
                mail = b""
                while (line_of_mail := stream.readline()) != b".\r\n":
                    mail += line_of_mail.removeprefix(b".")
                self.mails.append(mail)
                taken = self.answers.get("TAKEN", b"250 taken")
                if taken is None:
                    return None
                self._reply(stream, taken)
            elif verb == "QUIT":
                break
        return None

    def _usual(self, verb: str) -> bytes:
        if verb == "EHLO":
            offers = [b"250-here", b"250-8BITMIME", b"250-AUTH PLAIN"]
            if self._context is not None and not self.secured:
                offers.append(b"250-STARTTLS")
            return b"\r\n".join([*offers, b"250 SMTPUTF8"])
        return {
            "DATA": b"354 go on",
            "AUTH": b"235 in",
            "STARTTLS": b"220 go",
            "QUIT": b"221 bye",
        }.get(verb, b"250 ok")

    @staticmethod
    def _reply(stream: BinaryIO, text: bytes) -> None:
        stream.write(text + b"\r\n")
        stream.flush()
