"""A caught mail as it would be sent, read again by Python's own parser."""

import email
import email.policy
import email.utils

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poweremail.sandbox import CaughtFile, CaughtMail, CaughtRecipient
from poweremail.sandbox._api.mime import read_raw_message
from poweremail.sandbox._release import source
from poweremail.sandbox._server.preview import MAX_IMAGE_CHARS, preview
from poweremail.sandbox._store.database import at
from poweremail.sandbox._store.links import find_links


def mail(**changes):
    options = {
        "operation": "sendMail",
        "smtp_user_name": "s",
        "subject": "Grüße",
        "from_email": "a@example.com",
        "text": "Hällo",
    }
    options |= {
        "recipients": (CaughtRecipient("to", "b@example.com", "Bö"),),
        "number": 7,
        "received": at(1_458_034_022_169),
    }
    return CaughtMail(**{**options, **changes})


def parsed(mail):
    written = source(mail)
    assert b"\n" not in written.replace(b"\r\n", b"")
    return email.message_from_bytes(written, policy=email.policy.default)


def test_a_whole_mail():
    message = parsed(
        mail(
            html='<img src="cid:logo">',
            from_name='A "quoted" name',
            recipients=(
                CaughtRecipient("to", "b@example.com", "Bö"),
                CaughtRecipient("to", "c@example.com"),
                CaughtRecipient("cc", "d@example.com"),
                CaughtRecipient("bcc", "secret@example.com"),
            ),
            headers={
                "X-Campaign": "ü",
                "Bcc": "secret@example.com",
                "bad name": "x",
                "Content-Type": "text/evil",
                "X-Two": "a\r\nInjected: b",
            },
            attachments=(
                CaughtFile("ä.pdf", "application/pdf", b"%PDF"),
                CaughtFile("x", "no type", b"x"),
                CaughtFile("m", "message/rfc822", b"y"),
            ),
            images=(CaughtFile("logo", "image/png", b"png"),),
        )
    )
    assert (message["Subject"], message["X-Campaign"], message["X-Two"]) == (
        "Grüße",
        "ü",
        "a Injected: b",
    )
    assert message["From"].addresses[0].display_name == 'A "quoted" name'
    assert [str(each) for each in message["To"].addresses] == [
        "Bö <b@example.com>",
        "c@example.com",
    ]
    assert message["Cc"] == "d@example.com"
    assert message["Date"].datetime == at(1_458_034_022_000)
    assert message["Bcc"] is message["Injected"] is message["bad name"] is None
    assert "secret" not in str(message)
    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "application/pdf",
        "application/octet-stream",
        "application/octet-stream",
    ]
    assert message.get_body(("plain",)).get_content() == "Hällo"
    assert [part.get_filename() for part in message.iter_attachments()] == ["ä.pdf", "x", "m"]
    assert next(message.iter_attachments()).get_content() == b"%PDF"


def test_a_mail_with_one_part():
    assert parsed(mail()).get_content().rstrip() == "Hällo"
    assert parsed(mail(text=None)).get_content().rstrip() == ""


def test_the_source_of_a_raw_mail_is_unchanged():
    assert (
        source(mail(operation="sendRaw", raw={"raw_message": "Subject: x\n\nü"}))
        == "Subject: x\n\nü".encode()
    )


TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)


@settings(max_examples=30)
@given(subject=TEXT, name=TEXT, text=TEXT, value=TEXT, file=TEXT)
def test_the_source_of_any_mail_can_be_parsed(subject, name, text, value, file):
    written = source(
        mail(
            subject=subject,
            from_name=name,
            text=text,
            headers={"X-Any": value, value: "x"},
            attachments=(CaughtFile(file, value, b"content"),),
        )
    )
    read = read_raw_message(written.decode())
    assert [each.email for each in read["recipients"]] == ["b@example.com"]
    assert [each.content for each in read["attachments"]] == [b"content"]
    assert email.utils.parseaddr(email.message_from_bytes(written)["From"])[1] == "a@example.com"


NEW_TAB = " target=_blank rel=noreferrer "


@pytest.mark.parametrize(
    ("html", "shown"),
    [
        ('<img src="cid:a">', '<img src="/i/0">'),
        ("<img src=cid:a>", "<img src=/i/0>"),
        ("<img src='CID:b c'>", "<img src='CID:b c'>"),
        ("<img src='cid:b%20c'>", "<img src='/i/1'>"),
        ("<img srcset='cid:a 1x, cid:a 2x'>", "<img srcset='/i/0 1x, /i/0 2x'>"),
        ("<p style='background:url(cid:a)'>", "<p style='background:url(/i/0)'>"),
        ("<img src='cid:d&amp;e'>", "<img src='/i/2'>"),
        ("<p>see cid:a", "<p>see cid:a"),
        ("<img src=CID:A>", "<img src=/i/0>"),
        ("<img src='cid&colon;a'>", "<img src='/i/0'>"),
        ("<img src='cid&#58;a'>", "<img src='/i/0'>"),
        ("<img src='cid:<a>'>", "<img src='/i/0'>"),
        ("<img src='cid:&lt;a&gt;'>", "<img src='/i/0'>"),
        ("<img src='cid:%3Ca%3E'>", "<img src='/i/0'>"),
        (
            '<p style="background:url(&quot;cid:a&quot;)">',
            '<p style="background:url(&quot;/i/0&quot;)">',
        ),
        (
            "<p style='background:url(&#39;cid:a&#39;)'>",
            "<p style='background:url(&#39;/i/0&#39;)'>",
        ),
        ("<img src='cid:nobody'>", "<img src='cid:nobody'>"),
        ("<iframe src=x></iframe>", "<x-iframe src=x></iframe>"),
        ("<LINK rel=x>", "<x-LINK rel=x>"),
        ("<links>", "<links>"),
        ("<a/target=_self>", f"<a{NEW_TAB}/target=_self>"),
        ("<p>TARGET = 5", "<p>TARGET = 5"),
        ("<a href=x><set>", f"<a{NEW_TAB} href=x><set>"),
        ("<A HREF='#x'>", "<A target=_self  HREF='#x'>"),
        ("<a id=y\nhref= '&#35;x' href=z>", "<a target=_self  id=y\nhref= '&#35;x' href=z>"),
        ("<a href=y href=#x><a href=#>", f"<a{NEW_TAB} href=y href=#x><a{NEW_TAB} href=#>"),
        ("<a title='href=#x' href=y>", f"<a{NEW_TAB} title='href=#x' href=y>"),
        ("<area href=y><abbr href=y>", f"<area{NEW_TAB} href=y><abbr href=y>"),
        (
            "<svg><A/href=x><set><animate a=b>",
            f"<svg><A{NEW_TAB}/href=x><x-set><x-animate a=b>",
        ),
    ],
)
def test_the_preview_changes_only_what_the_frame_needs(html, shown):
    assert (
        preview(html, ["a", "b c", "d&e", "a"], "/i/{}".format, remote=False)
        == f'<base target="_blank">{shown}'
    )


def test_a_mail_that_repeats_a_large_image_does_not_grow_without_end():
    url = "data:image/png;base64," + "A" * (MAX_IMAGE_CHARS // 3)
    shown = preview("<img src=cid:a>" * 1_000, ["a"], lambda _: url, remote=False)
    assert (shown.count(url), shown.count("cid:a")) == (2, 998)


def test_link_elements_stay_if_remote_content_is_allowed():
    assert preview("<link rel=stylesheet>", [], str, remote=True).endswith("<link rel=stylesheet>")


@pytest.mark.parametrize(
    ("kind", "html", "shown"),
    [
        ("dark", "@media (prefers-color-scheme: dark)", "@media (min-width:0)"),
        ("dark", "@media (Prefers-Color-Scheme:light)", "@media (max-width:0)"),
        ("dark", "<p>(prefers-color-scheme: dark)", "<p>(prefers-color-scheme: dark)"),
        ("light", "@media (prefers-color-scheme: dark)", "@media (max-width:0)"),
        ("printed", "@media print{", "@media screen{"),
        ("printed", "@media only screen and (x)", "@media only print and (x)"),
        ("printed", "<style media=print>", "<style media=screen>"),
        ("printed", "<p>print", "<p>print"),
    ],
)
def test_the_styles_of_a_view_apply(kind, html, shown):
    views = {"dark": {"dark": True}, "light": {"dark": False}, "printed": {"printed": True}}
    seen = preview(html, [], str, **views[kind])
    assert seen.endswith(shown)
    assert preview(html, [], str).endswith(html)


def test_links_of_a_mail_are_found():
    text = "<a href=http://a>x</a><A HREF = 'https://b/?c&amp;d'><a href=\"javascript:x\"><a href=http://a>"
    assert find_links(text) == ["http://a", "https://b/?c&d"]
    assert find_links(None) == []
    assert len(find_links("".join(f"<a href=http://{n}>" for n in range(600)))) == 500


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<link rel=stylesheet href="https://a/x.css"><a href="https://b">', ["https://b"]),
        ("<a href='mailto:a@b.c?subject=x'><a href=tel:+49><a href=app://open/1>", 3),
        ("<a href='#x'><a href='/x'><a href=''><a href=javascript:x><a href='https:'>", []),
        ("<a title='a > b' href=https://a/>", ["https://a/"]),
        ("<a href='https://a/\nb'><a href=' https://c '>", ["https://a/b", "https://c"]),
        ("<!--[if mso]><v:roundrect href='https://a'><![endif]-->", ["https://a"]),
        ("<abbr href=https://a><a x=<a href=https://b>", ["https://b"]),
    ],
)
def test_what_counts_as_a_link_of_the_html(html, found):
    links = find_links(html)
    assert (len(links) if isinstance(found, int) else links) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("at https://a.b/c.", "https://a.b/c"),
        ("(https://a.b/c)", "https://a.b/c"),
        ("(see https://a.b/c_(d)).", "https://a.b/c_(d)"),
        ("<https://a.b/c>", "https://a.b/c"),
        ('"https://a.b/c", "x"', "https://a.b/c"),
        ("'https://a.b/c?d='e''", "https://a.b/c?d='e'"),
        ("**https://a.b/c**", "https://a.b/c"),
        ("https://a.b/c_", "https://a.b/c_"),
        ("\u300chttps://a.b/\u4e2d\u6587\u300d\u3002", "https://a.b/\u4e2d\u6587"),
        ("\u8bf7\u8bbf\u95eehttps://a.b/c", "https://a.b/c"),
        ("https://a.b/?to=http://c.d/", "https://a.b/?to=http://c.d/"),
        ("hotel:x, tel:1", "tel:1"),
        ("mailto:a@b.c, that is", "mailto:a@b.c"),
        ("myapp://open/1!", "myapp://open/1"),
        ("http:// and https://, javascript:x", None),
    ],
)
def test_what_counts_as_a_link_of_the_text(text, found):
    assert find_links(None, text) == ([] if found is None else [found])


@pytest.mark.parametrize(
    "piece",
    [
        "<",
        "<a ",
        "=",
        "= ",
        "cid:",
        "src=cid:",
        "href=",
        "target ",
        " target",
        "<svg><a ",
        "<!doctype ",
        "<a x='",
        "tel:",
        "https://x)",
        "@media ",
    ],
)
def test_no_text_slows_the_preview_down(piece):
    text = piece * (1_000_000 // len(piece))
    preview(text, ["a"], "/i/{}".format)
    preview(text, [], str, dark=True, printed=True)
    find_links(text, text)
