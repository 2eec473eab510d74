"""The application of the proof on procrastinate."""

from __future__ import annotations

from procrastinate import App, PsycopgConnector

from poweremail.engines.procrastinate import ProcrastinateMail
from support.engines.traced import BROKER, LEDGER, OPTIONS, copies, slice_of

app = App(connector=PsycopgConnector(conninfo=BROKER))


class Mail(ProcrastinateMail):
    async def drive(self, kick):
        with slice_of(kick):
            return await super().drive(kick)

    async def send_kick(self, kick, delay):
        for _ in copies():
            await super().send_kick(kick, delay)


mail = Mail(app, LEDGER, queue="mail", **OPTIONS)


async def open_app() -> None:
    """Open it, and create the tables of procrastinate unless they are there."""
    await app.open_async()
    if not await app.check_connection_async():
        await app.schema_manager.apply_schema_async()
