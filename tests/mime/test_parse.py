"""
Bytes become the message that the standard library makes of them, hostile ones too, and in a time
that can be waited for.
"""

from __future__ import annotations

import re
import time
from email import message_from_bytes, policy

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from poweremail import Attachment, Message
from poweremail._mime.headers import parse

BOMB = b'Content-Type: text/plain; a="x"' + b';"' * 70_000 + b"\n\nhello\n"
NESTED = b"""\
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=
From: me@example.com
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain; charset=utf-8

gr\xc3\xbc\xc3\x9f
--b
Content-Type: message/rfc822

Subject: inner
 folded

text
--b--
"""


def said(message):
    """All that a message and its parts hold."""
    return [
        (
            type(part),
            part.policy,
            list(part.raw_items()),
            part.preamble,
            part.epilogue,
            part.is_multipart() or part._payload,  # what get_payload returns has been decoded
            [type(defect) for defect in part.defects],
        )
        for part in message.walk()
    ]


@given(
    st.lists(
        st.sampled_from(
            [*NESTED.splitlines(keepends=True), b"\n", b" x\n", b"\xff\n", b"--b\n", b"To: \r\n"]
        ),
        max_size=20,
    )
)
def test_parse_agrees_with_the_standard_library(lines):
    # A boundary that goes on after a fold, without a semicolon, is malformed; each policy guesses.
    assume(not re.search(rb"boundary=b\r?\n[ \t]", b"".join(lines)))
    for data in (NESTED, b"".join(lines)):
        assert said(parse(data, policy.default)) == said(
            message_from_bytes(data, policy=policy.default)
        )
    assert parse(NESTED, policy.default)["Subject"] == "Grüße"


@pytest.mark.parametrize(
    "read", [lambda data: parse(data, policy.default), lambda data: as_attached(data)]
)
def test_a_header_of_many_parameters_is_read_in_linear_time(read):
    began = time.process_time()
    read(BOMB)
    # It takes some hundredths of a second, and by the newer policies half a minute.
    assert time.process_time() - began < 5


def as_attached(data: bytes):
    attachment = Attachment("bomb.eml", data, "message/rfc822")
    message = Message(
        subject="Hi",
        from_email="me@example.com",
        to="a@example.com",
        text="Hello",
        attachments=[attachment],
    )
    return message.as_email_message()
