"""The examples of the docs, taken from the page, in the frameworks that they are for."""

from __future__ import annotations

import types
from pathlib import Path

import httpx
import pytest
from markdown_it import MarkdownIt

from poweremail.webhooks import WebhookASGI, WebhookReceiver, WebhookWSGI
from support.django_project import configure
from support.webhooks import HELLO, KEY, URL, event, form, signed

PAGE = Path(__file__).parents[2] / "docs" / "webhooks.md"
BODY = form(event(1, event="hard_bounce"), event(2))
MOUNTED = {"url": URL, "keys": KEY, "scheme": "form-base64"}


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("POWEREMAIL_WEBHOOK_KEY", f"new,{KEY}")


def example(word: str) -> types.ModuleType:
    """The one example with *word* in it, as a module."""
    (text,) = [
        token.content
        for token in MarkdownIt().parse(PAGE.read_text())
        if token.info.startswith("python") and word in token.content
    ]
    module = types.ModuleType("example_of_webhooks")
    exec(compile(text, str(PAGE), "exec"), module.__dict__)
    return module


async def plays(post, get) -> None:
    """The same story for every framework: registered, served once, not served twice, not fooled."""
    assert await get() == (200, HELLO)
    for _ in range(2):
        assert await post(BODY, signed(BODY)) == (200, HELLO)
    assert (await post(BODY, signed(BODY, key="wrong")))[0] == 403
    assert (await post(b"a=b", signed(b"a=b")))[0] == 400


async def plays_on_asgi(app, path="/hooks/mail") -> None:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://inside"
    ) as client:

        async def get():
            response = await client.get(path)
            return response.status_code, response.content

        async def post(body, headers):
            response = await client.post(path, content=body, headers=headers)
            return response.status_code, response.content

        await plays(post, get)


async def plays_on_flask(app) -> None:
    client = app.test_client()

    async def get():
        response = client.get("/hooks/mail")
        return response.status_code, response.data

    async def post(body, headers):
        response = client.post("/hooks/mail", data=body, headers=headers)
        return response.status_code, response.data

    await plays(post, get)


@pytest.mark.anyio
async def test_fastapi_with_the_application(capsys):
    await plays_on_asgi(example("routes=[Route(").app)
    assert capsys.readouterr().out.count("never again: ada@example.com") == 1


@pytest.mark.anyio
async def test_fastapi_with_a_route(capsys):
    await plays_on_asgi(example("receiver.arespond(").app)
    assert capsys.readouterr().out.count("order-1") == 1


@pytest.mark.anyio
async def test_fastapi_with_a_mounted_application(capsys):
    from fastapi import FastAPI

    app = FastAPI()
    app.mount("/hooks/mail", WebhookASGI(WebhookReceiver(print, **MOUNTED)))
    await plays_on_asgi(app, "/hooks/mail/")
    assert capsys.readouterr().out.count("order-1") == 1


@pytest.mark.anyio
async def test_flask_with_a_route(capsys):
    await plays_on_flask(example("from flask import").app)
    assert capsys.readouterr().out.count("order-1") == 1


@pytest.mark.anyio
async def test_flask_with_a_mounted_application(capsys):
    from flask import Flask
    from werkzeug.middleware.dispatcher import DispatcherMiddleware

    app = Flask("mounted")
    app.wsgi_app = DispatcherMiddleware(
        app.wsgi_app, {"/hooks/mail": WebhookWSGI(WebhookReceiver(print, **MOUNTED))}
    )
    await plays_on_flask(app)
    assert capsys.readouterr().out.count("order-1") == 1


@pytest.mark.anyio
async def test_django_with_a_view(capsys, monkeypatch):
    import sys

    configure()
    from django.test import Client, override_settings

    monkeypatch.setitem(sys.modules, "example_of_webhooks", example("from django.urls import path"))
    client = Client(enforce_csrf_checks=True)

    async def get():
        response = client.get("/hooks/mail")
        return response.status_code, response.content

    async def post(body, headers):
        kind = headers.pop("Content-Type")
        response = client.post("/hooks/mail", data=body, content_type=kind, headers=headers)
        return response.status_code, response.content

    with override_settings(ROOT_URLCONF="example_of_webhooks"):
        await plays(post, get)
    assert capsys.readouterr().out.count("order-1") == 1
