"""sendRaw: what is read from a whole RFC 5322 message."""

import time

import pytest

from poweremail.sandbox import CaughtFile, CaughtRecipient
from poweremail.sandbox._api.mime import read_raw_message

MULTIPART = """\
Subject: =?utf-8?q?h=C3=A9?= there
From: "Me" <me@example.com>
To: a@example.com, Ann <ann@example.com>
Cc: c@example.com
Bcc: d@example.com
X-Unique-ID: raw-1
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=x

--x
Content-Type: text/plain; charset=latin-1
Content-Transfer-Encoding: quoted-printable

h=E9
--x
Content-Type: text/html; charset=nope

<b>hé</b>
--x
Content-Type: text/plain

second
--x
Content-Type: image/png
Content-ID: <logo>
Content-Transfer-Encoding: base64

YQ==
--x
Content-Type: application/pdf; name="ignored"
Content-Disposition: attachment; filename="=?utf-8?q?=C3=A4=2Epdf?="

pdf
--x
Content-Disposition: attachment

bare
--x--
"""


def test_a_multipart_message(api, sandbox):
    assert api("sendRaw", smtp_user_name="s", raw_message=MULTIPART) == {
        "status": "success",
        "message": "message have been Queued ...",
    }
    (mail,) = sandbox.outbox
    assert (mail.operation, mail.subject, mail.unique_id) == ("sendRaw", "hé there", "raw-1")
    assert (mail.from_email, mail.from_name) == ("me@example.com", "Me")
    assert mail.recipients[1] == CaughtRecipient("to", "ann@example.com", "Ann")
    assert (mail.to, mail.cc, mail.bcc) == (
        ("a@example.com", "ann@example.com"),
        ("c@example.com",),
        ("d@example.com",),
    )
    assert (mail.text, mail.html) == ("hé", "<b>hé</b>")
    assert mail.images == (CaughtFile("logo", "image/png", b"a"),)
    assert mail.attachments == (
        CaughtFile("unnamed.txt", "text/plain", b"second"),
        CaughtFile("ä.pdf", "application/pdf", b"pdf"),
        CaughtFile("unnamed.txt", "text/plain", b"bare"),
    )
    assert mail.headers["X-Unique-ID"] == "raw-1"
    assert mail.raw["raw_message"] == MULTIPART
    assert len(api.info("raw-1")) == 4


@pytest.mark.parametrize(
    "header", ["Content-Type: text/plain; ", "Content-Disposition: attachment; "]
)
@pytest.mark.parametrize("bomb", [";" * 200_000, "a=b; " * 40_000, 'a="b; ' * 40_000])
def test_long_parameters_are_read_quickly(header, bomb):
    raw = f"From: a@example.com\nTo: b@example.com\nSubject: x\n{header}{bomb}\n\nhi\n"
    began = time.process_time()
    read = read_raw_message(raw)
    assert time.process_time() - began < 0.5
    assert read["text"] == "hi\n" or read["attachments"][0].content == b"hi\n"


def test_a_simple_message_with_a_folded_header_and_unknown_charsets(api, sandbox):
    raw = (
        "Subject: one\r\n two =?nope?q?x?= =?nope?b?!?=\r\nFrom: a@example.com\r\nTo: Ä "
        "<b@example.com>\r\n\r\nhé"
    )
    api("sendRaw", smtp_user_name="s", raw_message=raw)
    (mail,) = sandbox.outbox
    assert (mail.subject, mail.text, mail.html) == ("one two x =?nope?b?!?=", "hé", None)
    assert mail.recipients == (CaughtRecipient("to", "b@example.com", "Ä"),)


PNG = "iVBORw0KGgoAAAANSUhEUg=="


def raw_message(*parts: str, headers: str = "") -> str:
    body = "".join(f"--x\n{part}\n" for part in parts)
    return (
        f"Subject: s\nFrom: a@example.com\nTo: b@example.com\n{headers}MIME-Version: 1.0\n"
        f"Content-Type: multipart/mixed; boundary=x\n\n{body}--x--\n"
    )


def html(text: str) -> str:
    return f"Content-Type: text/html\n\n{text}"


def file(headers: str, content: str = PNG) -> str:
    return f"{headers}\nContent-Transfer-Encoding: base64\n\n{content}"


def test_all_headers_of_one_name_are_kept():
    headers = "Received: from a\nX-Unique-Id: first\nreceived: from b\nX-Unique-Id: second\n"
    read = read_raw_message(raw_message(html("x"), headers=headers + "Subject: again\n"))
    assert read["headers"]["Received"] == "from a\nfrom b"
    assert read["headers"]["Subject"] == "s\nagain"
    assert read["subject"] == "s"


def test_the_first_unique_id_counts(api, sandbox):
    raw = raw_message(html("x"), headers="X-Unique-Id: first\nX-Unique-Id: second\n")
    assert api("sendRaw", smtp_user_name="s", raw_message=raw)["status"] == "success"
    assert sandbox.outbox[0].unique_id == "first"


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ("Content-Type: text/calendar; method=REQUEST", "invite.ics"),
        ("Content-Type: application/pdf", "unnamed.pdf"),
        ("Content-Type: application/x-nobody-knows", "unnamed"),
        ('Content-Type: text/calendar; name="my.ics"', "my.ics"),
    ],
)
def test_a_file_without_a_name_gets_one(headers, name):
    read = read_raw_message(raw_message(html("x"), file(headers, "YQ==")))
    assert [each.name for each in read["attachments"]] == [name]


def test_an_attached_message_stays_one_attachment():
    inner = "Content-Type: message/rfc822\n\nSubject: inner\nFrom: c@example.com\n\ninner text"
    read = read_raw_message(raw_message(html("outer"), inner))
    assert [(each.name, each.type) for each in read["attachments"]] == [
        ("message.eml", "message/rfc822")
    ]
    assert (read["text"], read["html"]) == (None, "outer")


@pytest.mark.parametrize(
    ("used", "disposition", "type", "kind"),
    [
        (True, "attachment", "image/png", "images"),
        (False, "attachment", "image/png", "attachments"),
        (False, "inline", "image/png", "images"),
        (True, "inline", "application/octet-stream", "images"),
        (True, "attachment", "application/octet-stream", "images"),
        (False, "attachment", "application/octet-stream", "attachments"),
    ],
)
def test_an_image_with_a_content_id(used, disposition, type, kind):
    source = html("<img src='cid:LOGO%40x'>" if used else "<p>no image")
    headers = f"Content-Type: {type}\nContent-Disposition: {disposition}\nContent-ID: <logo@x>"
    read = read_raw_message(raw_message(source, file(headers)))
    assert len(read[kind]) == 1
    expected = "image/png" if kind == "images" else type
    assert read[kind][0].type == expected


def test_a_file_with_a_content_id_that_is_no_image():
    headers = "Content-Type: application/octet-stream\nContent-ID: <a>"
    read = read_raw_message(raw_message(html("<img src=cid:a>"), file(headers, "YWJj")))
    assert (len(read["attachments"]), read["images"]) == (1, ())
