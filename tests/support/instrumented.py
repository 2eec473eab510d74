"""
A program in which every instrumentation is on: it sends a mail by a GET in each way, and prints as
JSON how many arrived and everything that the instrumentations recorded.

It is a program of its own, because they change the engines for the whole process.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from contextlib import suppress
from typing import Any

import aiohttp
import httpx
import httpx2
import sentry_sdk
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.instrumentation.httpx import (
    AsyncOpenTelemetryTransport,
    HTTPX2ClientInstrumentor,
    HTTPXClientInstrumentor,
    SyncOpenTelemetryTransport,
)
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from poweremail import AsyncPowerEmail, PowerEmail, PowerEmailError, RetryPolicy
from poweremail.transports import AsyncAiohttpTransport, AsyncHttpxTransport, HttpxTransport
from support.fault_server import FaultServer, close_after_body, reset_after_body
from support.messages import template
from support.served import ServedSandbox

TOKEN = "canary-token"

spans = InMemorySpanExporter()
metrics = InMemoryMetricReader()
seen: list[str] = []
"""What Sentry, the user's own hooks and the logs got."""


class SentryTransport(sentry_sdk.Transport):
    def capture_envelope(self, envelope: Any) -> None:
        seen.append(envelope.serialize().decode("utf-8", "replace"))


class Log(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        seen.append(f"{record.name}: {record.getMessage()} {vars(record)}")


def keep_breadcrumb(crumb: Any, _: Any) -> Any:
    seen.append(f"breadcrumb: {crumb}")
    return crumb


def instrument() -> None:
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    providers = {
        "tracer_provider": tracers,
        "meter_provider": MeterProvider(metric_readers=[metrics]),
    }
    for instrumentor in (
        HTTPXClientInstrumentor,
        HTTPX2ClientInstrumentor,
        AioHttpClientInstrumentor,
        URLLib3Instrumentor,
    ):
        instrumentor().instrument(**providers)
    sentry_sdk.init(
        "http://key@127.0.0.1/1",
        transport=SentryTransport,
        traces_sample_rate=1.0,
        send_default_pii=True,
        before_breadcrumb=keep_breadcrumb,
    )
    logging.basicConfig(level=logging.DEBUG, handlers=[Log()])


def trace_config() -> aiohttp.TraceConfig:
    """Keep all that aiohttp reports of a request."""

    async def keep(session: Any, context: Any, params: Any) -> None:
        members = {name: getattr(params, name) for name in dir(params) if name[0] != "_"}
        seen.append(f"{type(params).__name__}: {members}")
        if response := members.get("response"):
            seen.append(f"{response.request_info} {response.real_url}")

    config = aiohttp.TraceConfig()
    for signal in vars(config).values():
        if isinstance(signal, aiohttp.tracing.Signal):
            signal.append(keep)
    return config


def request_hook(request: Any) -> None:
    seen.append(f"{request!r} {request.extensions} {request.url}")


async def async_request_hook(request: Any) -> None:
    request_hook(request)


def sync_sends(url: str) -> None:
    options = {"base_url": url, "smtp_user_name": "smtp12345", "retry": RetryPolicy(1)}
    hooks = {"request": [request_hook]}
    with (
        httpx.Client(event_hooks=hooks) as own,
        httpx2.Client(event_hooks=hooks) as own2,
        httpx.Client(transport=SyncOpenTelemetryTransport(httpx.HTTPTransport())) as wrapped,
    ):
        HTTPXClientInstrumentor.instrument_client(wrapped)
        for transport in ("httpx", "httpx2", *map(HttpxTransport, (own, own2, wrapped))):
            with (
                sentry_sdk.start_transaction(name="sync"),
                PowerEmail("owner", TOKEN, transport=transport, **options) as client,
                suppress(PowerEmailError),
            ):
                client.messages.send_template_http_get(template())


async def async_sends(url: str) -> None:
    options = {"base_url": url, "smtp_user_name": "smtp12345", "retry": RetryPolicy(1)}
    hooks = {"request": [async_request_hook]}
    async with (
        httpx.AsyncClient(event_hooks=hooks) as own,
        httpx2.AsyncClient(event_hooks=hooks) as own2,
        httpx.AsyncClient(
            transport=AsyncOpenTelemetryTransport(httpx.AsyncHTTPTransport())
        ) as wrapped,
        aiohttp.ClientSession(trace_configs=[trace_config()]) as session,
    ):
        for transport in (
            "httpx",
            "httpx2",
            "aiohttp",
            *map(AsyncHttpxTransport, (own, own2, wrapped)),
            AsyncAiohttpTransport(session),
        ):
            with sentry_sdk.start_transaction(name="async"), suppress(PowerEmailError):
                async with AsyncPowerEmail(
                    "owner", TOKEN, transport=transport, **options
                ) as client:
                    await client.messages.send_template_http_get(template())


def main() -> None:
    instrument()
    with ServedSandbox() as sandbox, sandbox.server() as server:
        sandbox.add_template("t1", text="Dear {{NAME}}")
        sync_sends(server.url)
        asyncio.run(async_sends(server.url))
        arrived = len(sandbox.outbox)
    for fault in (reset_after_body, close_after_body):
        with FaultServer(fault) as broken:
            sync_sends(broken.url)
            asyncio.run(async_sends(broken.url))
    sync_sends("http://127.0.0.1:1")
    asyncio.run(async_sends("http://127.0.0.1:1"))
    data = metrics.get_metrics_data()
    json.dump(
        {
            "arrived": arrived,
            "spans": [span.to_json() for span in spans.get_finished_spans()],
            "metrics": data.to_json() if data else "",
            "seen": seen,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
