"""
The backend that adds mail to the outbox.

Theory of operation. The mail becomes a row in the transaction of the view, so it is sent if, and
only if, that transaction is committed; a worker sends it, and the web process needs no account. A
message without a key gets one of its own: else the outbox takes two messages of the same content,
such as two reminders, for one mail. Outside of a transaction, each call of ``send_messages`` is
one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from typing import Any, ClassVar, Literal
from uuid import uuid4

import attrs
from django.db import connections, transaction
from django.utils.module_loading import import_string

from poweremail import ConfigurationError, SendOutcome, UsageError
from poweremail._lazy import extras_needed
from poweremail.batch import Outbox
from poweremail.contrib.django._backends import BaseBackend
from poweremail.contrib.django._reading import Reading, read_mail
from poweremail.contrib.django._settings import read_settings

_OPTIONS = ("database", "name", "schema", "bulk_share")


@attrs.frozen
class Queued:
    """
    The mail is in the outbox, if the transaction is committed.

    *key*: its key there, for `Outbox.find` and `Outbox.cancel`.
    *database*: the alias of the database.
    *unique_id*: the ``X-Unique-Id`` that it is sent with; events of the webhook have it.
    """

    key: str
    database: str
    unique_id: str | None
    error: ClassVar[None] = None
    result: ClassVar[None] = None
    state: ClassVar[Literal["queued"]] = "queued"


def get_outbox(**overrides: Any) -> Outbox:
    """
    Return the outbox of ``POWEREMAIL["OUTBOX"]``, a dict with *database* (an alias: ``default``),
    *name*, *bulk_share* and *schema*, which are those of `Outbox` and of `Ledger`.

    *overrides* replace its members. Raises `ConfigurationError` if one is invalid, or if the
    database is neither PostgreSQL nor SQLite.
    """
    given = _settings() | overrides
    return _make_outbox(**{name: given[name] for name in _OPTIONS if name in given})


def outbox_database() -> str:
    """Return the alias of the database that has the outbox of the settings."""
    return str(_settings().get("database", "default"))


def _settings() -> dict[str, Any]:
    given = read_settings().get("outbox", {})
    if not isinstance(given, Mapping):
        raise ConfigurationError("must be a dict", field="POWEREMAIL['OUTBOX']")
    options = {str(name).lower(): value for name, value in given.items()}
    if unknown := sorted(options.keys() - {*_OPTIONS, "kick"}):
        known = ", ".join((*_OPTIONS, "kick")).upper()
        raise ConfigurationError(
            f"{unknown[0].upper()} is not an option",
            field="POWEREMAIL['OUTBOX']",
            advice=f"known: {known}",
        )
    return options


@cache
def _make_outbox(database: str = "default", schema: str | None = None, **options: Any) -> Outbox:
    with extras_needed("POWEREMAIL['OUTBOX']"):
        from poweremail.contrib.django.outbox import ledger  # noqa: PLC0415  it loads SQLAlchemy
    return Outbox(ledger(database, schema=schema), **options)


def _add(outbox: Outbox, alias: str, reading: Reading) -> Queued:
    message, key = reading.message, reading.key
    if key is None:
        key = message.unique_id or uuid4().hex
        message = attrs.evolve(message, unique_id=key)
    moments = {"not_before": reading.not_before, "expires": reading.expires}
    key = outbox.add(alias, message, key=key, **moments)
    if message.unique_id is None:
        # A key may be known already: then the mail is the one that was added first.
        record = outbox.find(key, within=alias)
        return Queued(key, alias, None if record is None else record.unique_id)
    return Queued(key, alias, message.unique_id)


class OutboxEmailBackend(BaseBackend):
    """
    Adds mail to the outbox, in the transaction that is open in its database.

    Its options, in ``OPTIONS`` of Django 6.1's ``MAILERS``, are those of ``POWEREMAIL["OUTBOX"]``.
    """

    option_names: ClassVar[frozenset[str]] = frozenset((*_OPTIONS, "kick"))

    def check(self) -> None:
        """As in the base class."""
        get_outbox(**self._outbox_options)
        self._kick()

    def read(self, mail: Any, headers: dict[str, str | None]) -> Reading:
        """As in the base class. The outbox has a place for *key*, *not_before* and *expires*."""
        return read_mail(mail, headers, queued=True)

    def deliver(
        self, readings: Sequence[tuple[int, Reading]], given: dict[str, Any]
    ) -> Iterator[tuple[int, Queued | SendOutcome]]:
        """Add the mails."""
        del given
        outbox = get_outbox(**self._outbox_options)
        alias = str(self.options.get("database", outbox_database()))
        kick = self._kick()
        in_transaction = connections[alias].in_atomic_block
        outcomes: list[Queued | SendOutcome] = []
        block: Any = nullcontext() if in_transaction else transaction.atomic(using=alias)
        with block:
            for index, reading in readings:
                try:
                    outcomes.append(_add(outbox, alias, reading))
                except ConfigurationError:
                    raise
                except UsageError as error:
                    outcomes.append(SendOutcome(index, reading.mail, error=error))
            if kick is not None:
                transaction.on_commit(kick, using=alias, robust=True)
        # Only now: if the database fails, nothing is queued.
        for (index, _), outcome in zip(readings, outcomes, strict=True):
            yield index, outcome

    @property
    def _outbox_options(self) -> dict[str, Any]:
        return {name: self.options[name] for name in _OPTIONS if name in self.options}

    def _kick(self) -> Callable[[], object] | None:
        """What is called after a commit: a function, or the place of one."""
        kick = self.options.get("kick", _settings().get("kick"))
        try:
            found = import_string(kick) if isinstance(kick, str) else kick
        except ImportError as error:
            raise ConfigurationError(str(error), field="POWEREMAIL['OUTBOX']['KICK']") from None
        if found is not None and not callable(found):
            raise ConfigurationError("must be a function", field="POWEREMAIL['OUTBOX']['KICK']")
        return found
