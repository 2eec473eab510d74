"""Looking up a mail whose outcome is unknown."""

from __future__ import annotations

import pickle
import time

import attrs
import pytest

from _async.ways import WAYS, client_of, reached
from poweremail import (
    AsyncPowerEmail,
    DeliveryUnknownError,
    NotSentError,
    Response,
    RetryPolicy,
    Timeouts,
    TransportError,
    UsageError,
)
from poweremail._async import exchange, send
from poweremail.sandbox import Fault, Sandbox
from support.fault_server import FaultServer, stall
from support.messages import message, template

LOST = Fault.reset_after_acceptance()
NEVER = Fault.html(accepted=False)
FAST = {"on_unknown": "reconcile", "visibility": 5, "retry": RetryPolicy(first_wait=0.001)}
NEVER_LISTED = FAST | {"visibility": 0.3}
"""For mails that all of that time is waited for."""


@pytest.fixture
def sandbox():
    with Sandbox() as sandbox:
        sandbox.add_template("t1", text="Dear {{NAME}}")
        yield sandbox


@pytest.mark.parametrize("way", WAYS)
async def test_a_mail_whose_response_is_lost_is_found(way, served):
    served.faults.add(LOST, call="sendMail")
    async with reached(way, served, **FAST) as client:
        result = await client.messages.send_mail(
            message(to=["ada@example.com", "Grace@Example.com"])
        )
    assert result.reconciled
    assert result.recipients == ("ada@example.com", "Grace@Example.com")
    assert [mail.unique_id for mail in served.outbox] == [result.unique_id]
    assert result.raw.status == 200


async def test_a_mail_with_a_response_is_not_looked_up(sandbox):
    rule = sandbox.faults.add(Fault.latency(0), call="getMessageInfo")
    async with sandbox.async_client(**FAST) as client:
        assert not (await client.messages.send_mail(message())).reconciled
    assert rule.seen == 0


async def test_lookups_repeat_until_the_mail_is_listed(sandbox):
    sandbox.faults.add(LOST, call="sendMail")
    sandbox.faults.add(Fault.late_visibility(0.2), call="sendMail")
    async with sandbox.async_client(**FAST) as client:
        began = time.monotonic()
        assert (await client.messages.send_mail(message())).reconciled
        assert time.monotonic() - began >= 0.2
    assert len(sandbox.outbox) == 1


@pytest.mark.parametrize("fault", [NEVER, Fault.late_visibility(3600)])
async def test_a_mail_that_is_not_listed_stays_unknown(sandbox, fault):
    sandbox.faults.add(fault, call="sendMail")
    sandbox.faults.add(LOST, call="sendMail")
    async with sandbox.async_client(**NEVER_LISTED) as client:
        with pytest.raises(DeliveryUnknownError, match=r"did not show it within 0\.3 s") as caught:
            await client.messages.send_mail(message(unique_id="u1"))
    assert (caught.value.unique_id, caught.value.mail_state) == ("u1", "unknown")
    assert caught.value.cause is not None
    assert len(sandbox.outbox) <= 1


async def test_another_mail_under_the_same_id_proves_nothing(sandbox):
    async with sandbox.async_client(**NEVER_LISTED) as client:
        await client.messages.send_mail(message(unique_id="news", to="ada@example.com"))
        sandbox.faults.add(NEVER, call="sendMail", times=1)
        with pytest.raises(DeliveryUnknownError, match="did not show it"):
            await client.messages.send_mail(message(unique_id="news", to="grace@example.com"))
        sandbox.faults.add(NEVER, call="sendMail", times=1)
        with pytest.raises(
            DeliveryUnknownError, match=r"for some of its recipients, not for grace@example\.com"
        ):
            await client.messages.send_mail(
                message(unique_id="news", to="grace@example.com", cc="ada@example.com")
            )
    assert len(sandbox.outbox) == 1


@pytest.mark.parametrize(("wanted", "requests"), [("a0", 1), ("a99", 1), ("b0", 2), ("c99", 3)])
async def test_a_lookup_reads_no_page_after_the_one_that_lists_the_mail(sandbox, wanted, requests):
    async with sandbox.async_client(**FAST) as client:
        for name in "abc":  # a page has 100 records
            to = [f"{name}{number}@example.com" for number in range(100)]
            await client.messages.send_mail(message(unique_id="news", to=to))
        rule = sandbox.faults.add(Fault.latency(0), call="getMessageInfo")
        recipient = f"{wanted}@example.com"
        result = await client.messages.reconcile("news", recipients=recipient)
    assert (result.recipients, rule.seen) == ((recipient,), requests)


async def test_a_mail_that_is_never_listed_is_sent_again_if_allowed(sandbox):
    sandbox.faults.add(NEVER, call="sendMail", times=2)
    async with sandbox.async_client(**FAST | {"visibility": 0.1, "resend_after": 0.2}) as client:
        began = time.monotonic()
        result = await client.messages.send_mail(message())
        assert time.monotonic() - began >= 0.4
    assert not result.reconciled
    assert [mail.unique_id for mail in sandbox.outbox] == [result.unique_id]


async def test_a_mail_that_is_listed_in_part_is_never_sent_again(sandbox):
    async with sandbox.async_client(**FAST | {"visibility": 0.1, "resend_after": 0.1}) as client:
        await client.messages.send_mail(message(unique_id="news"))
        rule = sandbox.faults.add(NEVER, call="sendMail")
        with pytest.raises(DeliveryUnknownError, match="for some of its recipients"):
            await client.messages.send_mail(message(unique_id="news", cc="grace@example.com"))
    assert rule.hit == 1


async def test_resends_end_with_the_attempts(sandbox):
    rule = sandbox.faults.add(NEVER, call="sendMail")
    async with sandbox.async_client(
        **FAST | {"visibility": 0, "resend_after": 0.01, "retry": RetryPolicy(3)}
    ) as client:
        with pytest.raises(DeliveryUnknownError):
            await client.messages.send_mail(message())
    assert rule.hit == 3


@pytest.mark.parametrize(
    "fault", [Fault.error("AuthenticationError", "Token MissMatch"), Fault.status(503)]
)
async def test_a_failed_lookup_proves_nothing_and_sends_nothing(sandbox, fault):
    sandbox.faults.add(NEVER, call="sendMail")
    sandbox.faults.add(fault, call="getMessageInfo")
    async with sandbox.async_client(**FAST | {"visibility": 0.1, "resend_after": 0.1}) as client:
        with pytest.raises(DeliveryUnknownError, match="could not be looked up"):
            await client.messages.send_mail(message())
    assert sandbox.outbox == []


async def test_a_failed_lookup_is_repeated(sandbox):
    sandbox.faults.add(LOST, call="sendMail")
    sandbox.faults.add(Fault.html(), call="getMessageInfo", times=6)
    async with sandbox.async_client(**FAST) as client:
        assert (await client.messages.send_mail(message())).reconciled


async def test_a_get_cannot_be_looked_up(sandbox):
    sandbox.faults.add(LOST)
    async with sandbox.async_client(**FAST) as client:
        with pytest.raises(DeliveryUnknownError, match="no unique_id") as caught:
            await client.messages.send_template_http_get(template())
        with pytest.raises(UsageError, match="unique_id: a mail without one cannot be looked up"):
            await client.messages.reconcile(caught.value)


async def test_a_pickled_error_can_be_reconciled_by_another_client(sandbox):
    sandbox.faults.add(LOST, call="sendMail", times=1)
    async with sandbox.async_client() as client:
        with pytest.raises(DeliveryUnknownError) as caught:
            await client.messages.send_mail(message())
    error = pickle.loads(pickle.dumps(caught.value))
    async with sandbox.async_client() as other:
        result = await other.messages.reconcile(error)
        assert (result.reconciled, result.unique_id, result.recipients) == (
            True,
            error.unique_id,
            ("ada@example.com",),
        )
        assert (await other.messages.reconcile(error.unique_id)).recipients == ("ada@example.com",)
        assert (
            await other.messages.reconcile(error.unique_id, recipients=["ADA@example.com"])
        ).reconciled
        with pytest.raises(DeliveryUnknownError, match=r"did not show it within 0\.05 s"):
            await other.messages.reconcile(
                error.unique_id, recipients=["grace@example.com"], visibility=0.05
            )
        with pytest.raises(
            DeliveryUnknownError,
            match=r"looked up by its unique id; getMessageInfo did not show it",
        ):
            await other.messages.reconcile("never used", visibility=0)


async def test_invalid_arguments_of_reconcile(sandbox):
    async with sandbox.async_client() as client:
        await client.messages.send_mail(message(unique_id="u1"))
        for recipients in (
            "ada@example.com",
            "Ada <ada@example.com>",
            [("Ada", "ada@example.com")],
            (),
        ):
            assert (await client.messages.reconcile("u1", recipients=recipients)).reconciled
        for unknown in ("", " ", None, NotSentError("x")):
            with pytest.raises(
                UsageError, match="^unknown: must be a DeliveryUnknownError or a unique id"
            ):
                await client.messages.reconcile(unknown)
        with pytest.raises(UsageError, match="recipients"):
            await client.messages.reconcile("u1", recipients="nobody")


async def test_resend_may_deliver_twice(sandbox):
    sandbox.faults.add(LOST, call="sendMail", times=1)
    async with sandbox.async_client(on_unknown="resend", retry=RetryPolicy(first_wait=0)) as client:
        result = await client.messages.send_mail(message())
    assert result.attempts == 2
    assert [mail.unique_id for mail in sandbox.outbox] == [result.unique_id] * 2


async def test_another_on_unknown_drops_resend_after(sandbox):
    async with sandbox.async_client(on_unknown="reconcile", visibility=1, resend_after=2) as client:
        for choice in ("raise", "resend"):
            client.with_options(on_unknown=choice)
            with pytest.raises(UsageError, match="resend_after: goes with"):
                client.with_options(on_unknown=choice, resend_after=5)
        assert client.with_options(visibility=0.5)


async def test_on_unknown_can_be_changed_for_some_calls(sandbox):
    sandbox.faults.add(LOST, call="sendMail")
    async with sandbox.async_client(visibility=7) as client:
        with pytest.raises(DeliveryUnknownError):
            await client.messages.send_mail(message())
        assert (
            await client.with_options(on_unknown="reconcile").messages.send_mail(message())
        ).reconciled


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"on_unknown": "shrug"}, "on_unknown: must be one of raise, reconcile, resend"),
        ({"visibility": -1}, "visibility: must be a number of seconds"),
        ({"visibility": True}, "visibility: must be a number of seconds"),
        ({"resend_after": 60}, "resend_after: goes with on_unknown='reconcile'"),
        (
            {"on_unknown": "reconcile", "resend_after": float("inf")},
            "resend_after: must be a number of seconds",
        ),
        (
            {"on_unknown": "reconcile", "resend_after": 10},
            "resend_after: must not be less than visibility",
        ),
    ],
)
async def test_invalid_options_for_unknown_outcomes(sandbox, options, text):
    with pytest.raises(UsageError, match=f"^{text}"):
        sandbox.async_client(**options)
    async with sandbox.async_client() as client:
        with pytest.raises(UsageError, match=f"^{text}"):
            client.with_options(**options)


@pytest.mark.parametrize(
    "options", [{"on_unknown": "resend"}, FAST | {"visibility": 0, "resend_after": 0.01}]
)
@pytest.mark.parametrize(
    "fault", [Fault.refuse(), Fault.error("ValidationError", "no"), Fault.rate_limited()]
)
async def test_a_later_failure_does_not_make_an_unknown_send_known(sandbox, options, fault):
    """
    A mail that was taken, and whose second sending fails for sure, is not one that was not sent.
    """
    sandbox.faults.add(Fault.late_visibility(3600), call="sendMail")
    sandbox.faults.add(LOST, call="sendMail", times=1)
    sandbox.faults.add(fault, call="sendMail")
    async with sandbox.async_client(**options | {"retry": RetryPolicy(2, first_wait=0)}) as client:
        with pytest.raises(DeliveryUnknownError):
            await client.messages.send_mail(message())
    assert len(sandbox.outbox) == 1


EMPTY_PAGE = Response(200, (), b'{"status": "success", "message_data": []}')
FULL_PAGE = Response(
    200,
    (),
    b'{"status": "success", "message_data": [%s]}'
    % b",".join([b'{"email": "bob@example.com", "time": 1}'] * 100),
)


@attrs.define
class Service:
    """
    A service whose responses to a send are lost, in a time that only moves with its requests.

    *responses* to lookups, each after so many seconds, the last one again and again. One that
    takes longer than the request allows never comes.
    """

    responses: list[tuple[float, Response]]
    now: float = 1_000.0
    lookups: list[float] = attrs.field(factory=list)
    sends: int = 0

    def monotonic(self) -> float:
        return self.now

    time = monotonic

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def handle(self, request) -> Response:
        if request.operation.sends:
            self.sends += 1
            raise TransportError("lost", body_left=True)
        self.lookups.append(self.now)
        seconds, response = self.responses[0]
        if len(self.responses) > 1:
            del self.responses[0]
        limits = attrs.asdict(request.endpoint.timeouts).values()
        allowed = min(limit for limit in limits if limit is not None)
        self.now += min(seconds, allowed)
        if seconds > allowed:
            raise TransportError("ReadTimeout")
        return response

    async def aclose(self) -> None:
        pass

    def client(self, **options) -> AsyncPowerEmail:
        return AsyncPowerEmail(
            "owner",
            "token",
            "tes.example.com",
            smtp_user_name="smtp1",
            transport=self,
            **{"on_unknown": "reconcile"} | options,
        )


@pytest.fixture
def serve(monkeypatch):
    """Return a function that makes a `Service` and lets the client live in its time."""

    def make(*responses: tuple[float, Response]) -> Service:
        service = Service(list(responses))
        for module in (exchange, send):
            monkeypatch.setattr(module, "time", service)
            monkeypatch.setattr(module, "sleep", service.sleep)
        return service

    return make


@pytest.mark.parametrize("visibility", [0.5, 2.0, 30.0])
@pytest.mark.parametrize(
    "responses",
    [
        [(1e9, EMPTY_PAGE)],
        [(0.3, EMPTY_PAGE)],
        [(0.3, EMPTY_PAGE), (1e9, EMPTY_PAGE)],
        [(0.3, Response(503))],
        [(0.4, FULL_PAGE)],
        [(0.0, EMPTY_PAGE)],
        [(1.9, EMPTY_PAGE)],
    ],
)
@pytest.mark.parametrize("read", [1.2, None])
async def test_a_lookup_as_a_whole_ends_within_visibility(serve, visibility, responses, read):
    service = serve(*responses)
    async with service.client(visibility=visibility, timeouts=Timeouts(read=read)) as client:
        began = service.now
        with pytest.raises(DeliveryUnknownError):
            await client.messages.send_mail(message())
        assert service.now - began <= visibility + 1e-6
        assert service.sends == 1

        began = service.now
        with pytest.raises(DeliveryUnknownError):
            await client.messages.reconcile("u1", visibility=visibility, recipients=["ada@x.org"])
        assert service.now - began <= visibility + 1e-6


async def test_the_last_lookup_begins_late(serve):
    service = serve((0.01, EMPTY_PAGE))
    async with service.client(visibility=30) as client:
        began = service.now
        with pytest.raises(DeliveryUnknownError, match="did not show it within 30 s") as caught:
            await client.messages.send_mail(message())
    assert caught.value.seen is False
    assert 29 <= service.lookups[-1] - began < 30
    assert len(service.lookups) == 11


async def test_a_lookup_that_is_cut_off_does_not_hide_the_one_before_it(serve):
    service = serve((0.01, EMPTY_PAGE), (0.01, EMPTY_PAGE), (1e9, EMPTY_PAGE))
    async with service.client(visibility=2, timeouts=Timeouts(read=None)) as client:
        with pytest.raises(DeliveryUnknownError, match="did not show it within 2 s") as caught:
            await client.messages.send_mail(message())
    assert caught.value.seen is None


async def test_a_lookup_that_is_cut_off_sends_nothing_again(serve):
    service = serve((0.01, EMPTY_PAGE), (1e9, EMPTY_PAGE))
    async with service.client(visibility=2, resend_after=4) as client:
        began = service.now
        with pytest.raises(DeliveryUnknownError):
            await client.messages.send_mail(message())
    assert service.sends == 1
    assert service.now - began <= 4 + 5


async def test_a_mail_is_sent_again_only_after_a_lookup_that_began_late_enough(serve):
    service = serve((0.7, EMPTY_PAGE))
    async with service.client(visibility=2, resend_after=4, retry=RetryPolicy(2)) as client:
        began = service.now
        with pytest.raises(DeliveryUnknownError):
            await client.messages.send_mail(message())
    assert service.sends == 2
    assert sum(lookup - began >= 4 for lookup in service.lookups) >= 1
    assert service.now - began >= 8


async def test_a_single_lookup_lasts_as_long_as_its_request_may(serve):
    service = serve((4.0, EMPTY_PAGE))
    async with service.client() as client:
        with pytest.raises(DeliveryUnknownError, match="did not show it"):
            await client.messages.reconcile("u1", visibility=0)
    assert len(service.lookups) == 1


@pytest.mark.parametrize("way", [way for way in WAYS if way != "in-process"])
async def test_each_engine_ends_a_silent_lookup(way):
    with FaultServer(stall) as server:
        async with client_of(way, server.url, timeouts=Timeouts()) as client:
            with pytest.raises(DeliveryUnknownError, match="could not be looked up"):
                await client.messages.reconcile("u1", visibility=0.2)
