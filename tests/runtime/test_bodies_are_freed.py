"""A send leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress

import pytest

from poweremail import AsyncPowerEmail, ValidationError
from poweremail._wire.http import Body
from support.fault_server import FaultServer, respond
from support.messages import message


@pytest.mark.parametrize("status", ["success", "error"])
@pytest.mark.parametrize("pause", [0, 0.01])
@pytest.mark.parametrize("engine", ["httpx", "httpx2", "aiohttp"])
def test_a_send_leaves_no_body_behind(engine, pause, status):
    """
    A body may have megabytes: it is freed when its call has ended, not by the garbage collector and
    not when the last timer of the call would have run out.
    """

    async def send(client):
        with suppress(ValidationError):
            await client.messages.send_mail(message())
        await asyncio.sleep(pause)

    def bodies():
        # isinstance would ask other objects of the process, and settings of Django raise.
        return [each for each in gc.get_objects() if type(each) is Body]

    async def send_and_count():
        async with AsyncPowerEmail(
            "owner", "token", base_url=server.url, smtp_user_name="smtp1", transport=engine
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
    with FaultServer(respond(reply)) as server:
        assert asyncio.run(send_and_count()) == 0
