# Generated from tests/_async/test_engines.py; do not edit.
"""
What users configure in the engine stays in force, and nothing of it can make two mails of one.
"""

from __future__ import annotations

import gzip
import json

import httpx
import httpx2
import pytest

from _sync.ways import OPTIONS, TOKEN
from poweremail import PowerEmail, DeliveryUnknownError, NotSentError
from poweremail.transports import HttpxTransport
from support.fault_server import SUCCESS, FaultServer, reset_before_body, respond
from support.messages import large, message, template


@pytest.fixture(params=[httpx, httpx2], ids=["httpx", "httpx2"])
def engine(request):
    return request.param


def client_over(own, base_url: str = "https://api.example.com", **options) -> PowerEmail:
    return PowerEmail(
        "owner", TOKEN, base_url=base_url, transport=HttpxTransport(own), **(OPTIONS | options)
    )


@pytest.mark.parametrize("answered", [200, 500, "lost"])
def test_a_mock_transport_gets_the_whole_request_once(engine, answered):
    seen = []

    def handler(request):
        seen.append(json.loads(request.content))
        if answered == "lost":
            raise engine.ConnectError("after it was taken")
        return engine.Response(answered, json=SUCCESS)

    with (
        engine.Client(transport=engine.MockTransport(handler)) as own,
        client_over(own) as client,
    ):
        if answered == 200:
            assert client.messages.send_mail(message()).status == "success"
        else:
            with pytest.raises(DeliveryUnknownError):
                client.messages.send_mail(message())
    assert [body["message"]["subject"] for body in seen] == ["Hi"]


def test_authentication_that_signs_the_body_sees_it(engine):
    signed = []

    class Signature(engine.Auth):
        requires_request_body = True

        def auth_flow(self, request):
            signed.append(request.content)
            request.headers["X-Signature"] = str(len(request.content))
            yield request

    with FaultServer(respond()) as server:
        with (
            engine.Client(auth=Signature()) as own,
            client_over(own, server.url) as client,
        ):
            client.messages.send_mail(message())
    assert [server.seen[0].body] == signed
    assert server.seen[0].headers["x-signature"] == str(len(signed[0]))


def test_hooks_and_headers_of_the_client_stay_in_force(engine):
    events = []

    def on_request(request):
        events.append(request.method)

    def on_response(response):
        response.read()
        events.append(response.status_code)

    hooks = {"request": [on_request], "response": [on_response]}
    with FaultServer(
        respond(gzip.compress(json.dumps(SUCCESS).encode()), headers=[("Content-Encoding", "gzip")])
    ) as server:
        with (
            engine.Client(event_hooks=hooks, headers={"X-Trace": "t1"}) as own,
            client_over(own, server.url) as client,
        ):
            client.messages.send_mail(message())
    assert events == ["POST", 200]
    assert server.seen[0].headers["x-trace"] == "t1"
    assert server.seen[0].headers["accept-encoding"] == "gzip"


def test_a_hook_that_raises_makes_the_outcome_unknown(engine):
    def on_response(response):
        response.raise_for_status()

    with FaultServer(respond("", status=500)) as server:
        with (
            engine.Client(event_hooks={"response": [on_response]}) as own,
            client_over(own, server.url) as client,
        ):
            with pytest.raises(DeliveryUnknownError, match="HTTPStatusError"):
                client.messages.send_mail(message())
    assert server.posts == 1


def refuse_tunnel(connection) -> bool:
    connection.send(407, b"", [("Connection", "close")])
    return False


def test_a_proxy_that_refuses_has_not_sent_anything(engine):
    with FaultServer(refuse_tunnel) as proxy:
        with engine.Client(proxy=proxy.url) as own, client_over(own) as client:
            with pytest.raises(NotSentError, match="ProxyError"):
                client.messages.send_mail(message())
            with pytest.raises(NotSentError, match="ProxyError"):
                client.messages.send_template_http_get(template())


def test_the_error_of_an_engine_does_not_carry_the_token_of_a_get(engine):
    with engine.Client() as own, client_over(own, "http://127.0.0.1:1") as client:
        with pytest.raises(NotSentError) as caught:
            client.messages.send_template_http_get(template())
    error: BaseException | None = caught.value
    while error is not None:
        assert type(error).__module__.startswith("poweremail")
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("mail", [message, large])
def test_a_transport_that_repeats_a_mail_itself_leaves_it_unknown(engine, mail):
    """The service had the whole mail once; that the second one broke off says nothing of it."""

    class Repeating(engine.HTTPTransport):
        def handle_request(self, request):
            response = super().handle_request(request)
            if response.status_code == 503:
                response.close()
                response = super().handle_request(request)
            return response

    with FaultServer(respond(status=503), reset_before_body) as server:
        with (
            engine.Client(transport=Repeating()) as own,
            client_over(own, server.url) as client,
        ):
            with pytest.raises(DeliveryUnknownError):
                client.messages.send_mail(mail())
    assert server.posts == 1
