"""
Messages of the standard library become ours: what is carried, what is named as lost, and that
nothing else happens.
"""

from __future__ import annotations

import random
from base64 import b64encode, encodebytes
from email import message_from_bytes, policy
from email.header import Header
from email.message import EmailMessage
from email.message import Message as OldMessage
from email.mime.image import MIMEImage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from quopri import encodestring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poweremail import Attachment, Converted, Image, Message, Recipient, Tracking, UsageError
from support.django_project import configure
from support.emails import CORPUS, PDF, PNG

POLICIES = [policy.default, policy.SMTPUTF8, policy.compat32]
HEAD = "From: me@example.com\nTo: ada@example.com\nSubject: s\n"
INNER = b"From: eve@example.com\nSubject: Inner =\n\n" + b"A long line, x=1. " * 9 + b"\n"


def mail(body: str | None = "Hello\n", **headers: str) -> EmailMessage:
    message = EmailMessage()
    for name, value in (
        {"From": "me@example.com", "To": "ada@example.com", "Subject": "Hi"} | headers
    ).items():
        message[name.replace("_", "-")] = value
    if body is not None:
        message.set_content(body)
    return message


def raw(text: str | bytes, using=policy.default) -> OldMessage:
    return message_from_bytes(text if isinstance(text, bytes) else text.encode(), policy=using)


def lost(message: OldMessage, *words: str) -> Message:
    """
    The message without what *words*, one of each line, say; which is refused where nothing may be
    lost.
    """
    converted = Message.from_email_message(message, lossy=True)
    assert len(converted.dropped) == len(words), converted.dropped
    with pytest.raises(UsageError) as caught:
        Message.from_email_message(message)
    assert "lossy=True" in str(caught.value)
    for line, word in zip(converted.dropped, words, strict=True):
        assert word in line
        assert line in caught.value.explanation
    return converted.message


def test_the_simplest_message():
    assert Message.from_email_message(mail()) == Message(
        subject="Hi", from_email="me@example.com", to="ada@example.com", text="Hello\n"
    )


def test_lossy_returns_an_empty_list_if_nothing_is_lost():
    message, dropped = Message.from_email_message(mail(), lossy=True)
    assert (message.text, dropped) == ("Hello\n", ())
    assert isinstance(Message.from_email_message(mail(), lossy=True), Converted)


@pytest.mark.parametrize("using", POLICIES)
def test_mails_as_programs_write_them(using):
    def read(name: str) -> Message:
        return Message.from_email_message(raw(CORPUS[name], using))

    gmail = read("gmail")
    assert gmail.subject == "Rechnung über 42 €"
    assert gmail.from_email == Recipient("jo@gmail.com", "Jörg Müller")
    assert gmail.to == (Recipient("ada@example.com", "Lovelace, Ada"), Recipient("bob@example.com"))
    assert gmail.text == "Grüße\nJörg"
    assert gmail.html == '<div>Grüße <img src="cid:ii_abc" alt="logo.png"><br>Jörg</div>\n'
    assert gmail.images == (Image("ii_abc", PNG),)
    assert gmail.attachments == (Attachment("Rechnung März.pdf", PDF),)
    assert gmail.headers == {"In-Reply-To": "<orig@example.com>"}

    outlook = read("outlook")
    assert outlook.subject == "Angebot für März"
    assert outlook.to == (Recipient("ada@example.com", "Ada (London)"),)
    assert outlook.text == "Grüße “zitiert”\n"
    assert outlook.images == (Image("image001.png@01DA.5F", PNG, "image/png"),)
    assert outlook.attachments == ()
    assert outlook.headers["Content-Language"] == "de-DE"

    apple = read("apple")
    assert (apple.text, apple.html) == ("See.\n", "<html><head></head><body>See.<br></body></html>")
    assert [(file.name, file.content) for file in apple.attachments] == [
        ("a very long file name that had to be broken into pieces.pdf", PDF)
    ]

    japanese = read("japanese")
    assert (japanese.from_email.name, japanese.subject, japanese.text) == (
        "山田",
        "こんにちは",
        "こんにちは\n",
    )
    assert (read("russian").subject, read("russian").html) == ("Привет", "<p>Привет</p>")
    assert read("utf-16").text == "wide ✓\nline"
    sloppy = read("sloppy")
    assert (sloppy.from_email.name, sloppy.subject, sloppy.text) == (
        "Jörg",
        "grüße",
        "no charset: é\n",
    )
    assert len(sloppy.to) == 2


@pytest.mark.parametrize("using", POLICIES)
def test_a_mail_with_more_than_the_service_carries_raises_or_is_lossy(using):
    thunderbird = lost(raw(CORPUS["thunderbird"], using), "To: the name of the group 'friends'")
    assert thunderbird.to == (Recipient("ada@example.com"), Recipient("bob@example.com", "Bob"))
    original, patch = thunderbird.attachments
    assert (original.name, original.type) == ("Original.eml", "message/rfc822")
    assert original.content.startswith(
        b"From: x@example.net\r\nTo: s@example.org\r\nSubject: two spaces,   kept\r\n"
    )
    assert original.content.endswith(
        b"--inner\r\nContent-Type: text/plain\r\n\r\ninner\r\n--inner--\r\n"
    )
    assert (patch.name, patch.type) == (
        "Änderung mit einem sehr langen Namen.patch",
        "text/x-patch; charset=UTF-8",
    )
    assert patch.content == b"--- a\n+++ b\n"

    invite = lost(raw(CORPUS["exchange"], using), "text/calendar part is an alternative")
    assert (invite.text, invite.html) == ("Join us.", "<p>Join us.</p>")
    (calendar,) = invite.attachments
    assert (calendar.name, calendar.type) == (
        "attachment-1.ics",
        "text/calendar; charset=utf-8; method=REQUEST",
    )
    assert b"BEGIN:VCALENDAR" in calendar.content

    signed = lost(raw(CORPUS["mutt"], using), "signature")
    assert (signed.text, signed.attachments) == ("Trust me.\n", ())


def test_headers_that_have_a_meaning():
    message = Message.from_email_message(
        mail(
            Reply_To="Help <help@example.com>, b@example.com",
            X_Unique_ID="u-1",
            X_STes_TrackOpen="Yes",
            X_STes_TrackClick="html",
            X_STes_TrackingDomain="t.example.com",
            X_STes_Autotext="no",
            X_STes_AutoHtml="Perhaps",
            X_STes_SigningDomain="sign.example.com",
            X_STes_ReturnPathDomain="localhost",
            Cc="c@example.com",
            Bcc="Dö <d@example.com>",
            Date="Mon, 1 Jan 2024 09:00:00 +0000",
            Message_ID="<1@example.com>",
            Received="from x",
            List_Unsubscribe="<https://example.com/u>",
        )
    )
    assert message.reply_to == (Recipient("help@example.com", "Help"), Recipient("b@example.com"))
    assert message.unique_id == "u-1"
    assert message.tracking == Tracking(opens=True, clicks="html", domain="t.example.com")
    assert (message.auto_text, message.signing_domain) == (False, "sign.example.com")
    assert (message.auto_html, message.return_path_domain) == (None, None)
    assert message.headers == {
        "X-STes-AutoHtml": "Perhaps",
        "X-STes-ReturnPathDomain": "localhost",
        "List-Unsubscribe": "<https://example.com/u>",
    }
    assert (message.cc, message.bcc) == (
        (Recipient("c@example.com"),),
        (Recipient("d@example.com", "Dö"),),
    )


def test_a_tracking_header_that_says_something_else_stays_a_header():
    message = Message.from_email_message(mail(X_STes_TrackOpen="maybe", X_STes_TrackClick="no"))
    assert message.tracking == Tracking(clicks="no")
    assert message.headers == {"X-STes-TrackOpen": "maybe"}


@pytest.mark.parametrize("using", POLICIES)
@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("'x@y.org' <x@y.org>", [("'x@y.org'", "x@y.org")]),
        ("a@x.org <b@y.org>", [("a@x.org", "b@y.org")]),
        ("a@x.org; b@y.org;", [(None, "a@x.org"), (None, "b@y.org")]),
        ("a@x.org,,b@y.org, ", [(None, "a@x.org"), (None, "b@y.org")]),
        ("k@x.org (Kurt (the second))", [("Kurt (the second)", "k@x.org")]),
        ("A. B. Smith <a@x.org>", [("A. B. Smith", "a@x.org")]),
        ('"Doe, J \\"X\\"" <a@x.org>', [('Doe, J "X"', "a@x.org")]),
        ("=?utf-8?q?Doe=2C_J?= <a@x.org>", [("Doe, J", "a@x.org")]),
        ('"=?utf-8?b?w7w=?=" <a@x.org>', [("ü", "a@x.org")]),
        ("=?utf-8?b?w7w=?= =?utf-8?b?w7w=?= <a@x.org>", [("üü", "a@x.org")]),
        # One character in two words.
        ("=?utf-8?b?ww==?= =?utf-8?b?vA==?= <a@x.org>", [("ü", "a@x.org")]),
        ("<@r.org,@s.org:a@x.org>", [(None, "a@x.org")]),
        ('"a b"@x.org', [(None, '"a b"@x.org')]),
        ("a @ x . org", [(None, "a@x.org")]),
        (
            "a@[192.0.2.1], b@[IPv6:2001:db8::1]",
            [(None, "a@[192.0.2.1]"), (None, "b@[IPv6:2001:db8::1]")],
        ),
        ("undisclosed-recipients:;, a@x.org", [(None, "a@x.org")]),
        ("jörg@exämple.de", [(None, "jörg@exämple.de")]),
    ],
)
def test_addresses_of_a_header(using, to, expected):
    message = raw(f"From: me@example.com\nSubject: s\nTo: {to}\n\nHi", using)
    assert [
        (recipient.name, recipient.email) for recipient in Message.from_email_message(message).to
    ] == expected


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("a b@x.org", "has a space"),
        ("Doe, John <a@x.org>", "has no @"),
        ("<a@x.org> <b@x.org>", "after <a@x.org>"),
        ("a@x.org <", "'<'"),
        ('"open <a@x.org>', "'\"'"),
        ("(open a@x.org", "comment"),
        ("=?utf-8?q?a=40evil.org=3E?=@x.org", "encoded word"),
        ("=?utf-8?q?J_=3Cj=40x=2Eorg=3E?=", "encoded word"),
        ("a: b: c@x.org;", "colon"),
        ("J\udcff <a@x.org>".encode("ascii", "surrogateescape"), "not ASCII or UTF-8"),
        ("=?utf-8?q?=FF?= <a@x.org>", "not utf-8"),
    ],
)
@pytest.mark.parametrize("using", POLICIES)
def test_addresses_that_cannot_be_read(using, to, why):
    to = to if isinstance(to, bytes) else to.encode()
    message = raw(
        b"From: me@example.com\nSubject: s\nCc: ok@example.com\nTo: " + to + b"\n\nHi", using
    )
    assert lost(message, why).cc == (Recipient("ok@example.com"),)


@pytest.mark.parametrize("using", POLICIES)
def test_a_name_that_cannot_be_decoded_costs_no_recipient(using):
    head = (
        b"From: J\xf6rg <j@example.com>\nTo: Zo\xeb <zoe@example.com>, a\xeb@example.com, "
        b"bob@example.com\nSubject: s\n\nHi"
    )
    message = lost(raw(head, using), "From", "To")
    words = raw(
        HEAD.replace("ada@", "=?utf-8?q?A=FF?= <ada@example.com>, b@").encode() + b"\nHi", using
    )
    assert lost(words, "not utf-8").to == (
        Recipient("ada@example.com", "A\ufffd"),
        Recipient("b@example.com"),
    )
    assert message.from_email == Recipient("j@example.com", "J\ufffdrg")
    assert [recipient.email for recipient in message.to] == ["zoe@example.com", "bob@example.com"]


def test_addresses_that_were_set_on_an_email_message():
    message = mail()
    del message["To"]
    message["To"] = "'x@y.org' <x@y.org>; b@y.org"
    assert [recipient.email for recipient in Message.from_email_message(message).to] == [
        "x@y.org",
        "b@y.org",
    ]


def test_the_sender_header():
    assert Message.from_email_message(mail(Sender="Me <me@example.com>")).from_email == Recipient(
        "me@example.com"
    )
    assert lost(mail(Sender="boss@example.com"), "Sender boss@example.com").headers == {}
    assert lost(
        mail(From="a@x.org, b@x.org", Sender="a@x.org"), "From b@x.org"
    ).from_email == Recipient("a@x.org")


def test_headers_that_the_service_cannot_take():
    text = (
        HEAD + "X-A: 1\nX-A: 2\nX-B: 1\nx-b: 1\nSubject: t\nResent-From: r@example.com\nResent-To: "
        "r@example.com\n\nHi"
    )
    message = lost(raw(text), "X-A '2'", "Subject 't'", "Resent-From, Resent-To")
    assert message.headers == {"X-A": "1", "X-B": "1"}
    assert message.subject == "s"


def test_a_header_with_control_characters_or_an_unknown_charset():
    assert lost(raw(HEAD + "X-A: a\x01b\n\nHi"), "control character").headers == {}
    assert (
        lost(
            raw(HEAD.replace("Subject: s", "Subject: =?utf-8?q?a=0D=0AX?=") + "\nHi"), "control"
        ).subject
        == "a  X"
    )
    assert lost(raw(HEAD + "X-A: =?nope?q?=FF?=\n\nHi"), "cannot be decoded").headers == {
        "X-A": "\ufffd"
    }
    assert Message.from_email_message(
        raw(HEAD + "X-A: =?nope?b?w7w?= =?x?b?!?=\n\nHi")
    ).headers == {"X-A": "ü =?x?b?!?="}


@pytest.mark.parametrize("lossy", [False, True])
def test_every_missing_part_is_named(lossy):
    with pytest.raises(UsageError) as caught:
        Message.from_email_message(EmailMessage(), lossy=lossy)
    assert [
        word
        for word in ("sender", "recipient", "subject", "body")
        if word in caught.value.explanation
    ] == [
        "sender",
        "recipient",
        "subject",
        "body",
    ]
    assert caught.value.mail_state == "not_sent"


def test_bytes_are_no_message():
    with pytest.raises(UsageError, match="must be an email.message.EmailMessage, not bytes"):
        Message.from_email_message(b"From: me")


def test_everything_that_the_content_manager_makes():
    message = mail("text\n")
    message.add_alternative('<img src="cid:logo@x">\n', subtype="html")
    message.get_payload()[1].add_related(PNG, "image", "png", cid="<logo@x>", filename="logo.png")
    message.add_attachment("naïve\n", filename="naïve.txt")
    message.add_attachment(
        PDF, maintype="application", subtype="pdf", filename="Rechnung März " * 9 + ".pdf"
    )
    message.add_attachment(mail("inner\n"), filename="inner.eml")
    message.add_attachment(PNG, maintype="image", subtype="png")
    for source in (
        message,
        raw(message.as_bytes()),
        raw(message.as_bytes(policy=policy.SMTP), policy.compat32),
    ):
        read = Message.from_email_message(source)
        assert (read.text, read.html) == ("text\n", '<img src="cid:logo@x">\n')
        assert read.images == (Image("logo@x", PNG),)
        text, pdf, inner, unnamed = read.attachments
        assert (text.name, text.type, text.content.decode().strip()) == (
            "naïve.txt",
            "text/plain; charset=utf-8",
            "naïve",
        )
        assert (pdf.name, pdf.content) == ("Rechnung März " * 9 + ".pdf", PDF)
        assert (inner.name, inner.type) == ("inner.eml", "message/rfc822")
        assert b"Subject: Hi\r\n" in inner.content
        assert inner.content.endswith(b"\r\n\r\ninner\r\n")
        assert unnamed == Attachment("attachment-4.png", PNG)


def test_messages_of_the_old_mime_classes():
    message = MIMEMultipart("related")
    message["Subject"] = Header("Grüße", "iso-8859-1")
    message["From"] = Header("Jörg, Müller", "utf-8").encode() + " <j@example.com>"
    message["To"] = "ada@example.com"
    message["X-Number"] = Header("ü " * 60, "utf-8")
    alternative = MIMEMultipart("alternative")
    alternative.attach(MIMEText("text é", "plain", "utf-8"))
    alternative.attach(MIMEText('<img src="cid:a%40b">', "html"))
    message.attach(alternative)
    image = MIMEImage(PNG)
    image["Content-ID"] = "<a@b>"
    message.attach(image)
    read = Message.from_email_message(message)
    assert (read.subject, read.from_email) == ("Grüße", Recipient("j@example.com", "Jörg, Müller"))
    assert (read.text, read.html, read.images) == (
        "text é",
        '<img src="cid:a%40b">',
        (Image("a@b", PNG),),
    )
    assert read.headers == {"X-Number": "ü " * 60}


@pytest.mark.filterwarnings(
    "ignore:MIMEBase attachments are deprecated"
)  # by Django 6; they are what older ones take
def test_messages_that_django_makes():
    configure()
    from django.core.mail import EmailMultiAlternatives

    inner = EmailMultiAlternatives("in", "inner", "x@example.com", ["y@example.com"])
    made = EmailMultiAlternatives(
        "Grüße" + " Grüße" * 20,
        "Text é\n" + "x" * 1200,
        '"Jörg, Müller" <j@example.com>',
        ["Ada <ada@example.com>", '"D, é" <d@example.com>'],
        cc=["c@example.com"],
        reply_to=["r@example.com"],
        headers={"X-A": "ü"},
    )
    made.attach_alternative('<p>é <img src="cid:logo">', "text/html")
    made.attach("é.txt", "naïve", "text/plain")
    made.attach("inner.eml", inner.message(), "message/rfc822")
    image = MIMEImage(PNG)
    image["Content-ID"] = "<logo>"
    made.attach(image)
    read = Message.from_email_message(made.message())
    assert Message.from_email_message(made) == read
    # From version 6 on, Django has the standard library write its parts, which ends each of them in
    # a new line.
    bodies = (read.text.rstrip("\n"), read.html.rstrip("\n"))
    assert (read.subject, *bodies) == (made.subject, made.body, '<p>é <img src="cid:logo">')
    assert read.from_email == Recipient("j@example.com", "Jörg, Müller")
    assert read.to == (Recipient("ada@example.com", "Ada"), Recipient("d@example.com", "D, é"))
    assert (read.cc, read.reply_to) == (
        (Recipient("c@example.com"),),
        (Recipient("r@example.com"),),
    )
    assert (read.headers, read.images) == ({"X-A": "ü"}, (Image("logo", PNG),))
    text, message = read.attachments
    assert (text.name, text.content.decode().rstrip("\n")) == ("é.txt", "naïve")
    assert (message.name, message.type) == ("inner.eml", "message/rfc822")
    assert message.content.rstrip().endswith(b"\r\n\r\ninner")


def django_mail(**fields):
    configure()
    from django.core.mail import EmailMessage as DjangoMessage

    return DjangoMessage("s", "x", "me@example.com", **fields)


def test_bcc_of_a_mail_object_of_django():
    made = django_mail(
        to=["Ada <ada@exämple.com>", "ada@EXAMPLE.org"],
        cc=["c@example.com"],
        bcc=["Bob <b@example.com>", "b@example.com", "c@example.com"],
    )
    assert Message.from_email_message(made.message()).bcc == ()
    read = Message.from_email_message(made)
    assert [each.email for each in read.to] == ["ada@xn--exmple-cua.com", "ada@EXAMPLE.org"]
    # Who is in a header already gets the mail once.
    assert (read.cc, read.bcc) == ((Recipient("c@example.com"),), (Recipient("b@example.com"),))
    only_hidden = Message.from_email_message(django_mail(bcc=["b@example.com"]))
    assert (only_hidden.to, only_hidden.recipients) == ((), ("b@example.com",))


def test_a_header_of_a_mail_object_makes_nobody_a_recipient():
    made = django_mail(to=["sub@example.com"], headers={"To": "list@example.com"})
    with pytest.raises(UsageError, match=r"To list@example\.com: recipients\(\) does not list it"):
        Message.from_email_message(made)
    message, dropped = Message.from_email_message(made, lossy=True)
    assert (message.recipients, len(dropped)) == (("sub@example.com",), 1)


@pytest.mark.parametrize("made", [None, "x", {}, Message])
def test_objects_that_are_no_message(made):
    with pytest.raises(UsageError, match=r"must be an email\.message\.EmailMessage, not"):
        Message.from_email_message(made)


def test_a_mail_object_that_fails_to_make_a_message():
    for fields in ({"headers": {"X-A": "a\nb"}}, {"bcc": ["not an address"]}):
        with pytest.raises(UsageError) as caught:
            Message.from_email_message(django_mail(to=["a@example.com"], **fields))
        assert caught.value.field.startswith("email_message")


def test_text_that_was_put_into_a_message_as_it_is():
    message = OldMessage()
    for name, value in (
        ("From", "a@example.com"),
        ("To", "b@example.com"),
        ("Subject", "s ü"),
        ("Content-Type", "text/plain"),
    ):
        message[name] = value
    message.set_payload("é ✓\r\n")
    assert (
        Message.from_email_message(message).text,
        Message.from_email_message(message).subject,
    ) == ("é ✓\n", "s ü")


def parts(kind: str, *parts: str) -> str:
    return (
        f"Content-Type: multipart/{kind}; boundary={kind}\n\n"
        + "".join(f"--{kind}\n{p}\n" for p in parts)
        + f"--{kind}--\n"
    )


TEXT = "Content-Type: text/plain\n\ntext"
HTML = "Content-Type: text/html\n\n<b>html</b>"
IMAGE = "Content-Type: image/png\nContent-ID: <a>\n\nx"
SHOWN = "Content-Type: text/html\n\n<img src=cid:a>"


@pytest.mark.parametrize(
    ("body", "text", "html", "images", "attachments"),
    [
        (parts("alternative", HTML, TEXT), "text", "<b>html</b>", [], []),
        (
            parts("alternative", TEXT, parts("related", SHOWN, IMAGE)),
            "text",
            "<img src=cid:a>",
            ["a"],
            [],
        ),
        (
            parts("related", parts("alternative", TEXT, SHOWN), IMAGE),
            "text",
            "<img src=cid:a>",
            ["a"],
            [],
        ),
        (
            parts("related", IMAGE, SHOWN).replace("related;", "related; start='<r>';"),
            None,
            None,
            ["a"],
            [],
        ),
        (parts("mixed", SHOWN, IMAGE + "\n"), None, "<img src=cid:a>", ["a"], []),
        (parts("mixed", HTML, IMAGE), None, "<b>html</b>", [], ["attachment-1.png"]),
        (parts("related", HTML, IMAGE), None, "<b>html</b>", ["a"], []),
        (
            parts("related", HTML, "Content-Type: image/gif\n\nx"),
            None,
            "<b>html</b>",
            [],
            ["attachment-1.gif"],
        ),
        (
            parts("related", HTML, "Content-Type: application/pdf\nContent-ID: <p>\n\nx"),
            None,
            "<b>html</b>",
            [],
            ["attachment-1.pdf"],
        ),
        (
            parts("mixed", TEXT, "Content-Type: text/plain\n\nfooter\n"),
            "text\nfooter\n",
            None,
            [],
            [],
        ),
        (
            parts("mixed", TEXT, "Content-Type: text/plain; name=a.txt\n\nx"),
            "text",
            None,
            [],
            ["a.txt"],
        ),
        (
            parts("mixed", TEXT, "Content-Disposition: attachment; filename=../a.txt\n\nx"),
            "text",
            None,
            [],
            ["../a.txt"],
        ),
        (parts("mixed", "Content-Type: text/plain; name=body.txt\n\ntext"), "text", None, [], []),
        (
            parts("digest", "Content-Type: text/plain\n\ntext", "\nSubject: x\n\nx"),
            "text",
            None,
            [],
            ["attachment-1.eml"],
        ),
        (parts("alternative", TEXT, "Content-Type: text/html\n\n"), "text", None, [], []),
        (
            parts(
                "alternative",
                TEXT,
                HTML,
                "Content-Type: text/x-a; name=a\nContent-Disposition: attachment\n\n",
            ),
            "text",
            "<b>html</b>",
            [],
            ["a"],
        ),
    ],
)
@pytest.mark.parametrize("using", POLICIES)
def test_the_structure_of_parts(using, body, text, html, images, attachments):
    message = raw(HEAD + body, using)
    if not (text or html):
        with pytest.raises(UsageError, match="neither a text nor an HTML"):
            Message.from_email_message(message)
        return
    read = Message.from_email_message(message)
    assert (read.text, read.html) == (text, html)
    assert [image.cid for image in read.images] == images
    assert [file.name for file in read.attachments] == attachments


def test_the_start_parameter_of_multipart_related():
    body = parts("related", IMAGE, SHOWN.replace("\n", "\nContent-ID: <r>\n", 1)).replace(
        "related;", 'related; start="<r>";'
    )
    read = Message.from_email_message(raw(HEAD + body))
    assert (read.html, [image.cid for image in read.images]) == ("<img src=cid:a>", ["a"])


@pytest.mark.parametrize(
    ("body", "word", "text", "html", "attachments"),
    [
        (
            parts("alternative", TEXT, HTML, "Content-Type: text/x-amp-html\n\nx"),
            "x-amp-html",
            "text",
            "<b>html</b>",
            [],
        ),
        (
            parts("alternative", TEXT, "Content-Type: application/pdf\n\nx"),
            "application/pdf",
            "text",
            None,
            ["attachment-1.pdf"],
        ),
        (
            parts("alternative", HTML, SHOWN.replace("cid:a", "x")),
            "second text/html",
            None,
            "<img src=x>",
            [],
        ),
        (
            parts("mixed", HTML, TEXT),
            "second body (text/plain)",
            None,
            "<b>html</b>",
            ["attachment-1.txt"],
        ),
        (
            parts("mixed", TEXT, HTML, TEXT.replace("text", "t")),
            "second body",
            None,
            "<b>html</b>",
            None,
        ),
        (
            parts("related", SHOWN, IMAGE.replace("image/png", "text/css")),
            "text/css",
            None,
            "<img src=data:,>",
            None,
        ),
        (SHOWN, "no such image", None, "<img src=data:,>", []),
        (
            parts("related", SHOWN, IMAGE, IMAGE.replace("\nx", "\ny")),
            "second image",
            None,
            "<img src=cid:a>",
            ["attachment-1.png"],
        ),
        (
            parts(
                "related",
                "Content-Type: text/html\n\n<img src=http://x/y>",
                "Content-Type: image/png\nContent-Location: http://x/y\n\n",
            ),
            "http://x/y",
            None,
            "<img src=http://x/y>",
            ["attachment-1.png"],
        ),
        (
            parts(
                "report",
                TEXT,
                "Content-Type: message/delivery-status\n\n"
                "Reporting-MTA: dns; x\n\nAction: failed\n",
            ),
            "report",
            "text",
            None,
            None,
        ),
        (
            parts("mixed", TEXT, parts("encrypted", "Content-Type: application/pgp-encrypted\n\n")),
            "encrypted",
            "text",
            None,
            [],
        ),
        (
            parts("mixed", TEXT, "Content-Type: message/external-body; access-type=x\n\n"),
            "elsewhere",
            "text",
            None,
            [],
        ),
        (parts("mixed", TEXT, "Content-Type: message/partial\n\n"), "split", "text", None, []),
        ("Content-Type: text/plain; charset=utf-8\n\na\udcff", "decoded", "a\ufffd", None, []),
        ("Content-Type: multipart/mixed\n\ntext", "without parts", "text", None, []),
        (
            parts("mixed", TEXT, "Content-Disposition: attachment; filename*=utf-8''a%0D%0Ab\n\nx"),
            "control",
            "text",
            None,
            ["a__b"],
        ),
    ],
)
@pytest.mark.parametrize("using", POLICIES)
def test_structures_with_more_than_the_service_carries(using, body, word, text, html, attachments):
    message = raw((HEAD + body).encode("utf-8", "surrogateescape"), using)
    converted = Message.from_email_message(message, lossy=True)
    assert any(word in line for line in converted.dropped), converted.dropped
    assert (converted.message.text, converted.message.html) == (text, html)
    if attachments is not None:
        assert [file.name for file in converted.message.attachments] == attachments
    with pytest.raises(UsageError):
        Message.from_email_message(message)


def test_parts_nested_without_end():
    body = TEXT
    for depth in range(80):
        body = parts(f"mixed{depth}", body, "Content-Type: text/plain\n\nx")
    assert "nested" in " ".join(Message.from_email_message(raw(HEAD + body), lossy=True).dropped)


def test_a_report_is_carried_as_its_parts():
    status = (
        "Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\nFinal-Recipient: "
        "rfc822; a@x.org\nAction: failed\n"
    )
    (file,) = lost(raw(HEAD + parts("report", TEXT, status)), "report").attachments
    assert file.type == "message/delivery-status"
    assert (
        file.content
        == b"Reporting-MTA: dns; x\r\n\r\nFinal-Recipient: rfc822; a@x.org\r\nAction: failed\r\n"
    )


@pytest.mark.parametrize(
    ("charset", "data", "text"),
    [
        ("gb2312", "镕".encode("gb18030"), "镕"),
        ("shift_jis", "①".encode("cp932"), "①"),
        ("us-ascii", "é".encode(), "é"),
        ("x-unknown", "é".encode(), "é"),
        ("iso-8859-8-i", "שלום".encode("iso8859-8"), "שלום"),
        ("hex", b"41", "41"),
        ("unicode_escape", rb"\u0041", r"\u0041"),
        ('"UTF-8"', b"\xef\xbb\xbfbom", "bom"),
        ("iso-8859-1", b"\x93x\x94", "“x”"),
    ],
)
def test_charsets_are_decoded_as_browsers_do(charset, data, text):
    head = f"{HEAD}Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: 8bit\n\n"
    assert Message.from_email_message(raw(head.encode() + data)).text == text


@pytest.mark.parametrize(
    "type", ["text/plain (as ever); charset=iso-8859-1 (Latin 1)", "text/plain charset=iso-8859-1"]
)
@pytest.mark.parametrize("using", POLICIES)
def test_a_comment_or_no_semicolon_after_the_type(type, using):
    head = f"{HEAD}Content-Type: {type}\nContent-Transfer-Encoding: 8bit\n\n"
    assert (
        Message.from_email_message(raw(head.encode() + b"caf\xe9", using), lossy=True).message.text[
            :3
        ]
        == "caf"
    )
    file = f"Content-Type: {type}; name=a\nContent-Disposition: attachment (as ever)\n\nx"
    read = Message.from_email_message(raw(HEAD + parts("mixed", HTML, file), using))
    assert [
        (attachment.name, attachment.type.partition(";")[0]) for attachment in read.attachments
    ] == [("a", "text/plain")]
    assert read.text is None


def test_a_comment_after_the_charset():
    head = f"{HEAD}Content-Type: text/plain; charset=iso-8859-1 (Latin 1)\n\n"
    assert Message.from_email_message(raw(head.encode() + b"caf\xe9")).text == "café"


@pytest.mark.parametrize("using", POLICIES)
@pytest.mark.parametrize(
    ("name", "read"),
    [
        (b'filename="caf\xe9.txt"', "caf\ufffd.txt"),
        (b"filename*=utf-8''caf%E9.txt", "caf\ufffd.txt"),
        (b'filename="=?utf-8?q?caf=E9?="', "caf\ufffd"),
    ],
)
def test_a_file_name_that_cannot_be_decoded(name, read, using):
    part = b"Content-Type: application/x-a\nContent-Disposition: attachment; " + name + b"\n\nx"
    body = parts("mixed", TEXT, "PART").encode().replace(b"PART", part)
    (file,) = lost(raw(HEAD.encode() + body, using), "file name").attachments
    assert file.name == read


def test_a_file_name_may_have_the_character_that_stands_for_what_cannot_be_decoded():
    body = parts("mixed", TEXT, "Content-Disposition: attachment; filename*=utf-8''%EF%BF%BD\n\nx")
    assert [file.name for file in Message.from_email_message(raw(HEAD + body)).attachments] == [
        "\ufffd"
    ]


def test_base64_that_is_cut_off():
    coded = "Content-Transfer-Encoding: BASE64 (as ever)\n\naGVsbG8h"
    assert Message.from_email_message(raw(f"{HEAD}{coded}")).text == "hello!"
    assert lost(raw(f"{HEAD}{coded}h"), "the end of the text/plain body").text == "hello!"
    file = f"Content-Type: application/x-a; name=a\n{coded}h"
    assert lost(raw(HEAD + parts("mixed", TEXT, file)), "'a'").attachments == (
        Attachment("a", b"hello!", "application/x-a"),
    )


JUNK = [
    b"=?utf-8?q?",
    b"?=",
    b'"',
    b"<",
    b">",
    b";",
    b"*0*=",
    b"''",
    b"\r\n",
    b"\r\n ",
    b"\n\n",
    b"(",
    b")",
    b":",
    b"@",
    b"\0",
]
JUNK += [
    b"\xff",
    b"\\",
    b"%0D%0A",
    b"charset=",
    b"boundary=",
    b"--",
    b"multipart/related",
    b"message/rfc822",
    b"[",
    b"base64",
    b",",
]


@given(
    st.sampled_from(sorted(CORPUS)), st.integers(0, 2**32), st.sampled_from(POLICIES), st.booleans()
)
def test_any_message_is_read_or_rejected(name, seed, using, lossy):
    chance = random.Random(seed)
    data = bytearray(CORPUS[name])
    for _ in range(chance.randint(1, 12)):
        at = chance.randrange(len(data) + 1)
        data[at : at + chance.choice((0, 0, 1, 8, 30))] = chance.choice(
            [*JUNK, bytes([chance.randrange(256)]), b""]
        )
    message = raw(bytes(data), using)
    try:
        Message.from_email_message(message, lossy=lossy)
    except UsageError as error:
        assert error.mail_state == "not_sent"


@pytest.mark.parametrize("using", POLICIES)
@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("base64", b64encode(INNER)),
        ("BASE64", encodebytes(INNER)),
        ("quoted-printable", encodestring(INNER)),
        ("8bit", INNER),
        ("base64", INNER),
    ],
)
def test_an_attached_message_that_is_encoded_is_decoded(using, encoding, content):
    head = f"Content-Type: message/rfc822\nContent-Transfer-Encoding: {encoding}\n\n"
    message = raw(HEAD + parts("mixed", TEXT, head + content.decode()), using)
    (file,) = Message.from_email_message(message).attachments
    assert (file.type, message_from_bytes(file.content)["Subject"]) == ("message/rfc822", "Inner =")
    assert file.content.replace(b"\r\n", b"\n").strip() == INNER.strip()


def test_the_error_of_a_content_that_is_no_text_names_the_way_to_send_it():
    invitation = "Content-Type: text/calendar; method=REQUEST\n\nBEGIN:VCALENDAR\n"
    for lossy in (False, True):
        with pytest.raises(UsageError, match="neither a text nor an HTML") as caught:
            Message.from_email_message(raw(HEAD + invitation, policy.default), lossy=lossy)
        assert caught.value.advice == "send_raw carries it"
    nobody = raw(f"From: me@example.com\nSubject: s\n{invitation}", policy.default)
    with pytest.raises(UsageError, match="it has no recipient") as caught:
        Message.from_email_message(nobody)
    assert not caught.value.advice


@pytest.mark.parametrize("using", POLICIES)
def test_an_encoded_line_end_at_the_end_of_a_header_does_not_count(using):
    encoded = f"=?utf-8?b?{b64encode(b'Voice' + bytes([13, 10])).decode()}?="
    head = HEAD.replace("Subject: s", f"Subject: {encoded}\nX-A: {encoded}")
    read = Message.from_email_message(raw(f"{head}\nHello", using))
    assert (read.subject, read.headers) == ("Voice", {"X-A": "Voice"})
