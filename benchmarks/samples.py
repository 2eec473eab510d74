"""What is sent and what is answered."""

from __future__ import annotations

import json
from pathlib import Path

from poweremail import Attachment, Message, Response
from poweremail.policy.retry import RetryPolicy
from poweremail.policy.settings import Settings
from poweremail.types.secret import Secret
from poweremail.types.timeouts import Timeouts
from poweremail.wire import encode
from poweremail.wire.http import Request

OWNER_ID, TOKEN, SMTP_USER, UNIQUE_ID = "1234567890", "benchmark0123456789abcdef", "bench", "0123456789abcdef0123456789abcdef"
MAIL_BYTES = 1536
FILE_BYTES = 10_000_000


def mail(length: int = 1, attachments: tuple[Attachment, ...] = ()) -> Message:
    """A mail with a text of *length*."""
    return Message(
        subject="Your order has been shipped",
        from_email=("The Shop", "orders@example.com"),
        to=[("Ada Lovelace", "ada@example.org"), "charles@example.net"],
        reply_to="support@example.com",
        headers={"X-Order": "4711"},
        text=("Dear Ada, your order is on its way. " * 100)[:length],
        unique_id=UNIQUE_ID,
        attachments=attachments,
    )


def request(message: Message) -> Request:
    """What is sent for *message*."""
    settings = Settings.checked(
        OWNER_ID,
        Secret(TOKEN),
        "tes.example.com",
        smtp_user_name=SMTP_USER,
        brand="PowerEmail",
        base_url=None,
        timeouts=Timeouts(),
        retry=RetryPolicy(),
    )
    return encode.send_mail(settings.endpoint, SMTP_USER, message, UNIQUE_ID)


def small_mail() -> Message:
    """The mail whose request has a body of `MAIL_BYTES`."""
    rest = len(small_body(mail())) - 1
    return mail(MAIL_BYTES - rest)


def small_body(message: Message) -> bytes:
    """The body of the request of a mail without files."""
    body = request(message).body
    assert body is not None
    return b"".join(piece for piece in body.pieces() if isinstance(piece, bytes))


def mail_with_file(folder: Path) -> Message:
    """A mail with `FILE_BYTES` that are read from a file."""
    path = folder / "attachment.bin"
    path.write_bytes(bytes(range(250)) * (FILE_BYTES // 250))
    return mail(500, (Attachment.from_path(path),))


def page() -> Response:
    """An answer to getMessageInfo with 100 records, as the service's page shows them."""
    time = 1_700_000_000_000
    records = [
        {
            "subject": "Your order has been shipped",
            "sender": "orders@example.com",
            "email": f"customer{number}@example.org",
            "sendFrom": "192.0.2.1",
            "mailSize": 4711 + number,
            "attchSize": 0,
            "status": "open" if number % 2 else "delivered",
            "time": time + number,
            "open": number % 2,
            "click": 0,
            "openData": {"time": [time + number], "ip": ["192.0.2.7"], "ua": ["Mozilla/5.0 (X11; Linux x86_64)"]} if number % 2 else {},
            "clickData": {},
        }
        for number in range(100)
    ]
    return Response(200, (), json.dumps({"status": "success", "message": "ok", "message_data": records}).encode())
