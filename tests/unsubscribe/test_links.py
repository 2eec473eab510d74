"""Links to unsubscribe: in mails, signed, and read again."""

from __future__ import annotations

import traceback
from datetime import timedelta

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poweremail import ConfigurationError, Message, TemplateMessage, UsageError
from poweremail._ledger.payload import pack, unpack
from poweremail.batch import read_csv, read_json_lines
from poweremail.sandbox import Sandbox
from poweremail.unsubscribe import LinkError, Unsubscribe, UnsubscribeLinks

OLD, NEW = "an-old-key-that-was-used", "a-new-key-that-is-used-now"
URL = "https://example.com/unsubscribe"
YEAR = 365 * 24 * 3_600


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def a_mail(to: object = "Ada <Ada@example.org>", **fields: object) -> Message:
    return Message(subject="Hi", from_email="office@example.com", to=to, text="t", **fields)


def test_a_mail_carries_the_headers_of_rfc_8058(clock):
    links = UnsubscribeLinks(URL, NEW, mailto="leave@example.com", clock=clock)
    mail = a_mail(stream="news", unsubscribe=links)
    headers = mail.option_headers()
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    https, mailto = headers["List-Unsubscribe"].split(", ")
    token = links.token("ada@example.org", "news")
    assert https == f"<{URL}/{token}>"
    assert mailto == f"<mailto:leave@example.com?subject={token}>"
    text = mail.as_email_message().as_string()
    assert f"List-Unsubscribe: {https}, {mailto}\n" in text.replace("\r\n", "\n").replace(
        "\n ", " "
    )
    assert "=?" not in text
    read = links.read(token)
    assert (read.address, read.stream) == ("ada@example.org", "news")
    for url in (https.strip("<>"), f"{https.strip('<>')}/?utm_source=x", f" {token}\r\n"):
        assert links.read(url) == read


def test_a_link_holds_for_a_year(clock):
    links = UnsubscribeLinks(URL, NEW, clock=clock)
    token = links.token("ada@example.org", "news")
    clock.now += YEAR
    assert links.read(token).address == "ada@example.org"
    clock.now += 2 * 24 * 3_600
    with pytest.raises(LinkError, match="it was valid until") as caught:
        links.read(token)
    assert caught.value.is_expired
    assert caught.value.mail_state is None


def test_keys_rotate(clock):
    old = UnsubscribeLinks(URL, OLD, clock=clock).token("ada@example.org", "news")
    both = UnsubscribeLinks(URL, [NEW, OLD], clock=clock)
    new = UnsubscribeLinks(URL, [NEW], clock=clock)
    assert both.read(old).address == "ada@example.org"
    assert new.read(both.token("ada@example.org", "news")).stream == "news"
    with pytest.raises(LinkError, match="not signed by any of the keys") as caught:
        new.read(old)
    assert not caught.value.is_expired


@given(st.data())
def test_a_link_that_was_changed_is_refused(data):
    links = UnsubscribeLinks(URL, NEW)
    token = links.token("ada@example.org", "news")
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("ABCxyz019-_.=/ \n\u00e9\x00"))
    changed = token[:place] + other + token[place + 1 :]
    if changed.strip() != token:
        with pytest.raises(LinkError):
            links.read(changed)


@given(st.text(max_size=900))
def test_any_text_is_no_link(text):
    with pytest.raises(LinkError):
        UnsubscribeLinks(URL, NEW).read(text)


def test_the_signature_of_something_else_is_none(clock):
    links = UnsubscribeLinks(URL, NEW, clock=clock)
    mine, other = (links.token(f"{name}@example.org", "news").split(".") for name in ("a", "b"))
    with pytest.raises(LinkError):
        links.read(f"{mine[0]}.{other[1]}")


@pytest.mark.parametrize(
    "address",
    [
        "ada+news@example.org",
        "ADA@BÜCHER.example",
        f"{'a' * 64}@{'b' * 60}.{'c' * 60}.{'d' * 60}.org",
        '"a b"@example.org',
        "用户@example.org",
    ],
)
def test_every_address_fits_into_a_link(address):
    links = UnsubscribeLinks(URL, NEW, mailto="leave@example.com")
    link = links.link(address, "s" * 64)
    read = links.read(link.url)
    assert read.suppression().address == read.address
    assert max(map(len, link.headers()["List-Unsubscribe"].split(", "))) < 998
    assert link.url.isascii()


def shown(error: BaseException) -> str:
    """The traceback of *error* with the local variables of this library's frames."""
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(trace.format())


def test_no_key_is_shown():
    links = UnsubscribeLinks(URL, [NEW, OLD])
    assert repr(links) == f"<UnsubscribeLinks to {URL!r}, 2 keys>"
    with pytest.raises(LinkError) as caught:
        links.read("x" * 50 + "." + "y" * 22)
    with pytest.raises(ConfigurationError) as invalid:
        UnsubscribeLinks(URL, [NEW, "too-short"])
    with pytest.raises(ConfigurationError, match="keys: each must be a str") as no_text:
        UnsubscribeLinks(URL, [NEW, OLD.encode()])
    for error in (caught.value, invalid.value, no_text.value):
        text = shown(error)
        assert "UnsubscribeLinks" in text
        assert f"'{NEW}'" not in text


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((URL, []), "keys: give at least one"),
        ((URL, "short"), "keys: a key must have at least 16"),
        ((URL, " " * 20), "keys: a key must have at least 16"),
        ((URL, b"k" * 20), "keys: each must be a str"),
        ((URL, None), "keys: each must be a str"),
        (("https://me:secret@example.com/u", NEW), "base_url: must not have a user"),
        (("http://example.com/u", NEW), "base_url: must be an https"),
        (("https://example.com/u?x=1", NEW), "base_url: must not have a query"),
        (("https://example.com/a b", NEW), "base_url: must be ASCII"),
    ],
)
def test_invalid_options_are_errors(arguments, why):
    with pytest.raises(ConfigurationError, match=why):
        UnsubscribeLinks(*arguments)
    with pytest.raises(ConfigurationError, match="valid_for: must be a timedelta"):
        UnsubscribeLinks(URL, NEW, valid_for=timedelta(seconds=5))
    with pytest.raises(ConfigurationError, match="valid_for: must be a timedelta"):
        UnsubscribeLinks(URL, NEW, valid_for=timedelta.max)
    with pytest.raises(ConfigurationError, match="mailto: 'x' has no @"):
        UnsubscribeLinks(URL, NEW, mailto="x")
    UnsubscribeLinks("http://127.0.0.1:8000/u", NEW)  # while you develop


@pytest.mark.parametrize("added", ["/", "?utm_source=mail", "#top", " \n"])
def test_a_link_is_read_although_something_was_added(added):
    links = UnsubscribeLinks(URL, NEW)
    url = links.link("ada@example.org", "news").url
    assert links.read(f"{url}{added}").address == "ada@example.org"


@pytest.mark.parametrize("token", [None, b"x", 7, ""])
def test_something_else_is_no_link(token):
    with pytest.raises(LinkError, match="no link"):
        UnsubscribeLinks(URL, NEW).read(token)


@pytest.mark.parametrize(
    ("mailto", "address"),
    [
        ("Team <leave@example.com>", "leave@example.com"),
        ("leave@bücher.example", "leave@xn--bcher-kva.example"),
        ("a?b&c=d@example.com", "a%3Fb%26c%3Dd@example.com"),
        ("50%25+x@example.com", "50%2525+x@example.com"),
    ],
)
def test_every_address_can_be_a_mailto(mailto, address):
    link = UnsubscribeLinks(URL, NEW, mailto=mailto).link("ada@example.org", "news").mailto
    assert link.startswith(f"mailto:{address}?subject=")


@pytest.mark.parametrize(
    "recipients",
    [
        {"to": ["ada@example.org", "bob@example.org"]},
        {"to": "ada@example.org", "cc": "bob@example.org"},
        {"to": "ada@example.org", "bcc": "archive@example.com"},
    ],
)
def test_a_link_is_for_one_recipient(recipients):
    for unsubscribe in (UnsubscribeLinks(URL, NEW), URL, Unsubscribe(URL, mailto="a@b.example")):
        with pytest.raises(UsageError, match="unsubscribes one recipient, and the mail has 2"):
            a_mail(**recipients, stream="news", unsubscribe=unsubscribe)
    a_mail(**recipients, unsubscribe="mailto:leave@example.com")
    a_mail(**recipients, unsubscribe=Unsubscribe("https://example.com/prefs", one_click=False))


def test_a_copy_for_somebody_else_needs_a_link_of_its_own():
    links = UnsubscribeLinks(URL, NEW)
    mail = a_mail(stream="news", unsubscribe=links)
    for changes in ({"to": "eve@example.org"}, {"stream": "offers"}):
        with pytest.raises(UsageError, match="its link was made for another recipient or stream"):
            attrs.evolve(mail, **changes)
    copy = attrs.evolve(mail, to="eve@example.org", unsubscribe=links)
    assert links.read(copy.unsubscribe.url).address == "eve@example.org"
    assert attrs.evolve(mail, subject="Again", to="ADA@example.org").unsubscribe == mail.unsubscribe
    # A link of the user's own says nothing about its recipient.
    attrs.evolve(a_mail(unsubscribe=URL), to="eve@example.org")


def test_a_redirected_mail_has_no_link_that_unsubscribes_a_real_person():
    links = UnsubscribeLinks(URL, NEW)
    with Sandbox() as sandbox, sandbox.client(redirect_to="team@example.com") as client:
        client.messages.send_mail(a_mail(stream="news", unsubscribe=links))
        client.messages.send_mail(a_mail(headers={"list-unsubscribe": f"<{URL}/ada>"}))
        client.messages.send_raw(
            f"List-Unsubscribe: <{URL}/ada>,\r\n <mailto:leave@example.com>\r\nX-A: kept\r\n"
            "list-unsubscribe-post : List-Unsubscribe=One-Click\r\n"
            "From: o@example.com\r\nTo: ada@example.org\r\nSubject: s\r\n\r\n"
            "List-Unsubscribe: in the text\r\n"
        )
        headers = {"List-Unsubscribe": f"<{URL}/ada>", "X-A": "kept"}
        message = {"subject": "s", "from_email": "o@example.com", "text": "t", "headers": headers}
        client.call(
            "messages/sendMail",
            {"smtp_user_name": "u", "message": {"to": [{"email": "ada@example.org"}], **message}},
        )
        client.messages.send_mail(a_mail(to="team@example.com", stream="news", unsubscribe=links))
        *redirected, own = sandbox.outbox
    for mail in redirected:
        assert mail.to == ("team@example.com",)
        assert not any(name.lower().startswith("list-unsubscribe") for name in mail.headers)
    assert [mail.headers.get("X-A") for mail in redirected] == [None, None, "kept", "kept"]
    assert redirected[2].text.strip() == "List-Unsubscribe: in the text"
    # It was not redirected.
    link = own.headers["List-Unsubscribe"].strip("<>")
    assert links.read(link).address == "team@example.com"


def test_a_signed_link_needs_a_stream():
    with pytest.raises(UsageError, match="stream: name what the link unsubscribes from"):
        a_mail(unsubscribe=UnsubscribeLinks(URL, NEW))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("http://example.com/u", "unsubscribe.url: must be an https"),
        ("example.com/u", "unsubscribe.url: must be an https"),
        ("https://example.com/u#top", "without a fragment"),
        ("https://example.com/a,b", "unsubscribe.url: must be ASCII without spaces, commas"),
        ("https://example.com/<x>", "unsubscribe.url: must be ASCII without spaces, commas"),
        ("https://example.com/ü", "unsubscribe.url: must be ASCII"),
        ("https://example.com/\r\nBcc: x@y.z", "unsubscribe.url: must be ASCII"),
        ("https://example.com/" + "x" * 900, "a header carries 900"),
        ("mailto:nobody", "unsubscribe.mailto: 'nobody' has no @"),
        (7, "unsubscribe: must be an Unsubscribe"),
    ],
)
def test_invalid_links_are_errors(value, why):
    with pytest.raises(UsageError, match=why):
        a_mail(unsubscribe=value)


def test_headers_and_field_may_not_contradict_each_other():
    with pytest.raises(UsageError, match="'list-unsubscribe' is said by unsubscribe already"):
        a_mail(unsubscribe=URL, headers={"list-unsubscribe": "<https://other.example>"})
    # RFC 8058 wants an https link beside it.
    one_click = {"LIST-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    with pytest.raises(UsageError, match="'LIST-Unsubscribe-Post' is said by unsubscribe already"):
        a_mail(unsubscribe="mailto:leave@example.com", headers=one_click)


def test_rows_of_a_batch_have_a_link_each(tmp_path, clock):
    links = UnsubscribeLinks(URL, NEW, clock=clock)
    common = {"subject": "s", "from_email": "o@example.com", "text": "t"}
    (tmp_path / "people.csv").write_text("email\nada@example.org\nbob@example.org\n")
    (tmp_path / "people.jsonl").write_text('{"email": "eve@example.org"}\n')
    rows = [
        *read_csv(tmp_path / "people.csv", stream="news", unsubscribe=links, **common),
        *read_json_lines(tmp_path / "people.jsonl", stream="news", unsubscribe=links, **common),
    ]
    messages = [row.message for row in rows]
    assert [links.read(each.unsubscribe.url).address for each in messages] == [
        "ada@example.org",
        "bob@example.org",
        "eve@example.org",
    ]
    # A source that is added again makes new links, and must not be sent again.
    clock.now += 1_000_000
    again = [
        row.message
        for row in read_csv(tmp_path / "people.csv", stream="news", unsubscribe=links, **common)
    ]
    assert [pack(each).digest for each in again] == [pack(each).digest for each in messages[:2]]
    assert again[0].unsubscribe != messages[0].unsubscribe
    assert unpack(pack(again[0]).payload, {}, "u").unsubscribe == again[0].unsubscribe
    assert NEW not in pack(again[0]).payload


def test_a_column_with_that_name_stays_a_value_of_the_template(tmp_path):
    (tmp_path / "people.csv").write_text("email,unsubscribe,stream\nada@example.org,https://x,s\n")
    (row,) = read_csv(
        tmp_path / "people.csv", template_id="t", subject="s", from_email="o@x.example"
    )
    assert isinstance(row.message, TemplateMessage)
    assert row.message.dynamic_value == {"unsubscribe": "https://x", "stream": "s"}
    assert row.message.unsubscribe is None
