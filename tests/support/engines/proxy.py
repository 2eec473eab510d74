"""A way to a server that can be cut: then its connections stay open, and nothing passes."""

from __future__ import annotations

import asyncio
import threading


class Proxy:
    """Passes connections on to *port* of this machine, from a port of its own, until it is cut."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self._open.set()
        self._pumps: set[asyncio.Task] = set()
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._connected, "127.0.0.1", 0)
        )
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def cut(self) -> None:
        self._loop.call_soon_threadsafe(self._open.clear)

    def mend(self) -> None:
        self._loop.call_soon_threadsafe(self._open.set)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self._loop.run_until_complete(asyncio.wait(tasks))
        self._loop.close()

    async def _connected(self, reader, writer) -> None:
        await self._open.wait()
        try:
            to = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.close()
            return
        for pump in (self._pump(reader, to[1]), self._pump(to[0], writer)):
            task = self._loop.create_task(pump)
            self._pumps.add(task)
            task.add_done_callback(self._pumps.discard)

    async def _pump(self, reader, writer) -> None:
        try:
            while data := await reader.read(65536):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass  # either side has ended it
        finally:
            writer.close()
