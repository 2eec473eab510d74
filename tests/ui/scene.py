"""A sandbox as somebody's afternoon leaves it, for tests and screenshots."""

from __future__ import annotations

from poweremail import Attachment, Image, Message, TemplateMessage
from poweremail.sandbox import Fault, Sandbox

LOGO = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48"><rect width="48" height="48" '
    b'rx="12" fill="#b4532a"/>'
    b'<path d="M13 20h22l-2.500 15h-17zM18 20a6 6 0 0 1 12 0" fill="none" stroke="#fff" '
    b'stroke-width="3"/></svg>'
)
INVOICE = """<!doctype html><html>
<body style="margin:0;background:#f4f1ec;font-family:Helvetica,Arial,sans-serif">
<div style="padding:28px 14px">
<div style="max-width:520px;margin:auto;background:#fff;border-radius:14px;padding:30px 34px">
<img src="cid:logo" width="46" height="46" alt="The Shop">
<h1 style="font-size:23px;margin:18px 0 6px;color:#2b2119">Thank you, Ada!</h1>
<p style="color:#5b5048;line-height:1.6">Your order is on its way, and invoice 42 is attached.</p>
<table style="width:100%;border-collapse:collapse;color:#2b2119;font-size:15px">
<tr><td style="padding:9px 0;border-top:1px solid #e9e2d8">Analytical engine, used</td>
<td align="right" style="border-top:1px solid #e9e2d8">38.50 EUR</td></tr>
<tr><td style="padding:9px 0;border-top:1px solid #e9e2d8">Punched cards, 100</td>
<td align="right" style="border-top:1px solid #e9e2d8">3.50 EUR</td></tr>
<tr><td style="padding:9px 0;border-top:1px solid #e9e2d8"><b>Total</b></td>
<td align="right" style="border-top:1px solid #e9e2d8"><b>42.00 EUR</b></td></tr>
</table>
<p style="margin:22px 0 8px"><a href="https://shop.example.com/invoices/42"
style="background:#b4532a;color:#fff;text-decoration:none;padding:12px 20px;border-radius:9px;\
display:inline-block">See the invoice</a></p>
<img src="https://tracker.example.com/pixel.gif" width="1" height="1" alt="">
</div></div></body></html>"""


def play(sandbox: Sandbox, webhook: str) -> None:
    """Let it happen; *webhook* is a URL of a receiver."""
    sandbox.add_template(
        "welcome",
        subject="Welcome",
        html="<h1>Welcome, {{NAME}}!</h1><p><a "
        "href='https://example.com/confirm?code={{CODE}}'>Confirm</a></p>",
        text="Welcome, {{NAME}}!",
    )
    sandbox.add_template("login-code", text="Your code is {{CODE}}")
    sandbox.add_webhook(webhook, events=["open", "click", "hard_bounce"], description="Production")
    sandbox.add_smtp_user("billing", per_minute=60, per_hour=3600, per_day=50_000)
    sandbox.add_smtp_user("news", per_minute=6, total_limit=40)
    with sandbox.client(smtp_user_name="news") as client:
        for subject, to in (
            ("Your trial ends on Friday", ["Katherine Johnson <katherine@example.com>"]),
            ("How did we do?", ["margaret@example.com"]),
            ("The week in review", ["Grace Hopper <grace@example.com>"]),
            (
                "Version 2.4 is out",
                ["Alan Turing <alan@example.com>", *(f"reader{n}@example.com" for n in range(24))],
            ),
            ("Version 2.4 is out", ["Edsger Dijkstra <edsger@example.com>"]),
        ):
            client.messages.send_mail(
                Message(
                    subject=subject,
                    from_email="News <news@example.com>",
                    to=to,
                    text="Read on.",
                    html=f"<h1>{subject}</h1>",
                )
            )
    with sandbox.client(smtp_user_name="billing") as client:
        for template_id, subject, to in (
            ("welcome", "Welcome aboard, Barbara", "Barbara Liskov <barbara@example.com>"),
            ("login-code", "Your code: 4711", "Ada Lovelace <ada@example.com>"),
        ):
            values = {"NAME": "Barbara", "CODE": "4711"}
            client.messages.send_template(
                TemplateMessage(
                    template_id=template_id,
                    subject=subject,
                    from_email="hello@example.com",
                    to=to,
                    dynamic_value=values,
                )
            )
        client.messages.send_mail(
            Message(
                subject="Invoice 42: thank you for your order",
                from_email="The Shop <billing@example.com>",
                to="Ada Lovelace <ada@example.com>",
                cc="Accounts <accounts@example.com>",
                html=INVOICE,
                text="Thank you, Ada!\n\nInvoice 42 is attached.",
                attachments=[
                    Attachment.from_bytes(b"%PDF-1.7\n" + b"x" * 48_000, "invoice-42.pdf")
                ],
                images=[Image.from_bytes(LOGO, "logo", type="image/svg+xml")],
                headers={"X-Campaign": "orders"},
                reply_to="help@example.com",
                unique_id="invoice-42",
            )
        )
    for number, kind, recipient in (
        (1, "hard_bounce", None),
        (2, "spam", None),
        (3, "open", None),
        (4, "open", "alan@example.com"),
        (4, "open", "reader1@example.com"),
        (4, "click", "reader2@example.com"),
        (5, "soft_bounce", None),
        (8, "open", "ada@example.com"),
    ):
        sandbox.record(
            number, kind, recipient=recipient, ip="203.0.113.7", user_agent="Mozilla/5.0"
        )
    sandbox.faults.add(Fault.rate_limited(), call="sendTemplate", times=2)
