"""What goes wrong, and when."""

import json
import math

import pytest

from poweremail.errors import UsageError
from poweremail.sandbox import Call, Fault, FaultRule, Faults, Sandbox

SUCCESS = b'{"status": "success", "message": "message have been Queued ..."}'
EVERY_KIND = [
    Fault.latency(1),
    Fault.slow_drip(0.5),
    Fault.late_visibility(3),
    Fault.refuse(),
    Fault.reset_before_acceptance(),
    Fault.reset_after_acceptance(),
    Fault.stall(),
    Fault.stall(2),
    Fault.truncated(),
    Fault.truncated(close=False),
    Fault.html(),
    Fault.html(accepted=False),
    Fault.wrong_content_type(),
    Fault.status(503),
    Fault.status(502, accepted=True),
    Fault.error("GeneralError", "no"),
    Fault.error("X", ["a", "b"], code=-1, name_in="type_object", array=True, http_status=400),
    Fault.rate_limited(),
    Fault.rate_limited(retry_after=1.5),
    Fault.rate_limited(retry_after="Wed, 21 Oct 2026 07:28:00 GMT"),
]


def hit(api, fault, **rule):
    """Send one mail under *fault*; return the reply, and whether the mail was taken."""
    sandbox = api.sandbox
    before = len(sandbox.outbox)
    sandbox.faults.add(fault, **rule)
    reply = api.reply("sendMail", smtp_user_name="s", message=api.message())
    sandbox.faults.clear()
    return reply, len(sandbox.outbox) > before


@pytest.mark.parametrize(
    ("fault", "taken", "broken", "latency"),
    [
        (Fault.refuse(), False, "refused", 0),
        (Fault.reset_before_acceptance(), False, "reset_before", 0),
        (Fault.reset_after_acceptance(), True, "reset_after", 0),
        (Fault.stall(), True, "stalled", math.inf),
        (Fault.stall(2), True, "stalled", 2),
    ],
)
@pytest.mark.parametrize("rule", [{}, {"recipient": "ADA@example.com"}])
def test_no_response_comes(api, fault, taken, broken, latency, rule):
    reply, was_taken = hit(api, fault, **rule)
    assert (reply.response, reply.broken, reply.latency, was_taken) == (
        None,
        broken,
        latency,
        taken,
    )


def test_truncated(api):
    closed, taken = hit(api, Fault.truncated())
    assert taken
    assert (closed.broken, closed.response.header("content-length")) == (
        "truncated",
        str(len(SUCCESS)),
    )
    assert closed.response.body == SUCCESS[: len(SUCCESS) // 2]
    whole, taken = hit(api, Fault.truncated(close=False))
    assert taken
    assert (whole.broken, whole.response.header("content-length")) == (None, str(len(SUCCESS) // 2))
    assert whole.response.body == closed.response.body


@pytest.mark.parametrize(
    ("fault", "status", "taken"),
    [
        (Fault.html(), 200, True),
        (Fault.html(accepted=False), 200, False),
        (Fault.status(503), 503, False),
        (Fault.status(502, accepted=True), 502, True),
    ],
)
def test_the_response_is_a_page_of_html(api, fault, status, taken):
    reply, was_taken = hit(api, fault)
    response = reply.response
    assert (response.status, was_taken, reply.broken) == (status, taken, None)
    assert [value for name, value in response.headers if name.lower() == "content-type"] == [
        "text/html; charset=utf-8"
    ]
    assert response.header("Content-Length") == str(len(response.body))
    assert response.body.startswith(b"<!DOCTYPE html>")


def test_the_right_response_has_the_wrong_content_type(api):
    reply, taken = hit(api, Fault.wrong_content_type())
    assert taken
    assert reply.response.body == SUCCESS
    assert reply.response.header("Content-Type") == "text/html; charset=utf-8"


def test_delays_combine_with_a_fault_that_decides(api, sandbox):
    sandbox.faults.add(Fault.latency(1))
    sandbox.faults.add(Fault.latency(0.5), recipient="ada@example.com")
    sandbox.faults.add(Fault.slow_drip(0.1))
    sandbox.faults.add(Fault.late_visibility(10))
    sandbox.faults.add(Fault.status(500, accepted=True))
    reply, taken = hit(api, Fault.stall(100))
    assert (reply.response.status, reply.latency, reply.drip, reply.broken, taken) == (
        500,
        1.5,
        0.1,
        None,
        True,
    )
    assert api.info("Id") == []


def test_the_fault_that_was_added_first_decides(api, sandbox):
    sandbox.faults.add(Fault.stall(4), recipient="ada@example.com")
    sandbox.faults.add(Fault.status(500))
    assert hit(api, Fault.html())[0].broken == "stalled"


def test_late_visibility(api, sandbox, clock):
    sandbox.faults.add(Fault.late_visibility(30), times=1)
    api.send()
    api.send()
    assert len(api.info("Id")) == 1
    clock.now += 29.9
    assert len(api.info("Id")) == 1
    clock.now += 0.2
    assert len(api.info("Id")) == 2


def test_late_visibility_counts_sends_only(api, sandbox):
    rule = sandbox.faults.add(Fault.late_visibility(30), times=1)
    api.info("Id")
    assert rule.seen == 0
    api.send()
    assert api.info("Id") == []
    with pytest.raises(UsageError, match="call: must be one of sendMail"):
        sandbox.faults.add(Fault.late_visibility(30), call="getMessageInfo")


@pytest.mark.parametrize(
    ("options", "envelope"),
    [
        ({}, {"status": "error", "code": "-1", "name": "E", "type": "E", "message": "m"}),
        ({"code": -1}, {"status": "error", "code": -1, "name": "E", "type": "E", "message": "m"}),
        ({"code": None}, {"status": "error", "name": "E", "type": "E", "message": "m"}),
        (
            {"message": ["a", "b"]},
            {"status": "error", "code": "-1", "name": "E", "type": "E", "message": ["a", "b"]},
        ),
        ({"name_in": "name"}, {"status": "error", "code": "-1", "name": "E", "message": "m"}),
        ({"name_in": "type"}, {"status": "error", "code": "-1", "type": "E", "message": "m"}),
        (
            {"name_in": "type_object"},
            {"status": "error", "code": "-1", "type": {"name": "E"}, "message": "m"},
        ),
        (
            {"array": True},
            [{"status": "error", "code": "-1", "name": "E", "type": "E", "message": "m"}],
        ),
    ],
)
def test_errors_come_in_every_form(api, options, envelope):
    reply, taken = hit(api, Fault.error(**{"name": "E", "message": "m", **options}))
    assert not taken
    assert (reply.response.status, json.loads(reply.response.body)) == (200, envelope)
    assert reply.response.header("Content-Type") == "application/json"


@pytest.mark.parametrize(
    ("retry_after", "header"),
    [(None, None), (7, "7"), (1.5, "1.5"), ("Wed, 21 Oct 2026 07:28:00 GMT",) * 2],
)
def test_rate_limited(api, retry_after, header):
    reply, taken = hit(api, Fault.rate_limited(retry_after=retry_after))
    assert (reply.response.status, reply.response.header("Retry-After"), taken) == (
        429,
        header,
        False,
    )


def fired(faults: Faults, requests: int, call: str = "sendMail") -> list[int]:
    """The numbers of the requests that are hit."""
    return [number for number in range(1, requests + 1) if faults.at_head(call).hits]


@pytest.mark.parametrize(
    ("rule", "numbers"),
    [
        ({}, [1, 2, 3, 4, 5]),
        ({"nth": 3}, [3]),
        ({"times": 2}, [1, 2]),
        ({"nth": 2, "times": 3}, [2, 3, 4]),
        ({"call": "sendMail"}, [1, 2, 3, 4, 5]),
        ({"call": "sendTemplate"}, []),
        ({"recipient": "a@example.com"}, []),
        ({"chance": 0}, []),
    ],
)
def test_which_requests_are_hit(rule, numbers):
    faults = Faults()
    faults.add(Fault.refuse(), **rule)
    assert fired(faults, 5) == numbers


def test_the_nth_mail_to_a_recipient(api, sandbox):
    rule = sandbox.faults.add(
        Fault.reset_before_acceptance(), call="sendMail", recipient="bob@example.com", nth=2
    )
    to_bob = {"to": [{"email": "ada@example.com"}, {"email": "Bob@Example.com", "type": "bcc"}]}
    sent = [
        api.reply("sendMail", smtp_user_name="s", message=api.message(**to)).broken
        for to in (to_bob, {}, to_bob, to_bob)
    ]
    assert sent == [None, None, "reset_before", None]
    assert len(sandbox.outbox) == 3
    assert (rule.seen, rule.hit) == (3, 1)


def test_an_invalid_mail_stays_invalid_under_a_fault_by_recipient(api, sandbox):
    sandbox.faults.add(Fault.stall(), recipient="ada@example.com")
    assert api.send(subject="")["message"] == "You must specify subject"


def test_an_unknown_path_can_fail_too(sandbox):
    sandbox.faults.add(Fault.status(500))
    assert sandbox.service.handle(Call("POST", "/v1.0/settings/nothing")).response.status == 500


def test_the_same_seed_hits_the_same_requests():
    def run(seed):
        faults = Faults(seed)
        faults.add(Fault.refuse(), chance=0.5)
        return fired(faults, 40)

    assert run(1) == run(1) != run(2)
    assert 5 < len(run(1)) < 35


def test_clear_restarts_the_random_sequence():
    faults = Faults("seed")
    faults.add(Fault.refuse(), chance=0.5)
    first = fired(faults, 40)
    faults.clear()
    assert faults.rules == ()
    faults.add(Fault.refuse(), chance=0.5)
    assert fired(faults, 40) == first


def test_one_rule_can_be_removed(api, sandbox):
    rules = [sandbox.faults.add(Fault.latency(1)) for _ in range(3)]
    assert [rule.number for rule in rules] == [1, 2, 3]
    sandbox.faults.remove(rules[1])
    assert [rule.number for rule in sandbox.faults.rules] == [1, 3]
    sandbox.faults.remove(1)
    assert sandbox.faults.rules == (rules[2],)
    assert (api.reply("getMessageInfo").latency, rules[0].seen, rules[2].seen) == (1, 0, 1)
    for gone in (rules[1], 1):
        with pytest.raises(LookupError, match=r"there is no rule number [12]"):
            sandbox.faults.remove(gone)
    sandbox.faults.clear()
    with pytest.raises(LookupError):
        sandbox.faults.remove(3)
    assert sandbox.faults.add(Fault.refuse()).number == 4


def test_a_rule_that_is_removed_during_a_request_still_hits_it_in_order(api, sandbox):
    before = sandbox.faults.add(Fault.latency(1))
    sandbox.faults.add(Fault.status(500))
    sandbox.faults.add(Fault.status(502), recipient="ada@example.com")
    turn = sandbox.service.arrive("/v1.0/messages/sendMail")
    sandbox.faults.remove(before)
    body = {"owner_id": "o", "token": "t", "smtp_user_name": "s", "message": api.message()}
    reply = sandbox.service.handle(
        Call("POST", "/v1.0/messages/sendMail", body=json.dumps(body).encode()), turn
    )
    assert (reply.response.status, reply.latency) == (500, 1)


def test_a_mail_may_become_visible_after_the_largest_date(api, sandbox):
    sandbox.faults.add(Fault.late_visibility(1e308))
    assert api.send()["status"] == "success"
    assert api.info("Id") == []


@pytest.mark.parametrize("fault", EVERY_KIND, ids=lambda fault: fault.kind)
def test_a_fault_survives_a_round_trip_through_a_dict(fault):
    written = json.loads(json.dumps(fault.to_dict()))
    assert Fault.from_dict(written) == fault
    hash(fault.effect)


def test_a_rule_survives_a_round_trip_through_a_dict():
    faults = Faults()
    rule = faults.add(
        Fault.stall(3), call="sendMail", recipient="a@example.com", nth=2, times=3, chance=0.5
    )
    fired(faults, 3)
    written = json.loads(json.dumps(rule.to_dict()))
    again = faults.add_dict(written)
    assert again == FaultRule(
        fault=Fault.stall(3), call="sendMail", recipient="a@example.com", nth=2, times=3, chance=0.5
    )
    assert faults.rules == (rule, again)


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({}, "kind: must be one of latency"),
        ({"kind": "to_dict"}, "kind: must be one of latency"),
        ({"kind": ["stall"]}, "kind: must be one of latency"),
        ({"kind": "latency"}, "latency: missing a required argument: 'seconds'"),
        ({"kind": "refuse", "x": 1}, "refuse: got an unexpected keyword argument 'x'"),
        ({"kind": "latency", "seconds": -1}, "seconds: must be"),
        ({"kind": "latency", "seconds": "1"}, "seconds: must be"),
        ({"kind": "stall", "seconds": True}, "seconds: must be"),
        ({"kind": "slow_drip", "seconds": math.inf}, "seconds: must be"),
        ({"kind": "html", "accepted": 1}, "accepted: must be True or False"),
        ({"kind": "truncated", "close": None}, "close: must be"),
        ({"kind": "status", "code": 200}, "code: must be an HTTP status from 400 to 599"),
        ({"kind": "status", "code": "503"}, "code: must be"),
        ({"kind": "status", "code": True}, "code: must be"),
        ({"kind": "error", "name": "E", "message": 5}, "name and message: must be strings"),
        ({"kind": "error", "name": None, "message": "m"}, "name and message: must be strings"),
        ({"kind": "error", "name": "E", "message": "m", "code": 1.5}, "code: must be a string"),
        ({"kind": "error", "name": "E", "message": "m", "name_in": "x"}, "name_in: must be"),
        ({"kind": "rate_limited", "retry_after": "a\r\nb"}, "retry_after: must be"),
        ({"kind": "rate_limited", "retry_after": []}, "seconds: must be"),
    ],
)
def test_invalid_faults_are_rejected(members, text):
    with pytest.raises(UsageError, match=text):
        Fault.from_dict(members)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"call": "sendmail"}, "call: must be one of sendMail"),
        ({"recipient": ""}, "recipient: must be an address"),
        ({"recipient": 5}, "recipient: must be an address"),
        ({"nth": 0}, "nth: must be"),
        ({"times": True}, "times: must be"),
        ({"chance": 1.1}, "chance: must be"),
        ({"chance": "1"}, "chance: must be"),
        ({"when": "now"}, "a rule has no when"),
        ({"fault": "stall"}, "fault: must be an object"),
    ],
)
def test_invalid_rules_are_rejected(rule, text):
    with pytest.raises(UsageError, match=text):
        Faults().add_dict({"fault": {"kind": "refuse"}, **rule})


def test_the_sandbox_passes_its_seed_to_its_faults():
    hits = []
    for _ in range(2):
        with Sandbox(seed=7) as sandbox:
            sandbox.faults.add(Fault.refuse(), chance=0.5)
            hits.append(fired(sandbox.faults, 40))
    assert hits[0] == hits[1]
