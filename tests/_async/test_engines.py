"""
What users configure in the engine stays in force, and nothing of it can make two mails of one.
"""

from __future__ import annotations

import gzip
import json

import httpx
import httpx2
import pytest

from _async.ways import OPTIONS, TOKEN
from poweremail import AsyncPowerEmail, DeliveryUnknownError, NotSentError
from poweremail.transports import AsyncHttpxTransport
from support.fault_server import SUCCESS, FaultServer, reset_before_body, respond
from support.messages import large, message, template


@pytest.fixture(params=[httpx, httpx2], ids=["httpx", "httpx2"])
def engine(request):
    return request.param


def client_over(own, base_url: str = "https://api.example.com", **options) -> AsyncPowerEmail:
    return AsyncPowerEmail(
        "owner", TOKEN, base_url=base_url, transport=AsyncHttpxTransport(own), **(OPTIONS | options)
    )


@pytest.mark.parametrize("answered", [200, 500, "lost"])
async def test_a_mock_transport_gets_the_whole_request_once(engine, answered):
    seen = []

    def handler(request):
        seen.append(json.loads(request.content))
        if answered == "lost":
            raise engine.ConnectError("after it was taken")
        return engine.Response(answered, json=SUCCESS)

    async with (
        engine.AsyncClient(transport=engine.MockTransport(handler)) as own,
        client_over(own) as client,
    ):
        if answered == 200:
            assert (await client.messages.send_mail(message())).status == "success"
        else:
            with pytest.raises(DeliveryUnknownError):
                await client.messages.send_mail(message())
    assert [body["message"]["subject"] for body in seen] == ["Hi"]


async def test_authentication_that_signs_the_body_sees_it(engine):
    signed = []

    class Signature(engine.Auth):
        requires_request_body = True

        def auth_flow(self, request):
            signed.append(request.content)
            request.headers["X-Signature"] = str(len(request.content))
            yield request

    with FaultServer(respond()) as server:
        async with (
            engine.AsyncClient(auth=Signature()) as own,
            client_over(own, server.url) as client,
        ):
            await client.messages.send_mail(message())
    assert [server.seen[0].body] == signed
    assert server.seen[0].headers["x-signature"] == str(len(signed[0]))


async def test_hooks_and_headers_of_the_client_stay_in_force(engine):
    events = []

    async def on_request(request):
        events.append(request.method)

    async def on_response(response):
        await response.aread()
        events.append(response.status_code)

    hooks = {"request": [on_request], "response": [on_response]}
    with FaultServer(
        respond(gzip.compress(json.dumps(SUCCESS).encode()), headers=[("Content-Encoding", "gzip")])
    ) as server:
        async with (
            engine.AsyncClient(event_hooks=hooks, headers={"X-Trace": "t1"}) as own,
            client_over(own, server.url) as client,
        ):
            await client.messages.send_mail(message())
    assert events == ["POST", 200]
    assert server.seen[0].headers["x-trace"] == "t1"
    assert server.seen[0].headers["accept-encoding"] == "gzip"


async def test_a_hook_that_raises_makes_the_outcome_unknown(engine):
    async def on_response(response):
        response.raise_for_status()

    with FaultServer(respond("", status=500)) as server:
        async with (
            engine.AsyncClient(event_hooks={"response": [on_response]}) as own,
            client_over(own, server.url) as client,
        ):
            with pytest.raises(DeliveryUnknownError, match="HTTPStatusError"):
                await client.messages.send_mail(message())
    assert server.posts == 1


def refuse_tunnel(connection) -> bool:
    connection.send(407, b"", [("Connection", "close")])
    return False


async def test_a_proxy_that_refuses_has_not_sent_anything(engine):
    with FaultServer(refuse_tunnel) as proxy:
        async with engine.AsyncClient(proxy=proxy.url) as own, client_over(own) as client:
            with pytest.raises(NotSentError, match="ProxyError"):
                await client.messages.send_mail(message())
            with pytest.raises(NotSentError, match="ProxyError"):
                await client.messages.send_template_http_get(template())


async def test_the_error_of_an_engine_does_not_carry_the_token_of_a_get(engine):
    async with engine.AsyncClient() as own, client_over(own, "http://127.0.0.1:1") as client:
        with pytest.raises(NotSentError) as caught:
            await client.messages.send_template_http_get(template())
    error: BaseException | None = caught.value
    while error is not None:
        assert type(error).__module__.startswith("poweremail")
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("mail", [message, large])
async def test_a_transport_that_repeats_a_mail_itself_leaves_it_unknown(engine, mail):
    """The service had the whole mail once; that the second one broke off says nothing of it."""

    class Repeating(engine.AsyncHTTPTransport):
        async def handle_async_request(self, request):
            response = await super().handle_async_request(request)
            if response.status_code == 503:
                await response.aclose()
                response = await super().handle_async_request(request)
            return response

    with FaultServer(respond(status=503), reset_before_body) as server:
        async with (
            engine.AsyncClient(transport=Repeating()) as own,
            client_over(own, server.url) as client,
        ):
            with pytest.raises(DeliveryUnknownError):
                await client.messages.send_mail(mail())
    assert server.posts == 1
