"""What goes out, byte by byte."""

from __future__ import annotations

import base64
import json
import math
from types import MappingProxyType
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poweremail import (
    Attachment,
    Image,
    Message,
    Recipient,
    Secret,
    TemplateMessage,
    Timeouts,
    Tracking,
    UsageError,
    __version__,
)
from poweremail._types.attachment import FileContent
from poweremail._wire import encode
from poweremail._wire.convert import converter
from poweremail._wire.http import Body, Endpoint, FilePiece
from poweremail._wire.operations import (
    ADD_SMTP,
    GET_MESSAGE_INFO,
    LIST_SMTP,
    SEND_MAIL,
    SEND_TEMPLATE,
    SEND_TEMPLATE_HTTP_GET,
    Operation,
)
from poweremail._wire.redaction import Credentials
from poweremail.transports import Request

TOKEN = 'canary/to"ken\\ü&='
ENDPOINT = Endpoint(
    "https://api.tes.example.com/v1.0/", Credentials("owner", Secret(TOKEN)), Timeouts(), 1 << 24
)
ENVELOPE = {"subject": "Hello", "from_email": "me@example.com", "to": "ada@example.com"}
LEAST = {
    "subject": "Hello",
    "from_email": "me@example.com",
    "to": [{"email": "ada@example.com", "type": "to"}],
}
PNG = b"\x89PNG\r\n\x1a\n"

PIECE = 256 * 1024
RAW_PIECE_BYTES = 192 * 1024


def sent(body: Body | None) -> bytes:
    """What an adapter sends of *body*."""
    assert body is not None
    pieces = list(body.pieces())
    out = b"".join(
        piece if isinstance(piece, bytes) else base64.b64encode(read(piece)) for piece in pieces
    )
    assert body.length == len(out)
    return out


def read(piece: FilePiece) -> bytes:
    with piece.content.path.open("rb") as file:
        file.seek(piece.offset)
        raw = file.read(piece.size)
    assert len(raw) == piece.size
    return raw


def members(request: Request) -> dict:
    """The members of the body, none of them given twice."""

    def once(pairs):
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    return json.loads(sent(request.body), object_pairs_hook=once)


def mail(**fields) -> Message:
    return Message(**({**ENVELOPE, "text": "Hi"} | fields))


def template(**fields) -> TemplateMessage:
    return TemplateMessage(**({**ENVELOPE, "template_id": "t1"} | fields))


def test_a_small_mail_byte_by_byte():
    endpoint = Endpoint(
        "https://api.tes.example.com/v1.0/", Credentials("owner", Secret("token")), Timeouts(), 1
    )
    request = encode.send_mail(endpoint, "smtp12345", mail(text="für Ada"), "id-1")
    assert list(request.body.pieces()) == [
        '{"owner_id":"owner","token":"token","smtp_user_name":"smtp12345","message":{"subject":"Hello",'
        '"from_email":"me@example.com","to":[{"email":"ada@example.com","type":"to"}],"text":"für '
        'Ada",'
        '"headers":{"X-Unique-Id":"id-1"}}}'.encode()
    ]


def test_send_mail_with_everything():
    message = Message(
        subject="Rechnung für Ada 😀",
        from_email="Billing <billing@example.com>",
        to=["Ada <ada@example.com>", "bob@example.com"],
        cc=("Carol", "carol@example.com"),
        bcc="用户@例え.jp",
        reply_to=['"Help, Desk" <help@example.com>', "boss@example.com"],
        html='<img src="cid:logo">',
        text="Hi",
        headers={"X-Campaign": "q4"},
        attachments=[
            Attachment("myfile.txt", b"example file"),
            Attachment('"a"\\b', b"", "text/x"),
        ],
        images=[Image("logo", PNG)],
        tracking=Tracking(opens=True, clicks="html", domain="t.example.com"),
    )
    request = encode.send_mail(ENDPOINT, "smtp12345", message, "id-1")
    assert request.operation == SEND_MAIL
    assert members(request) == {
        "owner_id": "owner",
        "token": TOKEN,
        "smtp_user_name": "smtp12345",
        "message": {
            "subject": "Rechnung für Ada 😀",
            "from_email": "billing@example.com",
            "from_name": "Billing",
            "to": [
                {"email": "ada@example.com", "name": "Ada", "type": "to"},
                {"email": "bob@example.com", "type": "to"},
                {"email": "carol@example.com", "name": "Carol", "type": "cc"},
                {"email": "用户@例え.jp", "type": "bcc"},
            ],
            "html": '<img src="cid:logo">',
            "text": "Hi",
            "headers": {
                "X-Campaign": "q4",
                "Reply-To": '"Help, Desk" <help@example.com>, boss@example.com',
                "X-STes-TrackOpen": "yes",
                "X-STes-TrackClick": "html",
                "X-STes-TrackingDomain": "t.example.com",
                "X-Unique-Id": "id-1",
            },
            "attachments": [
                {"type": "text/plain", "name": "myfile.txt", "content": "ZXhhbXBsZSBmaWxl"},
                {"type": "text/x", "name": '"a"\\b', "content": ""},
            ],
            "images": [{"type": "image/png", "name": "logo", "content": "iVBORw0KGgo="}],
        },
    }


@pytest.mark.parametrize(
    ("fields", "content"),
    [
        ({"text": "Hi"}, {"text": "Hi"}),
        ({"html": "<p>", "text": None}, {"html": "<p>"}),
        ({"html": "<p>", "text": ""}, {"html": "<p>", "text": ""}),
    ],
)
def test_a_mail_has_no_member_for_what_was_not_given(fields, content):
    request = encode.send_mail(ENDPOINT, "smtp12345", mail(**fields), None)
    assert members(request) == {
        "owner_id": "owner",
        "token": TOKEN,
        "smtp_user_name": "smtp12345",
        "message": LEAST | content,
    }


def test_a_mail_with_bcc_recipients_only():
    request = encode.send_mail(ENDPOINT, "smtp12345", mail(to=(), bcc="ada@example.com"), None)
    assert members(request)["message"]["to"] == [{"email": "ada@example.com", "type": "bcc"}]


def test_the_unique_id_is_the_one_of_the_call():
    request = encode.send_mail(ENDPOINT, "smtp12345", mail(unique_id="own"), "own")
    assert members(request)["message"]["headers"] == {"X-Unique-Id": "own"}


def test_send_template():
    request = encode.send_template(
        ENDPOINT, "smtp12345", template(dynamic_value={"NAME": "Ada", "Age": 36}), "id-1"
    )
    assert request.operation == SEND_TEMPLATE
    assert members(request) == {
        "owner_id": "owner",
        "token": TOKEN,
        "smtp_user_name": "smtp12345",
        "message": LEAST
        | {
            "template_id": "t1",
            "dynamic_value": {"NAME": "Ada", "Age": "36"},
            "headers": {"X-Unique-Id": "id-1"},
        },
    }


def test_send_template_with_files():
    request = encode.send_template(ENDPOINT, "smtp12345", template(images=Image("logo", PNG)), None)
    assert members(request)["message"] == LEAST | {
        "template_id": "t1",
        "images": [{"type": "image/png", "name": "logo", "content": "iVBORw0KGgo="}],
    }


def test_post_requests():
    request = encode.send_mail(ENDPOINT, "smtp12345", mail(), None)
    assert (request.method, request.url, request.full_url()) == ("POST",) + (
        "https://api.tes.example.com/v1.0/messages/sendMail",
    ) * 2
    assert request.query is None
    assert dict(request.headers) == {
        "User-Agent": f"poweremail/{__version__}",
        "Accept": "application/json",
        "Content-Type": "application/json",
        "Content-Length": str(len(sent(request.body))),
    }


@given(
    subject=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip),
    text=st.text(min_size=1),
)
def test_any_text_arrives_as_it_was(subject, text):
    try:
        message = mail(subject=subject, text=text)
    except UsageError:
        return
    received = members(encode.send_mail(ENDPOINT, "smtp12345", message, None))["message"]
    assert (received["subject"], received["text"]) == (subject, text)


def test_a_recipient_becomes_an_object():
    assert converter.unstructure(Recipient("ada@example.com", "Ada")) == {
        "email": "ada@example.com",
        "name": "Ada",
    }


@settings(max_examples=60)
@given(
    sizes=st.lists(
        st.integers(0, 10)
        | st.integers(-4, 4).map(lambda d: RAW_PIECE_BYTES + d)
        | st.integers(-4, 4).map(lambda d: 2 * RAW_PIECE_BYTES + d),
        min_size=1,
        max_size=3,
    ),
    in_files=st.booleans(),
)
def test_content_of_any_size_arrives_as_it_was(tmp_path_factory, sizes, in_files):
    contents = [bytes(range(251)) * (size // 251) + bytes(size % 251) for size in sizes]
    if in_files:
        directory = tmp_path_factory.mktemp("files")
        attachments = []
        for index, content in enumerate(contents):
            (directory / f"{index}.bin").write_bytes(content)
            attachments.append(Attachment.from_path(directory / f"{index}.bin"))
    else:
        attachments = [
            Attachment(f"{index}.bin", content) for index, content in enumerate(contents)
        ]
    request = encode.send_mail(ENDPOINT, "smtp12345", mail(attachments=attachments), "id-1")
    for piece in request.body.pieces():
        assert 0 < (len(piece) if isinstance(piece, bytes) else (piece.size + 2) // 3 * 4) <= PIECE
    received = members(request)["message"]["attachments"]
    assert [each["name"] for each in received] == [f"{index}.bin" for index in range(len(contents))]
    assert [base64.b64decode(each["content"], validate=True) for each in received] == contents


@pytest.mark.parametrize(
    ("size", "pieces"),
    [
        (0, []),
        (1, [(0, 1)]),
        (RAW_PIECE_BYTES, [(0, RAW_PIECE_BYTES)]),
        (
            2 * RAW_PIECE_BYTES + 5,
            [(0, RAW_PIECE_BYTES), (RAW_PIECE_BYTES, RAW_PIECE_BYTES), (2 * RAW_PIECE_BYTES, 5)],
        ),
    ],
)
def test_a_file_is_named_and_not_read_and_cut_at_multiples_of_three(tmp_path, size, pieces):
    content = FileContent(tmp_path / "not there any more", size)
    body = encode.send_mail(
        ENDPOINT, "smtp12345", mail(attachments=Attachment("a", content)), None
    ).body
    before, *cut, after = body.pieces()
    assert before.endswith(b'"content":"')
    assert cut == [FilePiece(content, *piece) for piece in pieces]
    assert json.loads(before + after)["message"]["attachments"] == [
        {"name": "a", "content": "", "type": "application/octet-stream"}
    ]
    assert body.length == len(before) + (size + 2) // 3 * 4 + len(after)
    assert list(body.pieces()) == [before, *cut, after]


@pytest.mark.parametrize(
    ("size", "pieces"),
    [
        (1, [1]),
        (PIECE, [PIECE]),
        (PIECE + 1, [PIECE, 1]),
        (2 * PIECE, [PIECE, PIECE]),
        (2 * PIECE + 1, [PIECE, PIECE, 1]),
    ],
)
def test_text_is_cut_into_pieces(size, pieces):
    body = Body((b"x" * size,))
    assert [len(piece) for piece in body.pieces()] == pieces
    assert body.length == size


def test_the_http_get_byte_by_byte():
    endpoint = Endpoint(
        "https://api.tes.example.com/v1.0/",
        Credentials("owner id", Secret("to/k&n=ü")),
        Timeouts(),
        1,
    )
    message = template(
        subject="Grüße & Küsse",
        to="ada+x@example.com",
        dynamic_value={"NAME": "x y", "Email": "info@example.com", "N": 5},
    )
    request = encode.send_template_http_get(endpoint, "smtp123456", message, None)
    assert request.operation == SEND_TEMPLATE_HTTP_GET
    assert request.method == "GET"
    assert request.url == "https://api.tes.example.com/v1.0/messages/sendTemplateHTTPGet"
    assert request.full_url() == (
        "https://api.tes.example.com/v1.0/messages/sendTemplateHTTPGet?owner_id=owner+id&token=to%2Fk%26n%3D%C3%BC"
        "&smtp_user_name=smtp123456&template_id=t1&subject=Gr%C3%BC%C3%9Fe+%26+K%C3%BCsse&from_email=me%40example.com"
        "&to=ada%2Bx%40example.com&dynamic_value%5BNAME%5D=x+y&dynamic_value%5BEmail%5D=info%40example.com&dynamic_value%5BN%5D=5"
    )
    assert request.body is None
    assert dict(request.headers) == {
        "User-Agent": f"poweremail/{__version__}",
        "Accept": "application/json",
    }


@given(
    values=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs", "Cc"])),
        st.text(st.characters(exclude_categories=["Cs"])),
        max_size=4,
    )
)
def test_the_http_get_carries_any_value(values):
    request = encode.send_template_http_get(
        ENDPOINT, "smtp12345", template(dynamic_value=values), None
    )
    received = parse_qsl(
        request.full_url().partition("?")[2], keep_blank_values=True, strict_parsing=True
    )
    assert received == [
        ("owner_id", "owner"),
        ("token", TOKEN),
        ("smtp_user_name", "smtp12345"),
        ("template_id", "t1"),
        ("subject", "Hello"),
        ("from_email", "me@example.com"),
        ("to", "ada@example.com"),
        *((f"dynamic_value[{name}]", value) for name, value in values.items()),
    ]


@pytest.mark.parametrize(
    ("fields", "field", "why"),
    [
        ({"cc": "bob@example.com"}, "cc", "cannot be carried by a GET"),
        ({"bcc": "bob@example.com"}, "bcc", "cannot be carried by a GET"),
        ({"to": (), "bcc": "bob@example.com"}, "bcc", "cannot be carried by a GET"),
        ({"reply_to": "bob@example.com"}, "reply_to", "cannot be carried by a GET"),
        ({"headers": {"X-A": "a"}}, "headers", "cannot be carried by a GET"),
        ({"headers": {"X-Unique-Id": "a"}}, "unique_id", "cannot be carried by a GET"),
        ({"attachments": Attachment("a", b"")}, "attachments", "cannot be carried by a GET"),
        ({"images": Image("a", PNG)}, "images", "cannot be carried by a GET"),
        ({"tracking": Tracking()}, "tracking", "cannot be carried by a GET"),
        ({"tracking": Tracking(opens=True)}, "tracking", "cannot be carried by a GET"),
        ({"unique_id": "a"}, "unique_id", "cannot be carried by a GET"),
        ({"auto_text": False}, "auto_text", "cannot be carried by a GET"),
        ({"signing_domain": "a.example.com"}, "signing_domain", "cannot be carried by a GET"),
        (
            {"to": ["ada@example.com", "bob@example.com"]},
            "to",
            "a GET carries one recipient, not 2",
        ),
        (
            {"to": "Ada <ada@example.com>"},
            "to",
            "a GET carries the address only, not the name 'Ada'",
        ),
        (
            {"from_email": "Me <me@example.com>"},
            "from_email",
            "a GET carries the address only, not the name 'Me'",
        ),
    ],
)
def test_a_get_rejects_what_it_cannot_carry(fields, field, why):
    with pytest.raises(UsageError) as caught:
        encode.send_template_http_get(ENDPOINT, "smtp12345", template(**fields), None)
    assert (caught.value.field, caught.value.mail_state) == (field, "not_sent")
    assert str(caught.value) == f"not sent: {field}: {why} (use send_template)"


def test_a_get_cannot_carry_a_drawn_unique_id():
    with pytest.raises(UsageError, match="unique_id: cannot be carried by a GET"):
        encode.send_template_http_get(ENDPOINT, "smtp12345", template(), "drawn")


def test_a_get_rejects_values_that_are_too_long_for_a_url():
    encode.send_template_http_get(
        ENDPOINT, "smtp12345", template(dynamic_value={"A": "x" * 59_000}), None
    )
    with pytest.raises(UsageError) as caught:
        encode.send_template_http_get(
            ENDPOINT, "smtp12345", template(dynamic_value={"A": "x" * 60_000}), None
        )
    assert (
        str(caught.value)
        == "not sent: dynamic_value: the values are too long for a URL (use send_template)"
    )


def test_get_message_info():
    request = encode.get_message_info(ENDPOINT, "id-1", 3)
    assert (request.operation, request.method) == (GET_MESSAGE_INFO, "POST")
    assert request.full_url() == "https://api.tes.example.com/v1.0/messages/getMessageInfo"
    assert members(request) == {
        "owner_id": "owner",
        "token": TOKEN,
        "x_unique_id": "id-1",
        "skip_page": 3,
    }


@pytest.mark.parametrize(
    ("unique_id", "skip_page", "text"),
    [
        ("", 0, "unique_id: must not be empty"),
        (" ", 0, "unique_id: must not be empty"),
        (None, 0, "unique_id: must be a str, not NoneType"),
        ("a\nb", 0, "unique_id: has a control character (CR, LF or another) at position 1"),
        ("\ud800", 0, "unique_id: has a lone surrogate at position 0, which no encoding can carry"),
        ("id", -1, "skip_page: must be a page number from 0 on, not -1"),
        ("id", True, "skip_page: must be a page number from 0 on, not True"),
        ("id", 1.0, "skip_page: must be a page number from 0 on, not 1.0"),
        ("id", "1", "skip_page: must be a page number from 0 on, not '1'"),
    ],
)
def test_get_message_info_concerns_no_mail(unique_id, skip_page, text):
    with pytest.raises(UsageError) as caught:
        encode.get_message_info(ENDPOINT, unique_id, skip_page)
    assert str(caught.value) == text
    assert (caught.value.field, caught.value.mail_state) == (text.partition(":")[0], None)


@pytest.mark.parametrize(
    "path", ["settings/other", "/settings/other", "settings/other/", "other", "a-b/c_d/e1"]
)
def test_call_sends_the_members_to_its_path(path):
    request = encode.call(ENDPOINT, path, {"domain": "example.com", "n": [1, None, {"ü": True}]})
    assert request.operation == Operation(path.strip("/"))
    assert (request.operation.sends, request.operation.repeatable) == (False, False)
    assert request.full_url() == f"https://api.tes.example.com/v1.0/{path.strip('/')}"
    assert members(request) == {
        "owner_id": "owner",
        "token": TOKEN,
        "domain": "example.com",
        "n": [1, None, {"ü": True}],
    }


@pytest.mark.parametrize("body", [{}, MappingProxyType({}), template().dynamic_value])
def test_call_without_members_sends_the_credentials(body):
    assert members(encode.call(ENDPOINT, "settings/listSmtp", body)) == {
        "owner_id": "owner",
        "token": TOKEN,
    }


def test_call_takes_any_mapping():
    body = MappingProxyType({"domain": "example.com"})
    assert members(encode.call(ENDPOINT, "settings/x", body))["domain"] == "example.com"


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("messages/sendMail", SEND_MAIL),
        ("/MESSAGES/SENDMAIL/", SEND_MAIL),
        ("messages/sendTemplate", SEND_TEMPLATE),
        ("messages/getMessageInfo", GET_MESSAGE_INFO),
        ("settings/listSmtp", LIST_SMTP),
        ("settings/ADDSMTP", ADD_SMTP),
        ("messages/sendRaw", Operation("messages/sendRaw", sends=True)),
        ("messages/senRaw", Operation("messages/senRaw", sends=True)),
        ("messages/sendTemplateHTTPGet", Operation("messages/sendTemplateHTTPGet", sends=True)),
    ],
)
def test_a_call_by_path_has_the_properties_of_its_operation(path, operation):
    request = encode.call(ENDPOINT, path, {})
    assert request.operation == operation
    assert request.method == "POST"


BAD_PATHS = [
    "",
    "/",
    "a b",
    "a//b",
    "../a",
    "a/../b",
    "a?b=c",
    "a#b",
    "a.b",
    "https://example.com/a",
    "a\n",
    "a\r\nb",
    "ä",
    "a%2fb",
    None,
    5,
]


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_call_rejects_an_invalid_path(path):
    with pytest.raises(UsageError) as caught:
        encode.call(ENDPOINT, path, {})
    assert str(caught.value) == f"path: {path!r} is not a path such as settings/listSmtp"
    assert (caught.value.field, caught.value.mail_state) == ("path", None)


RECURSIVE: dict = {}
RECURSIVE["itself"] = RECURSIVE


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"token": "x"}, "token: the client adds its own"),
        ({"owner_id": "x", "token": "x"}, "owner_id and token: the client adds its own"),
        ({"a": math.nan}, "cannot be written as JSON: "),
        ({"a": math.inf}, "cannot be written as JSON: "),
        ({"a": object()}, "cannot be written as JSON: "),
        ({"a": b"x"}, "cannot be written as JSON: "),
        ({("a",): 1}, "cannot be written as JSON: "),
        ({"a": "\ud800"}, "cannot be written as JSON: "),
        (RECURSIVE, "cannot be written as JSON: "),
        ([("a", 1)], "must be a mapping, not list"),
        ("a", "must be a mapping, not str"),
    ],
)
@pytest.mark.parametrize(
    ("path", "state"), [("settings/x", None), ("messages/sendRaw", "not_sent")]
)
def test_a_call_rejects_an_invalid_body(path, state, body, why):
    with pytest.raises(UsageError) as caught:
        encode.call(ENDPOINT, path, body)
    assert caught.value.explanation.startswith(f"body: {why}")
    assert (caught.value.field, caught.value.mail_state) == ("body", state)


@pytest.mark.parametrize(
    "request_",
    [
        encode.send_mail(ENDPOINT, "smtp12345", mail(attachments=Attachment("a", b"x")), "id-1"),
        encode.send_template(ENDPOINT, "smtp12345", template(), "id-1"),
        encode.send_template_http_get(ENDPOINT, "smtp12345", template(), None),
        encode.get_message_info(ENDPOINT, "id-1", 0),
        encode.call(ENDPOINT, "settings/listSmtp", {}),
    ],
    ids=lambda request: request.operation.path,
)
def test_no_repr_shows_the_token(request_):
    shown = [
        request_,
        request_.endpoint,
        request_.endpoint.credentials,
        request_.query,
        request_.body,
        request_.url,
        request_.headers,
    ]
    for text in (*map(repr, shown), *map(str, shown)):
        assert "canary" not in text
    assert "credentials=Credentials(owner_id='owner', token=Secret('***'))" in repr(request_)
    assert f"query={request_.query!r}, body={request_.body!r}" in repr(request_)
    assert repr(request_.query) == ("None" if request_.query is None else "Secret('***')")
    assert repr(request_.body) == (
        "None" if request_.body is None else f"<Body of {request_.body.length} bytes>"
    )
