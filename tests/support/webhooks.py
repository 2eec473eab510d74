"""
Webhooks signed by a few lines of their own, so that the library is not asked whether it is right.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from urllib.parse import parse_qsl, urlencode

URL = "https://example.com/hooks/mail"
KEY = "canary-of-the-webhook"
HEADER = "X-PowerEmailTES-SIGNATURE"
FORM = "application/x-www-form-urlencoded"
HELLO = b"God bless you, PowerEmail"


def event(number: int = 1, **members) -> dict:
    return {
        "_id": f"e{number}",
        "user_id": "u1",
        "smtp_name": "smtp12345",
        "x_unique_id": f"order-{number}",
        "ts": 1_700_000_000 + number,
        "event": "open",
        "msg": {"email": "ada@example.com"},
    } | members


def form(*events: object, name: str = "PowerEmailtes_events") -> bytes:
    return urlencode({name: json.dumps(events)}).encode()


def digest(key: str, data: bytes) -> bytes:
    return hmac.new(key.encode(), data, hashlib.sha1).digest()


def form_data(url: str, body: bytes) -> bytes:
    pairs = sorted(parse_qsl(body.decode(), keep_blank_values=True))
    return (url + "".join(name + value for name, value in pairs)).encode()


SIGNERS = {
    "form-base64": lambda key, url, body: base64.b64encode(
        digest(key, form_data(url, body))
    ).decode(),
    "form-hex": lambda key, url, body: digest(key, form_data(url, body)).hex(),
    "body-base64": lambda key, url, body: base64.b64encode(digest(key, body)).decode(),
    "body-hex": lambda key, url, body: digest(key, body).hex(),
    "url-body-base64": lambda key, url, body: base64.b64encode(
        digest(key, url.encode() + body)
    ).decode(),
    "url-body-hex": lambda key, url, body: digest(key, url.encode() + body).hex(),
}


def signed(
    body: bytes,
    scheme: str = "form-base64",
    key: str = KEY,
    url: str = URL,
    content_type: str = FORM,
) -> dict[str, str]:
    """The headers of a POST of *body*."""
    return {"Content-Type": content_type, HEADER: SIGNERS[scheme](key, url, body)}
