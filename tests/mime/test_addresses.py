"""
The one reader of address headers: the same mailboxes for the client and for the sandbox, whatever
the header looks like.
"""

from __future__ import annotations

import time
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poweremail import Message, UsageError
from poweremail._messages.raw import RawMessage
from poweremail._mime.addresses import read_mailboxes
from poweremail.sandbox import Sandbox
from poweremail.sandbox._api.mime import read_raw_message
from support.rfc5322 import headers

HEAD = "From: me@example.com\r\nSubject: s\r\n"


def listed(text: str, **options) -> tuple[tuple[str, str], ...]:
    return tuple((found.name, found.address) for found in read_mailboxes(text, **options))


def emails(recipients) -> tuple[str, ...]:
    return tuple(recipient.email for recipient in recipients)


@given(headers())
def test_every_mailbox_of_a_header_is_read(header):
    unfolded = header.text.replace("\r\n", "")
    assert listed(unfolded) == header.mailboxes
    assert listed(unfolded, lenient=True) == header.mailboxes


@settings(max_examples=40)
@given(headers().filter(lambda header: header.mailboxes))
def test_the_client_and_the_sandbox_agree(header):
    raw = f"{HEAD}To: {header.text}\r\n\r\nhi\r\n"
    expected = tuple(address for _, address in header.mailboxes)
    assert RawMessage.of(raw).recipients == expected
    assert emails(read_raw_message(raw)["recipients"]) == expected
    names = [(each.name or "", each.email) for each in read_raw_message(raw)["recipients"]]
    assert tuple(names) == header.mailboxes
    for using in (policy.default, policy.compat32):
        parsed = message_from_bytes(raw.encode(), policy=using)
        assert emails(Message.from_email_message(parsed, lossy=True).message.to) == expected
        assert RawMessage.of(parsed).recipients == expected


@settings(max_examples=40)
@given(headers().filter(lambda header: header.mailboxes))
def test_a_header_that_was_set_on_an_email_message(header):
    """The standard library reads it before we do, each version in its own way."""
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "me@example.com", "s"
    try:
        mail["To"] = header.text.replace("\r\n", "")
    except (AttributeError, IndexError):
        return  # some versions of the standard library cannot parse all that is valid
    mail.set_content("hi")
    allowed = {address for _, address in header.mailboxes}
    try:
        read = Message.from_email_message(mail, lossy=True).message
        sent = RawMessage.of(mail)
    except UsageError:
        return
    assert set(emails(read.to)) <= allowed
    assert set(sent.recipients) <= allowed
    assert sent.recipients == emails(read_raw_message(sent.text)["recipients"])


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("'x@y.org' <x@y.org>", ["x@y.org"]),
        ("a@x.org <b@y.org>", ["b@y.org"]),
        ('"a@x.org" <b@y.org>', ["b@y.org"]),
        ("=?utf-8?q?x=2C_victim=40example=2Eorg=2C?= <j@x.org>", ["j@x.org"]),
        ("=?utf-8?b?TcO8bGxlciwgSsO2cmc=?= <j@x.org>, Ada <a@x.org>", ["j@x.org", "a@x.org"]),
        ("Team: a@x.org, B <b@x.org>;, c@x.org", ["a@x.org", "b@x.org", "c@x.org"]),
        ("[EXTERNAL] Ada <a@x.org>", ["a@x.org"]),
        ("Ada [home <a@x.org>, Bob] <b@x.org>", ["a@x.org", "b@x.org"]),
        ("a@x.org (victim@y.org, <v@y.org>)", ["a@x.org"]),
    ],
)
def test_a_name_is_never_an_address(to, expected):
    with Sandbox() as sandbox, sandbox.client() as client:
        result = client.messages.send_raw(f"{HEAD}To: {to}\r\n\r\nhi\r\n", smtp_user_name="s")
        assert list(result.recipients) == list(sandbox.outbox[-1].to) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"open <a@x.org>', [("open", "a@x.org")]),
        ("(open a@x.org", [("", "open a@x.org")]),
        ("a@x.org <", [("", "a@x.org")]),
        ("<a@x.org> <b@x.org>", [("", "a@x.org"), ("", "b@x.org")]),
        ("A <a@x.org> B <b@x.org>", [("A", "a@x.org"), ("B", "b@x.org")]),
        ("a: b: c@x.org;", [("", "b: c@x.org")]),
        ("=?utf-8?q?a=40x=2Eorg?=", [("", "=?utf-8?q?a=40x=2Eorg?=")]),
        ("=?utf-8?q?=FF?= <a@x.org>", [("\ufffd", "a@x.org")]),
    ],
)
def test_only_the_lenient_mode_reads_malformed_mailboxes(text, expected):
    assert listed(text, lenient=True) == tuple(expected)
    with pytest.raises(ValueError, match=r"^(has|its)"):
        read_mailboxes(text)


@given(st.text('ab@x.org,;:<>()[]"\\ \t=?', max_size=60) | st.text(max_size=30))
def test_the_lenient_mode_reads_everything_and_agrees_with_the_strict_one(text):
    lenient = read_mailboxes(text, lenient=True)
    try:
        strict = read_mailboxes(text, errors="replace")
    except ValueError:
        return
    assert strict == lenient


@pytest.mark.parametrize(
    "piece",
    ['"', '"\\', "(", ")", "<", "<a", "[", "[a", '"a', "(a)", "=?", ":", ",", "@", "@a,", " "],
)
def test_every_header_is_read_in_linear_time(piece):
    text = piece * (200_000 // len(piece))
    began = time.process_time()
    read_mailboxes(text, lenient=True)
    read_mailboxes(f"<{text}>", lenient=True)
    assert time.process_time() - began < 5
