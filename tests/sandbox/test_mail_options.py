"""What the sandbox does at the request of the headers ``X-STes-...``."""

from __future__ import annotations

import pytest

HTML = """<html><head><title>Not shown</title><style>p { color: red }</style></head>
<body><h1>Hello &amp; welcome</h1><p>Reset it <a href="https://example.com/?a=1&amp;b=2">here</a>,
or not.<br>Bye</p><script>no()</script></body></html>"""
TEXT = "Hello & welcome\nReset it here (https://example.com/?a=1&b=2), or not.\nBye"


@pytest.mark.parametrize("name", ["X-STes-Autotext", "x-stes-AUTOTEXT"])
def test_a_text_is_made_of_the_html(api, name):
    assert api.send(html=HTML, text=..., headers={name: "Yes"})["status"] == "success"
    (mail,) = api.sandbox.outbox
    assert (mail.html, mail.text) == (HTML, TEXT)


def test_an_html_is_made_of_the_text(api):
    api.send(html=None, text="1 < 2\r\nso\n\nBye", headers={"X-STes-AutoHtml": "yes"})
    (mail,) = api.sandbox.outbox
    assert (mail.html, mail.text) == ("<p>1 &lt; 2<br>so</p><p>Bye</p>", "1 < 2\r\nso\n\nBye")


@pytest.mark.parametrize(
    ("bodies", "headers"),
    [
        ({"html": HTML, "text": ...}, {}),
        ({"html": HTML, "text": ...}, {"X-STes-Autotext": "no"}),
        ({"html": HTML, "text": ...}, {"X-STes-AutoHtml": "yes"}),
        ({"html": HTML, "text": "own"}, {"X-STes-Autotext": "yes", "X-STes-AutoHtml": "yes"}),
    ],
)
def test_nothing_else_changes_a_body(api, bodies, headers):
    api.send(**bodies, headers=headers)
    (mail,) = api.sandbox.outbox
    assert {"html": mail.html, "text": mail.text or ...} == bodies


def test_a_template_and_a_raw_message_too(api):
    api.sandbox.add_template("t1", subject="Hi", html="<p>Dear {{NAME}}</p>")
    headers = {"X-STes-Autotext": "yes"}
    message = api.message(html=..., text=..., template_id="t1", headers=headers)
    api("sendTemplate", smtp_user_name="s", message=message | {"dynamic_value": {"NAME": "Ada"}})
    raw = (
        "From: a@example.com\nTo: b@example.com\nSubject: Hi\nX-STes-Autotext: yes\n"
        "Content-Type: text/html\n\n<p>Raw</p>"
    )
    api("sendRaw", smtp_user_name="s", raw_message=raw)
    assert [mail.text for mail in api.sandbox.outbox] == ["Dear Ada", "Raw"]


@pytest.mark.parametrize(
    ("header", "kind", "name"),
    [
        ("X-STes-SigningDomain", "sending", "Signing Domain"),
        ("x-stes-returnpathdomain", "sending", "Return Path Domain"),
        ("X-STes-TrackingDomain", "tracking", "Tracking Domain"),
    ],
)
def test_a_domain_must_be_a_valid_one_of_the_account(api, header, kind, name):
    headers = {header: "Mail.example.com"}
    refusal = f"Invalid {name}: mail.example.com"
    assert api.send(headers=headers)["message"] == refusal
    add = getattr(api.sandbox, f"add_{kind}_domain")
    add("mail.example.com", valid=False)
    assert api.send(headers=headers)["message"] == refusal
    add("mail.example.com")
    assert api.send(headers=headers)["status"] == "success"
    assert len(api.sandbox.outbox) == 1
