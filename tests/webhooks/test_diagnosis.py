"""What fits a captured request, and what comes close."""

from __future__ import annotations

import pytest

from poweremail import UsageError
from poweremail.webhooks import SCHEMES, diagnose
from support.webhooks import FORM, HEADER, KEY, URL, event, form, signed

BODY = form(event())


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_scheme_is_found(scheme):
    found = diagnose(signed(BODY, scheme), BODY, url=URL, keys=["other", KEY])
    assert [(match.scheme, match.key, match.url) for match in found.exact] == [(scheme, 2, URL)]
    assert found.matches == found.exact


@pytest.mark.parametrize(
    ("registered", "told", "differences"),
    [
        ("http://example.com/a", "https://example.com/a", ["http, not https"]),
        ("https://example.com/a/", "https://example.com/a", ["a slash at its end"]),
        ("https://example.com/a", "https://example.com/a/", ["no slash at its end"]),
        ("https://example.com/a", "https://example.com/a?b=c", ["no query"]),
        ("https://example.com/a", "https://Example.com/a", ["its host in lower case"]),
        ("https://example.com/a", "https://example.com:8443/a", ["no port"]),
        ("https://example.com:443/a", "https://example.com/a", ["the port 443"]),
        (
            "http://example.com/a/",
            "https://example.com/a?b",
            ["http, not https", "a slash at its end", "no query"],
        ),
    ],
)
def test_a_url_that_nearly_matches_is_explained(registered, told, differences):
    found = diagnose(signed(BODY, url=registered), BODY, url=told, keys=KEY)
    assert found.exact == ()
    (match,) = found.matches
    assert match.url == registered
    assert list(match.differences) == [
        f"the signed URL has {difference}" for difference in differences
    ]


def test_a_header_key_or_body_that_nearly_matches_is_explained():
    found = diagnose(
        {"X-OtherTES-Signature": signed(BODY)[HEADER], "content-type": FORM},
        BODY + b"\r\n",
        url=URL,
        keys=[f"{KEY}\n"],
    )
    (match,) = found.matches
    assert match.differences == (
        "the signature is in the header X-OtherTES-Signature",
        "key 1 has white space around it",
        "the captured body has line ends after it",
    )


def test_without_a_match_the_signatures_are_listed():
    assert diagnose({}, BODY, url=URL, keys=KEY).signatures == ()
    found = diagnose([(b"x-poweremailtes-signature", b"\xff")], BODY, url="http://[", keys=KEY)
    assert found.signatures == (("x-poweremailtes-signature", "\xff"),)
    assert found.matches == ()
    with pytest.raises(UsageError):
        diagnose({}, BODY, url=URL, keys="")
