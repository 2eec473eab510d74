"""
For any request, a response in one of the API's envelopes goes back, and what was taken can be read
again.
"""

import json

import anyio
import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from poweremail import Message
from poweremail.sandbox import Call, Sandbox
from poweremail.sandbox._server.app import create_app

PATHS = [
    f"/v1.0/messages/{name}"
    for name in (
        "sendMail",
        "sendTemplate",
        "sendTemplateHTTPGet",
        "sendRaw",
        "getMessageInfo",
        "no",
        "senRaw",
    )
]
MAIL = Message(subject="s", from_email="a@example.com", to="b@example.com", html="<p>x</p>")
DIGITS = st.integers(0, 10**20).map(str)
ANY_TEXT = st.text(st.characters(), max_size=8)
TEXT = st.text(max_size=8)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)
ADDRESS = st.sampled_from(
    ["a@example.com", "ä@exämple.com", '"a b"@example.com', "a", "a@", "", "a\r\n@example.com"]
)


def or_junk(strategy):
    return st.one_of(strategy, strategy, strategy, JSON)


FILES = or_junk(
    st.lists(
        or_junk(
            st.fixed_dictionaries(
                {
                    "name": or_junk(TEXT),
                    "type": or_junk(st.just("image/png")),
                    "content": or_junk(st.sampled_from(["YQ==", "Y", "=", "ä"])),
                }
            )
        ),
        max_size=2,
    )
)
MESSAGE = st.fixed_dictionaries(
    {},
    optional={
        "html": or_junk(TEXT),
        "text": or_junk(TEXT),
        "template_id": or_junk(st.just("t1")),
        "dynamic_value": or_junk(st.dictionaries(TEXT, or_junk(TEXT), max_size=2)),
        "subject": or_junk(TEXT),
        "from_email": or_junk(ADDRESS),
        "from_name": or_junk(TEXT),
        "to": or_junk(
            st.lists(
                st.fixed_dictionaries(
                    {"email": or_junk(ADDRESS)},
                    optional={"type": or_junk(st.just("cc")), "name": or_junk(TEXT)},
                ),
                max_size=3,
            )
        ),
        "headers": or_junk(
            st.dictionaries(
                or_junk(st.just("x-unique-id")).filter(lambda key: isinstance(key, str)),
                JSON,
                max_size=2,
            )
        ),
        "attachments": FILES,
        "images": FILES,
    },
)
RAW = st.builds(
    "\n".join,
    st.lists(
        st.sampled_from(
            [
                "Subject: =?utf-8?q?h=C3=A9?=",
                "Subject: =?nope?b?!!?=",
                "Subject: =?utf-8?b?a?=",
                "From: Ä <a@example.com>",
                "To: b@example.com, =?utf-8?q?=C3=A9?= <c@example.com>",
                "Bcc: <",
                "MIME-Version: 1.0",
                "Content-Type: multipart/mixed; boundary=x",
                'Content-Type: text/html; charset="ä"',
                "Content-Type: text/plain; charset*=nope''%ff",
                "Content-Transfer-Encoding: base64",
                "Content-Transfer-Encoding: uuencode",
                "Content-Disposition: attachment; filename*=utf-8''%ff",
                "Content-ID: <ä>",
                "--x",
                "--x--",
                "",
                "ä\x00",
            ]
        )
        | TEXT,
        max_size=12,
    ),
)
MEMBERS = st.fixed_dictionaries(
    {"owner_id": or_junk(st.just("o")), "token": or_junk(st.just("t"))},
    optional={
        "smtp_user_name": or_junk(st.just("s")),
        "message": or_junk(MESSAGE),
        "x_unique_id": or_junk(TEXT),
        "skip_page": or_junk(st.integers()),
        "raw_message": or_junk(RAW),
    },
)


def check(call: Call) -> None:
    with Sandbox() as sandbox:
        sandbox.add_template("t1", subject="{{a}}", html="{{a}}{{", text="{{}}")
        response = sandbox.service.handle(call).response
        assert response.status == 200
        envelope = json.loads(response.body)
        if envelope["status"] == "error":
            named = {"status", "message", "code", "name", "type"}
            assert envelope.keys() in ({"status", "message"}, named)
            assert sandbox.outbox == []
        elif call.path.endswith("getMessageInfo"):
            assert envelope == {"status": "success", "message_data": []}
        else:
            (mail,) = sandbox.outbox
            assert mail.recipients
            repr(mail).encode("utf-8", "backslashreplace")


@given(st.sampled_from(PATHS), MEMBERS)
def test_any_members(path, members):
    check(Call("POST", path, body=json.dumps(members).encode()))


@given(RAW)
def test_any_raw_message(raw):
    check(
        Call(
            "POST",
            "/messages/sendRaw",
            body=json.dumps(
                {"owner_id": "o", "token": "t", "smtp_user_name": "s", "raw_message": raw}
            ).encode(),
        )
    )


@given(
    st.sampled_from(["GET", "POST", "get", ""]),
    st.sampled_from(PATHS) | st.text(),
    st.text(st.characters()) | st.just("a=%ff&%u&;="),
    st.binary(),
)
def test_any_bytes(method, path, query, body):
    check(Call(method, path, query, body))


@settings(max_examples=40)
@given(st.data())
def test_any_request_to_the_control_api_gets_a_documented_status(data):
    with Sandbox() as sandbox:
        with sandbox.client() as client:
            client.messages.send_mail(MAIL)
        anyio.run(request_anything, data, create_app(sandbox.service))


async def request_anything(data, app):
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://localhost/_sandbox"
    ) as control:
        document = (await control.get("/openapi.json")).json()
        calls = [(method, path) for path in document["paths"] for method in document["paths"][path]]
        calls.remove(("get", "/stream"))  # it has no end
        schemas = document["components"]["schemas"].values()
        known = {name for schema in schemas for name in schema.get("properties", ())}
        names = st.sampled_from(sorted({*known, "limit", "before", "remote", "download"})) | TEXT
        for _ in range(4):
            method, path = data.draw(st.sampled_from(calls))
            number = data.draw(st.sampled_from(["0", "1", "2", "x", "9" * 20]))
            query = data.draw(st.dictionaries(names, TEXT | DIGITS, max_size=2))
            members = data.draw(st.dictionaries(names, JSON | DIGITS, max_size=3))
            response = await control.request(
                method,
                path.replace("{number}", number).replace("{index}", "0"),
                params=query,
                content=json.dumps({**members, "timeout": 0} if "wait" in path else members),
            )
            if response.status_code != 200:
                assert response.status_code in {400, 404}
                (reason,) = response.json().values()
                assert reason
