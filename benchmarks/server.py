"""
A server on loopback, fast enough that it is never what is measured.

It responds to every send with the same success, and to getMessageInfo with a full page until the
last page. ``python server.py [SECONDS]`` prints two ports, of which the second responds so much
later (0.02), and serves until its standard input ends. A request for ``/count`` gets the number of
sends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

BODY = b'{"status":"success","message":"message have been Queued ..."}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
RESPONSE = HEAD % len(BODY) + BODY
HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"
COUNT = b" /count "
INFO = b"/v1.0/messages/getMessageInfo"
SKIP_PAGE = b'"skip_page":'
LAST_PAGE = 999
LATENCY_SECONDS = 0.02
PAGE_MARK = b"00000000"


def page_body(count: int = 100) -> bytes:
    """
    A response to getMessageInfo with *count* records; `PAGE_MARK` stands where the page's number
    goes.
    """
    time = 1_700_000_000_000
    mark = PAGE_MARK.decode()
    opened = {"time": [time], "ip": ["192.0.2.7"], "ua": ["Mozilla/5.0 (X11; Linux x86_64)"]}
    records = [
        {
            "subject": "Your order has been shipped",
            "sender": "orders@example.com",
            "email": f"customer{number}.{mark}@example.org",
            "sendFrom": "192.0.2.1",
            "mailSize": 4711 + number,
            "attchSize": 0,
            "status": "open" if number % 2 else "delivered",
            "time": time + number,
            "open": number % 2,
            "click": 0,
            "openData": opened if number % 2 else {},
            "clickData": {},
        }
        for number in range(count)
    ]
    return json.dumps({"status": "success", "message": "ok", "message_data": records}).encode()


FULL_PAGE, SHORT_PAGE = page_body(), page_body(1)


class Ports(NamedTuple):
    """The ports of the server: one responds at once, the other 20 ms later."""

    fast: int
    slow: int


class Protocol(asyncio.Protocol):
    """Reads just enough of HTTP to find the end of each request."""

    latency = 0.0
    sends = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        """Respond to every request that is complete."""
        self._buffer += data
        responses: list[bytes] = []
        while (end := self._buffer.find(HEAD_END)) >= 0:
            head = self._buffer[:end]
            lower = head.lower()
            at = lower.find(LENGTH)
            length = int(lower[at + len(LENGTH) :].partition(b"\r\n")[0]) if at >= 0 else 0
            size = end + len(HEAD_END) + length
            if len(self._buffer) < size:
                break
            responses.append(self._respond(head, self._buffer[end:size]))
            self._buffer = self._buffer[size:]
        if responses and self.latency:
            asyncio.get_running_loop().call_later(
                self.latency, self._transport.write, b"".join(responses)
            )
        elif responses:
            self._transport.write(b"".join(responses))

    @staticmethod
    def _respond(head: bytes, body: bytes) -> bytes:
        if INFO in head:
            return page(body)
        if COUNT in head:
            number = b"%d" % Protocol.sends
            return HEAD % len(number) + number
        Protocol.sends += 1
        return RESPONSE


class SlowProtocol(Protocol):
    """Responds as late as a server that is far away."""

    latency = LATENCY_SECONDS


def page(body: bytes) -> bytes:
    """The response to a getMessageInfo request."""
    number = int(body[body.find(SKIP_PAGE) + len(SKIP_PAGE) :].partition(b"}")[0])
    content = (FULL_PAGE if number < LAST_PAGE else SHORT_PAGE).replace(PAGE_MARK, b"%08d" % number)
    return HEAD % len(content) + content


async def serve() -> None:
    """Serve until standard input ends."""
    SlowProtocol.latency = float(sys.argv[1]) if sys.argv[1:] else LATENCY_SECONDS
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(protocol, "127.0.0.1", 0) for protocol in (Protocol, SlowProtocol)
    ]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    for server in servers:
        server.close()


@contextlib.contextmanager
def served(latency: float = LATENCY_SECONDS) -> Iterator[Ports]:
    """Run the server in a process of its own; its second port responds *latency* seconds later."""
    command = [sys.executable, str(Path(__file__)), str(latency)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield Ports(*map(int, process.stdout.readline().split()))
        finally:
            process.communicate()


if __name__ == "__main__":
    asyncio.run(serve())
