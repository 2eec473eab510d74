"""Our messages become the standard library's, and come back as they were."""

from __future__ import annotations

import io
import re
import smtplib
import socket
import threading
from email import message_from_bytes, policy

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poweremail import Attachment, Image, Message, Recipient, TemplateMessage, Tracking, UsageError

PNG = b"\x89PNG\r\n\x1a\n"
ENVELOPE = {"subject": "Hi", "from_email": "me@example.com", "to": "ada@example.com"}


def message(**fields) -> Message:
    return Message(**({**ENVELOPE, "text": "Hello"} | fields))


def there_and_back(ours: Message) -> Message:
    """*ours*, as an object, and as bytes that are read with each policy: all of them the same."""
    theirs = ours.as_email_message()
    data = theirs.as_bytes()
    head = data.partition(b"\r\n\r\n")[0]
    assert all(len(line) <= 998 for line in head.split(b"\r\n"))
    results = [
        Message.from_email_message(read)
        for read in (
            theirs,
            *(
                message_from_bytes(data, policy=using)
                for using in (policy.default, policy.compat32)
            ),
        )
    ]
    assert results[0] == results[1] == results[2]
    return results[0]


def test_a_message_of_everything(tmp_path):
    (tmp_path / "Angebot März.pdf").write_bytes(b"%PDF")
    ours = message(
        subject="Grüße " * 30,
        from_email=('Doe, "Jörg"', "me@example.com"),
        to=[("Lovelace, Ada", "ada@example.com"), "bob@example.com"],
        cc="c@example.com",
        bcc="d@example.com",
        reply_to=["Help <help@example.com>", "x@example.com"],
        html='<img src="cid:logo@x">',
        images=[Image("logo@x", PNG)],
        attachments=[
            Attachment.from_path(tmp_path / "Angebot März.pdf"),
            Attachment.from_file(
                io.BytesIO(b"a,b"), "b.csv", type="text/csv; charset=utf-8; header=present"
            ),
            Attachment("m.eml", b"Subject: x\r\n\r\n\xff\r\n", "message/rfc822"),
        ],
        headers={"X-Campaign": "q4", "List-Unsubscribe": f"<https://example.com/{'u' * 200}>"},
        tracking=Tracking(opens=False, clicks="both", domain="t.example.com"),
        unique_id="u-1",
    )
    theirs = ours.as_email_message()
    assert theirs["Subject"] == ours.subject
    assert [(address.display_name, address.addr_spec) for address in theirs["To"].addresses] == [
        ("Lovelace, Ada", "ada@example.com"),
        ("", "bob@example.com"),
    ]
    assert theirs["Bcc"] == "d@example.com"
    assert theirs["X-Unique-Id"] == "u-1"
    assert theirs["X-STes-TrackOpen"] == "no"
    assert theirs["Date"].datetime.tzinfo is not None
    assert re.fullmatch(r"<\S+@example.com>", theirs["Message-ID"])
    assert theirs.get_body(("plain",)).get_content() == "Hello"
    assert theirs.get_body(("related", "html")).get_content_type() == "multipart/related"
    assert [part.get_filename() for part in theirs.iter_attachments()] == [
        "Angebot März.pdf",
        "b.csv",
        "m.eml",
    ]
    assert [part.get_content_type() for part in theirs.iter_attachments()] == [
        "application/pdf",
        "text/csv",
        "message/rfc822",
    ]
    back = there_and_back(ours)
    contents = [b"%PDF", b"a,b", b"Subject: x\r\n\r\n\xff\r\n"]
    read = [
        attrs.evolve(file, content=content)
        for file, content in zip(ours.attachments, contents, strict=True)
    ]
    assert back == attrs.evolve(ours, attachments=read)


def test_date_and_message_id_can_be_given():
    theirs = message(
        headers={"date": "Mon, 01 Jan 2024 09:00:00 +0000", "Message-Id": "<1@x>"}
    ).as_email_message()
    assert theirs.get_all("Date") == ["Mon, 01 Jan 2024 09:00:00 +0000"]
    assert theirs.get_all("Message-ID") == ["<1@x>"]


# fmt: skip  # noqa: RUF028
@pytest.mark.parametrize(
    "text",
    [
        "a\nb",
        "a\n",
        " \na ",
        "é\n",
        "x" * 2000,
        "é" * 2000,
        "a\rb",
        "\0\x0b\x85\u2028",
        ".\n.\nFrom x\n",
        "=?utf-8?q?x?=",
    ],
)
def test_a_text_comes_back_as_it_was(text):
    assert there_and_back(message(text=text)).text == text
    assert there_and_back(message(text=text, html="<b>")).text == text


def test_line_ends_are_one_character():
    assert there_and_back(message(text="a\r\nb\r\r\n")).text == "a\nb\n"


def test_international_addresses_are_written_in_utf_8():
    ours = message(to=("Jörg", "jörg@exämple.de"))
    assert "<jörg@exämple.de>".encode() in ours.as_email_message().as_bytes()
    assert there_and_back(ours) == ours


def test_a_message_that_cannot_be_written_raises(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"1234")
    ours = message(attachments=[Attachment.from_path(path)])
    path.unlink()
    for attachment, why in (
        (Attachment.from_stream([b"x"], "a"), "can be read only once"),
        (ours.attachments[0], "cannot read"),
        (Attachment("a", b"", "multipart/mixed"), "no type of a file"),
    ):
        with pytest.raises(UsageError, match=why) as caught:
            message(attachments=[attachment]).as_email_message()
        assert caught.value.field.startswith("attachments[")
    with pytest.raises(UsageError, match="can be read only once") as caught:
        message(images=[Image.from_stream([b"x"], "a", type="image/png")]).as_email_message()
    assert caught.value.field == "images['a']"


def test_a_file_that_has_become_shorter():
    file = io.BytesIO(b"1234")
    ours = message(attachments=[Attachment.from_file(file, "a")])
    file.truncate(2)
    with pytest.raises(UsageError, match="shorter"):
        ours.as_email_message()


def test_a_template_has_no_content():
    assert not hasattr(TemplateMessage, "as_email_message")


def test_smtplib_sends_it():
    ours = message(bcc="secret@example.com", text="Grüße\n", headers={"X-Long": "word " * 60})
    with socket.create_server(("127.0.0.1", 0)) as server:
        said: list[bytes] = []

        def answer() -> None:
            connection, _ = server.accept()
            with connection, connection.makefile("rwb") as stream:

                def reply(text: bytes) -> None:
                    stream.write(text + b"\r\n")
                    stream.flush()

                reply(b"220 hello")
                in_data = False
                for line in stream:
                    said.append(line)
                    if in_data:
                        in_data = line != b".\r\n"
                        if not in_data:
                            reply(b"250 taken")
                    elif line.upper().startswith(b"DATA"):
                        in_data = True
                        reply(b"354 go on")
                    elif line.upper().startswith(b"QUIT"):
                        reply(b"221 bye")
                        break
                    else:
                        reply(b"250 ok")

        thread = threading.Thread(target=answer)
        thread.start()
        with smtplib.SMTP(*server.getsockname()) as client:
            assert client.send_message(ours.as_email_message()) == {}
        thread.join()
    session = b"".join(said)
    assert session.lower().count(b"rcpt to:") == 2
    data = session.partition(b"data\r\n")[2].partition(b"\r\n.\r\n")[0]
    assert b"secret" not in data
    received = Message.from_email_message(message_from_bytes(data + b"\r\n", policy=policy.default))
    assert received == attrs.evolve(ours, bcc=())


# Every character that may stand in a header, the awkward ones often.
BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
CHARACTERS = st.characters(
    exclude_categories=("Cs", "Cc"), exclude_characters=BIDI
) | st.sampled_from(' ",<>@()\\;:=?_\u2028é✓\U0001f600\ufeff')
LINE = st.text(CHARACTERS, max_size=120).map(str.strip) | st.just("=?utf-8?q?x?=")
FILLED = LINE.filter(bool).filter(lambda text: not text.startswith("\ufeff"))
EMAIL = st.sampled_from(
    [
        "a@example.com",
        '"a b"@example.com',
        f"{'l' * 64}@{'d' * 60}.example.com",
        "ü@exämple.de",
        "a@[192.0.2.1]",
    ]
)
MAILBOX = st.builds(Recipient, EMAIL, st.none() | FILLED)
TEXT = st.text(
    st.characters(exclude_categories=("Cs",)) | st.sampled_from("\n\t =."), min_size=1, max_size=300
)
BODY = TEXT.map(lambda text: re.sub(r"\r+\n", "\n", text)).filter(
    lambda text: text.strip() and not text.startswith("\ufeff")
)
FILE = st.builds(
    Attachment,
    FILLED,
    st.binary(max_size=200),
    st.sampled_from(["", "text/plain; charset=utf-8", "application/pdf", "image/png"]),
)
IDS = st.lists(st.from_regex(r"<[!-;?-~]{1,300}>", fullmatch=True), min_size=1, max_size=20).map(
    " ".join
)
MESSAGES = st.builds(
    Message,
    subject=FILLED,
    from_email=MAILBOX,
    to=st.lists(MAILBOX, min_size=1, max_size=4),
    cc=st.lists(MAILBOX, max_size=2),
    reply_to=st.lists(MAILBOX, max_size=2),
    text=BODY,
    html=st.none() | BODY.map(lambda text: f"<p>x{text.replace('cid:', '')}"),
    images=st.lists(
        st.builds(Image, st.sampled_from(["a", "b@c", "ü d"]), st.just(PNG)),
        max_size=2,
        unique_by=lambda i: i.cid,
    ),
    attachments=st.lists(FILE, max_size=2),
    headers=st.dictionaries(
        st.sampled_from(["X-A", "List-Id", "X-" + "n" * 80]), FILLED, max_size=3
    )
    | st.dictionaries(st.sampled_from(["References", "List-Unsubscribe"]), IDS, max_size=2),
    tracking=st.none() | st.builds(Tracking, opens=st.booleans()),
    unique_id=st.none() | st.from_regex(r"[a-z0-9-]{1,40}", fullmatch=True),
)


@given(MESSAGES)
@settings(max_examples=60)
def test_a_message_is_read_back_equal(ours):
    assert there_and_back(ours) == ours


@given(MESSAGES)
@settings(max_examples=20)
def test_only_the_headers_of_the_message_are_written(ours):
    expected = {
        "from",
        "to",
        "cc",
        "reply-to",
        "subject",
        "date",
        "message-id",
        "x-unique-id",
        "x-stes-trackopen",
        "mime-version",
    }
    expected |= {
        "content-type",
        "content-transfer-encoding",
        *(name.lower() for name in ours.headers),
    }
    read = message_from_bytes(ours.as_email_message().as_bytes(), policy=policy.compat32)
    assert {name.lower() for name in read.keys()} <= expected  # noqa: SIM118  it is no dict
    assert len(read.keys()) == len({name.lower() for name in read.keys()})  # noqa: SIM118
