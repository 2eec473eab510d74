"""What a message is turned into on request: a text from its HTML, and domains that DNS has."""

from __future__ import annotations

import sys
import time

import pytest

from poweremail import (
    ConfigurationError,
    Message,
    PowerEmail,
    Recipient,
    TemplateMessage,
    Tracking,
    UsageError,
)
from poweremail.sandbox import Fault, Sandbox


def mail(**fields):
    return Message(
        **{"subject": "Hi", "from_email": "me@example.com", "to": "a@example.com"} | fields
    )


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Hello,<br>Ada &amp; Bob</p><p>Bye</p>", "Hello,\nAda & Bob\n\nBye"),
        # A reset without its link would be worth nothing.
        (
            "<p>Reset it <a href='https://example.com/?a=1&amp;b=2'>here</a>.</p>",
            "Reset it here <https://example.com/?a=1&b=2>.",
        ),
        ("<a href='https://example.com/'>https://example.com</a>", "https://example.com"),
        ("<a href='mailto:me@example.com'>me@example.com</a>", "me@example.com"),
        (
            "<a href='https://example.com'><img alt='Logo' src='x'></a>",
            "[Logo] <https://example.com>",
        ),
        ("<a href='#top'>Top</a> <a>no</a> <a href='javascript:x()'>script</a>", "Top no script"),
        # The line that programs show in the list of mails, and what tracks its readers.
        (
            "<style>p{}</style><div style='display:none'>Preview</div><p>Seen</p>"
            "<img src='https://t.example.com/pixel' alt='' width=1>",
            "Seen",
        ),
        ("<p>x<!--[if mso]>Outlook<![endif]--></p><script>no()</script>", "x"),
        ("<ul><li>one</li><li>two</li></ul>", "* one\n  * two"),
        (
            "<table><tr><td>Tea</td><td>3 €</td></tr><tr><td>Coffee</td><td>4 €</td></tr></table>",
            "Tea     3 €\nCoffee  4 €",
        ),
        ("<p>日本&nbsp;😀</p>" + "<br>" * 9 + "<p>end</p>", "日本 😀\n\nend"),
        ("plain", "plain"),
        (
            "<div style='display: none !important'>a</div><p hidden>b</p>"
            "<p style='color:red;VISIBILITY:hidden'>c</p><template>d</template>e",
            "e",
        ),
        ("<a style='display:inline-block' href='https://x.y'>Go</a> on", "Go <https://x.y> on"),
        ("<center>a</center><center>b</center>c<hr>d<section>e</section>", "a\nb\nc\nd\ne"),
        ("\n<?xml version='1.0' encoding='latin1'?><meta charset='latin1'><p>ü€", "ü€"),
        ("<p>x</p><!-- comment --><![CDATA[data]]><?php echo?>", "x"),
    ],
)
def test_a_text_of_what_the_html_shows(html, text):
    made = mail(html=html).with_text_from_html()
    assert (made.text, made.html) == (text, html)


@pytest.mark.parametrize(
    "html",
    [
        "日" * 100_000,  # a language that puts no spaces between its words
        f"<pre>{' &lt;https://x.y' * 10_000}</pre>",
        "<div style='padding-left:99999em;margin-top:99999em'>" * 100 + "x<p>y",
        f"<p style='padding-left:{'9' * 400}em'>x",
        f"<p style='{'style:' * 2000}'>x",
        f"<p style='{'display : ' * 20_000}'>x",
    ],
    ids=["no spaces", "targets", "widths", "no number", "nested style", "no value"],
)
def test_no_html_takes_long_or_grows(html):
    began = time.process_time()
    made = mail(html=html).with_text_from_html()
    assert time.process_time() - began < 5
    assert len(made.text) <= len(html)


def test_words_that_are_nested_deeply_are_not_lost():
    html = "<table><tr><td><b>a</b>" * 400 + "<i hidden>x</i>" + "</table>b"
    text = mail(html=html).with_text_from_html().text
    assert (text.count("a"), text.count("b"), text.count("x")) == (400, 1, 0)


@pytest.mark.parametrize(
    "fields",
    [{"html": "<p>x</p>", "text": "own"}, {"text": "own"}, {"html": "<img src='https://x.y/z'>"}],
)
def test_a_text_is_made_only_if_there_is_none_and_something_to_say(fields):
    made = mail(**fields)
    assert made.with_text_from_html() is made


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    from poweremail._messages import html_text

    html_text._renderer.cache_clear()
    monkeypatch.setitem(sys.modules, "inscriptis", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'poweremail\[html\]'"):
        mail(html="<p>x</p>").with_text_from_html()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@BÜCHER.Example", "ada@xn--bcher-kva.example"),
        # Two domains of two owners: the standard library's codec writes both as fass.de.
        ("ada@faß.de", "ada@xn--fa-hia.de"),
        ("用户@例え.jp", "用户@xn--r8jz45g.jp"),
        ("ada@mail.bücher。example", "ada@mail.xn--bcher-kva.example"),
        ("ada@a_b.example.com", "ada@a_b.example.com"),
        ("Ada@Example.com", "Ada@Example.com"),
        ("jörg@example.com", "jörg@example.com"),
        ("ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
    ],
)
def test_domains_as_dns_has_them(given, expected):
    made = mail(to=Recipient(given, "Ada"), text="x").with_ascii_domains()
    assert made.to == (Recipient(expected, "Ada"),)


def test_every_domain_of_a_mail():
    made = TemplateMessage(
        template_id="t1",
        subject="Hi",
        from_email="me@ä.de",
        to=["a@example.com", "b@ö.de"],
        cc="c@ü.de",
        bcc="d@ß.de",
        reply_to="e@é.fr",
        signing_domain="s.ä.de",
        return_path_domain="r.ä.de",
        tracking=Tracking(domain="t.ä.de", opens=True),
    ).with_ascii_domains()
    assert made.from_email.email == "me@xn--4ca.de"
    assert made.recipients == ("a@example.com", "b@xn--nda.de", "c@xn--tda.de", "d@xn--zca.de")
    assert made.reply_to[0].email == "e@xn--9ca.fr"
    assert (made.signing_domain, made.return_path_domain) == ("s.xn--4ca.de", "r.xn--4ca.de")
    assert made.tracking == Tracking(domain="t.xn--4ca.de", opens=True)
    plain = mail(text="x")
    assert plain.with_ascii_domains() is plain


@pytest.mark.parametrize("domain", ["☃.net", "ab--ü.de", f"{'ü' * 60}.de", "a_b.ü.de"])
def test_a_domain_that_dns_cannot_have(domain):
    with pytest.raises(UsageError, match=r"not sent: cc\[1\]: '.*' is not a domain of IDNA"):
        mail(text="x", cc=["a@example.com", f"b@{domain}"]).with_ascii_domains()


def test_a_client_does_both_to_every_mail():
    with (
        Sandbox() as sandbox,
        sandbox.client(
            text_from_html=True, ascii_domains=True, redirect_to="qa@büro.example"
        ) as client,
    ):
        client.messages.send_mail(mail(html="<p>Hello</p>", to="ada@bücher.example"))
        caught = sandbox.outbox.one()
        assert (caught.text, caught.to) == ("Hello", ("qa@xn--bro-hoa.example",))
        assert caught.headers["X-PowerEmail-Redirected-For"] == "ada@bücher.example"
        plain = client.with_options(text_from_html=False, ascii_domains=False)
        plain.messages.send_mail(mail(html="<p>Hello</p>", to="qa@büro.example"))
        assert (sandbox.outbox[1].text, sandbox.outbox[1].to) == (None, ("qa@büro.example",))
        raw = "From: a@ä.de\nTo: qa@büro.example\nSubject: x\n\n<p>x"
        client.messages.send_raw(raw)
        assert sandbox.outbox[2].to == ("qa@büro.example",)


def test_a_mail_is_found_again_by_either_form_of_its_domain():
    for sent_as_ascii in (True, False):
        with Sandbox() as sandbox, sandbox.client(ascii_domains=sent_as_ascii) as client:
            sandbox.faults.add(Fault.reset_after_acceptance(), call="sendMail", nth=1)
            with pytest.raises(Exception, match="unknown") as unknown:
                client.messages.send_mail(mail(text="x", to="ada@bücher.example"))
            for form in ("ada@bücher.example", "ada@xn--bcher-kva.example"):
                result = client.messages.reconcile(
                    unknown.value.unique_id, recipients=form, visibility=0
                )
                assert result.reconciled


@pytest.mark.parametrize("option", ["text_from_html", "ascii_domains"])
def test_the_options_are_switches(option):
    with pytest.raises(ConfigurationError, match=f"{option}: must be True or False"):
        PowerEmail("me", "token", "example.com", **{option: "yes"})
