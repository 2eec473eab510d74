"""From a request to its events."""

from __future__ import annotations

import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poweremail import (
    ConfigurationError,
    PowerEmailError,
    Secret,
    UsageError,
    WebhookError,
    WebhookPayloadError,
    WebhookSignatureError,
    webhooks,
)
from poweremail.webhooks import (
    SCHEMES,
    WebhookReceiver,
    diagnose,
    handshake_text,
    sign,
    verify_and_parse,
)
from support.webhooks import FORM, HEADER, KEY, SIGNERS, URL, event, form, signed

BODY = form(event(1), event(2))


def read(headers, body=BODY, **changes):
    return verify_and_parse(
        headers, body, **{"url": URL, "keys": KEY, "scheme": "form-base64"} | changes
    )


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_request_with_a_valid_signature_is_read(scheme):
    assert [each.id for each in read(signed(BODY, scheme), scheme=scheme)] == ["e1", "e2"]
    for other in SCHEMES:
        if other != scheme:
            with pytest.raises(WebhookSignatureError):
                read(signed(BODY, scheme), scheme=other)


def test_headers_may_be_of_several_types():
    plain = signed(BODY)
    raw = [(name.lower().encode(), value.encode()) for name, value in plain.items()]
    for headers in (
        plain,
        list(plain.items()),
        raw,
        dict(raw),
        {name.upper(): value for name, value in plain.items()},
    ):
        assert len(read(headers)) == 2


def test_keys_may_be_of_several_types():
    for keys in (
        KEY,
        Secret(KEY),
        ["new", KEY],
        (Secret(KEY), "new"),
        lambda: KEY,
        lambda: iter(["new", Secret(KEY)]),
    ):
        assert len(read(signed(BODY), keys=keys)) == 2


def test_a_key_can_be_changed_without_a_restart():
    keys = ["first"]
    for each in ("first", "second"):
        keys.append(each)
        assert len(read(signed(BODY, key=each), keys=lambda: keys)) == 2
    keys.remove("first")
    keys.remove("first")
    with pytest.raises(WebhookSignatureError):
        read(signed(BODY, key="first"), keys=lambda: keys)


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({"Content-Type": FORM}, "no headers X-PowerEmailTES-SIGNATURE"),
        ({**signed(BODY), HEADER: ""}, "the key does not make it"),
        ({**signed(BODY), HEADER: "é\udc80"}, "the key does not make it"),
        ([*signed(BODY).items(), (HEADER, "x")], "2 headers"),
        ({**signed(BODY), "Content-Type": "text/plain"}, "the key does not make it"),
    ],
)
def test_a_request_without_a_valid_signature_is_rejected(headers, text):
    with pytest.raises(WebhookSignatureError, match=text) as caught:
        read(headers)
    assert "diagnose" in str(caught.value)


def test_without_keys_nothing_is_accepted():
    with pytest.raises(WebhookSignatureError, match="there is no key"):
        read(signed(BODY), keys=[])
    with pytest.raises(WebhookSignatureError, match="none of 2 keys"):
        read(signed(BODY), keys=["a", "b"])


def test_the_url_is_the_one_that_was_registered():
    with pytest.raises(WebhookSignatureError):
        read(signed(BODY, url=f"{URL}/"))


def test_the_brand_is_in_the_header():
    headers = {"content-type": FORM, "x-othertes-signature": signed(BODY)[HEADER]}
    assert len(read(headers, brand="Other")) == 2
    assert handshake_text("Other") == "God bless you, Other"


@pytest.mark.parametrize("option", ["max_body", "max_events"])
@pytest.mark.parametrize("limit", [0, -1, True, 10.5, "10", None])
def test_a_limit_is_a_whole_number_from_1_on(option, limit):
    settings = {"url": URL, "keys": KEY, "scheme": "form-base64", option: limit}
    for make in (
        lambda: WebhookReceiver(print, **settings),
        lambda: read(signed(BODY), **settings),
    ):
        with pytest.raises(
            ConfigurationError, match=f"{option}: must be 1 or more, not "
        ) as caught:
            make()
        assert KEY not in str(caught.value)


def test_a_body_that_is_too_large_is_rejected():
    assert len(read(signed(BODY), max_body=len(BODY))) == 2
    with pytest.raises(WebhookPayloadError, match="bytes, more than"):
        read(signed(BODY), max_body=len(BODY) - 1)
    with pytest.raises(WebhookPayloadError, match="2 events, more than 1"):
        read(signed(BODY), max_events=1)


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "example.com/hooks"},
        {"url": ""},
        {"url": None},
        {"url": f"{URL} "},
        {"keys": ""},
        {"keys": [""]},
        {"keys": lambda: [""]},
        {"scheme": "any"},
        {"body": BODY.decode()},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_invalid_settings(changes):
    with pytest.raises(UsageError) as caught:
        read(signed(BODY), **changes)
    assert caught.value.mail_state is None


def test_the_fields_that_were_signed_are_the_fields_that_are_read():
    """
    Moved from one place of the body to another, the same signed text must not become other events.
    """
    inner = form(event(9, event="spam"))
    body = form(event(1, msg={"subject": inner.decode()}))
    headers = signed(body)
    for changed in (
        body.replace(b"=", b"", 1),
        b"&".join([body[:40], body[40:]]),
        body.replace(b"%22", b'"'),
        b"[" + body + b"]",
    ):
        try:
            batch = read(headers, changed)
        except WebhookError:
            continue
        assert [each.id for each in batch] == ["e1"]


def assert_without_the_key(error):
    lines = traceback.TracebackException.from_exception(error, capture_locals=True).format()
    frames = [line for line in lines if "/poweremail/" in line]
    assert frames
    assert KEY not in "".join(frames)
    assert KEY not in repr(error)


def test_the_key_is_in_no_error():
    for body, headers in ((BODY, {HEADER: "x"}), (b"tes_events=[", signed(b"tes_events=["))):
        with pytest.raises(WebhookError) as caught:
            read(headers, body)
        assert_without_the_key(caught.value)


@pytest.mark.parametrize(
    "use",
    [
        lambda: read({}, b"", url="nowhere"),
        lambda: read({}, b"", scheme="any"),
        lambda: read({}, b"", keys=[KEY, ""]),
        lambda: read({HEADER: "x"}, b"", keys=lambda: [KEY, 5]),
        lambda: read({}, b"", keys=f"{KEY}\ud800"),
        lambda: WebhookReceiver(print, url="nowhere", keys=KEY, scheme="form-base64"),
        lambda: WebhookReceiver(None, url=URL, keys=[KEY], scheme="form-base64"),
        lambda: sign("form-hex", KEY, url=URL, body=b"{}", content_type="application/json"),
        lambda: diagnose({}, b"", url=URL, keys=[KEY, ""]),
    ],
)
def test_the_key_is_in_no_error_of_invalid_settings(use):
    with pytest.raises(UsageError) as caught:
        use()
    assert_without_the_key(caught.value)


@given(
    body=st.binary(max_size=200),
    signature=st.none() | st.text(st.characters(codec="latin-1")) | st.binary(),
    content_type=st.sampled_from(
        [FORM, "application/json", "multipart/form-data; boundary=b", "\xff"]
    ),
    right=st.booleans(),
)
def test_nothing_but_webhook_errors_escapes(body, signature, content_type, right):
    for scheme in ("body-hex", "form-base64"):
        given_ = SIGNERS["body-hex"](KEY, URL, body) if right else signature
        headers = [(b"content-type", content_type.encode("latin-1"))]
        if given_ is not None:
            headers.append(
                (HEADER.encode(), given_ if isinstance(given_, bytes) else given_.encode("latin-1"))
            )
        try:
            read(headers, body, scheme=scheme)
        except WebhookError as error:
            assert isinstance(error, PowerEmailError)


@pytest.mark.parametrize(
    ("old", "new"), [("WebhookAnswer", "WebhookResponse"), ("handshake_answer", "handshake_text")]
)
def test_old_names_work_and_warn(old, new):
    with pytest.warns(DeprecationWarning, match=f"{old} is now poweremail.webhooks.{new}"):
        assert getattr(webhooks, old) is getattr(webhooks, new)
