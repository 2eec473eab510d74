"""When a call is repeated, and how long that takes."""

from __future__ import annotations

import logging
import time
from email.utils import formatdate

import pytest

from _async.ways import ENGINES, TOKEN, client_of, until
from poweremail import (
    AsyncPowerEmail,
    DeliveryUnknownError,
    NotSentError,
    RateLimitError,
    RetryPolicy,
    Timeouts,
    TransportError,
    UsageError,
)
from poweremail.transports import AsyncOutgoing
from support.fault_server import (
    FaultServer,
    close_after_body,
    reset_after_body,
    reset_before_body,
    respond,
    stall,
    truncate,
)
from support.interrupt import handle_signal
from support.messages import large, message, template

NOTHING = 1  # the port of a service that nobody runs


@pytest.fixture(params=ENGINES)
def engine(request) -> str:
    return request.param


BROKEN = {
    "reset": reset_after_body,
    "closed": close_after_body,
    "stalled": stall,
    "truncated": truncate,
    "half of the JSON": respond('{"status": "success", "mess'),
    "HTML": respond("<html>It works!</html>", headers=[("Content-Type", "text/html")]),
    "nothing": respond(""),
    "another API": respond({"ok": True}),
    "success that is none": respond({"status": "success"}, status=500),
    "502": respond("<html>Bad Gateway</html>", status=502),
    "503": respond({"status": "error", "name": "GeneralError", "message": "oops"}, status=503),
    "408": respond("", status=408),
    "redirect": respond("", status=302, headers=[("Location", "/v1.0/messages/sendMail")]),
}


def timeouts(behaviour, seconds: float) -> Timeouts:
    """Wait *seconds* where no response comes; where one does, a busy machine may be slow."""
    return Timeouts(read=seconds if behaviour is stall else 30)


@pytest.mark.parametrize("behaviour", BROKEN.values(), ids=BROKEN)
async def test_a_mail_that_left_whole_is_posted_once(engine, behaviour):
    with FaultServer(behaviour) as server:
        async with client_of(engine, server.url, timeouts=timeouts(behaviour, 0.1)) as client:
            with pytest.raises(DeliveryUnknownError):
                await client.messages.send_mail(message())
            with pytest.raises(DeliveryUnknownError) as caught:
                await client.messages.send_template_http_get(template())
            await until(lambda: server.posts == 2)
    assert server.posts == 2
    assert caught.value.unique_id is None


@pytest.mark.parametrize("behaviour", BROKEN.values(), ids=BROKEN)
async def test_a_read_is_repeated(engine, behaviour):
    good = respond({"status": "success", "message_data": []})
    failures = [behaviour] * (1 if behaviour is stall else 2)
    with FaultServer(*failures, good) as server:
        async with client_of(engine, server.url, timeouts=timeouts(behaviour, 0.7)) as client:
            assert len(await client.messages.get_message_info("u1")) == 0
    assert server.posts == len(failures) + 1


async def test_a_refused_connection_is_retried(engine):
    events = []
    async with client_of(
        engine,
        f"http://127.0.0.1:{NOTHING}",
        retry=RetryPolicy(3, first_wait=0, on_retry=events.append),
    ) as client:
        with pytest.raises(NotSentError, match="(?i)not sent: .*connect"):
            await client.messages.send_mail(message())
        with pytest.raises(NotSentError, match="(?i)not sent: .*connect"):
            await client.messages.send_template_http_get(template())
    assert [event.attempt for event in events] == [1, 2] * 2


async def test_a_large_mail_that_is_cut_off_is_retried(engine):
    with FaultServer(reset_before_body, respond()) as server:
        async with client_of(engine, server.url, timeouts=Timeouts()) as client:
            result = await client.messages.send_mail(large())
    assert (result.attempts, server.posts) == (2, 1)


async def test_retry_after_is_waited_for():
    began = time.monotonic()
    with FaultServer(respond("", status=429, headers=[("Retry-After", "1")]), respond()) as server:
        async with client_of("httpx", server.url) as client:
            result = await client.messages.send_mail(message())
            assert 0.95 <= time.monotonic() - began < 10
    assert (result.attempts, server.posts) == (2, 2)


async def test_retry_after_may_be_a_date():
    def stop(event):
        raise KeyError(event.wait)

    policy = RetryPolicy(max_total=None, on_retry=stop)
    value = formatdate(time.time() + 600, usegmt=True)
    with FaultServer(respond("", status=429, headers=[("Retry-After", value)])) as server:
        async with client_of("httpx", server.url, retry=policy) as client:
            with pytest.raises(KeyError) as caught:
                await client.messages.send_mail(message())
    [wait] = caught.value.args
    assert 500 < wait <= 600


async def test_a_long_retry_after_raises_at_once(engine):
    with FaultServer(respond("", status=429, headers=[("Retry-After", "3600")])) as server:
        async with client_of(engine, server.url, retry=RetryPolicy(max_total=10)) as client:
            with pytest.raises(RateLimitError, match="not sent: ") as caught:
                await client.messages.send_mail(message())
    assert (caught.value.retry_after, server.posts) == (3600, 1)


async def test_the_total_time_is_capped():
    policy = RetryPolicy(1_000, first_wait=0.05, max_wait=0.05, max_total=0.5)
    with FaultServer(respond("", status=429)) as server:
        async with client_of("httpx", server.url, retry=policy) as client:
            # The first call loads the engine and tenacity, which takes its time on a busy machine.
            with pytest.raises(RateLimitError):
                await client.with_options(retry=RetryPolicy(2, first_wait=0)).messages.send_mail(
                    message()
                )
            posts, began = server.posts, time.monotonic()
            with pytest.raises(RateLimitError):
                await client.messages.send_mail(message())
            assert time.monotonic() - began < 10
    assert 2 <= server.posts - posts <= 21


async def test_retries_can_be_turned_off(engine):
    with FaultServer(respond("", status=429)) as server:
        async with client_of(engine, server.url, retry=RetryPolicy(1)) as client:
            with pytest.raises(RateLimitError):
                await client.messages.send_mail(message())
    assert server.posts == 1


async def test_the_last_attempt_decides_the_outcome():
    with FaultServer(respond("", status=429), reset_after_body) as server:
        async with client_of("httpx", server.url) as client:
            with pytest.raises(DeliveryUnknownError):
                await client.messages.send_mail(message())
    assert server.posts == 2


async def test_on_retry_is_called_before_each_retry(caplog):
    events = []
    policy = RetryPolicy(first_wait=0.001, on_retry=events.append)
    with (
        caplog.at_level(logging.INFO, "poweremail"),
        FaultServer(respond("", status=429), respond()) as server,
    ):
        async with client_of("httpx", server.url, retry=policy) as client:
            await client.messages.send_mail(message(unique_id="u1"))
    [event] = events
    assert (event.operation, event.unique_id, event.attempt) == ("messages/sendMail", "u1", 1)
    assert isinstance(event.error, RateLimitError)
    assert 0 < event.wait <= 0.001
    [record, _] = [record for record in caplog.records if record.name == "poweremail"]
    assert record.getMessage().startswith("messages/sendMail: attempt 1 failed (not sent: ")


async def test_an_error_of_on_retry_ends_the_call():
    def stop(event):
        raise KeyError(event.attempt)

    with FaultServer(respond("", status=429)) as server:
        async with client_of("httpx", server.url, retry=RetryPolicy(on_retry=stop)) as client:
            with pytest.raises(KeyError):
                await client.messages.send_mail(message())
    assert server.posts == 1


class Scripted:
    """
    A transport of the user's own, that fails in the given ways and then hands over to *inner*.
    """

    def __init__(self, *failures: Exception, reads: bool = True) -> None:
        self.failures = list(failures)
        self.reads = reads
        self.requests = 0

    async def handle(self, request):
        self.requests += 1
        if self.reads:
            async for _ in AsyncOutgoing(request.body):
                pass
        raise self.failures.pop(0) if len(self.failures) > 1 else self.failures[0]

    async def aclose(self) -> None:
        self.closed = True


@pytest.mark.parametrize(("left", "attempts"), [(False, 4), (True, 1)])
async def test_the_transport_says_whether_the_body_left(left, attempts):
    transport = Scripted(TransportError("cut", body_left=left))
    async with AsyncPowerEmail(
        "owner",
        "token",
        "example.com",
        smtp_user_name="s",
        transport=transport,
        retry=RetryPolicy(first_wait=0),
    ) as client:
        with pytest.raises(DeliveryUnknownError if left else NotSentError, match="cut"):
            await client.messages.send_mail(message())
        with pytest.raises(TransportError, match="^cut$"):
            await client.messages.get_message_info("u1")
    assert transport.requests == attempts + 4
    assert transport.closed


async def test_any_exception_of_a_transport_becomes_an_outcome():
    bug = LookupError(f"a bug with {TOKEN}")
    transport = Scripted(TransportError("cut", body_left=False), bug)
    async with AsyncPowerEmail(
        "owner",
        TOKEN,
        "example.com",
        smtp_user_name="s",
        transport=transport,
        retry=RetryPolicy(first_wait=0),
    ) as client:
        with pytest.raises(
            DeliveryUnknownError,
            match=r"unknown whether it was sent: LookupError: a bug with \*\*\* ",
        ) as caught:
            await client.messages.send_mail(message(unique_id="u1"))
        assert (caught.value.unique_id, caught.value.__cause__) == ("u1", bug)
        with pytest.raises(LookupError, match="a bug"):
            await client.messages.get_message_info("u1")
    assert transport.requests == 3


async def test_a_mail_whose_body_was_never_read_is_not_sent():
    bug = ImportError(f"no module for {TOKEN}")
    transport = Scripted(bug, reads=False)
    async with AsyncPowerEmail(
        "owner", TOKEN, "example.com", smtp_user_name="s", transport=transport
    ) as client:
        with pytest.raises(
            NotSentError, match=r"^not sent: ImportError: no module for \*\*\* "
        ) as caught:
            await client.messages.send_mail(message(unique_id="u1"))
        assert caught.value.__cause__ is bug
        # It would come again, so it is not repeated.
        assert transport.requests == 1
        with pytest.raises(DeliveryUnknownError):
            await client.messages.send_template_http_get(template())
        with pytest.raises(TransportError) as caught:
            await client.settings.delete_webhook("w1")
        assert not caught.value.body_left
    assert transport.requests == 3


OPTIONS = (
    {"retry": RetryPolicy(first_wait=0)},
    {"on_unknown": "resend", "retry": RetryPolicy(first_wait=0)},
    {"on_unknown": "reconcile", "visibility": 5.0},
)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("kind", [LookupError, TimeoutError, ConnectionError, OSError])
async def test_an_exception_from_outside_ends_the_call_at_once(options, wrapped, kind, caplog):
    """A soft time limit does so: its signal handler raises in the middle of other code."""

    class Interrupted:
        requests = 0

        async def handle(self, request):
            self.requests += 1
            async for _ in AsyncOutgoing(request.body):
                pass
            try:
                handle_signal(kind)
            except kind as error:
                if not wrapped:
                    raise
                raise TransportError("the engine maps it", body_left=False) from error

        async def aclose(self) -> None:
            pass

    transport = Interrupted()
    async with AsyncPowerEmail(
        "owner", "token", "example.com", smtp_user_name="s", transport=transport, **options
    ) as client:
        with pytest.raises(kind, match="^from outside$") as caught:
            await client.messages.send_mail(message(unique_id="u1"))
        assert type(caught.value) is kind
        with pytest.raises(kind, match="^from outside$"):
            await client.messages.get_message_info("u1")
    assert transport.requests == 2
    [record] = [record for record in caplog.records if record.name == "poweremail"]
    assert (record.levelname, record.args) == ("WARNING", ("u1",))


async def test_an_exception_that_the_program_handles_is_not_from_outside(engine, caplog):
    """A mail that reports an error is sent in an except block, whose exception is its context."""
    quick = Timeouts(read=0.3)
    with FaultServer(stall, reset_after_body, respond(), respond()) as server:
        async with client_of(engine, server.url, timeouts=quick, on_unknown="resend") as client:
            try:
                handle_signal(LookupError)
            except LookupError:
                result = await client.messages.send_mail(message())
    assert (result.attempts, server.posts) == (3, 3)
    async with client_of(engine, f"http://127.0.0.1:{NOTHING}", retry=RetryPolicy(1)) as client:
        try:
            handle_signal(LookupError)
        except LookupError:
            with pytest.raises(NotSentError, match="(?i)connect") as caught:
                await client.messages.send_mail(message())
    assert "from outside" not in str(caught.value)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


async def test_an_exception_from_outside_ends_a_lookup(caplog):
    class Interrupted:
        async def handle(self, request):
            if request.operation.sends:
                raise TransportError("cut")
            handle_signal(LookupError)

        async def aclose(self) -> None:
            pass

    async with AsyncPowerEmail(
        "owner",
        "token",
        "example.com",
        smtp_user_name="s",
        transport=Interrupted(),
        on_unknown="reconcile",
    ) as client:
        with pytest.raises(LookupError, match="^from outside$"):
            await client.messages.send_mail(message(unique_id="u1"))
    assert [record.args for record in caplog.records if record.name == "poweremail"] == [("u1",)]


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), True, "5"])
def test_timeouts_are_seconds(seconds):
    with pytest.raises(UsageError, match=r"^timeouts\.read: must be a positive number of seconds"):
        Timeouts(read=seconds)
