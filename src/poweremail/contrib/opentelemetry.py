"""
Traces and metrics for OpenTelemetry: ``PowerEmailInstrumentor().instrument()``.

Theory of operation. The instrumentor is the observer of the process (``_runtime/_observed.py``), so
it sees each call and each attempt of every client begin and end, and the API alone is needed. The
span of a call is current while the call is made, and that of an attempt while the attempt is, so
spans of HTTP instrumentations and records of logs belong to them.

The names are those of the semantic conventions 1.44.0, where these have one: an attempt is an HTTP
client span. Nothing has an address of a person, a subject or a query.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Token
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import context, metrics, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from poweremail._runtime._observed import Attempt, Call, observe
from poweremail._version import __version__

__all__ = ["PowerEmailInstrumentor"]

_SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60)
"""The buckets of the conventions for durations, and two for retries and lookups."""

_WAIT_SECONDS = (0.001, 0.01, 0.1, 1, 5, 10, 30, 60, 300, 600, 1800, 3600)

_PROPAGATOR = TraceContextTextMapPropagator()

_FAILED = trace.Status(trace.StatusCode.ERROR)

Ends = Callable[[], object]


class PowerEmailInstrumentor:
    """
    Makes spans and metrics of the calls of all clients in this process.

    ``opentelemetry-instrument`` finds it by its entry point and calls `instrument` itself.

    Spans, all of kind client:

    - a call, named by its path, such as ``messages/sendMail``, with ``poweremail.operation``,
      ``poweremail.outcome`` (``accepted``, ``rejected``, ``not_sent`` or ``unknown``; for a call
      that sends nothing ``succeeded``, ``failed`` or ``unknown``), ``poweremail.attempts``,
      ``poweremail.smtp_user_name``, ``poweremail.unique_id``, ``poweremail.limit_wait``,
      ``server.address``, ``server.port``, ``http.response.status_code`` and ``error.type``. If the
      mail is from a batch or an outbox, it links to the span that added it;
    - inside, each attempt, named such as ``POST messages/sendMail``, with
      ``http.request.method``, ``url.full`` without the query, ``http.request.resend_count``,
      ``http.response.status_code``, ``server.address``, ``server.port`` and ``error.type``.

    Metrics:

    - ``poweremail.mail.outcomes``: a counter of mails by outcome;
    - ``poweremail.client.operation.duration``: a histogram of seconds of all calls;
    - ``poweremail.client.limit_wait.duration``: a histogram of seconds that attempts waited for
      limits, if the client has some.
    """

    def instrument(
        self,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        **_: object,
    ) -> None:
        """
        Begin; calls that are being made are left out. *tracer_provider* and *meter_provider* are
        those of the process by default. Other options, which belong to other instrumentations, are
        ignored.
        """
        observe(_Telemetry(tracer_provider, meter_provider))

    def uninstrument(self, **_: object) -> None:
        """End."""
        observe(None)


class _Telemetry:
    """The observer."""

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None,
        meter_provider: metrics.MeterProvider | None,
    ) -> None:
        self._tracer = trace.get_tracer("poweremail", __version__, tracer_provider, _SCHEMA_URL)
        meter = metrics.get_meter("poweremail", __version__, meter_provider, _SCHEMA_URL)
        self._outcomes = meter.create_counter(
            "poweremail.mail.outcomes", "{mail}", "Mails by what became of them"
        )
        self._durations = meter.create_histogram(
            "poweremail.client.operation.duration",
            "s",
            "Duration of calls, with retries, lookups and waits for limits",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._limit_waits = meter.create_histogram(
            "poweremail.client.limit_wait.duration",
            "s",
            "Time that attempts waited for the limits of the client",
            explicit_bucket_boundaries_advisory=_WAIT_SECONDS,
        )

    def begin_call(self, call: Call) -> Ends:
        """Begin the span of *call*."""
        common = {"poweremail.operation": call.request.operation.path, **_server(call)}
        span = self._tracer.start_span(
            call.request.operation.path,
            kind=trace.SpanKind.CLIENT,
            attributes=common,
            links=_links(call.added_by),
        )
        token = _make_current(span)

        def end() -> None:
            context.detach(token)
            outcome = common | {"poweremail.outcome": call.outcome}
            if call.error_kind is not None:
                outcome["error.type"] = call.error_kind
                span.set_status(_FAILED)
            span.set_attributes(
                _given(
                    outcome
                    | {
                        "poweremail.attempts": call.attempts,
                        "poweremail.limit_wait": call.limit_seconds,
                        "poweremail.smtp_user_name": call.mail.smtp_user_name,
                        "poweremail.unique_id": call.mail.unique_id,
                        "http.response.status_code": call.status,
                    }
                )
            )
            self._durations.record(call.seconds, outcome)
            if call.request.operation.sends:
                self._outcomes.add(
                    1, _given({**outcome, "poweremail.smtp_user_name": call.mail.smtp_user_name})
                )
            span.end()

        return end

    def begin_attempt(self, attempt: Attempt) -> Ends:
        """Begin the span of *attempt*."""
        call = attempt.call
        request, smtp_user_name = call.request, call.mail.smtp_user_name
        if attempt.limit_seconds:
            waited_for = {"poweremail.smtp_user_name": smtp_user_name}
            self._limit_waits.record(attempt.limit_seconds, _given(waited_for))
        span = self._tracer.start_span(
            f"{request.method} {request.operation.path}",
            kind=trace.SpanKind.CLIENT,
            attributes={
                "http.request.method": request.method,
                "url.full": request.url,
                **_server(call),
                **({"http.request.resend_count": attempt.number - 1} if attempt.number > 1 else {}),
            },
        )
        token = _make_current(span)

        def end() -> None:
            context.detach(token)
            if attempt.status is not None:
                span.set_attribute("http.response.status_code", attempt.status)
            if attempt.error_kind is not None:
                span.set_attribute("error.type", attempt.error_kind)
                span.set_status(_FAILED)
            span.end()

        return end


def _make_current(span: trace.Span) -> Token[context.Context]:
    return context.attach(trace.set_span_in_context(span))


def _server(call: Call) -> dict[str, Any]:
    parts = urlsplit(call.request.endpoint.base_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {"server.address": parts.hostname or "", "server.port": port}


def _links(traceparent: str | None) -> list[trace.Link]:
    """Return a link to the span that *traceparent*, of W3C Trace Context, names."""
    if traceparent is None:
        return []
    named = trace.get_current_span(
        _PROPAGATOR.extract({"traceparent": traceparent}, context.Context())
    )
    return [trace.Link(named.get_span_context())] if named.get_span_context().is_valid else []


def _given(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None}
