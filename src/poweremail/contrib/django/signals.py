"""
The signals of the webhook: one for each event of the service, and `mail_event` for all of them.

The sender is the class `WebhookEvent`, and *event* is the event. If a receiver raises, the error is
logged and the service sends the event again, to all receivers.
"""

from __future__ import annotations

from poweremail import WebhookEvent
from poweremail.contrib.django._bases import Signal

__all__ = [
    "mail_clicked",
    "mail_event",
    "mail_hard_bounced",
    "mail_marked_as_spam",
    "mail_opened",
    "mail_sent",
    "mail_soft_bounced",
    "send_event",
]

mail_event: Signal = Signal()
mail_sent: Signal = Signal()
mail_opened: Signal = Signal()
mail_clicked: Signal = Signal()
mail_soft_bounced: Signal = Signal()
mail_hard_bounced: Signal = Signal()
mail_marked_as_spam: Signal = Signal()

_SIGNALS = {
    "send": mail_sent,
    "open": mail_opened,
    "click": mail_clicked,
    "soft_bounce": mail_soft_bounced,
    "hard_bounce": mail_hard_bounced,
    "spam": mail_marked_as_spam,
}


def send_event(event: WebhookEvent) -> None:
    """
    Send the signals of *event*: that of its name, and `mail_event`.

    A word that the service has added has `mail_event` only. Raises what a receiver raises.
    """
    if event.event in _SIGNALS:
        _SIGNALS[event.event].send(WebhookEvent, event=event)
    mail_event.send(WebhookEvent, event=event)
