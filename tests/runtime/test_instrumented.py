"""The token of a GET, which is in its URL, reaches no instrumentation of the HTTP engines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import aiohttp
import httpx
import pytest

from poweremail import AsyncPowerEmail, PowerEmail, PowerEmailError, RetryPolicy, UsageError
from poweremail.transports import AsyncAiohttpTransport, AsyncHttpxTransport, HttpxTransport
from support.fault_server import FaultServer, respond
from support.messages import template

pytestmark = pytest.mark.usefixtures("uncovered")

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("conventions", "member"),
    [("", "http.url"), ("http", "url.full"), ("http/dup", "url.full")],
)
def test_no_instrumentation_sees_the_token(conventions, member):
    environ = os.environ | {
        "OTEL_SEMCONV_STABILITY_OPT_IN": conventions,
        "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]),
    }
    done = subprocess.run(
        [sys.executable, "-m", "support.instrumented"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    recorded = json.loads(done.stdout)
    assert recorded["arrived"] == 12
    # The instrumentations saw the requests: of a user's client or session, and of aiohttp.
    urls = [json.loads(span)["attributes"].get(member, "") for span in recorded["spans"]]
    assert sum(url.endswith("/messages/sendTemplateHTTPGet") for url in urls) >= 8
    seen = "\n".join(recorded["seen"])
    assert seen.count("breadcrumb: {") > 8
    assert "TraceRequestHeadersSentParams" in seen
    assert "TraceRequestExceptionParams" in seen
    assert "canary" not in done.stdout
    assert "canary" not in done.stderr


def test_a_transport_that_cannot_hide_the_token_sends_no_get():
    def handle(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request)

    transport = httpx.MockTransport(handle)
    with (
        httpx.Client(transport=transport) as own,
        PowerEmail("o", "t", "a.com", smtp_user_name="s", transport=HttpxTransport(own)) as client,
        pytest.raises(UsageError, match=r"^not sent: client: .*MockTransport.*use send_template"),
    ):
        client.messages.send_template_http_get(template())


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("traced", [False, True])
async def test_a_plain_proxy_needs_the_whole_url(traced):
    configs = [aiohttp.TraceConfig()] if traced else []
    with FaultServer(respond()) as proxy:
        async with aiohttp.ClientSession(proxy=proxy.url, trace_configs=configs) as session:
            client = AsyncPowerEmail(
                "owner",
                "canary-token",
                base_url="http://127.0.0.1:1",
                smtp_user_name="s",
                transport=AsyncAiohttpTransport(session),
            )
            if traced:
                with pytest.raises(UsageError, match="^not sent: transport: .*use send_template"):
                    await client.messages.send_template_http_get(template())
                assert proxy.seen == []
                return
            await client.messages.send_template_http_get(template())
    (seen,) = proxy.seen
    assert seen.target.startswith("http://127.0.0.1:1/v1.0/messages/sendTemplateHTTPGet?")
    assert seen.query["token"] == "canary-token"


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_of_the_users_client_gets_what_belongs_to_it(scheme):
    """A plain proxy gets the whole URL, and one that tunnels gets nothing of it."""
    with FaultServer(respond()) as proxy:
        async with httpx.AsyncClient(proxy=proxy.url) as own:
            client = AsyncPowerEmail(
                "owner",
                "canary-token",
                base_url=f"{scheme}://127.0.0.1:1",
                smtp_user_name="s",
                retry=RetryPolicy(1),
                transport=AsyncHttpxTransport(own),
            )
            if scheme == "http":
                await client.messages.send_template_http_get(template())
            else:
                with pytest.raises(PowerEmailError):  # it is no proxy, so TLS fails
                    await client.messages.send_template_http_get(template())
    seen = proxy.seen[0]
    if scheme == "http":
        assert seen.target.startswith("http://127.0.0.1:1/v1.0/messages/sendTemplateHTTPGet?")
        assert seen.query["token"] == "canary-token"
    else:
        assert (seen.method, seen.target) == ("CONNECT", "127.0.0.1:1")


def test_the_entry_point_switches_traces_on():
    """``opentelemetry-instrument`` finds the instrumentor."""
    code = "from poweremail._runtime import _observed; print(_observed.observer is not None)"
    exporters = {f"OTEL_{kind}_EXPORTER": "none" for kind in ("TRACES", "METRICS", "LOGS")}
    command = [Path(sys.executable).with_name("opentelemetry-instrument"), sys.executable]
    done = subprocess.run(
        [*command, "-c", code],
        env=os.environ | exporters,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "True\n", done.stderr
