"""The app's name and label."""

from __future__ import annotations

from django.apps import AppConfig


# Django finds it by its base, which has no types: so it is no public type of the library.
class _PowerEmailConfig(AppConfig):
    """The app. It has tables and no models: `Outbox` and `Batch` are its interface."""

    name = "poweremail.contrib.django.outbox"
    label = "poweremail_outbox"
    verbose_name = "PowerEmail: outbox"
