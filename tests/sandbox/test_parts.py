"""Files and checks of caught mails, through the control API."""

from __future__ import annotations

import time
from email.message import EmailMessage

import httpx
import pytest

from poweremail.sandbox import Sandbox
from poweremail.sandbox._server.app import create_app
from poweremail.sandbox._server.checks import check_mail
from poweremail.sandbox._server.headers import attachment_headers
from poweremail.sandbox._store.mail import CaughtFile, CaughtRecipient, MailContent

ADA = (CaughtRecipient("to", "ada@example.com"),)


def keep(sandbox, **changes) -> int:
    fields = {"operation": "sendMail", "smtp_user_name": "s", "subject": "x"}
    fields |= {"from_email": "me@example.com", "recipients": ADA, "text": "text"}
    return sandbox.service.mails.add(MailContent(**fields | changes), received=0, visible_from=0)


@pytest.fixture
async def control(sandbox):
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(sandbox.service)),
        base_url="http://localhost/_sandbox/",
    ) as client:
        yield client


@pytest.mark.parametrize(
    ("name", "type", "plain", "encoded"),
    [
        ("invoice.pdf", "application/pdf", "invoice.pdf", "invoice.pdf"),
        (
            "Rechnung für März.pdf",
            "",
            "Rechnung fur Marz.pdf",
            "Rechnung%20f%C3%BCr%20M%C3%A4rz.pdf",
        ),
        ("請求書", "application/pdf", "___.pdf", "%E8%AB%8B%E6%B1%82%E6%9B%B8.pdf"),
        ("logo", "image/png; name=x", "logo.png", "logo.png"),
        ("", "text/plain", "unnamed.txt", "unnamed.txt"),
        ('../a"b\r\n%41.txt', "", "_a_b___41.txt", "_a_b__%2541.txt"),
        (".bashrc", "text/plain", "bashrc.txt", "bashrc.txt"),
        ("x" * 200 + ".zip", "", "x" * 146 + ".zip", "x" * 146 + ".zip"),
    ],
)
def test_a_file_is_saved_under_a_plain_name_and_its_own(name, type, plain, encoded):
    disposition = attachment_headers(name, type)["Content-Disposition"]
    assert disposition == f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"


async def test_images_and_pdf_are_shown_in_place_and_nothing_else(control, sandbox):
    keep(
        sandbox,
        attachments=(
            CaughtFile("a.pdf", "application/octet-stream", b"%PDF-1.7 ..."),
            CaughtFile("a.bin", "application/octet-stream", b"\x89PNG\r\n\x1a\n..."),
            CaughtFile("a.svg", "image/svg+xml", b"<svg/>"),
            CaughtFile("a.pdf", "application/pdf", b"<script>alert(1)</script>"),
            CaughtFile("a.html", "text/html", b"<script>alert(1)</script>"),
        ),
    )
    shown = [await control.get(f"messages/1/attachments/{index}?shown=1") for index in range(5)]
    assert [each.headers["content-type"] for each in shown] == [
        *("application/pdf", "image/png", "image/svg+xml", "application/json", "application/json")
    ]
    policies = [each.headers["content-security-policy"] for each in shown]
    assert [policy.startswith("sandbox;") for policy in policies[:3]] == [False, True, True]
    assert all("default-src 'none'" in policy for policy in policies)
    assert [each.status_code for each in shown] == [200, 200, 200, 404, 404]


async def test_an_attached_mail_is_read(control, sandbox):
    inner = EmailMessage()
    inner["From"], inner["To"], inner["Subject"] = "Bob <bob@example.com>", "ada@example.com", "In"
    inner.set_content("inner text")
    inner.add_alternative('<p>inner</p><img src="cid:logo"><script>x</script>', subtype="html")
    inner.add_attachment(b"x", maintype="text", subtype="csv", filename="a.csv")
    note = CaughtFile("a.txt", "text/plain", b"x")
    mail = CaughtFile("message.eml", 'message/rfc822; name="x"', inner.as_bytes())
    keep(sandbox, attachments=(note, mail))
    read = (await control.get("messages/1/attachments/1/message")).json()
    assert (read["subject"], read["from_name"], read["text"]) == ("In", "Bob", "inner text\n")
    assert read["recipients"] == [{"type": "to", "email": "ada@example.com", "name": None}]
    assert [file["name"] for file in read["files"]] == ["a.csv"]
    shown = await control.get("messages/1/attachments/1/html")
    assert "<p>inner</p>" in shown.text
    assert shown.headers["content-security-policy"].startswith("sandbox allow-popups")
    assert (await control.get("messages/1/attachments/0/message")).status_code == 404


async def test_the_list_has_a_line_of_the_text_and_tags(control, sandbox):
    keep(sandbox, text="  One\n\n two ", headers={"X-Tags": "news, Q4,, NEWS", "X-Tag": "vip"})
    padded = "<style>p{}</style><div>Preheader&zwnj;&nbsp;&zwnj;&nbsp;&zwnj;</div><p>Dear &amp;</p>"
    keep(sandbox, text=None, html=padded)
    keep(sandbox, text="x" * 500)
    found = (await control.get("messages")).json()["messages"][::-1]
    assert [each["snippet"] for each in found] == ["One two", "Preheader Dear &", "x" * 160]
    assert [each["tags"] for each in found] == [["NEWS", "Q4", "vip"], [], []]
    for search, numbers in (("tag:q4", [1]), ("tag:q", []), ("tag:news tag:vip", [1])):
        page = (await control.get("messages", params={"search": search})).json()
        assert [each["number"] for each in page["messages"]] == numbers
    assert (await control.delete("messages", params={"search": "tag:vip"})).json() == {
        "forgotten": 1
    }


def findings(**changes) -> dict[str, str]:
    with Sandbox() as sandbox:
        number = keep(sandbox, **changes)
        found = check_mail(sandbox.service.mails.mail(number))
    assert all(each.advice for each in found)
    return {each.check: each.text for each in found}


GOOD = (
    '<p id=top>Hi <img src="x.png" alt=""><a href="https://example.com/a">a</a>'
    '<a href="#top">up</a><a href="mailto:a@b.c">m</a><a href="app://x">app</a></p>'
)


def test_a_sound_mail_has_no_finding():
    assert findings() == {}
    assert findings(html=GOOD) == {}


@pytest.mark.parametrize(
    ("changes", "check", "text"),
    [
        ({"html": "<p>x", "text": None}, "text", "There is no text part."),
        ({"html": "<p>x", "text": " \n"}, "text", "There is no text part."),
        ({"html": "<img src=x alt=y>"}, "images_only", "The HTML has no text that can be seen."),
        ({"html": "x<img src=x><IMG\nsrc=y>"}, "alt", "2 images have no alternative text."),
        ({"html": "x<img title='alt=x' src='a>b'>"}, "alt", "1 image has no alternative text."),
        ({"html": "x" * 104_449}, "size", "The HTML has 102 KB; Gmail shows the first 102 KB."),
        ({"html": "<a href=''>x"}, "links", "1 link leads nowhere: (empty)."),
        ({"html": "<a href=#>x<a href=/y>"}, "links", "2 links lead nowhere: #, /y."),
        ({"html": "<a href=#gone>x"}, "links", "1 link leads nowhere: #gone."),
        (
            {"html": "<a href='https://{{host}}/'>x"},
            "links",
            "1 link leads nowhere: https://{{host}}/.",
        ),
        ({"html": "<a href='http://'>x"}, "links", "1 link leads nowhere: http://."),
        (
            {"html": "<a href='https://intranet/'>x"},
            "links",
            "1 link leads nowhere: https://intranet/.",
        ),
        (
            {"html": "<a href='http://localhost:8000/'>x"},
            "local_links",
            "1 link leads to the reader's own machine: http://localhost:8000/.",
        ),
        (
            {"recipients": ADA * 20},
            "unsubscribe",
            "It looks like bulk mail, and has no header List-Unsubscribe.",
        ),
        (
            {"html": "<a href='https://example.com/unsubscribe'>x"},
            "unsubscribe",
            "It looks like bulk mail, and has no header List-Unsubscribe.",
        ),
        (
            {"headers": {"list-unsubscribe": "<https://example.com/u>"}},
            "one_click",
            "It has a header List-Unsubscribe, but no List-Unsubscribe-Post.",
        ),
    ],
)
def test_what_is_found(changes, check, text):
    assert findings(**changes) == {check: text}


def test_a_bulk_mail_with_its_headers_is_sound():
    headers = {
        "Precedence": "bulk",
        "List-Unsubscribe": "<https://example.com/u>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    assert findings(headers=headers) == {}


def test_letters_that_nobody_sees_do_not_slow_the_sandbox_down(sandbox):
    began = time.process_time()
    keep(sandbox, text="One" + "\u200b" * 50_000 + "two")
    assert time.process_time() - began < 5


@pytest.mark.parametrize("piece", ["<img ", "<img a='", "id=", "<a href=#x>", "<img src=x"])
def test_no_text_slows_the_checks_down(piece):
    findings(html=piece * (500_000 // len(piece)))
