"""The app's name and label."""

from __future__ import annotations

from django.core.checks import register

from poweremail.contrib.django._bases import AppConfig
from poweremail.contrib.django._checks import check_deployment, check_settings

__all__ = ["PowerEmailConfig"]


class PowerEmailConfig(AppConfig):
    """The app. It has no models."""

    name = "poweremail.contrib.django"
    label = "poweremail"
    verbose_name = "PowerEmail"

    def ready(self) -> None:
        """Register the checks of the settings."""
        register(check_settings)
        register(check_deployment, deploy=True)
