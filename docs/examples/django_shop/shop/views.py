"""An order and its mail are one transaction."""

from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.db import transaction
from django.http import Http404, HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from poweremail import UsageError
from poweremail.contrib.django import get_outbox
from shop.models import Order


@csrf_exempt  # an API; a form of a browser needs the token
@require_POST
def place_order(request: HttpRequest) -> JsonResponse:
    """Save an order. Its mail is sent if, and only if, the order is saved."""
    try:
        with transaction.atomic():
            order = Order(email=request.POST["email"])
            order.full_clean()
            order.save()
            mail = EmailMessage(f"Order {order.pk}", "Thank you!", to=[order.email])
            mail.key = f"order-{order.pk}"
            mail.send()
            order.unique_id = mail.poweremail.unique_id
            order.save()
    except (UsageError, ValidationError, KeyError):
        return JsonResponse({"error": "give an email"}, status=422)
    return JsonResponse({"order": order.pk, "mail": mail.poweremail.state}, status=201)


def show_order(request: HttpRequest, number: int) -> JsonResponse:
    """Tell what became of the mail of an order."""
    order = get_object_or_404(Order, pk=number)
    record = get_outbox().find(f"order-{order.pk}")
    if record is None:
        raise Http404
    return JsonResponse({"mail": str(record.state), "bounced": order.bounced})
