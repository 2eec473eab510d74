"""System checks of the settings: ``manage.py check`` makes them, and so does every start."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004  Django's name
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from poweremail import ConfigurationError, PowerEmailError
from poweremail.contrib.django._backends import BaseBackend, EmailBackend, SandboxEmailBackend
from poweremail.contrib.django._clients import rehearses
from poweremail.contrib.django._settings import read_settings
from poweremail.contrib.django._webhook import make_receiver

_DEFAULT_FROM_EMAIL = "webmaster@localhost"
"""Django's own default."""


def check_settings(**_: Any) -> list[CheckMessage]:
    """Check ``settings.POWEREMAIL``, and what the backends in use need."""
    return list(_problems())


def check_deployment(**_: Any) -> list[CheckMessage]:
    """With ``--deploy``: find what keeps mail from its recipients."""
    try:
        return list(_rehearsals())
    except ConfigurationError:  # the other check reports it
        return []


def _problems() -> Iterator[CheckMessage]:
    try:
        given = read_settings()
    except ConfigurationError as error:
        yield _error(error, "E001")
        return
    try:
        if "webhook" in given:
            make_receiver()
    except PowerEmailError as error:
        yield _error(error, "E002")
    sends = False
    for place, backend in _backends():
        if isinstance(backend, ImproperlyConfigured):
            yield Error(str(backend), id="poweremail.E003")
            continue
        sends = sends or isinstance(backend, EmailBackend)
        try:
            backend.check()
        except PowerEmailError as error:
            yield _error(error, "E003", place)
    if sends and settings.DEFAULT_FROM_EMAIL == _DEFAULT_FROM_EMAIL:
        yield Warning(
            f"DEFAULT_FROM_EMAIL is {_DEFAULT_FROM_EMAIL}, which is no address of yours.",
            hint="Set it to an address in a sending domain of your account.",
            id="poweremail.W001",
        )


def _rehearsals() -> Iterator[CheckMessage]:
    for place, backend in _backends():
        if isinstance(backend, SandboxEmailBackend):
            yield Warning(
                f"{place} sends to a sandbox, and no mail reaches anybody.", id="poweremail.W002"
            )
        elif isinstance(backend, EmailBackend) and rehearses(backend.options):
            yield Warning(
                f"{place} has redirect_to, allow or dry_run, and mail does not reach everybody.",
                hint="They are in POWEREMAIL, in the OPTIONS, or in the environment.",
                id="poweremail.W003",
            )


def _backends() -> Iterator[tuple[str, BaseBackend | ImproperlyConfigured]]:
    """
    The backends of this app that the settings name, or why they cannot be made. Django checks the
    others.
    """
    for alias, entry in _mailers().items():
        place = "EMAIL_BACKEND" if alias is None else f"MAILERS[{alias!r}]"
        try:
            kind = import_string(entry["BACKEND"])
        except (ImportError, KeyError):
            continue
        if isinstance(kind, type) and issubclass(kind, BaseBackend):
            try:
                backend: BaseBackend | ImproperlyConfigured = kind(
                    alias=alias, **entry.get("OPTIONS", {})
                )
            except ImproperlyConfigured as error:
                backend = error
            yield place, backend


def _mailers() -> Mapping[str | None, Mapping[str, Any]]:
    """The entries of ``MAILERS``, or in older versions the one that ``EMAIL_BACKEND`` makes."""
    mailers: Mapping[str | None, Mapping[str, Any]] | None = getattr(settings, "MAILERS", None)
    if mailers is not None:
        return mailers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Django 6.1 has warned of the setting already
        return {None: {"BACKEND": settings.EMAIL_BACKEND}}


def _error(error: PowerEmailError, code: str, place: str = "") -> CheckMessage:
    text = f"{place}: {error.explanation}" if place else error.explanation
    return Error(text, hint=error.advice or None, id=f"poweremail.{code}")
