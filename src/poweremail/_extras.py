"""What to install if a package that an extra brings is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from poweremail._lazy import extra_of
from poweremail.errors import ConfigurationError

__all__ = ["extras_needed"]


@contextmanager
def extras_needed(field: str = "") -> Iterator[None]:
    """
    Raise `ConfigurationError`, which says what to install, if a package of an extra is missing.

    *field*: the option that needs it, if there is one.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (extra := extra_of(error)) is None:
            raise
        raise ConfigurationError(
            f"{error.name} is not installed",
            field=field,
            advice=f"pip install 'poweremail[{extra}]'",
        ) from None
