"""Raw messages: what is read from them, and which cannot be sent."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage, Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poweremail import UsageError
from poweremail._messages.raw import RawMessage
from poweremail._mime.headers import header_lines

HEAD = "From: me@example.com\nTo: ada@example.com\n"


def test_the_addresses_and_the_unique_id_are_read():
    text = (
        "X-UNIQUE-ID:\r\n id-1\r\nFrom: =?utf-8?q?J=C3=BC?= <me@example.com>\r\n"
        'To: "Doe, John" <john@example.com>,\r\n\tada@example.com\r\n'
        "CC: Team: c@example.com, d@example.com;\r\nBcc: e@example.com\r\nBcc: "
        "f@example.com\r\nSubject: x\r\n\r\nFrom: body@x\r\n"
    )
    message = RawMessage.of(text)
    assert message.recipients == tuple(
        f"{name}@example.com" for name in ("john", "ada", "c", "d", "e", "f")
    )
    assert (message.text, message.unique_id) == (text, "id-1")
    assert "Doe" not in repr(message)


@pytest.mark.parametrize(
    ("text", "end"),
    [(f"{HEAD}\nHi", "\n"), (f"{HEAD}\nHi".replace("\n", "\r\n"), "\r\n"), (HEAD, "\n")],
)
def test_a_unique_id_goes_first(text, end):
    message = RawMessage.of(text)
    assert message.unique_id is None
    assert message.with_unique_id("u1") == f"X-Unique-Id: u1{end}{text}"
    assert RawMessage.of(message.with_unique_id("u1")).unique_id == "u1"


def test_bytes_are_utf_8():
    assert RawMessage.of(f"{HEAD}Subject: ü\n\nhé 😀".encode()).text.endswith("hé 😀")
    with pytest.raises(
        UsageError,
        match=r"^not sent: raw_message: is not UTF-8 at byte 43, .*base64 or quoted-printable",
    ) as caught:
        RawMessage.of(f"{HEAD}\n".encode() + b"h\xe9")
    assert caught.value.field == "raw_message"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "must not be empty"),
        (" \r\n", "must not be empty"),
        ("Hello", "line 1 is no header"),
        (f"\n{HEAD}\nHi", "line 1 is no header"),
        (f" folded\n{HEAD}\nHi", "line 1 is no header"),
        (f"{HEAD}Hello\n\nHi", "line 3 is no header"),
        (f"From me@example.com Mon\n{HEAD}\nHi", "mailbox file"),
        ("To: ada@example.com\n\nHi", "must have one From header, not 0"),
        (f"{HEAD}from: other@example.com\n\nHi", "must have one From header, not 2"),
        ("From: \nTo: ada@example.com\n\nHi", "its From header has no address"),
        ("From: me\nTo: ada@example.com\n\nHi", "its From header: 'me' has no @"),
        ("From: me@example.com\n\nTo: ada@example.com", "has no recipient in To, Cc or Bcc"),
        ("From: me@example.com\nTo: undisclosed-recipients:;\n\nHi", "has no recipient"),
        ("From: me@example.com\nTo: ada@\n\nHi", "its To header"),
        ("From: me@example.com\nTo: ada@example.com, b@\n\nHi", "its To header"),
        ("From: me@example.com\nTo: ada@example..com\n\nHi", "its To header: "),
        (
            f"{HEAD}X-Unique-Id: \n\nHi",
            "must have one X-Unique-Id header that is not empty, or none",
        ),
        (f"{HEAD}X-Unique-Id: a\nx-unique-id: a\n\nHi", "must have one X-Unique-Id header"),
        (f"{HEAD}Subject: a\rBcc: b@example.com\n\nHi", r"control character '\\r' in line 3"),
        (f"{HEAD}Subject: a\x0bb\n\nHi", "control character"),
        (f"{HEAD}Subject: a\0\n\nHi", "control character"),
        (f"{HEAD}\nHi\0", "has a NUL at position 44"),
        (f"{HEAD}\nHi\ud800", "lone surrogate"),
        (5, "must be a str, bytes or an EmailMessage, not int"),
        (None, "must be a str"),
    ],
)
def test_invalid_raw_messages(text, why):
    with pytest.raises(UsageError, match=f"^not sent: raw_message: .*{why}") as caught:
        RawMessage.of(text)
    assert (caught.value.field, caught.value.mail_state) == ("raw_message", "not_sent")


def test_messages_of_the_standard_library():
    mail = EmailMessage()
    mail["From"], mail["To"], mail["X-Unique-Id"] = "me@example.com", "ada@example.com", "u1"
    mail.set_content("hé")
    assert RawMessage.of(mail).unique_id == "u1"
    old = Message()
    old["From"], old["To"] = "me@example.com", "ada@example.com"
    old.set_payload("Hi\n")
    assert RawMessage.of(old).text == "From: me@example.com\r\nTo: ada@example.com\r\n\r\nHi\r\n"


@pytest.mark.parametrize(
    "injected",
    ["a\nBcc: b@example.com", "a\r\nBcc: b@example.com", "a\rBcc: b@example.com", "a\n\nbody"],
)
def test_a_header_with_a_line_break_is_rejected(injected):
    mail = Message()
    mail["From"], mail["To"], mail["Subject"] = "me@example.com", "ada@example.com", injected
    with pytest.raises(
        UsageError, match="its header Subject has a line break that would begin another header"
    ):
        RawMessage.of(mail)


def test_a_message_that_cannot_be_written():
    mail = Message()
    mail["From"], mail["To"], mail["Content-Type"] = (
        "me@example.com",
        "ada@example.com",
        "multipart/mixed",
    )
    mail.set_payload(["not a part"])
    with pytest.raises(UsageError, match="cannot be written"):
        RawMessage.of(mail)


@given(
    st.text(alphabet=st.sampled_from('From:To,ada@x.y<>"; \t\r\n\\()=?ü\0'), max_size=80)
    | st.binary(max_size=40)
)
def test_any_text_or_bytes_are_read_or_rejected(raw):
    for message in (raw, HEAD + raw if isinstance(raw, str) else HEAD.encode() + raw):
        try:
            read = RawMessage.of(message)
        except UsageError as error:
            assert error.field == "raw_message"
        else:
            assert read.recipients


PIECES = ["Größe", "x" * 90, "=?utf-8?q?x?=", "a, b", '"q"', "  ", "\U0001f5fc", "<a@b>"]
TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=120) | (
    st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join)
)
IDS = st.lists(st.from_regex(r"<[!-;?-~]{1,300}>", fullmatch=True), min_size=1, max_size=12)


@given(name=st.sampled_from(["Subject", "X-A", "Comments", "X-" + "n" * 60]), text=TEXTS, ids=IDS)
def test_no_header_of_an_email_message_reads_back_differently(name, text, ids):
    for using in (policy.default, policy.SMTP, policy.SMTPUTF8):
        mail = EmailMessage(using)
        mail["From"], mail["To"] = "me@example.com", "ada@example.com"
        mail[name] = text
        for structured in ("References", "List-Unsubscribe"):
            mail[structured] = " ".join(ids)
        mail.set_content("x")
        sent = RawMessage.of(mail).text
        assert all(len(line) <= 998 for line in sent.split("\r\n"))
        read = header_lines(message_from_bytes(sent.encode()))
        texts = {line.name: line.decode() for line in read}
        assert texts[name] == str(mail[name]).strip()
        assert texts["References"] == texts["List-Unsubscribe"] == " ".join(ids)
