"""Messages to send."""

from __future__ import annotations

from poweremail import Attachment, Image, Message, TemplateMessage, Tracking

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(200))


def message(**fields) -> Message:
    return Message(
        **(
            {
                "subject": "Hi",
                "from_email": "me@example.com",
                "to": "ada@example.com",
                "text": "Hello",
            }
            | fields
        )
    )


def template(**fields) -> TemplateMessage:
    members = {
        "template_id": "t1",
        "subject": "Hi",
        "from_email": "me@example.com",
        "to": "ada@example.com",
    }
    return TemplateMessage(**(members | {"dynamic_value": {"NAME": "Ada & Co"}} | fields))


def large(**fields) -> Message:
    """
    More than the buffers of a loopback connection hold, so that a server that does not read it
    keeps it from leaving.
    """
    return message(attachments=[Attachment("large.bin", bytes(8_000_000))], **fields)


def full(**fields) -> Message:
    return message(
        from_email="Billing <billing@example.com>",
        to=["Ada <ada@example.com>", ("Grace", "grace@example.com")],
        cc="charles@example.com",
        bcc="archive@example.com",
        html='<p>Thanks! <img src="cid:logo"></p>',
        reply_to="Help <help@example.com>",
        attachments=[Attachment("invoice.txt", b"42 \xe2\x82\xac")],
        images=[Image("logo", PNG)],
        headers={"X-Campaign": "q4"},
        tracking=Tracking(opens=True, clicks="html"),
        unique_id="invoice-42",
        **fields,
    )
