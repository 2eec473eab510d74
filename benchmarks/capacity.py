"""The capacity of the server alone."""

from __future__ import annotations

import asyncio
import time

from benchmarks import samples
from benchmarks.server import RESPONSE

CONNECTIONS = 10
REQUESTS_A_WRITE = 20


def capacity(port: int, requests: int = 40_000) -> float:
    """
    Return the requests per second that the server at *port* handles over connections that write
    ahead and do not look at the responses.
    """
    content = samples.content(samples.small_mail())
    head = (
        "POST /v1.0/messages/sendMail HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: "
        f"{len(content)}\r\n\r\n"
    )
    batch = (head.encode() + content) * REQUESTS_A_WRITE

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        for _ in range(requests // CONNECTIONS // REQUESTS_A_WRITE):
            writer.write(batch)
            await reader.readexactly(len(RESPONSE) * REQUESTS_A_WRITE)
        writer.close()
        await writer.wait_closed()

    async def run() -> float:
        started = time.perf_counter()
        await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
        return requests / (time.perf_counter() - started)

    return asyncio.run(run())
