# async only: the sync client has the same path, since it is generated
"""A send goes straight down and back up: how many files it passes is kept small."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import poweremail
from _async.ways import OPTIONS
from poweremail import AsyncPowerEmail
from support.fault_server import FaultServer, respond
from support.messages import message

PACKAGE = Path(poweremail.__file__).parent


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(("engine", "max_files"), [("httpx", 15), ("aiohttp", 17)])
async def test_a_send_enters_few_files(engine, max_files):
    entered: set[str] = set()

    def note(frame, event, _) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(PACKAGE):
            entered.add(str(path.relative_to(PACKAGE)))

    mail = message()
    with FaultServer(respond()) as server:
        client = AsyncPowerEmail("owner", "token", base_url=server.url, transport=engine, **OPTIONS)
        async with client:
            await client.messages.send_mail(mail)
            sys.setprofile(note)
            try:
                await client.messages.send_mail(mail)
            finally:
                sys.setprofile(None)
    files = sorted(file for file in entered if not file.startswith("sandbox"))
    assert len(files) <= max_files, files
