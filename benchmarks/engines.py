"""
The peers: engines used barely and well, requests as the vendor's library uses it, and a popular
library for mail.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

from benchmarks import samples

ENGINES = ("httpx", "httpx2")
ASYNC_ENGINES = (*ENGINES, "aiohttp")

Way = tuple[Callable[[], Any], Callable[[Any], Callable[[], Any]]]

JSON = {"Content-Type": "application/json"}


def url(port: int) -> str:
    """The URL to which a mail is sent."""
    return f"http://127.0.0.1:{port}/v1.0/messages/sendMail"


def bare(engine: str, port: int) -> Way:
    """
    POST the same bytes by the engine's own async client, made as its manual says, and read the
    response.
    """
    content = samples.content(samples.small_mail())
    if engine == "aiohttp":
        aiohttp = importlib.import_module("aiohttp")

        def with_session(session: Any) -> Callable[[], Any]:
            async def post() -> bytes:
                async with session.post(url(port), data=content, headers=JSON) as response:
                    return await response.read()  # type: ignore[no-any-return]

            return post

        return lambda: aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)), with_session
    client_of = importlib.import_module(engine).AsyncClient
    # No timeout: with hundreds of callers its pool would run into one.
    return lambda: client_of(
        timeout=None
    ), lambda client: lambda: client.post(url(port), content=content, headers=JSON)


def sync_bare(engine: str, port: int) -> Way:
    """POST the same bytes by the engine's own sync client."""
    content = samples.content(samples.small_mail())
    client_of = importlib.import_module(engine).Client
    return lambda: client_of(
        timeout=None
    ), lambda client: lambda: client.post(url(port), content=content, headers=JSON)


def sync_vendor(port: int) -> Way:
    """
    POST as the vendor's own library does: one session of requests, which writes and reads the JSON.
    """
    requests = importlib.import_module("requests")
    members = importlib.import_module("json").loads(samples.content(samples.small_mail()))

    def session() -> Any:
        made = requests.Session()
        # As many connections as threads, or it would throw them away and warn.
        made.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=100))
        return made

    return session, lambda made: lambda: made.post(url(port), json=members).json()


@contextmanager
def _resend(port: int) -> Any:
    resend = importlib.import_module("resend")
    resend.api_key = samples.TOKEN
    resend.api_url = f"http://127.0.0.1:{port}"
    yield resend


def sync_popular(port: int) -> Way:
    """Resend's library, as its manual shows it, with a mail of the same size."""
    mail = samples.small_mail()
    members = {
        "from": "orders@example.com",
        "to": list(mail.recipients),
        "subject": mail.subject,
        "text": mail.text,
    }
    return lambda: _resend(port), lambda resend: lambda: resend.Emails.send(members)
