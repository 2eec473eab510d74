"""The view that receives the events of the service, and sends the signals."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from django.core.signals import setting_changed
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from poweremail import ConfigurationError
from poweremail.contrib.django._settings import read_settings
from poweremail.contrib.django.signals import send_event
from poweremail.webhooks import WebhookReceiver


@cache
def make_receiver() -> WebhookReceiver:
    """
    Return the receiver, whose options are in ``POWEREMAIL["WEBHOOK"]``.

    Raises `ConfigurationError` if one is missing or invalid.
    """
    options = read_settings().get("webhook")
    if not isinstance(options, Mapping):
        raise ConfigurationError(
            "is missing: a dict with url, keys and scheme", field="POWEREMAIL['WEBHOOK']"
        )
    try:
        return WebhookReceiver(send_event, **options)
    except TypeError as error:
        reason = str(error).replace("WebhookReceiver.__init__() ", "")
        raise ConfigurationError(reason, field="POWEREMAIL['WEBHOOK']") from None


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "POWEREMAIL":
        make_receiver.cache_clear()


setting_changed.connect(_forget)


@csrf_exempt  # type: ignore[untyped-decorator]
def webhook(request: HttpRequest) -> HttpResponse:
    """
    Verify and handle one request of the service: ``path("hooks/mail", webhook)``.

    Each event that is new is sent by `poweremail.contrib.django.signals`.
    """
    receiver = make_receiver()
    # Not `request.body`, which has a limit for forms that people send.
    body = request.read(receiver.max_body + 1)
    given: Any = request.headers
    status, headers, content = receiver.respond(request.method or "GET", given, body)
    return HttpResponse(content, status=status, headers=dict(headers))
