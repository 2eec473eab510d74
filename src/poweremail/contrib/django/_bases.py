"""
The classes of Django that this package subclasses or shows, as type checkers see them: Django has
no types of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from typing import Any, Self

    class AppConfig:
        """Of ``django.apps``."""

    class BaseCommand:
        """Of ``django.core.management.base``."""

    class BaseEmailBackend:
        """Of ``django.core.mail.backends.base``."""

        def open(self) -> bool | None:
            """Do nothing."""

        def close(self) -> None:
            """Do nothing."""

        def __enter__(self) -> Self: ...

        def __exit__(self, *_: object) -> None: ...

    class Signal:
        """Of ``django.dispatch``."""

        def connect(
            self,
            receiver: Callable[..., object],
            sender: object = None,
            weak: bool = True,  # noqa: FBT001, FBT002
            dispatch_uid: Hashable = None,
        ) -> None:
            """Call *receiver* for each event from now on."""

        def disconnect(
            self,
            receiver: Callable[..., object] | None = None,
            sender: object = None,
            dispatch_uid: Hashable = None,
        ) -> bool:
            """Call *receiver* no more."""
            ...

        def send(self, sender: object, **named: Any) -> list[tuple[Any, Any]]:
            """Call the receivers."""
            ...

else:
    from django.apps import AppConfig
    from django.core.mail.backends.base import BaseEmailBackend
    from django.core.management.base import BaseCommand
    from django.dispatch import Signal

__all__ = ["AppConfig", "BaseCommand", "BaseEmailBackend", "Signal"]
