"""Messages: what they take, what they make of it, and everything that they refuse."""

from __future__ import annotations

import unicodedata

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poweremail import Attachment, Image, Message, Recipient, TemplateMessage, Tracking, UsageError
from poweremail._types import FrozenMapping

PNG = b"\x89PNG\r\n\x1a\n"
ENVELOPE = {"subject": "Hello", "from_email": "me@example.com", "to": "ada@example.com"}


def message(**fields) -> Message:
    return Message(**({**ENVELOPE, "text": "Hi"} | fields))


def template(**fields) -> TemplateMessage:
    return TemplateMessage(**({**ENVELOPE, "template_id": "t1"} | fields))


def refused(make, field: str, why: str, **fields) -> UsageError:
    with pytest.raises(UsageError) as caught:
        make(**fields)
    error = caught.value
    assert isinstance(error, ValueError)
    assert error.mail_state == "not_sent"
    assert error.field == field
    assert error.explanation == f"{field}: {why}"
    assert str(error).startswith(f"not sent: {field}: {why}")
    return error


def test_a_message_of_everything():
    pdf, logo = Attachment("a.pdf", b"x"), Image("logo", PNG)
    full = Message(
        subject="Invoice 42",
        from_email=("Billing", "billing@example.com"),
        to=["Ada <ada@example.com>"],
        cc="bob@example.com",
        bcc=("Eve", "eve@example.com"),
        reply_to="help@example.com",
        html='<p>Thanks! <img src="cid:logo"></p>',
        text="Thanks!",
        attachments=[pdf],
        images=[logo],
        headers={"X-Campaign": "q4"},
        tracking=Tracking(opens=True, clicks="html"),
        unique_id="invoice-42",
        auto_text=False,
        auto_html=True,
        signing_domain="sign.example.com",
        return_path_domain="bounces.example.com",
    )
    assert attrs.asdict(full, recurse=False) == {
        "subject": "Invoice 42",
        "from_email": Recipient("billing@example.com", "Billing"),
        "to": (Recipient("ada@example.com", "Ada"),),
        "cc": (Recipient("bob@example.com"),),
        "bcc": (Recipient("eve@example.com", "Eve"),),
        "reply_to": (Recipient("help@example.com"),),
        "html": '<p>Thanks! <img src="cid:logo"></p>',
        "text": "Thanks!",
        "attachments": (pdf,),
        "images": (logo,),
        "headers": FrozenMapping({"X-Campaign": "q4"}),
        "tracking": Tracking(opens=True, clicks="html"),
        "unique_id": "invoice-42",
        "auto_text": False,
        "auto_html": True,
        "signing_domain": "sign.example.com",
        "return_path_domain": "bounces.example.com",
        "stream": None,
        "unsubscribe": None,
    }
    assert full.recipients == ("ada@example.com", "bob@example.com", "eve@example.com")


def test_minimal_messages():
    least = message()
    assert (least.cc, least.bcc, least.reply_to, least.attachments, least.images) == (
        (),
        (),
        (),
        (),
        (),
    )
    assert (least.html, least.tracking, least.unique_id, dict(least.headers)) == (
        None,
        None,
        None,
        {},
    )
    assert dict(template().dynamic_value) == {}


def test_fields_are_given_by_name():
    with pytest.raises(TypeError):
        Message("Hello", "me@example.com", "ada@example.com")


@pytest.mark.parametrize(
    "fields",
    [{"html": "<p>"}, {"text": "x"}, {"html": "<p>", "text": ""}, {"html": "", "text": "x"}],
)
def test_html_or_text_or_both(fields):
    content = attrs.asdict(message(**({"text": None} | fields)))
    assert {name: content[name] for name in fields} == fields


@pytest.mark.parametrize(
    "fields", [{}, {"html": ""}, {"text": ""}, {"html": "", "text": ""}, {"html": None}]
)
def test_neither_html_nor_text(fields):
    refused(Message, "html", "give html, text or both", **ENVELOPE, **fields)


@pytest.mark.parametrize("field", ["cc", "bcc"])
def test_recipients_of_any_kind_are_enough(field):
    assert message(to=(), **{field: "ada@example.com"}).recipients == ("ada@example.com",)


@pytest.mark.parametrize("nobody", [(), [], iter(())])
@pytest.mark.parametrize("make", [message, template])
def test_no_recipient(make, nobody):
    refused(make, "to", "give at least one recipient in to, cc or bcc", to=nobody)


@pytest.mark.parametrize("reply_to", [None, (), []])
def test_no_reply_to(reply_to):
    assert message(reply_to=reply_to).reply_to == ()


@pytest.mark.parametrize("make", [message, template])
@pytest.mark.parametrize("field", ["subject", "unique_id"])
@pytest.mark.parametrize("control", ["\r", "\n", "\r\n", "\0", "\x1b", "\x7f", "\x85"])
def test_a_control_character_in_a_field_of_the_head(make, field, control):
    refused(
        make,
        field,
        "has a control character (CR, LF or another) at position 1",
        **{field: f"a{control}Bcc: eve@example.com"},
    )


def test_a_control_character_in_a_template_id():
    refused(
        template,
        "template_id",
        "has a control character (CR, LF or another) at position 1",
        template_id="a\nb",
    )


@pytest.mark.parametrize("make", [message, template])
@pytest.mark.parametrize("field", ["subject", "unique_id"])
@pytest.mark.parametrize("empty", ["", " ", "\u00a0"])
def test_an_empty_field_of_the_head(make, field, empty):
    refused(make, field, "must not be empty", **{field: empty})


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_template_id(empty):
    refused(template, "template_id", "must not be empty", template_id=empty)


@pytest.mark.parametrize("make", [message, template])
@pytest.mark.parametrize("field", ["subject", "unique_id"])
def test_a_field_of_the_head_must_be_a_str(make, field):
    refused(make, field, "must be a str, not bytes", **{field: b"x"})


@pytest.mark.parametrize("field", ["html", "text"])
def test_a_body_must_be_a_str(field):
    refused(message, field, "must be a str, not bytes", **{field: b"x"})


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (message, "subject"),
        (message, "unique_id"),
        (message, "html"),
        (message, "text"),
        (template, "template_id"),
    ],
)
def test_a_lone_surrogate(make, field):
    refused(
        make,
        field,
        "has a lone surrogate at position 2, which no encoding can carry",
        **{field: "ab\ud800"},
    )


def test_a_surrogate_pair_that_is_one_character_passes():
    assert message(subject="\U0001f600").subject == "😀"


def test_a_body_may_have_any_character():
    text = "".join(map(chr, (*range(32), 127, 0x85, 0x2028, 0x1F600)))
    assert message(html=text, text=text).text == text


def test_a_tab_may_stand_in_a_header():
    assert message(subject="a\tb").subject == "a\tb"


@pytest.mark.parametrize(
    ("headers", "field", "why"),
    [
        (
            {"X-A": "a\r\nBcc: eve@example.com"},
            "headers['X-A']",
            "has a control character (CR, LF or another) at position 1",
        ),
        (
            {"X-A": "a\0"},
            "headers['X-A']",
            "has a control character (CR, LF or another) at position 1",
        ),
        (
            {"X-A": "\udc80"},
            "headers['X-A']",
            "has a lone surrogate at position 0, which no encoding can carry",
        ),
        ({"X-A": 5}, "headers['X-A']", "must be a str, not int"),
        ({"X-A": None}, "headers['X-A']", "must be a str, not NoneType"),
        (
            {"X-A\r\nBcc": "a"},
            "headers",
            "has a control character (CR, LF or another) at position 3",
        ),
        ({"X-A\0": "a"}, "headers", "has a control character (CR, LF or another) at position 3"),
        ({5: "a"}, "headers", "must be a str, not int"),
        ({"": "a"}, "headers", "'' is not a header name"),
        ({"X A": "a"}, "headers", "'X A' is not a header name"),
        ({"X-A:": "a"}, "headers", "'X-A:' is not a header name"),
        ({"X-Ü": "a"}, "headers", "'X-Ü' is not a header name"),
        ({"X-A": "a", "x-a": "a"}, "headers", "'x-a' is given twice"),
        ([("X-A", "a")], "headers", "must be a mapping, not list"),
        ("X-A: a", "headers", "must be a mapping, not str"),
        (None, "headers", "must be a mapping, not NoneType"),
    ],
)
@pytest.mark.parametrize("make", [message, template])
def test_invalid_headers(make, headers, field, why):
    refused(make, field, why, headers=headers)


def test_headers_that_another_message_accepted_as_values_are_checked_as_headers():
    values = template(dynamic_value={"NAME": "a\r\nBcc: eve@example.com"}).dynamic_value
    refused(
        message,
        "headers['NAME']",
        "has a control character (CR, LF or another) at position 1",
        headers=values,
    )


def test_headers_are_a_copy():
    headers = {"X-A": "a"}
    made = message(headers=headers)
    headers["X-A"] = "b\r\n"
    assert made.headers == {"X-A": "a"}
    with pytest.raises(TypeError):
        made.headers["X-A"] = "b"


@pytest.mark.parametrize("name", ["Reply-To", "reply-to", "REPLY-TO"])
def test_reply_to_is_given_once(name):
    assert message(headers={name: "help@example.com"}).headers == {name: "help@example.com"}
    refused(
        message,
        "headers",
        f"{name!r} is said by reply_to already",
        headers={name: "help@example.com"},
        reply_to="help@example.com",
    )


@pytest.mark.parametrize(
    ("tracking", "name"),
    [
        (Tracking(opens=False), "x-stes-trackopen"),
        (Tracking(clicks="no"), "X-STES-TRACKCLICK"),
        (Tracking(domain="t.example.com"), "X-STes-TrackingDomain"),
    ],
)
def test_tracking_is_given_once(tracking, name):
    refused(
        message,
        "headers",
        f"{name!r} is said by tracking already",
        headers={name: "x"},
        tracking=tracking,
    )
    assert message(headers={name: "x"}, tracking=Tracking()).headers == {name: "x"}


OPTIONS = [
    ("auto_text", True, "X-STes-Autotext", "yes"),
    ("auto_text", False, "X-STes-Autotext", "no"),
    ("auto_html", True, "X-STes-AutoHtml", "yes"),
    ("auto_html", False, "X-STes-AutoHtml", "no"),
    ("signing_domain", "sign.example.com", "X-STes-SigningDomain", "sign.example.com"),
    ("return_path_domain", "b.bücher.de", "X-STes-ReturnPathDomain", "b.bücher.de"),
]


@pytest.mark.parametrize("make", [message, template])
@pytest.mark.parametrize(("field", "value", "header", "text"), OPTIONS)
def test_requests_to_the_service_are_headers(make, field, value, header, text):
    made = make(**{field: value}, tracking=Tracking(opens=False))
    assert made.option_headers() == {"X-STes-TrackOpen": "no", header: text}
    refused(
        make,
        "headers",
        f"{header.lower()!r} is said by {field} already",
        headers={header.lower(): text},
        **{field: value},
    )
    assert make(headers={header: text}).headers == {header: text}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("auto_text", "yes"),
        ("auto_html", 2),
        ("signing_domain", ""),
        ("signing_domain", "https://example.com"),
        ("signing_domain", "me@example.com"),
        ("signing_domain", "localhost"),
        ("return_path_domain", "[127.0.0.1]"),
        ("return_path_domain", "example.com:25"),
        ("return_path_domain", "a..example.com"),
        ("return_path_domain", "example.com\r\nBcc: eve@example.com"),
        ("return_path_domain", 7),
    ],
)
def test_requests_that_cannot_be_meant(field, value):
    with pytest.raises(UsageError) as refusal:
        message(**{field: value})
    assert refusal.value.field == field


@pytest.mark.parametrize("name", ["X-Unique-Id", "x-unique-id", "X-UNIQUE-ID"])
@pytest.mark.parametrize("unique_id", [None, "id-1"])
def test_the_unique_id_may_be_given_as_a_header(name, unique_id):
    made = message(headers={"X-A": "a", name: "id-1"}, unique_id=unique_id)
    assert made.unique_id == "id-1"
    assert made.headers == {"X-A": "a"}
    assert made == message(headers={"X-A": "a"}, unique_id="id-1")


@pytest.mark.parametrize("name", ["X-Unique-Id", "x-unique-id"])
def test_a_header_that_differs_from_the_unique_id(name):
    refused(
        message,
        "headers",
        f"{name!r} differs from unique_id",
        headers={name: "id-1"},
        unique_id="id-2",
    )


def test_an_empty_unique_id_header():
    refused(message, "unique_id", "must not be empty", headers={"X-Unique-Id": " "})


def test_two_unique_id_headers():
    refused(
        message,
        "headers",
        "'x-unique-id' is given twice",
        headers={"X-Unique-Id": "1", "x-unique-id": "1"},
    )


@pytest.mark.parametrize(
    ("field", "item"), [("attachments", Attachment("a", b"")), ("images", Image("a", PNG))]
)
def test_files_may_be_one_or_many(field, item):
    assert getattr(message(**{field: item}), field) == (item,)
    assert getattr(message(**{field: [item]}), field) == (item,)
    assert getattr(message(**{field: (each for each in [item])}), field) == (item,)


@pytest.mark.parametrize(
    ("field", "value", "names", "why"),
    [
        ("attachments", "a.pdf", "attachments", "must be Attachment objects, not str"),
        ("attachments", None, "attachments", "must be Attachment objects, not NoneType"),
        ("attachments", b"a", "attachments", "must be Attachment objects, not bytes"),
        (
            "attachments",
            [Attachment("a", b""), "a.pdf"],
            "attachments[1]",
            "must be an Attachment, not str",
        ),
        ("attachments", [Image("a", PNG)], "attachments[0]", "must be an Attachment, not Image"),
        ("images", "a.png", "images", "must be Image objects, not str"),
        ("images", [Attachment("a", b"")], "images[0]", "must be an Image, not Attachment"),
        (
            "images",
            [Image("a", PNG), Image("b", PNG), Image("a", PNG)],
            "images",
            "two images have the same cid among ['a', 'b', 'a']",
        ),
        ("tracking", {"opens": True}, "tracking", "must be a Tracking, not dict"),
        ("tracking", True, "tracking", "must be a Tracking, not bool"),
    ],
)
@pytest.mark.parametrize("make", [message, template])
def test_fields_of_another_type(make, field, value, names, why):
    refused(make, names, why, **{field: value})


def test_attachments_may_have_the_same_name():
    assert len(message(attachments=[Attachment("a", b"1"), Attachment("a", b"2")]).attachments) == 2


LOGO = Image("logo", PNG)


@pytest.mark.parametrize(
    "html",
    [
        '<img src="cid:{}">',
        "<img src='cid:{}'>",
        "<img src=cid:{}>",
        "<img src=cid:{} alt=x>",
        '<img src = "cid:{}">',
        '<img src=" cid:{} ">',
        '<img src="CID:{}">',
        '<img src="Cid:{}">',
        '<IMG SRC="cid:{}">',
        '<td background="cid:{}">',
        '<p style="background: url(cid:{})">',
        "<p style=\"background: url('cid:{}')\">",
        "<style>p {{ background: URL( cid:{} ) }}</style>",
        '<img srcset="cid:{} 2x">',
    ],
)
def test_images_that_the_html_shows(html):
    message(html=html.format("logo"), images=[LOGO])
    with pytest.raises(UsageError, match="^not sent: html: refers to cid:logos") as caught:
        message(html=html.format("logos"), images=[LOGO])
    assert caught.value.field == "html"
    assert caught.value.advice == "images have ['logo']"


@pytest.mark.parametrize(
    ("cid", "written"),
    [
        ("a b", "a%20b"),
        ("a b", "a b"),
        ("a@example.com", "a%40example.com"),
        ("a@example.com", "a@example.com"),
        ("50%", "50%25"),
        ("50%25", "50%25"),
        ("a&b", "a&amp;b"),
        ("a&b", "a&b"),
        ("a&b", "a%26b"),
        ("logo (1).png", "logo (1).png"),
        ("logo (1).png", "logo%20(1).png"),
        ("o'clock", "o'clock"),
        ("größe.png", "größe.png"),
        ("größe.png", "gr%C3%B6%C3%9Fe.png"),
    ],
)
def test_a_cid_may_be_escaped_as_html_and_urls_are(cid, written):
    assert message(html=f'<img src="cid:{written}">', images=[Image(cid, PNG)]).images[0].cid == cid
    refused(
        message,
        "html",
        f"refers to cid:{written}, and no image has that cid",
        html=f'<img src="cid:{written}">',
    )


def test_the_second_of_two_cids_is_missing():
    html = '<img src="cid:logo"><img src="cid:photo">'
    error = refused(
        message, "html", "refers to cid:photo, and no image has that cid", html=html, images=[LOGO]
    )
    assert error.advice == "images have ['logo']"


def test_cids_are_case_sensitive():
    refused(
        message,
        "html",
        "refers to cid:Logo, and no image has that cid",
        html='<img src="cid:Logo">',
        images=[LOGO],
    )


@pytest.mark.parametrize(
    "html",
    [
        "<p>Write cid:x to refer to an image.</p>",
        "<p>text of a PDF (cid:12)(cid:13)</p>",
        "<p>cid: is a scheme</p>",
        '<a href="https://example.com/?q=a,cid:x">',
        '<img src="https://example.com/cid.png">',
        "acid:x",
    ],
)
def test_text_in_html_may_mention_cids(html):
    assert message(html=html).html == html


def test_text_may_mention_cids():
    assert message(text='<img src="cid:x">').text == '<img src="cid:x">'


@pytest.mark.parametrize(
    ("tracking", "headers"),
    [
        (Tracking(), {}),
        (Tracking(opens=True), {"X-STes-TrackOpen": "yes"}),
        (Tracking(opens=False), {"X-STes-TrackOpen": "no"}),
        (Tracking(clicks="html"), {"X-STes-TrackClick": "html"}),
        (Tracking(clicks="text"), {"X-STes-TrackClick": "text"}),
        (Tracking(clicks="both"), {"X-STes-TrackClick": "both"}),
        (Tracking(clicks="no"), {"X-STes-TrackClick": "no"}),
        (Tracking(domain="t.example.com"), {"X-STes-TrackingDomain": "t.example.com"}),
    ],
)
def test_tracking_as_headers(tracking, headers):
    assert tracking.headers() == headers


@pytest.mark.parametrize(
    ("fields", "field", "why"),
    [
        ({"opens": "yes"}, "tracking.opens", "must be True, False or None, not 'yes'"),
        (
            {"clicks": True},
            "tracking.clicks",
            "must be 'html', 'text', 'both', 'no' or None, not True",
        ),
        (
            {"clicks": "HTML"},
            "tracking.clicks",
            "must be 'html', 'text', 'both', 'no' or None, not 'HTML'",
        ),
        (
            {"clicks": ["html"]},
            "tracking.clicks",
            "must be 'html', 'text', 'both', 'no' or None, not ['html']",
        ),
        (
            {"domain": "a\r\nb"},
            "tracking.domain",
            "has a control character (CR, LF or another) at position 1",
        ),
        ({"domain": 5}, "tracking.domain", "must be a str, not int"),
    ],
)
def test_invalid_tracking(fields, field, why):
    refused(Tracking, field, why, **fields)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Ada", "Ada"),
        ("", ""),
        ("a\r\nb", "a\r\nb"),
        (5, "5"),
        (-1, "-1"),
        (1.5, "1.5"),
        (10**30, "1" + "0" * 30),
    ],
)
def test_dynamic_values(value, text):
    assert template(dynamic_value={"NAME": value}).dynamic_value == {"NAME": text}


@pytest.mark.parametrize(
    ("value", "field", "why"),
    [
        ({"A": None}, "dynamic_value['A']", "must be a str, not NoneType"),
        ({"A": True}, "dynamic_value['A']", "must be a str, not bool"),
        ({"A": float("nan")}, "dynamic_value['A']", "must be finite, not nan"),
        ({"A": float("-inf")}, "dynamic_value['A']", "must be finite, not -inf"),
        ({"A": b"x"}, "dynamic_value['A']", "must be a str, not bytes"),
        ({"A": ["x"]}, "dynamic_value['A']", "must be a str, not list"),
        (
            {"A": "\ud800"},
            "dynamic_value['A']",
            "has a lone surrogate at position 0, which no encoding can carry",
        ),
        ({5: "x"}, "dynamic_value", "must be a str, not int"),
        (
            {"A\n": "x"},
            "dynamic_value",
            "has a control character (CR, LF or another) at position 1",
        ),
        ([("A", "x")], "dynamic_value", "must be a mapping, not list"),
        (None, "dynamic_value", "must be a mapping, not NoneType"),
    ],
)
def test_invalid_dynamic_values(value, field, why):
    refused(template, field, why, dynamic_value=value)


TEXT = st.text(max_size=20)
ADDRESS = (
    TEXT
    | st.sampled_from(["ada@example.com", "Ada <ada@example.com>", '"A\\B" <a@b>'])
    | st.tuples(TEXT, TEXT)
)
FIELDS = st.fixed_dictionaries(
    {"subject": TEXT, "from_email": ADDRESS, "to": ADDRESS | st.lists(ADDRESS, max_size=2)},
    optional={
        "reply_to": ADDRESS,
        "headers": st.dictionaries(
            TEXT | st.sampled_from(["X-A", "X-Unique-Id"]), TEXT, max_size=2
        ),
        "unique_id": TEXT,
        "html": TEXT,
        "text": TEXT,
    },
)


@given(FIELDS)
def test_any_text_makes_a_message_or_a_usage_error(fields):
    try:
        made = Message(**({"text": "t"} | fields))
    except UsageError as error:
        assert error.field.partition("[")[0] in {*fields, "html", "unique_id"}
    else:
        people = (made.from_email, *made.to, *made.reply_to)
        head = [
            made.subject,
            *map(str, people),
            made.unique_id or "",
            *made.headers,
            *made.headers.values(),
        ]
        assert not {"\r", "\n", "\0"} & set("".join(head))


# Without an @: a pair of two addresses is a list of them. With something to see: what is invisible
# is removed at the ends of a name, and a line end beside it, too.
CLEAN = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="@"), min_size=1, max_size=10
).filter(lambda text: any(unicodedata.category(each)[0] not in "CZ" for each in text))


@given(
    field=st.sampled_from(
        ["subject", "unique_id", "from_email", "to", "reply_to", "header", "header name"]
    ),
    before=st.just("") | CLEAN,
    control=st.sampled_from(["\r\n", *map(chr, (*range(9), *range(10, 32), *range(127, 160)))]),
    after=st.just("") | CLEAN,
)
def test_no_accepted_message_breaks_a_header(field, before, control, after):
    bad = before + control + after
    value = {
        "from_email": {"from_email": (bad, "me@example.com")},
        "to": {"to": [(bad, "me@example.com")]},
        "reply_to": {"reply_to": (bad, "me@example.com")},
        "header": {"headers": {"X-A": bad}},
        "header name": {"headers": {bad: "a"}},
    }.get(field, {field: bad})
    with pytest.raises(UsageError, match="has a control character"):
        message(**value)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("To", "to"),
        ("cc", "cc"),
        ("BCC", "bcc"),
        ("Subject", "subject"),
        ("From", "from_email"),
        ("Sender", "from_email"),
        ("Content-Type", "html and text"),
        ("MIME-Version", "html and text"),
    ],
)
def test_headers_that_have_a_field_of_their_own(name, field):
    refused(
        message, "headers", f"{name!r} is said by {field} already", headers={name: "x@example.com"}
    )
