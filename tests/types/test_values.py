"""
What all values have in common: they cannot change, they can be pickled, copied, evolved and hashed,
and their repr is short.
"""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest

from poweremail import (
    Attachment,
    CallResult,
    Engagement,
    Image,
    Message,
    MessageInfo,
    MessageInfoPage,
    NotSentError,
    Recipient,
    Response,
    RetryEvent,
    RetryPolicy,
    Secret,
    SendOutcome,
    SendResult,
    TemplateMessage,
    Timeouts,
    Tracking,
    UsageError,
)
from poweremail._types import FrozenMapping
from poweremail._types.attachment import FileContent

ENVELOPE = {
    "subject": "Invoice",
    "from_email": "Billing <billing@example.com>",
    "to": ["Ada <ada@example.com>", "bob@example.com"],
    "cc": "carol@example.com",
    "bcc": "dave@example.com",
    "reply_to": "help@example.com",
    "attachments": [Attachment("a.pdf", b"content of a")],
    "images": [Image("logo", b"\x89PNG\r\n\x1a\n")],
    "headers": {"X-Campaign": "q4", "X-Unique-Id": "id-1"},
    "tracking": Tracking(opens=True, clicks="both", domain="t.example.com"),
}
RAW = Response(
    200, (("Content-Type", "application/json"), ("Via", "1"), ("via", "2")), b'{"status":"success"}'
)
INFO = MessageInfo(
    email="ada@example.com",
    subject="Invoice",
    sender="billing@example.com",
    send_from="192.0.2.1",
    status="delivered",
    time=datetime(2016, 3, 15, 9, 27, 2, 169000, tzinfo=UTC),
    mail_size=1919,
    attachment_size=0,
    open_count=1,
    opens=(Engagement(None, "192.0.2.1", None),),
    extra=FrozenMapping({"new": 1}),
)
RESULT = SendResult(
    unique_id="id-1", recipients=("ada@example.com",), status="success", message="Queued", raw=RAW
)
VALUES = [
    Recipient("ada@example.com", "Ada"),
    Attachment("a.pdf", b"content"),
    Attachment("b.pdf", FileContent(Path("/tmp/b.pdf"), 7)),
    Image("logo", b"GIF8"),
    Tracking(opens=False),
    Message(**ENVELOPE, html='<img src="cid:logo">', text="Hi"),
    TemplateMessage(**ENVELOPE, template_id="t1", dynamic_value={"NAME": "Ada", "AGE": 36}),
    Timeouts(read=None),
    RetryPolicy(2, max_total=None),
    RAW,
    INFO,
    INFO.opens[0],
    MessageInfoPage(
        unique_id="id-1", skip_page=0, records=(INFO,), extra=FrozenMapping({"more": "x"}), raw=RAW
    ),
    RESULT,
    CallResult(data=FrozenMapping({"status": "success"}), message="", raw=RAW),
    SendOutcome(0, "message", result=RESULT),
    FrozenMapping({"a": "1", "b": "2"}),
    FrozenMapping(),
]
ATTRS_VALUES = [value for value in VALUES if attrs.has(type(value))]


def name_of(value) -> str:
    return type(value).__name__


@pytest.mark.parametrize("value", VALUES, ids=name_of)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_comes_back_equal(value, protocol):
    assert pickle.loads(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("value", VALUES, ids=name_of)
def test_a_copy_is_equal(value):
    assert copy.copy(value) == value
    assert copy.deepcopy(value) == value


@pytest.mark.parametrize("value", VALUES, ids=name_of)
def test_equal_values_hash_equal(value):
    assert hash(copy.deepcopy(value)) == hash(value)
    assert len({value, copy.deepcopy(value)}) == 1


@pytest.mark.parametrize("value", ATTRS_VALUES, ids=name_of)
def test_no_attribute_can_be_set_or_deleted_or_added(value):
    for field in attrs.fields(type(value)):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(value, field.name, None)
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            delattr(value, field.name)
    with pytest.raises((attrs.exceptions.FrozenInstanceError, AttributeError)):
        value.another = 1
    assert not hasattr(value, "__dict__")


@pytest.mark.parametrize("value", ATTRS_VALUES, ids=name_of)
def test_evolving_nothing_gives_an_equal_value(value):
    assert attrs.evolve(value) == value


def test_evolving_checks_again():
    message = Message(**ENVELOPE, text="Hi")
    assert attrs.evolve(message, subject="Reminder").subject == "Reminder"
    assert attrs.evolve(message, unique_id="id-2").unique_id == "id-2"
    with pytest.raises(UsageError, match="subject: has a control character"):
        attrs.evolve(message, subject="a\nb")
    with pytest.raises(UsageError, match="html: refers to cid:logo,"):
        attrs.evolve(message, html='<img src="cid:logo">', images=())


def test_no_container_of_a_value_can_change():
    template = TemplateMessage(**ENVELOPE, template_id="t1", dynamic_value={"NAME": "Ada"})
    for container in (
        template.to,
        template.cc,
        template.bcc,
        template.reply_to,
        template.attachments,
        template.images,
    ):
        assert type(container) is tuple
    for mapping in (template.headers, template.dynamic_value, RESULT.extra, INFO.extra):
        with pytest.raises(TypeError):
            mapping["X"] = "1"
        with pytest.raises(TypeError):
            del mapping["X"]


def test_frozen_mapping_is_a_mapping():
    mapping = FrozenMapping({"b": 1, "a": 2})
    assert (list(mapping), len(mapping), mapping["a"], mapping.get("c")) == (["b", "a"], 2, 2, None)
    assert mapping == {"a": 2, "b": 1}
    assert mapping != {"a": 2}
    assert repr(mapping) == "{'b': 1, 'a': 2}"
    assert not FrozenMapping()


def test_frozen_mapping_in_another_order_is_equal_and_hashes_equal():
    one, other = FrozenMapping({"a": 1, "b": 2}), FrozenMapping({"b": 2, "a": 1})
    assert one == other
    assert hash(one) == hash(other)
    assert len({one, other}) == 1


def test_frozen_mapping_of_unhashable_values_has_a_hash():
    assert hash(FrozenMapping({"a": [1]})) == hash(FrozenMapping({"a": [2]}))


@pytest.mark.parametrize("value", VALUES, ids=name_of)
def test_no_repr_shows_content(value):
    text = repr(value)
    assert "content of a" not in text
    assert "PNG" not in text
    assert '"status":"success"' not in text


def test_the_repr_of_a_response_shows_the_length_of_its_body():
    assert repr(Response(200, (), b"body")) == "Response(status=200, headers=(), body=<4 bytes>)"


def test_a_response_finds_a_header_in_any_case_and_takes_the_first():
    assert RAW.header("content-type") == "application/json"
    assert RAW.header("VIA") == "1"
    assert RAW.header("X-None") is None


def test_the_text_of_a_response_replaces_invalid_bytes():
    assert Response(200, (), "für".encode()).text == "für"
    assert Response(200, (), b"f\xfcr").text == "f\ufffdr"
    assert Response(204).text == ""


@pytest.mark.parametrize(
    ("records", "following"), [(0, None), (1, None), (99, None), (100, 4), (101, 4)]
)
def test_a_page_that_is_full_has_a_next(records, following):
    page = MessageInfoPage(unique_id="id-1", skip_page=3, records=(INFO,) * records, raw=RAW)
    assert page.next_skip_page == following
    assert len(page) == records
    assert list(page) == [INFO] * records


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (SendOutcome(0, "m", result=RESULT), "accepted"),
        (SendOutcome(0, "m", error=NotSentError("refused")), "not_sent"),
        (SendOutcome(0, "m", error=UsageError("bad", mail_state=None)), "unknown"),
    ],
)
def test_an_outcome_reports_the_state_of_its_mail(outcome, state):
    assert outcome.state == state


def test_the_repr_of_an_outcome_leaves_the_message_out():
    assert repr(SendOutcome(3, "the message")) == "SendOutcome(index=3, result=None, error=None)"


def test_a_retry_event_is_frozen():
    event = RetryEvent(
        operation="messages/sendMail", unique_id=None, attempt=1, error=NotSentError("x"), wait=0.5
    )
    assert (event.attempt, event.wait) == (1, 0.5)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        event.wait = 1


@pytest.mark.parametrize("field", ["connect", "read", "write", "pool"])
@pytest.mark.parametrize("seconds", [None, 1, 0.001, 1e9])
def test_valid_timeouts(field, seconds):
    assert getattr(Timeouts(**{field: seconds}), field) == seconds


@pytest.mark.parametrize("field", ["connect", "read", "write", "pool"])
@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan"), True, "5"])
def test_invalid_timeouts(field, seconds):
    with pytest.raises(UsageError) as caught:
        Timeouts(**{field: seconds})
    assert (caught.value.field, caught.value.mail_state) == (f"timeouts.{field}", None)
    assert (
        str(caught.value)
        == f"timeouts.{field}: must be a positive number of seconds or None, not {seconds!r}"
    )


def test_the_default_timeouts():
    assert attrs.astuple(Timeouts()) == (5.0, 30.0, 30.0, 60.0, 120.0, None, 30.0)


def test_a_secret_is_masked_in_texts_and_compares_by_value():
    secret = Secret("hunter2")
    assert secret.reveal() == "hunter2"
    assert f"{secret} {secret!r} {[secret]}" == "*** Secret('***') [Secret('***')]"
    assert secret == Secret("hunter2")
    assert secret != Secret("hunter3")
    assert secret != "hunter2"
    assert len({secret, Secret("hunter2")}) == 1
    assert secret
    assert not Secret("")


def test_a_secret_is_copied_and_not_pickled():
    secret = Secret("hidden word")
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret]) == [secret]
    with pytest.raises(TypeError, match="cannot be pickled") as caught:
        pickle.dumps(secret)
    assert "hidden word" not in str(caught.value)
