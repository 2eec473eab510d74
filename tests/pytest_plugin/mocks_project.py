"""
The tests of a project whose developers mock HTTP engines; ``test_mocks`` runs them.

Each mock meets each way to send. Nothing may reach the service, so a test passes or is stopped.
"""

from __future__ import annotations

import re
from contextlib import AsyncExitStack, contextmanager

import aiohttp
import aioresponses
import httpx
import httpx2
import pytest
import respx
import vcr

from poweremail import (
    AsyncPowerEmail,
    DeliveryUnknownError,
    Message,
    NotSentError,
    PowerEmail,
    RetryPolicy,
    TemplateMessage,
)
from poweremail.transports import AsyncAiohttpTransport, AsyncHttpxTransport, HttpxTransport

CALLS = "https://api.tes.example.com/v1.0/messages/"
SUCCESS = {"status": "success", "message": "mocked"}
OPTIONS = {"smtp_user_name": "smtp12345", "retry": RetryPolicy(1)}
ENVELOPE = {"subject": "Hi", "from_email": "me@example.com", "to": "ada@example.com"}
MAIL = Message(**ENVELOPE, text="Hello")
TEMPLATE = TemplateMessage(**ENVELOPE, template_id="t1", dynamic_value={"NAME": "Ada"})
CASSETTE = """
version: 1
interactions:
- request:
    method: POST
    uri: https://api.tes.example.com/v1.0/messages/sendMail
    body: ''
    headers: {}
  response:
    status: {code: 200, message: OK}
    headers: {content-type: [application/json]}
    body: {string: '{"status": "success", "message": "mocked"}'}
"""


@contextmanager
def by_respx(_, using="httpcore"):
    with respx.mock(assert_all_called=False, using=using) as router:
        router.post(f"{CALLS}sendMail").respond(json=SUCCESS)
        router.get(f"{CALLS}sendTemplateHTTPGet").respond(json=SUCCESS)
        yield


def by_respx_of_httpx(request):
    return by_respx(request, "httpx")


@contextmanager
def by_pytest_httpx(request, fixture="httpx_mock"):
    mock = request.getfixturevalue(fixture)
    for call in ("sendMail", "sendTemplateHTTPGet"):
        mock.add_response(url=CALLS + call, json=SUCCESS, is_optional=True)
    yield


def by_httpx2_pytest(request):
    return by_pytest_httpx(request, "httpx2_mock")


@contextmanager
def by_vcr(request):
    cassette = request.getfixturevalue("tmp_path") / "cassette.yaml"
    cassette.write_text(CASSETTE)
    with vcr.use_cassette(str(cassette), record_mode="none"):
        yield


@contextmanager
def by_aioresponses(_):
    with aioresponses.aioresponses() as mock:
        for register in (mock.post, mock.get):
            register(re.compile(".*"), exception=ConnectionRefusedError("mocked"), repeat=True)
        yield


MOCKS = {
    "respx": by_respx,
    "respx-of-httpx": by_respx_of_httpx,
    "pytest-httpx": by_pytest_httpx,
    "httpx2-pytest": by_httpx2_pytest,
    "vcr": by_vcr,
    "aioresponses": by_aioresponses,
}
WAYS = ["httpx", "httpx2", "client-of-httpx", "client-of-httpx2", "aiohttp", "session"]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mock", MOCKS)
async def test_async(mock, way, request):
    async with AsyncExitStack() as stack:
        transport = way
        if way.startswith("client-of"):
            engine = httpx2 if way.endswith("2") else httpx
            transport = AsyncHttpxTransport(await stack.enter_async_context(engine.AsyncClient()))
        elif way == "session":
            session = await stack.enter_async_context(aiohttp.ClientSession())
            transport = AsyncAiohttpTransport(session)
        stack.enter_context(MOCKS[mock](request))
        client = await stack.enter_async_context(
            AsyncPowerEmail("me", "token", "tes.example.com", transport=transport, **OPTIONS)
        )
        if mock == "aioresponses":
            with pytest.raises(NotSentError, match="mocked"):
                await client.messages.send_mail(MAIL)
            return
        assert (await client.messages.send_mail(MAIL)).message == "mocked"
        if mock != "vcr":
            # The mock sees the URL without its query, which has the token.
            assert (await client.messages.send_template_http_get(TEMPLATE)).message == "mocked"


@pytest.mark.parametrize("way", WAYS[:4])
@pytest.mark.parametrize("mock", MOCKS)
def test_sync(mock, way, request):
    transport = way
    if way.startswith("client-of"):
        transport = HttpxTransport((httpx2 if way.endswith("2") else httpx).Client())
    with (
        MOCKS[mock](request),
        PowerEmail("me", "token", "tes.example.com", transport=transport, **OPTIONS) as client,
    ):
        assert client.messages.send_mail(MAIL).message == "mocked"
        if mock != "vcr":
            assert client.messages.send_template_http_get(TEMPLATE).message == "mocked"


@pytest.mark.parametrize("error", [httpx.ConnectError("mocked"), OSError("mocked")], ids=repr)
@pytest.mark.parametrize("way", ["httpx", "client-of-httpx"])
def test_a_mock_that_raises_has_read_the_mail(way, error):
    transport = way if way == "httpx" else HttpxTransport(httpx.Client())
    with (
        respx.mock() as router,
        PowerEmail("me", "token", "tes.example.com", transport=transport, **OPTIONS) as client,
    ):
        router.post(f"{CALLS}sendMail").mock(side_effect=error)
        with pytest.raises(DeliveryUnknownError, match="mocked"):
            client.messages.send_mail(MAIL)
        with pytest.raises(AssertionError, match="not mocked"):
            client.messages.send_template_http_get(TEMPLATE)


@pytest.mark.parametrize(("mock", "way"), [("none", "mock-transport")])
def test_a_transport_that_connects_to_nobody(mock, way):
    answer = httpx.MockTransport(lambda request: httpx.Response(200, json=SUCCESS))
    transport = HttpxTransport(httpx.Client(transport=answer))
    with PowerEmail("me", "token", "tes.example.com", transport=transport, **OPTIONS) as client:
        assert client.messages.send_mail(MAIL).message == "mocked"


@pytest.mark.parametrize(("mock", "way"), [("none", "instrumented")])
def test_an_instrumentation_is_no_mock(mock, way, monkeypatch):
    real = httpx.HTTPTransport.handle_request
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda *given: real(*given))
    transport = HttpxTransport(httpx.Client())
    with PowerEmail("me", "token", "tes.example.com", transport=transport, **OPTIONS) as client:
        client.messages.send_mail(MAIL)


@pytest.mark.poweremail_allow_hosts("api.tes.example.com")
@pytest.mark.parametrize(("mock", "way"), [("vcr", "allowed")])
def test_a_cassette_is_replayed_if_the_host_is_allowed(mock, way, request):
    transport = HttpxTransport(httpx.Client())
    with (
        by_vcr(request),
        PowerEmail("me", "token", "tes.example.com", transport=transport, **OPTIONS) as client,
    ):
        assert client.messages.send_mail(MAIL).message == "mocked"
