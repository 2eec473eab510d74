"""The route of one send through the library is short, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
import sys
from contextlib import suppress
from pathlib import Path

import pytest

import poweremail
from poweremail import AsyncPowerEmail, ValidationError
from poweremail._wire.http import Body
from support.fault_server import FaultServer, answer
from support.messages import message

PACKAGE = Path(poweremail.__file__).parent


def test_a_warm_send_enters_fifteen_files_at_most():
    """
    A reader who follows a send opens these files: each concept is one file, and none is there for
    its own sake.
    """
    entered: set[str] = set()

    def note(frame, event, _):
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(PACKAGE):
            entered.add(path.relative_to(PACKAGE).as_posix())

    async def send_twice():
        async with AsyncPowerEmail(
            "owner", "token", base_url=server.url, smtp_user_name="smtp1"
        ) as client:
            await client.messages.send_mail(message())
            second = message()
            sys.setprofile(note)
            try:
                await client.messages.send_mail(second)
            finally:
                sys.setprofile(None)

    with FaultServer(answer()) as server:
        asyncio.run(send_twice())
    assert len(entered) <= 15, sorted(entered)


@pytest.mark.parametrize("status", ["success", "error"])
def test_a_send_leaves_no_body_to_the_garbage_collector(status):
    """A body may have megabytes: it is freed when its call has ended."""

    async def send(client):
        with suppress(ValidationError):
            await client.messages.send_mail(message())

    def bodies():
        return [each for each in gc.get_objects() if isinstance(each, Body)]

    async def send_and_count():
        async with AsyncPowerEmail(
            "owner", "token", base_url=server.url, smtp_user_name="smtp1"
        ) as client:
            await send(client)
            gc.collect()
            # Bodies that others hold; they are kept here, so that no new one gets an old id.
            others = {id(body): body for body in bodies()}
            gc.disable()
            try:
                for _ in range(3):
                    await send(client)
                return sum(id(body) not in others for body in bodies())
            finally:
                gc.enable()

    reply = {"status": status, "name": "ValidationError", "message": "x"}
    with FaultServer(answer(reply)) as server:
        assert asyncio.run(send_and_count()) == 0
