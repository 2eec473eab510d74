"""Encoding, decoding and importing, against the least work that gives the same result."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
from benchmarks import samples
from benchmarks.contest import Clock, Contest, Cost, Peer, repeated

from poweremail import Message
from poweremail._types.options import Timeouts
from poweremail._types.secret import Secret
from poweremail._wire import encode
from poweremail._wire import json as wire_json
from poweremail._wire.decode import decode_success, message_info_page
from poweremail._wire.http import Body, Endpoint
from poweremail._wire.operations import GET_MESSAGE_INFO
from poweremail._wire.redaction import Credentials
from poweremail.transports import AsyncOutgoing, Outgoing

ENDPOINT = Endpoint(
    "https://api.tes.example.com/v1.0/",
    Credentials(samples.OWNER_ID, Secret(samples.TOKEN)),
    Timeouts(),
    1 << 24,
)
SIZES = {"100KB": 100_000, "10MB": samples.FILE_BYTES}


def contests(folder: Path, scale: int) -> Iterator[Contest]:
    """The parts; *scale* is 1 for a quick run."""
    response = samples.page()

    def decode() -> object:
        return message_info_page(
            decode_success(response, GET_MESSAGE_INFO, time.time()), samples.UNIQUE_ID, 0
        )

    mail = samples.small_mail()
    members = json.loads(samples.content(mail))
    for name, way in (("orjson", _as_installed), ("json", _standard_library)):
        yield Contest(
            f"decode/page/{name}",
            way(repeated(decode, 100 * scale)),
            repeated(lambda: json.loads(response.body), 300 * scale),
        )
        yield Contest(
            f"encode/mail/{name}",
            way(repeated(lambda: _encoded(mail), 3_000 * scale)),
            repeated(lambda: json.dumps(members).encode(), 10_000 * scale),
        )

    for name, size in SIZES.items():
        calls = 4 * scale * (samples.FILE_BYTES // size)
        with_file = samples.mail_with_file(folder, size)
        content = (folder / f"attachment-{size}.bin").read_bytes()
        for backend, ours in (
            ("threads", _outgoing(with_file, calls)),
            ("asyncio", _async_outgoing(with_file, calls)),
        ):
            yield Contest(
                f"encode/{name}/{backend}",
                ours,
                repeated(lambda content=content: base64.b64encode(content), 2 * calls),
            )

    attrs = "import attrs"
    yield Contest("import/attrs", _process(f"{attrs}; import poweremail"), _process(attrs))
    yield Contest(
        "import/client",
        _process("from poweremail import PowerEmail, Message"),
        _process("import httpx"),
    )


def body(message: Message) -> Body:
    """The body of the request that sends *message*."""
    made = encode.send_mail(ENDPOINT, samples.SMTP_USER, message, samples.UNIQUE_ID).body
    assert made is not None
    return made


def _encoded(message: Message) -> bytes:
    return b"".join(piece for piece in body(message).pieces() if isinstance(piece, bytes))


def memory(folder: Path) -> dict[str, float]:
    """
    Extra bytes at the peak while a mail with 10 MB from a path goes out, over the size of the file.
    """
    with_file = samples.mail_with_file(folder)
    tracemalloc.start()
    for piece in Outgoing(body(with_file)):
        del piece
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {"file_bytes": samples.FILE_BYTES, "peak_bytes": peak}


def _as_installed(peer: Peer) -> Peer:
    return peer


def _standard_library(peer: Peer) -> Peer:
    """As it is without the extra ``fast``."""

    def measure() -> Cost:
        with _without_orjson():
            return peer()

    return measure


@contextmanager
def _without_orjson() -> Iterator[None]:
    found, wire_json.orjson = wire_json.orjson, None
    try:
        yield
    finally:
        wire_json.orjson = found


def _outgoing(message: Message, calls: int) -> Peer:
    return repeated(lambda: sum(map(len, Outgoing(body(message)))), calls)


def _async_outgoing(message: Message, calls: int) -> Peer:
    async def read() -> int:
        return sum([len(piece) async for piece in AsyncOutgoing(body(message))])

    async def run() -> Cost:
        await read()
        with Clock() as clock:
            for _ in range(calls):
                await read()
        return clock.cost(calls)

    return lambda: anyio.run(run)


def _process(code: str, calls: int = 5) -> Peer:
    """Whole processes; each says at its end how much CPU it has taken."""
    command = [sys.executable, "-c", f"{code}; import time; print(time.process_time())"]

    def peer() -> Cost:
        with Clock() as clock:
            outputs = [
                subprocess.run(command, capture_output=True, check=True).stdout
                for _ in range(calls)
            ]
        return Cost(calls, sum(map(float, outputs)), clock.wall)

    return peer
