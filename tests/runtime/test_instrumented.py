"""The token of a GET, which is in its URL, reaches no instrumentation of the HTTP engines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from poweremail import PowerEmail, UsageError
from poweremail.transports import HttpxTransport
from support.messages import template

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
