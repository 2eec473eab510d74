"""What is sent and what is answered."""

from __future__ import annotations

from pathlib import Path

from benchmarks.server import page_body

from poweremail import Attachment, Message, Response
from poweremail._types.secret import Secret
from poweremail._types.timeouts import Timeouts
from poweremail._wire import encode
from poweremail._wire.http import Body, Endpoint
from poweremail._wire.redaction import Credentials

OWNER_ID, TOKEN, SMTP_USER, UNIQUE_ID = (
    "1234567890",
    "benchmark0123456789abcdef",
    "bench",
    "0123456789abcdef0123456789abcdef",
)
ENDPOINT = Endpoint(
    "https://api.tes.example.com/v1.0/", Credentials(OWNER_ID, Secret(TOKEN)), Timeouts(), 1 << 24
)
MAIL_BYTES = 1536
FILE_BYTES = 10_000_000


def mail(length: int, attachments: tuple[Attachment, ...] = ()) -> Message:
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


def body(message: Message) -> Body:
    """The body of the request that sends *message*."""
    made = encode.send_mail(ENDPOINT, SMTP_USER, message, UNIQUE_ID).body
    assert made is not None
    return made


def content(message: Message) -> bytes:
    """The bytes of the request that sends *message*, which has no files."""
    return b"".join(piece for piece in body(message).pieces() if isinstance(piece, bytes))


def small_mail() -> Message:
    """The mail whose request has `MAIL_BYTES`."""
    return mail(MAIL_BYTES - len(content(mail(1))) + 1)


def mail_with_file(folder: Path, size: int = FILE_BYTES) -> Message:
    """A mail with *size* bytes that are read from a file."""
    path = folder / f"attachment-{size}.bin"
    path.write_bytes(bytes(range(250)) * (size // 250))
    return mail(500, (Attachment.from_path(path),))


def page() -> Response:
    """An answer to getMessageInfo with 100 records, as the service's page shows them."""
    return Response(200, (), page_body())
