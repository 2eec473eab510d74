"""The pages, and the webhook with what its events change."""

from django.dispatch import receiver
from django.urls import path

from poweremail import WebhookEvent
from poweremail.contrib.django import webhook
from poweremail.contrib.django.signals import mail_hard_bounced
from shop import views
from shop.models import Order

urlpatterns = [
    path("orders", views.place_order),
    path("orders/<int:number>", views.show_order),
    path("hooks/mail", webhook),
]


@receiver(mail_hard_bounced)
def note_bounce(event: WebhookEvent, **kwargs: object) -> None:
    """Remember that the mail of an order did not arrive."""
    Order.objects.filter(unique_id=event.unique_id).update(bounced=True)
