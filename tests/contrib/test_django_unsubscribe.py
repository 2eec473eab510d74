"""Mails of Django with a link to unsubscribe, and the view behind it."""

from __future__ import annotations

import pytest

from support.django_project import configure

configure()

from django.core.mail import EmailMessage  # noqa: E402
from django.test import Client, override_settings  # noqa: E402
from django.urls import path  # noqa: E402

from poweremail import UsageError  # noqa: E402
from poweremail.contrib.django import EmailBackend, unsubscribe_view  # noqa: E402
from poweremail.contrib.django._clients import close_clients  # noqa: E402
from poweremail.suppression import SqliteSuppressionStore, SuppressedError  # noqa: E402
from poweremail.unsubscribe import UnsubscribeLinks  # noqa: E402

LINKS = UnsubscribeLinks("https://testserver/unsubscribe", "k" * 32)
CLICK = "List-Unsubscribe=One-Click"
FORM = "application/x-www-form-urlencoded"
urlpatterns: list[object] = []


@pytest.fixture
def store(tmp_path, served):
    with SqliteSuppressionStore(tmp_path / "list.db") as store:
        urlpatterns[:] = [path("unsubscribe/<token>", unsubscribe_view(LINKS, store))]
        options = {
            "OWNER_ID": "me",
            "TOKEN": "any",
            "SMTP_USER_NAME": "smtp12345",
            "BASE_URL": served.url,
            "SUPPRESSION": store,
        }
        served.service.store.note_smtp_user("smtp12345")
        with override_settings(POWEREMAIL=options, ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"]):
            yield store
        close_clients()


def a_mail() -> EmailMessage:
    mail = EmailMessage("News", "Hello", "me@example.com", ["Ada <ada@example.com>"])
    mail.stream = "news"
    mail.unsubscribe = LINKS
    return mail


def test_a_mail_can_be_left_with_one_click(store, served):
    assert EmailBackend().send_messages([a_mail()]) == 1
    link = served.outbox[-1].headers["List-Unsubscribe"].strip("<>")
    place = link.removeprefix("https://testserver")
    client = Client(enforce_csrf_checks=True)
    for ask in (client.get, client.head):
        response = ask(place)
        assert response.status_code == 200
        assert response.headers["Referrer-Policy"] == "no-referrer"
    assert list(store.entries()) == []
    assert client.post(place, "other=1", content_type=FORM).status_code == 400
    assert client.post(place, CLICK, content_type=FORM).status_code == 200
    assert client.post(place, {"List-Unsubscribe": "One-Click"}).status_code == 200  # multipart
    assert client.post(place, "x" * 5_000, content_type=FORM).status_code == 413
    assert client.post(place[:-1], CLICK, content_type=FORM).status_code == 404
    assert [(each.address, each.stream) for each in store.entries()] == [
        ("ada@example.com", "news")
    ]
    with pytest.raises(SuppressedError):
        EmailBackend().send_messages([a_mail()])
    assert len(served.outbox) == 1


def reading_middleware(get_response):
    """A middleware that looks at the form before the view does."""

    def middleware(request):
        assert request.POST is not None
        return get_response(request)

    return middleware


@pytest.mark.parametrize("form", ["urlencoded", "multipart"])
def test_a_middleware_may_have_read_the_form(store, form):
    place = LINKS.link("ada@example.com", "news").url.removeprefix("https://testserver")
    middleware = [f"{__name__}.reading_middleware"]
    with override_settings(MIDDLEWARE=middleware):
        client = Client()
        if form == "multipart":
            assert client.post(place, {"other": "1"}).status_code == 400
            response = client.post(place, {"List-Unsubscribe": "One-Click"})
        else:
            response = client.post(place, CLICK, content_type=FORM)
    assert response.status_code == 200
    assert [each.address for each in store.entries()] == ["ada@example.com"]


def test_no_sign_in_is_needed(store):
    """The mark is that of Django's own middleware for it (5.1), which needs its user tables."""
    view = urlpatterns[0].callback
    assert view.login_required is False


def test_a_link_needs_one_recipient_in_django_too(store, served):
    mail = a_mail()
    mail.bcc = ["archive@example.com"]
    with pytest.raises(UsageError, match="unsubscribes one recipient, and the mail has 2"):
        EmailBackend().send_messages([mail])
    assert len(served.outbox) == 0
