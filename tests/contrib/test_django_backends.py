"""Mail objects of Django through the backends, to the sandbox over HTTP."""

from __future__ import annotations

import copy
import os
import pickle
import threading
from email.message import MIMEPart
from email.mime.image import MIMEImage

import django
import pytest

from poweremail import (
    ApiError,
    ConfigurationError,
    DeliveryUnknownError,
    NotSentError,
    TemplateMessage,
    Tracking,
    UsageError,
)
from poweremail.sandbox import Fault
from support.django_project import HAS_MAILERS, configure, mailer

configure()

from django.core import mail  # noqa: E402
from django.core.exceptions import ImproperlyConfigured  # noqa: E402
from django.core.mail import EmailMessage, EmailMultiAlternatives  # noqa: E402
from django.test import override_settings  # noqa: E402
from django.utils.functional import lazystr  # noqa: E402

from poweremail.contrib.django import (  # noqa: E402
    EmailBackend,
    NotAllAcceptedError,
    SandboxEmailBackend,
    get_client,
)
from poweremail.contrib.django._clients import close_clients  # noqa: E402

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


@pytest.fixture
def account(served):
    """The settings of a project that sends to the sandbox."""
    served.service.store.note_smtp_user("smtp12345")
    options = {
        "OWNER_ID": "me",
        "TOKEN": "canary",
        "SMTP_USER_NAME": "smtp12345",
        "BASE_URL": served.url,
    }
    with override_settings(POWEREMAIL=options):
        yield options
    close_clients()


def message(number: int = 1, **fields) -> EmailMultiAlternatives:
    fields = {
        "subject": f"Invoice {number}",
        "body": "Thanks!",
        "from_email": "Billing <billing@example.com>",
        "to": [f"Ada <ada{number}@example.com>"],
    } | fields
    return EmailMultiAlternatives(**fields)


def image(cid: str) -> MIMEPart | MIMEImage:
    """A picture in the class that this version of Django wants."""
    if django.VERSION >= (6, 0):
        part = MIMEPart()
        part.set_content(PNG, "image", "png", cid=f"<{cid}>", disposition="inline")
        return part
    old = MIMEImage(PNG)
    old["Content-ID"] = f"<{cid}>"
    return old


def send(*messages, **options) -> int:
    return EmailBackend(**options).send_messages(messages)


def test_requests_to_the_service_are_attributes_or_headers(account, served):
    served.add_sending_domain("sign.example.com")
    made = message(body="", headers={"X-STes-AutoHtml": "no"})
    made.attach_alternative("<p>Thanks!</p>", "text/html")
    made.auto_text, made.signing_domain = True, "sign.example.com"
    made.return_path_domain = "sign.example.com"
    assert send(made) == 1
    (caught,) = served.outbox
    assert caught.text == "Thanks!"
    assert {name: text for name, text in caught.headers.items() if "STes" in name} == {
        "X-STes-Autotext": "yes",
        "X-STes-AutoHtml": "no",
        "X-STes-SigningDomain": "sign.example.com",
        "X-STes-ReturnPathDomain": "sign.example.com",
    }
    made.auto_html = True
    with pytest.raises(UsageError, match="auto_html: differs from that of the headers"):
        send(made)


def test_every_part_of_a_mail_arrives(account, served):
    made = message(
        subject=lazystr("Rechnung über 42 €"),
        to=["Ada <ada@example.com>", "Björn <b@example.com>"],
        cc=["c@example.com"],
        bcc=["hidden@example.com"],
        reply_to=["help@example.com"],
        headers={"X-Campaign": "q4", "X-STes-TrackClick": "html"},
    )
    made.attach_alternative('<p>Thanks! <img src="cid:logo"></p>', "text/html")
    made.attach("invoice.pdf", b"%PDF-1.7", "application/pdf")
    made.attach(image("logo"))
    made.unique_id = "invoice-42"
    with mailer("EmailBackend"):
        assert made.send() == 1
    (caught,) = served.outbox
    assert caught.subject == "Rechnung über 42 €"
    assert caught.from_email == "billing@example.com"
    assert [each.email for each in caught.recipients] == [
        "ada@example.com",
        "b@example.com",
        "c@example.com",
        "hidden@example.com",
    ]
    assert caught.text.strip() == "Thanks!"
    assert caught.html.strip() == '<p>Thanks! <img src="cid:logo"></p>'
    assert [file.content for file in caught.attachments] == [b"%PDF-1.7"]
    assert [file.content for file in caught.images] == [PNG]
    assert caught.headers["X-Campaign"] == "q4"
    assert caught.headers["X-STes-TrackClick"] == "html"
    outcome = made.poweremail
    assert (outcome.state, outcome.error) == ("accepted", None)
    assert outcome.result.unique_id == caught.unique_id == "invoice-42"


def test_the_functions_of_django_send(account, served):
    with mailer(
        "EmailBackend",
        ADMINS=["root@example.com"] if HAS_MAILERS else [("Root", "root@example.com")],
        SERVER_EMAIL="server@example.com",
    ):
        assert mail.send_mail("s", "x", "a@example.com", ["b@example.com"], html_message="<b>") == 1
        rows = [(f"s{n}", "x", "a@example.com", [f"b{n}@example.com"]) for n in range(3)]
        assert mail.send_mass_mail(rows) == 3
        mail.mail_admins("down", "all of it")
    assert sorted(caught.subject for caught in served.outbox) == sorted(
        ["s", "s0", "s1", "s2", "[Django] down"]
    )


def test_a_body_that_is_html_only(account, served):
    made = message(body="<p>Hello</p>")
    made.content_subtype = "html"
    assert send(made) == 1
    assert (served.outbox[0].html.strip(), served.outbox[0].text) == ("<p>Hello</p>", None)


def test_nobody_to_send_to(account, served):
    made = message(to=[], cc=None)
    assert (send(made), send(), EmailBackend().send_messages([])) == (0, 0, 0)
    assert send(made, message()) == 1
    assert not hasattr(made, "poweremail")


def test_mail_can_be_sent_again_copied_and_pickled(account, served):
    made = message()
    assert (send(made), send(made)) == (1, 1)
    first, second = served.outbox
    assert first.unique_id != second.unique_id
    assert pickle.loads(pickle.dumps(copy.deepcopy(made))).poweremail.state == "accepted"


def test_a_template(account, served):
    served.add_template("welcome", html="<p>Welcome, {{NAME}}!</p>", text="Welcome!")
    made = message(body="", bcc=["hidden@example.com"])
    made.template_id, made.dynamic_value = "welcome", {"NAME": "Ada"}
    assert send(made) == 1
    (caught,) = served.outbox
    assert (caught.html, caught.template_id) == ("<p>Welcome, Ada!</p>", "welcome")
    assert [each.email for each in caught.recipients] == ["ada1@example.com", "hidden@example.com"]


def test_a_template_with_a_body_is_not_sent(account, served):
    made = message(body="lost")
    made.template_id = "welcome"
    with pytest.raises(UsageError, match="a text body: the template has its own"):
        send(made)
    assert not served.outbox


@pytest.mark.parametrize(
    ("attributes", "headers"),
    [
        (
            {"tracking": Tracking(opens=True, clicks="text")},
            {"X-STes-TrackOpen": "yes", "X-STes-TrackClick": "text"},
        ),
        (
            {"track_opens": False, "track_clicks": True},
            {"X-STes-TrackOpen": "no", "X-STes-TrackClick": "both"},
        ),
        ({"unique_id": "u1"}, {"X-Unique-Id": "u1"}),
        ({"tags": ["a", "b"]}, {"X-Tags": "a, b"}),
        ({"metadata": {"order": 42}}, {"X-Meta": '{"order": 42}'}),
    ],
)
def test_attributes_become_headers(account, served, attributes, headers):
    made = message()
    vars(made).update(attributes)
    names = {"TAGS_HEADER": "X-Tags", "METADATA_HEADER": "X-Meta"}
    with override_settings(POWEREMAIL=account | names):
        assert send(made) == 1
    assert headers.items() <= served.outbox[0].headers.items()


@pytest.mark.parametrize(
    ("attributes", "field"),
    [
        ({"tags": ["a"]}, "tags"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"merge_data": {"ada@example.com": {"A": 1}}}, "merge_data"),
        ({"envelope_sender": "bounces@example.com"}, "envelope_sender"),
        ({"send_at": 1}, "send_at"),
        ({"esp_extra": {"a": 1}}, "esp_extra"),
        ({"dynamic_value": {"a": 1}}, "dynamic_value"),
        ({"template_id": "t", "dynamic_value": {}, "merge_global_data": {}}, "merge_global_data"),
        ({"tracking": Tracking(opens=True), "track_opens": True}, "track_opens or track_clicks"),
        ({"key": "k"}, "key"),
        ({"unique_id": ""}, "unique_id"),
        ({"subject": ""}, "email_message"),
        ({"extra_headers": {"To": "list@example.com"}}, "email_message"),
    ],
)
def test_what_the_service_cannot_carry_is_not_dropped(account, served, attributes, field):
    made = message()
    vars(made).update(attributes)
    with pytest.raises(UsageError) as caught:
        send(made)
    assert caught.value.field == field
    assert made.poweremail.error is caught.value
    assert made.poweremail.state == "not_sent"
    assert not served.outbox


def test_the_advice_fits_what_is_missing(account, served):
    mail = message()
    mail.subject = ""
    with pytest.raises(UsageError, match="it has no subject") as caught:
        send(mail)
    assert "add what it lacks" in caught.value.advice
    assert not served.outbox


def test_a_header_that_begins_another_one(account, served):
    """Applications catch what Django's documentation names."""
    from django.core.mail.message import BadHeaderError

    made = message(subject="s\nBcc: victim@example.com")
    with pytest.raises(BadHeaderError):
        send(made)
    with pytest.raises(UsageError):
        send(made)
    assert not served.outbox


@pytest.mark.parametrize(
    ("fault", "error", "state"),
    [
        (Fault.error("ValidationError", "no"), ApiError, "rejected"),
        (Fault.reset_after_acceptance(), DeliveryUnknownError, "unknown"),
    ],
)
def test_the_error_of_one_mail_is_raised(account, served, fault, error, state):
    served.faults.add(fault)
    made = message()
    with pytest.raises(error) as caught:
        send(made)
    assert made.poweremail.error is caught.value
    assert (made.poweremail.state, made.poweremail.result) == (state, None)
    assert send(message(), fail_silently=True) == 0


def test_all_mails_are_tried_before_an_error_is_raised(account, served):
    served.faults.add(Fault.error("ValidationError", "no"), recipient="ada2@example.com")
    served.faults.add(Fault.reset_after_acceptance(), recipient="ada3@example.com")
    mails = [message(n) for n in range(1, 6)]
    mails[4].tags = ["a"]
    with pytest.raises(NotAllAcceptedError) as caught:
        send(*mails)
    states = [each.poweremail.state for each in mails]
    assert states == ["accepted", "rejected", "unknown", "accepted", "not_sent"]
    assert caught.value.accepted == 2
    assert [type(each.poweremail.error) for each in mails if each.poweremail.error] == [
        type(each) for each in caught.value.errors
    ]
    text = str(caught.value)
    assert text.startswith("3 of 5 messages were not accepted (1 rejected, 1 unknown, 1 not sent)")
    assert "must not be sent again" in text
    assert send(*mails, fail_silently=True) == 2


def test_the_same_object_twice_counts_twice(account, served):
    served.faults.add(Fault.error("ValidationError", "no"), times=1)
    made = message()
    with override_settings(POWEREMAIL=account | {"CONCURRENCY": 1}):
        with pytest.raises(NotAllAcceptedError) as caught:
            send(made, made)
    assert (caught.value.accepted, len(served.outbox)) == (1, 1)


def test_a_service_that_is_not_there(account, served):
    with override_settings(POWEREMAIL=account | {"BASE_URL": "http://127.0.0.1:9"}):
        from poweremail import RetryPolicy

        backend = EmailBackend(retry=RetryPolicy(attempts=1))
        made = message()
        with pytest.raises(NotSentError):
            backend.send_messages([made])
        assert made.poweremail.state == "not_sent"


def test_each_mail_may_name_its_smtp_user(account, served):
    served.service.store.note_smtp_user("smtp2")
    mails = [message(n) for n in range(4)]
    mails[1].smtp_user_name = mails[2].smtp_user_name = "smtp2"
    assert send(*mails) == 4
    users = {caught.subject: caught.smtp_user_name for caught in served.outbox}
    assert users == {
        "Invoice 0": "smtp12345",
        "Invoice 1": "smtp2",
        "Invoice 2": "smtp2",
        "Invoice 3": "smtp12345",
    }


def test_a_rehearsal_of_the_settings_and_of_the_backend(account, served, monkeypatch):
    with override_settings(POWEREMAIL=account | {"REDIRECT_TO": "staging@example.com"}):
        made = message()
        assert send(made) == 1
        assert made.poweremail.result.recipients == ("staging@example.com",)
        assert send(made, dry_run=True) == 1
        assert made.poweremail.result.dry_run is True
        assert send(made, dry_run=False, redirect_to=None) == 1
    assert [[each.email for each in caught.recipients] for caught in served.outbox] == [
        ["staging@example.com"]
    ] * 2
    with override_settings(POWEREMAIL=account | {"ALLOW": ["*@example.org"]}):
        with pytest.raises(UsageError):
            send(message())


@pytest.mark.parametrize("options", [{"unheard_of": 1}, {"username": "me", "password": "x"}])
def test_options_that_there_are_not(account, options):
    with pytest.raises(ImproperlyConfigured, match="this backend has no such option"):
        EmailBackend(**options)
    assert EmailBackend(**dict.fromkeys(options)).options == {}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ([], "must be a dict"),
        ({"OWNER": "me"}, r"POWEREMAIL\['OWNER'\]: is not an option"),
        ({"TOKEN": "a", "token": "b"}, "is given twice"),
        ({"OWNER_ID": "me"}, "POWEREMAIL_TOKEN"),
        ({"CONCURRENCY": 0}, "must be 1 or more"),
        ({"RETRY": {"attempts": []}}, "cannot be an option"),
    ],
)
def test_settings_that_are_invalid(options, text):
    with override_settings(POWEREMAIL=options), pytest.raises(ConfigurationError, match=text):
        send(message())


def test_the_environment_completes_the_settings(served, monkeypatch):
    for name, value in {
        "OWNER_ID": "me",
        "TOKEN": "any",
        "BASE_URL": served.url,
        "SMTP_USER_NAME": "smtp12345",
    }.items():
        monkeypatch.setenv(f"POWEREMAIL_{name}", value)
    served.service.store.note_smtp_user("smtp12345")
    try:
        assert send(message()) == 1
    finally:
        close_clients()


def test_one_client_for_all_threads(account, served):
    found = []
    threads = [threading.Thread(target=lambda: found.append(get_client())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(client) for client in found}) == 1
    assert get_client() is EmailBackend().client
    assert get_client(smtp_user_name="smtp2") is not get_client()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_sends_with_the_client_of_its_parent(account, served):
    assert send(message(1)) == 1
    child = os.fork()
    if child == 0:
        os._exit(send(message(2)))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert send(message(3)) == 1
    assert len(served.outbox) == 3


def test_the_backend_of_the_sandbox_ignores_the_account(served):
    place = {"APP_DOMAIN": "tes.example.com", "TOKEN": "real", "SANDBOX_URL": served.url}
    with mailer("SandboxEmailBackend", POWEREMAIL=place):
        try:
            assert message().send() == 1
            assert "real" not in repr(SandboxEmailBackend().client)
        finally:
            close_clients()
    assert served.outbox[0].smtp_user_name == "sandbox"
    with pytest.raises(ImproperlyConfigured):
        SandboxEmailBackend(token="real")


def test_no_text_shows_the_token(account):
    backend = EmailBackend()
    assert "canary" not in repr(backend.client) + repr(vars(backend))


@pytest.mark.skipif(not HAS_MAILERS, reason="MAILERS came with Django 6.1")
def test_several_mailers(account, served):
    served.service.store.note_smtp_user("bulk")
    place = "poweremail.contrib.django.EmailBackend"
    mailers = {
        "default": {"BACKEND": place},
        "bulk": {"BACKEND": place, "OPTIONS": {"smtp_user_name": "bulk"}},
        "wrong": {"BACKEND": place, "OPTIONS": {"smtp_user": "bulk"}},
    }
    with override_settings(MAILERS=mailers):
        assert message(1).send() == 1
        assert message(2).send(using="bulk") == 1
        assert mail.mailers["bulk"].alias == "bulk"
        with pytest.raises(mail.InvalidMailer, match=r"MAILERS\['wrong'\]: smtp_user"):
            message(3).send(using="wrong")
    assert [caught.smtp_user_name for caught in served.outbox] == ["smtp12345", "bulk"]


def test_a_template_message_of_the_standard_library():
    from email.message import EmailMessage as StandardMessage

    made = StandardMessage()
    made["From"], made["To"], made["Subject"] = "a@example.com", "b@example.com", "s"
    made.add_attachment(PNG, "image", "png", cid="<logo>", disposition="inline")
    read = TemplateMessage.from_email_message(made, template_id="t", dynamic_value={"N": 1})
    assert (read.template_id, read.dynamic_value) == ("t", {"N": "1"})
    assert [image.cid for image in read.images] == ["logo"]


def test_a_plain_email_message_of_django(account, served):
    assert send(EmailMessage("s", "x", "a@example.com", ["b@example.com"])) == 1
