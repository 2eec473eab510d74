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
        CaughtFile("unnamed", "text/plain", b"second"),
        CaughtFile("ä.pdf", "application/pdf", b"pdf"),
        CaughtFile("unnamed", "text/plain", b"bare"),
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
