"""Signatures of webhooks: vectors of others, our own signer, and what must not pass."""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poweremail import Secret, UsageError
from poweremail.webhooks import SCHEMES, SignatureScheme, sign
from poweremail.webhooks._signature import check_keys, form_fields, verify
from support.webhooks import KEY, SIGNERS, URL, event, form

# RFC 2202, test case 2 of HMAC-SHA1.
JEFE = "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"


@pytest.mark.parametrize(
    ("kind", "url", "body"),
    [
        ("body", "anything", b"what do ya want for nothing?"),
        ("url-body", "what do ya ", b"want for nothing?"),
        ("form", "what do ya ", b"want+for+=nothing%3F"),
        ("form", "what ", b"want+for=+nothing%3F&do+ya=+"),
    ],
)
def test_the_vector_of_the_rfc(kind, url, body):
    assert sign(f"{kind}-hex", "Jefe", url=url, body=body) == JEFE
    assert (
        sign(f"{kind}-base64", "Jefe", url=url, body=body)
        == base64.b64encode(bytes.fromhex(JEFE)).decode()
    )


@pytest.mark.parametrize("scheme", SCHEMES)
@given(
    key=st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip),
    fields=st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8"))
        ),
        min_size=1,
        max_size=4,
        unique_by=lambda pair: pair[0],
    ),
    url=st.text(st.characters(codec="utf-8")),
)
@settings(max_examples=25)
def test_every_scheme_agrees_with_another_signer(scheme, key, fields, url):
    body = urlencode(fields).encode()
    signature = sign(scheme, key, url=url, body=body)
    # Names are sorted as the bytes they are; code points have the same order in UTF-8.
    assert signature == SIGNERS[scheme](key, url, body)
    assert verify(signature, scheme, ["another", Secret(key)], url=url, body=body)
    assert not verify(signature, scheme, key + "x", url=url, body=body)
    assert not verify(signature, scheme, key, url=url, body=body + b"&x=y")


@pytest.mark.parametrize("scheme", SCHEMES)
@given(signature=st.one_of(st.text(), st.binary()))
@settings(max_examples=25)
def test_no_text_in_the_header_raises_or_is_accepted(scheme, signature):
    assert verify(signature, scheme, KEY, url=URL, body=form(event())) is False


@given(
    body=st.binary(max_size=200),
    content_type=st.one_of(
        st.text(max_size=60),
        st.sampled_from(
            [
                "multipart/form-data; boundary=x",
                "multipart/form-data; boundary=é",
                "multipart/form-data",
            ]
        ),
    ),
)
def test_no_body_raises(body, content_type):
    for scheme in SCHEMES:
        assert verify("x", scheme, KEY, url=URL, body=body, content_type=content_type) is False


def test_hex_ignores_case_and_base64_does_not():
    body = form(event())
    assert verify(
        sign("form-hex", KEY, url=URL, body=body).upper(), "form-hex", KEY, url=URL, body=body
    )
    assert not verify(
        sign("form-base64", KEY, url=URL, body=body).swapcase(),
        "form-base64",
        KEY,
        url=URL,
        body=body,
    )
    assert verify(
        f" {sign('form-base64', KEY, url=URL, body=body)} ".encode(),
        "form-base64",
        KEY,
        url=URL,
        body=body,
    )


def test_a_signature_of_one_scheme_is_not_valid_in_another():
    body = form(event())
    for name in SCHEMES:
        fits = [
            other
            for other in SCHEMES
            if verify(sign(name, KEY, url=URL, body=body), other, KEY, url=URL, body=body)
        ]
        assert fits == [name]


def test_a_form_without_fields_cannot_be_signed_as_one():
    """Only the URL would be: one such signature would fit every body."""
    empty = SIGNERS["form-hex"](KEY, URL, b"")
    for body, content_type in (
        (b"", "application/x-www-form-urlencoded"),
        (b"[]", "application/json"),
        (b"--b--", "multipart/form-data; boundary=b"),
    ):
        assert not verify(empty, "form-hex", KEY, url=URL, body=body, content_type=content_type)
        with pytest.raises(UsageError, match="form-hex cannot sign this"):
            sign("form-hex", KEY, url=URL, body=body, content_type=content_type)


def test_invalid_utf_8_is_signed_byte_for_byte():
    body = b"a=%ff%fe%zz%&b=\xc3(&c"
    assert form_fields(body) == [(b"a", b"\xff\xfe%zz%"), (b"b", b"\xc3("), (b"c", b"")]
    assert verify(sign("form-hex", KEY, url=URL, body=body), "form-hex", KEY, url=URL, body=body)


def test_a_multipart_form_is_signed_by_its_fields():
    body = (
        b'--xyz\r\nContent-Disposition: form-data; name="PowerEmailtes_events"\r\n\r\n[1,\r\n '
        b"2]\r\n"
        b'--xyz\r\ncontent-disposition: form-data; filename="no"; name="a"\r\nX: '
        b"y\r\n\r\n\r\n--xyz\r\nno name\r\n\r\nz\r\n--xyz--\r\n"
    )
    kind = 'Multipart/Form-Data; boundary="xyz"'
    assert form_fields(body, kind) == [(b"PowerEmailtes_events", b"[1,\r\n 2]"), (b"a", b"")]
    hashed = base64.b64decode(sign("form-base64", "k", url="u", body=body, content_type=kind))
    assert hashed == hmac.new(b"k", b"uPowerEmailtes_events[1,\r\n 2]a", hashlib.sha1).digest()


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"&".join([b"a=b"] * 1_001), "application/x-www-form-urlencoded"),
        (b"\r\n--x".join([b"--x"] * 1_002), "multipart/form-data; boundary=x"),
        (b"a=b", "multipart/form-data"),
        (b"a=b", "text/plain"),
    ],
)
def test_invalid_forms(body, content_type):
    with pytest.raises(ValueError, match="form"):
        form_fields(body, content_type)


def test_a_thousand_fields_are_read():
    assert len(form_fields(b"&".join([b"a=b"] * 1_000))) == 1_000


def test_a_scheme_with_another_digest():
    mine = SignatureScheme("sha256", lambda signed: signed.body, bytes.hex, digest="sha256")
    signature = sign(mine, KEY, url=URL, body=b"x")
    assert len(signature) == 64
    assert verify(signature, mine, KEY, url=URL, body=b"x")


@pytest.mark.parametrize("keys", ["", " ", ["a", ""], [Secret("")], [1], ["\ud800"]])
def test_invalid_keys(keys):
    with pytest.raises(UsageError, match="keys"):
        check_keys(keys)


def test_a_string_is_one_key():
    """Not its letters: anybody could sign with one of those."""
    assert check_keys("abc") == check_keys(Secret("abc")) == (Secret("abc"),)
    assert check_keys(key for key in ("a", "b")) == (Secret("a"), Secret("b"))
    assert check_keys([]) == ()
    assert not verify("x", "body-hex", [], url=URL, body=b"x")


def test_an_unknown_scheme_is_reported():
    with pytest.raises(UsageError, match="'sha1' is none of form-base64, form-hex"):
        sign("sha1", KEY, url=URL, body=b"")


def test_a_scheme_of_the_user():
    scheme = SignatureScheme("own", covers=lambda request: request.body[::-1], spell=bytes.hex)
    signature = sign(scheme, "key", url="https://example.com/", body=b"abc")
    assert verify(signature.upper(), scheme, ["old", "key"], url="other", body=b"abc")
    assert not verify(signature, scheme, "key", url="https://example.com/", body=b"cba")
