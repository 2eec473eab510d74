"""Encoding, decoding and importing, against the least that could do."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
from benchmarks import samples
from benchmarks.contest import Clock, Contest, Cost, Peer, repeated

from poweremail._async.transports.base import AsyncOutgoing
from poweremail._sync.transports.base import Outgoing
from poweremail.types.message import Message
from poweremail.wire.decode import message_info_page, read_envelope
from poweremail.wire.operations import GET_MESSAGE_INFO


def contests(folder: Path, scale: int) -> Iterator[Contest]:
    """The parts; *scale* is 1 for a quick run."""
    answer = samples.page()

    def decode() -> object:
        return message_info_page(read_envelope(answer, GET_MESSAGE_INFO, time.time()), answer, samples.UNIQUE_ID, 0)

    yield Contest("decode/page", repeated(decode, 100 * scale), repeated(lambda: json.loads(answer.body), 300 * scale))

    mail = samples.small_mail()
    members = json.loads(samples.content(mail))
    yield Contest(
        "encode/mail",
        repeated(lambda: samples.content(mail), 3_000 * scale),
        repeated(lambda: json.dumps(members).encode(), 10_000 * scale),
    )

    with_file = samples.mail_with_file(folder)
    content = (folder / "attachment.bin").read_bytes()
    for world, ours in (("threads", _outgoing(with_file, 4 * scale)), ("asyncio", _async_outgoing(with_file, 4 * scale))):
        yield Contest(f"encode/file/{world}", ours, repeated(lambda: base64.b64encode(content), 8 * scale))

    yield Contest("import", _process("import poweremail"), _process("import attrs"))
    yield Contest("import/client", _process("from poweremail import PowerEmail, Message"), _process("import httpx"))


def _outgoing(message: Message, calls: int) -> Peer:
    return repeated(lambda: sum(map(len, Outgoing(samples.body(message)))), calls)


def _async_outgoing(message: Message, calls: int) -> Peer:
    async def encode() -> int:
        return sum([len(piece) async for piece in AsyncOutgoing(samples.body(message))])

    async def run() -> Cost:
        await encode()
        with Clock() as clock:
            for _ in range(calls):
                await encode()
        return clock.cost(calls)

    return lambda: anyio.run(run)


def _process(code: str, calls: int = 5) -> Peer:
    """Whole processes; each says at its end how much CPU it has taken."""
    command = [sys.executable, "-c", f"{code}; import time; print(time.process_time())"]

    def peer() -> Cost:
        with Clock() as clock:
            outputs = [subprocess.run(command, capture_output=True, check=True).stdout for _ in range(calls)]
        return Cost(calls, sum(map(float, outputs)), clock.wall)

    return peer
