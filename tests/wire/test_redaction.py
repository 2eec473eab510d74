"""The token disappears from whatever echoes it, in every form in which it travels."""

from __future__ import annotations

import json
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from poweremail import Response, Secret
from poweremail._wire.redaction import Credentials

FORMS = {
    "plain": str,
    "quote": quote,
    "quote all": lambda token: quote(token, safe=""),
    "quote_plus": quote_plus,
    "urlencode": lambda token: urlencode({"token": token}).removeprefix("token="),
    "json": lambda token: json.dumps(token)[1:-1],
    "json utf-8": lambda token: json.dumps(token, ensure_ascii=False)[1:-1],
    "json of php": lambda token: json.dumps(token)[1:-1].replace("/", "\\/"),
    "json utf-8 of php": lambda token: json.dumps(token, ensure_ascii=False)[1:-1].replace(
        "/", "\\/"
    ),
}

TOKENS = [
    "abcd",
    "plain0123456789",
    "with/slash",
    'with"quote',
    "with\\backslash",
    "with space",
    "with+plus&and=percent%",
    "für😀",
    'all/of"it\\ü +&=%😀',
    "a.b*c[d",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("token", TOKENS)
def test_no_spelling_of_the_token_remains(token, form):
    echo = FORMS[form](token)
    credentials = Credentials("owner", Secret(token))
    assert credentials.redact_text(f"<{echo}> and <{echo}>") == "<***> and <***>"
    response = Response(
        500, (("Location", f"/?token={echo}"), ("X-Other", "kept")), f"a {echo} b\n".encode()
    )
    assert credentials.redact_response(response) == Response(
        500, (("Location", "/?token=***"), ("X-Other", "kept")), b"a *** b\n"
    )


@settings(max_examples=300)
@given(
    token=st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="*"), min_size=4, max_size=20
    ),
    form=st.sampled_from(sorted(FORMS)),
    before=st.text(max_size=5),
    after=st.text(max_size=5),
)
@example(token="aaaa", form="plain", before="aaa", after="aa")
@example(token="abab", form="plain", before="ab", after="")
def test_any_token_is_masked(token, form, before, after):
    credentials = Credentials("owner", Secret(token))
    echo = FORMS[form](token)
    text = before + echo + after
    forms = {make(token) for make in FORMS.values()}
    redacted = credentials.redact_text(text)
    assert "***" in redacted
    assert not [each for each in forms if each in redacted]
    body = text.encode("utf-8", "surrogatepass")
    assume(body.decode("utf-8", "replace") == text)
    cleaned = credentials.redact_response(
        Response(200, (("A", text), ("B", "")), body, request_left=False)
    )
    assert not [
        each for each in forms if each.encode() in cleaned.body or each in cleaned.headers[0][1]
    ]
    assert (cleaned.status, cleaned.request_left, cleaned.headers[1]) == (200, False, ("B", ""))


def test_a_response_without_the_token_is_the_same_object():
    response = Response(200, (("A", "b"),), b"body")
    assert Credentials("owner", Secret("token")).redact_response(response) is response


@pytest.mark.parametrize(("header", "body"), [("token", b"body"), ("b", b"token")])
def test_a_response_with_the_token_in_one_place(header, body):
    redacted = Credentials("owner", Secret("token")).redact_response(
        Response(200, (("A", header),), body)
    )
    assert redacted == Response(
        200, (("A", header.replace("token", "***")),), body.replace(b"token", b"***")
    )


@pytest.mark.parametrize("token", ["a", "ab", "abc", "***"])
def test_a_token_that_is_no_secret_garbles_nothing(token):
    credentials = Credentials("owner", Secret(token))
    assert credentials.redact_text(f"{token} abc") == f"{token} abc"


@pytest.mark.parametrize("token", TOKENS)
def test_no_repr_shows_the_token(token):
    credentials = Credentials("owner", Secret(token))
    assert repr(credentials) == "Credentials(owner_id='owner', token=Secret('***'))"
    assert str(credentials) == repr(credentials)


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("owner", ["owner", 'o"w\\n/ü'])
def test_the_prefix_begins_a_json_object(owner, token):
    prefix = Credentials(owner, Secret(token)).json_prefix.decode()
    assert json.loads(prefix + "}") == {"owner_id": owner, "token": token}
    assert json.loads(prefix + ',"a":1}') == {"owner_id": owner, "token": token, "a": 1}
