# Generated from tests/_async/test_telemetry.py; do not edit.
"""What OpenTelemetry gets of the calls of a client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, get_current_span
from sqlalchemy import create_engine

from _sync.ways import WAYS, client_of, reached
from poweremail import NotSentError, RateLimits, RetryPolicy
from poweremail.batch import Batch, Outbox
from poweremail.contrib.opentelemetry import PowerEmailInstrumentor
from poweremail.sandbox import Fault
from support.messages import message


class Telemetry:
    """An SDK in memory."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self._metrics = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meters = MeterProvider(metric_readers=[self._metrics])
        self.tracer = self.tracers.get_tracer("tests")

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """Those that have ended, in this order."""
        return self._spans.get_finished_spans()

    def points(self, metric: str) -> list:
        data = self._metrics.get_metrics_data()
        return [
            point
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for each in scope.metrics
            if each.name == metric
            for point in each.data.data_points
        ]

    @property
    def text(self) -> str:
        """All of it."""
        data = self._metrics.get_metrics_data()
        return "".join([*(span.to_json() for span in self.spans), data.to_json() if data else ""])


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    made = Telemetry()
    PowerEmailInstrumentor().instrument(
        tracer_provider=made.tracers, meter_provider=made.meters, skip_dep_check=True
    )
    yield made
    PowerEmailInstrumentor().uninstrument()
    made.tracers.shutdown()
    made.meters.shutdown()


@pytest.mark.parametrize("way", WAYS)
def test_a_send_is_a_span_with_its_attempt(way, served, telemetry):
    with reached(way, served) as client:
        with telemetry.tracer.start_as_current_span("order") as order:
            client.messages.send_mail(message(subject="Secret", unique_id="u1"))
            assert get_current_span() is order
    attempt, call, _ = telemetry.spans
    assert (call.name, call.kind) == ("messages/sendMail", SpanKind.CLIENT)
    assert call.parent.span_id == order.get_span_context().span_id
    assert call.attributes["poweremail.outcome"] == "accepted"
    assert call.attributes["poweremail.attempts"] == 1
    assert call.attributes["poweremail.smtp_user_name"] == "smtp12345"
    assert call.attributes["poweremail.unique_id"] == "u1"
    assert call.attributes["http.response.status_code"] == 200
    assert (attempt.name, attempt.kind) == ("POST messages/sendMail", SpanKind.CLIENT)
    assert attempt.parent.span_id == call.context.span_id
    assert attempt.attributes["http.request.method"] == "POST"
    assert attempt.attributes["url.full"].endswith("/v1.0/messages/sendMail")
    assert attempt.attributes["server.port"] > 0
    for secret in ("canary", "example.com", "Secret"):
        assert secret not in telemetry.text.replace("tes.example.com", "")
    assert {call.status.status_code, attempt.status.status_code} == {StatusCode.UNSET}
    assert call.instrumentation_scope.schema_url == "https://opentelemetry.io/schemas/1.44.0"


def test_each_retry_is_a_span(served, telemetry):
    served.faults.add(Fault.rate_limited(), call="sendMail", times=1)
    with reached("httpx", served) as client:
        client.messages.send_mail(message())
    first, second, call = telemetry.spans
    assert first.status.status_code is StatusCode.ERROR
    assert first.attributes["error.type"] == "RateLimitError"
    assert first.attributes["http.response.status_code"] == 429
    assert "http.request.resend_count" not in first.attributes
    assert second.attributes["http.request.resend_count"] == 1
    assert call.attributes["poweremail.attempts"] == 2
    assert call.status.status_code is StatusCode.UNSET


def test_an_error_is_its_type_only(telemetry):
    with client_of("httpx", "http://127.0.0.1:1", retry=RetryPolicy(1)) as client:
        with pytest.raises(NotSentError):
            client.messages.send_mail(message())
    attempt, call = telemetry.spans
    for span in (attempt, call):
        assert span.attributes["error.type"] == "NotSentError"
        assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
        assert "http.response.status_code" not in span.attributes
        assert span.events == ()
    assert call.attributes["poweremail.outcome"] == "not_sent"


def test_a_lookup_is_inside_its_send(served, telemetry):
    served.faults.add(Fault.reset_after_acceptance(), call="sendMail", times=1)
    with reached("httpx", served, on_unknown="reconcile") as client:
        client.messages.send_mail(message())
    call = telemetry.spans[-1]
    (lookup,) = [each for each in telemetry.spans if each.name == "messages/getMessageInfo"]
    assert lookup.parent.span_id == call.context.span_id
    assert lookup.attributes["poweremail.outcome"] == "succeeded"
    assert call.attributes["poweremail.outcome"] == "accepted"


def test_calls_and_mails_are_measured(served, telemetry):
    with reached("httpx", served, limits=RateLimits(100)) as client:
        for _ in range(2):
            client.messages.send_mail(message())
        client.settings.list_smtp()
    (outcomes,) = telemetry.points("poweremail.mail.outcomes")
    assert outcomes.value == 2
    assert outcomes.attributes["poweremail.outcome"] == "accepted"
    assert outcomes.attributes["poweremail.smtp_user_name"] == "smtp12345"
    durations = telemetry.points("poweremail.client.operation.duration")
    assert {each.attributes["poweremail.operation"]: each.count for each in durations} == {
        "messages/sendMail": 2,
        "settings/listSmtp": 1,
    }
    (waits,) = telemetry.points("poweremail.client.limit_wait.duration")
    assert waits.count == 2
    assert waits.explicit_bounds[0] == 0.001


def test_a_mail_of_a_batch_links_to_the_span_that_added_it(served, telemetry, tmp_path):
    with (
        reached("in-process", served) as client,
        Batch(client, tmp_path / "ledger.db", "news") as batch,
    ):
        with telemetry.tracer.start_as_current_span("import") as adding:
            batch.add([message(unique_id="u1")])
        batch.add([message(unique_id="u2")])
        with batch.run() as outcomes:
            for _ in outcomes:
                pass
    linked = {
        span.attributes["poweremail.unique_id"]: [each.context.span_id for each in span.links]
        for span in telemetry.spans
        if span.name == "messages/sendMail"
    }
    assert linked == {"u1": [adding.get_span_context().span_id], "u2": []}


def test_a_mail_of_an_outbox_links_to_the_span_that_added_it(served, telemetry, tmp_path):
    path = tmp_path / "shop.db"
    engine = create_engine(f"sqlite:///{path}")
    with Outbox(path) as outbox:
        outbox.create_tables()
        with engine.begin() as connection:
            with telemetry.tracer.start_as_current_span("order") as adding:
                outbox.add(connection, message(unique_id="u1"))
    engine.dispose()
    with (
        reached("in-process", served) as client,
        Batch(client, path, "outbox") as batch,
        batch.run() as outcomes,
    ):
        for _ in outcomes:
            pass
    (call,) = [span for span in telemetry.spans if span.name == "messages/sendMail"]
    assert [each.context.span_id for each in call.links] == [adding.get_span_context().span_id]


def test_an_observer_that_fails_harms_no_mail(served, telemetry, monkeypatch, caplog):
    with reached("in-process", served) as client:
        monkeypatch.setattr("opentelemetry.sdk.trace.Tracer.start_span", fail)
        client.messages.send_mail(message())
    assert len(served.outbox) == 1
    assert "a hook failed" in caplog.text


def fail(*args, **options) -> None:
    raise RuntimeError("no span")


def test_nothing_is_recorded_after_uninstrument(served, telemetry):
    PowerEmailInstrumentor().uninstrument()
    with reached("in-process", served) as client:
        client.messages.send_mail(message())
    assert telemetry.spans == ()
