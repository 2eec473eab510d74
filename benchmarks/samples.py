"""The mails that are sent, and the page that is decoded."""

from __future__ import annotations

from pathlib import Path

from benchmarks.server import page_body

from poweremail import Attachment, Message, PowerEmail, Response
from poweremail.transports import Outgoing, Request

OWNER_ID, TOKEN, SMTP_USER, UNIQUE_ID = (
    "1234567890",
    "benchmark0123456789abcdef",
    "bench",
    "0123456789abcdef0123456789abcdef",
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


def content(message: Message) -> bytes:
    """The bytes of the request that sends *message*, by public names: any build has them."""

    class Recorder:
        def handle(self, request: Request) -> Response:
            self.body = b"".join(Outgoing(request.body))
            return Response(200, (), b'{"status":"success"}')

        def close(self) -> None:
            pass

    recorder = Recorder()
    with PowerEmail(
        OWNER_ID, TOKEN, "tes.example.com", smtp_user_name=SMTP_USER, transport=recorder
    ) as client:
        client.messages.send_mail(message)
    return recorder.body


def small_mail() -> Message:
    """The mail whose request has `MAIL_BYTES`."""
    return mail(MAIL_BYTES - len(content(mail(1))) + 1)


def mail_with_file(folder: Path, size: int = FILE_BYTES) -> Message:
    """A mail with *size* bytes that are read from a file."""
    path = folder / f"attachment-{size}.bin"
    path.write_bytes(bytes(range(250)) * (size // 250))
    return mail(500, (Attachment.from_path(path),))


def page() -> Response:
    """A response to getMessageInfo with 100 records, as the service's page shows them."""
    return Response(200, (), page_body())
