# Generated from tests/_async/test_agreement.py; do not edit.
"""
Outcomes and reality agree: whatever goes wrong, what is said of a mail is what became of it.

A `Script` of faults and sends is drawn, played against a sandbox, in this process or over HTTP, and
compared with what the sandbox has in its store: see `support.agreement_judge`.
"""

from __future__ import annotations

import ssl
import time
from contextlib import contextmanager

import httpx
import httpx2
import pytest
from hypothesis import example, given

from poweremail import PowerEmail, PowerEmailError, RetryPolicy, Timeouts
from poweremail._runtime._sync import in_thread
from poweremail.sandbox import SandboxTransport, Fault
from poweremail.transports import (
    HttpxTransport,
)
from support.agreement_figures import Figures, effort
from support.agreement_ground import Ground
from support.agreement_judge import disagreements
from support.agreement_scripts import (
    ERRORS,
    READ,
    TOKEN,
    VISIBILITY,
    Mail,
    Rule,
    Script,
    Send,
    scripts,
)

TRANSPORTS = {
    "httpx": HttpxTransport,
}
CLIENTS = {"a client of httpx": httpx, "a client of httpx2": httpx2}
# Made once: it takes as long as a script.
TLS = ssl.create_default_context()


LOST = Rule(Fault.reset_after_acceptance(), call="sendMail", times=1)
# The mail shows while the answer to the first look, which does not show it, is under way for longer
# than ``resend_after``.
STALE = Script(
    (
        LOST,
        Rule(Fault.late_visibility(0.01), call="sendMail"),
        Rule(Fault.latency(READ - 0.005), call="getMessageInfo", nth=1),
        Send(),
    ),
    attempts=2,
    on_unknown="reconcile",
    resend_after=VISIBILITY,
)
# What may have been accepted once stays so, whatever becomes of the next attempt.
LIMITED = Script(
    (LOST, Rule(Fault.rate_limited(), call="sendMail"), Send()), attempts=2, on_unknown="resend"
)
LIMITED_LATER = Script(
    (LOST, Rule(Fault.late_visibility(60)), Rule(Fault.rate_limited(), call="sendMail"), Send()),
    attempts=2,
    on_unknown="reconcile",
    resend_after=VISIBILITY,
)
# Of the second mail, which is lost, a recipient is shown that it has in common with the first.
IN_COMMON = Script(
    (
        Send(others=("ada@example.com",), unique_id="news"),
        Rule(Fault.html(accepted=False), call="sendMail"),
        Send(others=("ada@example.com",), unique_id="news"),
    ),
    attempts=2,
    on_unknown="reconcile",
    resend_after=VISIBILITY,
)
# Each error once.
EVERY_ERROR = Script(
    (
        *(
            Rule(Fault.error(name, f"no, {TOKEN}"), nth=number)
            for number, name in enumerate(ERRORS, 1)
        ),
        *[Send()] * len(ERRORS),
    )
)


@pytest.fixture(scope="module")
def here():
    with Ground(served=False) as ground:
        yield ground


@pytest.fixture(scope="module")
def there():
    with Ground(served=True) as ground:
        yield ground


@pytest.fixture
def figures(request):
    """What was tried, for the report."""
    figures = Figures()
    yield figures
    request.node.user_properties.append(("figures", dict(figures)))


class Noting:
    """The transport *inner*; what passes through it is noted in *log*."""

    def __init__(self, inner, log) -> None:
        self._inner = inner
        self._log = log

    def handle(self, request):
        request, attempt = self._log.begin(request)
        try:
            attempt.got = self._inner.handle(request)
        except PowerEmailError as error:
            attempt.got = error
            raise
        finally:
            attempt.ended = time.monotonic()
        return attempt.got

    def close(self) -> None:
        self._inner.close()


def send(client, mail):
    """Send *mail* as its script says; return its outcome."""
    try:
        if mail.send.by == "call":
            return client.call("messages/sendMail", mail.members)
        return getattr(client.messages, mail.send.by)(mail.message)
    except PowerEmailError as error:
        return error


def play(script, transport, ground):
    """Go through the steps of *script*; return the outcome of each mail by its number."""
    options = {
        "on_unknown": script.on_unknown,
        "visibility": VISIBILITY,
        "resend_after": script.resend_after,
    }
    retry = RetryPolicy(script.attempts, first_wait=0, max_wait=0, max_total=10)
    results = {}
    with PowerEmail(
        "owner",
        TOKEN,
        base_url=ground.url,
        smtp_user_name="smtp1",
        transport=transport,
        timeouts=Timeouts(read=READ),
        retry=retry,
        **options,
    ) as client:
        for step in script.plan:
            match step:
                case Rule():
                    ground.sandbox.faults.add(step.fault, **step.options)
                case Mail():
                    results[step.number] = send(client, step)
                case concurrency, mails:
                    messages = [mail.message for mail in mails]
                    with client.messages.send_many(messages, concurrency=concurrency) as outcomes:
                        for outcome in outcomes:
                            results[mails[outcome.index].number] = outcome.result or outcome.error
    return results


@contextmanager
def transport_to(ground, engine):
    """A transport to the sandbox of *ground*, and at the end no connection to it."""
    if engine is None:
        yield SandboxTransport(ground.sandbox.service)
    elif engine in TRANSPORTS:
        transport = TRANSPORTS[engine]()
        try:
            yield transport
        finally:
            transport.close()
    else:
        with CLIENTS[engine].Client(verify=TLS) as client:
            yield HttpxTransport(client)


def prove(script, ground, figures, engine=None):
    """Play *script* and compare what is said with what is so."""
    log = ground.clear(script)
    try:
        with transport_to(ground, engine) as transport:
            results = play(script, Noting(transport, log), ground)
    finally:
        in_thread(ground.settle)
    found = list(disagreements(script, results, ground, log, figures))
    assert not found, "\n".join(["", *found])


@effort(60)
@given(script=scripts())
@example(script=STALE)
@example(script=LIMITED)
@example(script=LIMITED_LATER)
@example(script=IN_COMMON)
@example(script=EVERY_ERROR)
def test_outcomes_agree_with_the_sandbox_in_process(script, here, figures):
    prove(script, here, figures)


@pytest.mark.parametrize("engine", [*TRANSPORTS, *CLIENTS])
@effort(20)
@given(script=scripts())
def test_outcomes_agree_with_the_sandbox_over_http(engine, script, there, figures):
    prove(script, there, figures, engine)
