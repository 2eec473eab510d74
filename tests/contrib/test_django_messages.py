"""
What Django's own tests ask of its messages and backends, asked of what arrives at the service.

The cases are those of ``tests/mail`` of Django 5.2 and 6.1 that can be told apart there.
"""

from __future__ import annotations

import mimetypes
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import django
import pytest

from poweremail import UsageError
from support.django_project import HAS_MAILERS, configure, mailer

configure()

from django.core import mail  # noqa: E402
from django.core.mail import EmailMessage, EmailMultiAlternatives  # noqa: E402
from django.test import override_settings  # noqa: E402
from django.utils.translation import gettext_lazy  # noqa: E402

from poweremail.contrib.django import EmailBackend  # noqa: E402
from poweremail.contrib.django._clients import close_clients  # noqa: E402


@pytest.fixture(autouse=True)
def account(served):
    served.service.store.note_smtp_user("smtp12345")
    options = {
        "OWNER_ID": "me",
        "TOKEN": "any",
        "SMTP_USER_NAME": "smtp12345",
        "BASE_URL": served.url,
    }
    with override_settings(POWEREMAIL=options):
        yield
    close_clients()


@pytest.fixture
def arrives(served):
    """Sends a message of these fields, and returns it as it has arrived."""

    def arrives(*attached, kind=EmailMessage, **fields):
        fields = {
            "subject": "Subject",
            "body": "Content",
            "from_email": "from@example.com",
            "to": ["to@example.com"],
        } | fields
        made = kind(**fields)
        for each in attached:
            made.attach(*each)
        assert EmailBackend().send_messages([made]) == 1
        return served.outbox[-1]

    return arrives


def test_recipients_of_all_kinds(arrives):
    caught = arrives(
        to=["to@example.com", "other@example.com", ""],
        cc=["cc@example.com", "cc.other@example.com", ""],
        bcc=["", "bcc@example.com"],
        reply_to=["reply@example.com"],
    )
    assert caught.to == ("to@example.com", "other@example.com")
    assert caught.cc == ("cc@example.com", "cc.other@example.com")
    assert caught.bcc == ("bcc@example.com",)
    assert caught.headers["Reply-To"] == "reply@example.com"


@pytest.mark.parametrize("kind", ["cc", "bcc"])
def test_nobody_in_to(arrives, kind):
    caught = arrives(to=[], **{kind: ["one@example.com"]})
    assert (caught.to, getattr(caught, kind)) == ((), ("one@example.com",))


@pytest.mark.parametrize(
    ("address", "name", "email"),
    [
        ("to@example.com", None, "to@example.com"),
        ("A name <to@example.com>", "A name", "to@example.com"),
        ('"Comma, requires quotes" <to@example.com>', "Comma, requires quotes", "to@example.com"),
        ('"to@other.com" <to@example.com>', "to@other.com", "to@example.com"),
        ("To Example <to@éxample.com>", "To Example", "to@xn--xample-9ua.com"),
        ("to@xn--fa-hia.example.com", None, "to@xn--fa-hia.example.com"),
        ("Tó Example <to@example.com>", "Tó Example", "to@example.com"),
        ('"Sürname, Firstname" <to@example.com>', "Sürname, Firstname", "to@example.com"),
        ('"to@other.com"@example.com', None, '"to@other.com"@example.com'),
        (
            "Long name " + "x" * 100 + " <to@example.com>",
            "Long name " + "x" * 100,
            "to@example.com",
        ),
    ],
)
@pytest.mark.parametrize("place", ["to", "cc", "bcc"])
def test_addresses(arrives, place, address, name, email):
    caught = arrives(**{"to": [], place: [address]})
    (recipient,) = caught.recipients
    assert (recipient.type, recipient.email, recipient.name or None) == (place, email, name)


def test_a_sender_with_a_name(arrives):
    caught = arrives(from_email='"Firstname Sürname" <from@example.com>')
    assert (caught.from_name, caught.from_email) == ("Firstname Sürname", "from@example.com")


def test_a_from_header_wins(arrives):
    assert arrives(headers={"From": "other@example.com"}).from_email == "other@example.com"


@pytest.mark.parametrize("fields", [{"to": ["localpartonly"]}, {"from_email": "django"}])
def test_addresses_without_a_domain_are_not_sent(arrives, served, fields):
    """Django has them for the mail server on the same machine. A service cannot deliver them."""
    with pytest.raises(UsageError):
        arrives(**fields)
    assert not served.outbox


@pytest.mark.parametrize("name", ["To", "Cc"])
def test_headers_that_name_other_recipients_are_not_sent(arrives, served, name):
    """By SMTP they would see a mail that others get. The service sends it to whom it names."""
    with pytest.raises(UsageError, match="recipients"):
        arrives(cc=["cc@example.com"], headers={name: "override@example.com"})
    assert not served.outbox


def test_lazy_texts(arrives):
    lazy = gettext_lazy
    caught = arrives(
        subject=lazy("Subject"),
        from_email=lazy("from@example.com"),
        to=[lazy("to1@example.com"), lazy("to2@example.com")],
        cc=[lazy("cc@example.com")],
        bcc=[lazy("bcc@example.com")],
        reply_to=[lazy("reply@example.com")],
        headers={"X-Lazy": lazy("value")},
    )
    assert caught.to == ("to1@example.com", "to2@example.com")
    assert (caught.cc, caught.bcc) == (("cc@example.com",), ("bcc@example.com",))
    assert caught.headers["X-Lazy"] == "value"


@pytest.mark.parametrize(
    "subject",
    ["Gżegżółka", "Long subject lines that get wrapped " * 5 + "end", "Chère maman, " * 20 + "x"],
)
def test_subjects(arrives, subject):
    assert arrives(subject=subject).subject == subject


@pytest.mark.parametrize(
    "text",
    [
        "Firstname Sürname is a great guy.\n",
        "From the future\n",  # which an mbox would escape
        "Body with latin characters: àáä.\n",
        "Body with non latin characters: А Б В Г Д Е Ж Ѕ З И І К Л М Н О П.\n",
        "В южных морях " * 60 + "\n",
        "x" * 2_000 + "\n",
        ".\n..\n",
    ],
)
def test_texts(arrives, text):
    assert arrives(body=text).text == text
    html = arrives(kind=EmailMultiAlternatives, body="x", alternatives=[(text, "text/html")]).html
    assert html == text


@pytest.mark.parametrize("charset", ["iso-8859-1", "utf-8"])
def test_a_message_in_another_charset(arrives, charset):
    class Encoded(EmailMessage):
        encoding = charset

    assert arrives(kind=Encoded, body="Firstname Sürname is a great guy.\n").text == (
        "Firstname Sürname is a great guy.\n"
    )


def test_headers(arrives):
    headers = {"X-Ascii": "value", "List-Unsubscribe": "<https://example.com/u>", "X-Uni": "é" * 90}
    caught = arrives(
        headers=headers | {"Date": "Fri, 09 Nov 2001 01:08:47 -0000", "Message-ID": "<a@b>"}
    )
    assert headers.items() <= caught.headers.items()
    assert {"date", "message-id"}.isdisjoint(map(str.lower, caught.headers))


@pytest.mark.parametrize("name", ["Subject", "X-Other"])
def test_headers_cannot_begin_others(arrives, served, name):
    fields = {"subject": "a\nBcc: b@example.com"} if name == "Subject" else {}
    with pytest.raises(ValueError, match="newline|linefeed|line"):
        arrives(**fields or {"headers": {name: "a\nBcc: b@example.com"}})
    assert not served.outbox


def test_an_alternative_that_is_neither_text_nor_html_is_not_dropped(arrives, served):
    with pytest.raises(UsageError, match="application/json"):
        arrives(kind=EmailMultiAlternatives, alternatives=[("{}", "application/json")])
    assert not served.outbox


@pytest.mark.parametrize(
    ("attached", "name", "type", "content"),
    [
        (("doc.txt", "contents"), "doc.txt", "text/plain", b"contents"),
        (("data", b"\xff\x00", "application/x-data"), "data", "application/x-data", b"\xff\x00"),
        (("une pièce.png", b"\x89PNG"), "une pièce.png", "image/png", b"\x89PNG"),
        (("file.txt", "Ünïcode".encode()), "file.txt", "text/plain", "Ünïcode".encode()),
        # Bytes that are no UTF-8 lose their type in Django.
        (("l.txt", b"\xff\xfe"), "l.txt", "application/octet-stream", b"\xff\xfe"),
        (("none", b"x"), "none", "application/octet-stream", b"x"),
    ],
)
def test_attachments(arrives, attached, name, type, content):
    (file,) = arrives(attached).attachments
    assert (file.name, file.type.partition(";")[0]) == (name, type)
    # Django has the standard library end a text with a new line, from version 6 on.
    assert file.content.removesuffix(b"\n") == content


def test_an_attached_file(arrives, tmp_path):
    for name in ("file.txt", "file.png", "file_png", "file.weird"):
        (tmp_path / name).write_bytes(b"\x00data")
        made = EmailMessage("Subject", "Content", "from@example.com", ["to@example.com"])
        made.attach_file(str(tmp_path / name))
        assert EmailBackend().send_messages([made]) == 1
    assert mimetypes.guess_type("file.png")[0] == "image/png"
    assert arrives(("a", b"b")).attachments


def test_an_attached_message(arrives):
    inner = EmailMessage("Inner é", "Inside", "from@example.com", ["to@example.com"])
    for attached in (inner, inner.message()):
        (file,) = arrives(("inner.eml", attached, "message/rfc822")).attachments
        read = message_from_bytes(file.content, policy=default)
        assert (file.type, read["Subject"]) == ("message/rfc822", "Inner é")
        assert read.get_content().strip() == "Inside"


def test_alternatives_and_attachments_together(arrives):
    caught = arrives(
        ("an attachment.pdf", b"%PDF-1.4", "application/pdf"),
        kind=EmailMultiAlternatives,
        body="text",
        alternatives=[("<p>html</p>", "text/html")],
    )
    assert (caught.text.strip(), caught.html.strip()) == ("text", "<p>html</p>")
    assert [file.content for file in caught.attachments] == [b"%PDF-1.4"]


def test_everything_can_be_set_after_the_message_is_made(served):
    made = EmailMessage()
    made.from_email, made.subject, made.body = "from@example.com", "Subject", "Content"
    made.to, made.cc, made.bcc = ["to@example.com"], ["cc@example.com"], ["bcc@example.com"]
    made.reply_to, made.extra_headers = ["reply@example.com"], {"X-Header": "header"}
    made.attach("file.txt", "Attachment", "text/plain")
    assert EmailBackend().send_messages([made]) == 1
    (caught,) = served.outbox
    assert (caught.to, caught.cc, caught.bcc) == (
        ("to@example.com",),
        ("cc@example.com",),
        ("bcc@example.com",),
    )
    assert caught.headers["X-Header"] == "header"


def test_messages_may_come_from_an_iterator(served):
    made = [
        EmailMessage("Subject", "x", "from@example.com", [f"to-{number}@example.com"])
        for number in range(2)
    ]
    assert EmailBackend().send_messages(iter(made)) == 2
    assert {caught.to[0] for caught in served.outbox} == {"to-0@example.com", "to-1@example.com"}


def test_a_backend_opens_and_closes(served):
    backend = EmailBackend()
    backend.close()
    with backend as same:
        assert same is backend
        made = EmailMessage("Subject", "x", "from@example.com", ["to@example.com"])
        assert same.send_messages([made]) == 1
    assert same.send_messages([made]) == 1


@pytest.mark.parametrize("function", ["mail_admins", "mail_managers"])
def test_mails_to_admins_and_managers(served, function):
    people = ["root@example.com"] if HAS_MAILERS else [("Root", "root@example.com")]
    with mailer("EmailBackend", ADMINS=people, MANAGERS=people, SERVER_EMAIL="s@example.com"):
        getattr(mail, function)(gettext_lazy("Subject"), "Content", html_message="<b>HTML</b>")
    (caught,) = served.outbox
    assert (caught.subject, caught.html.strip()) == ("[Django] Subject", "<b>HTML</b>")
    with mailer("EmailBackend", ADMINS=[], MANAGERS=[]):
        getattr(mail, function)("hi", "there")
    assert len(served.outbox) == 1


def test_this_file_is_about_versions_that_are_supported():
    assert (5, 2) <= django.VERSION[:2] <= (6, 1)
    assert Path(django.__file__).exists()
