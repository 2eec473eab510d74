# async only: a thread cannot be cancelled
"""A send that is cancelled while it waits leaves no connection behind."""

from __future__ import annotations

import select
import socket
from pathlib import Path

import anyio
import pytest

from _async.ways import ENGINES, client_of
from support.messages import large, message

FILES = Path("/dev/fd")
CASES = [
    (engine, stage)
    for engine in ENGINES
    for stage in ("tls", "tunnel", "socks", "body", "response")
    # The proxy of a client of one's own is its matter.
    if stage not in ("tunnel", "socks") or engine in ("httpx", "httpx2")
]


def way_to(stage: str, silent: socket.socket, monkeypatch) -> str:
    """Return the URL of a service on whose way *silent* keeps a connection at *stage*."""
    address = f"127.0.0.1:{silent.getsockname()[1]}"
    if stage in ("body", "response"):
        return f"http://{address}"
    if stage == "tls":
        return f"https://{address}"
    if stage == "socks":
        pytest.importorskip("socksio")
    scheme = "socks5" if stage == "socks" else "http"
    monkeypatch.setenv("https_proxy", f"{scheme}://{address}")
    monkeypatch.setenv("no_proxy", "")
    return "https://api.example.com"


def open_files() -> int:
    return len(list(FILES.iterdir()))


@pytest.mark.parametrize(("engine", "stage"), CASES)
async def test_a_mail_is_in_doubt_only_after_its_body_was_begun(engine, stage, monkeypatch, caplog):
    outcomes = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = way_to(stage, silent, monkeypatch)
        async with client_of(engine, url, on_outcome=outcomes.append) as client:
            async with anyio.create_task_group() as tasks:
                mail = (large if stage == "body" else message)(unique_id="u1")
                tasks.start_soon(client.messages.send_mail, mail)
                await anyio.wait_readable(silent)
                with silent.accept()[0] as connection:
                    if stage == "body":
                        await anyio.wait_readable(connection)
                    received = b""
                    while stage == "response" and b"u1" not in received:
                        await anyio.wait_readable(connection)
                        received += connection.recv(65_536)
                    tasks.cancel_scope.cancel()
    in_doubt = stage in ("body", "response")
    assert [each.state for each in outcomes] == ["unknown" if in_doubt else "not_sent"]
    assert ("u1 may or may not have been accepted" in caplog.text) == in_doubt


@pytest.mark.skipif(not FILES.is_dir(), reason="open files cannot be counted")
@pytest.mark.parametrize(("engine", "stage"), CASES)
async def test_no_connection_is_left(engine, stage, monkeypatch):
    accepted = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with client_of(engine, way_to(stage, silent, monkeypatch)) as client:
            if not engine.startswith("a "):
                await client.prepare()

            async def send_and_cancel() -> None:
                async with anyio.create_task_group() as tasks:
                    mail = large() if stage == "body" else message()
                    tasks.start_soon(client.messages.send_mail, mail)
                    while not select.select([silent], [], [], 0)[0]:
                        await anyio.sleep(0.005)
                    accepted.append(silent.accept()[0])
                    await anyio.sleep(0.05)
                    tasks.cancel_scope.cancel()

            await send_and_cancel()
            before = open_files() - len(accepted)
            for _ in range(5):
                await send_and_cancel()
            with anyio.move_on_after(5):
                while open_files() - len(accepted) > before:
                    await anyio.sleep(0.01)
            assert open_files() - len(accepted) <= before
    for connection in accepted:
        connection.close()
