# Generated from src/poweremail/_async/suppressions.py; do not edit.
"""The list of suppressed addresses: what reads it, changes it, and learns of further ones."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from poweremail._policy.suppression import asks_for_entry, of_event, of_message_info
from poweremail._runtime._sync import each, finish, in_thread
from poweremail._sync.client import PowerEmail
from poweremail._sync.suppression_check import find_entries
from poweremail._types.checks import check_not_awaitable
from poweremail._types.event import WebhookEvent
from poweremail._types.suppression import (
    EVERY_STREAM,
    Suppression,
    SuppressionStore,
    check_stream,
    lookup_form,
    require_plain,
)
from poweremail.errors import UsageError

_log = logging.getLogger("poweremail.suppression")


class Suppressions:
    """
    The list of suppressed addresses in *store*: looks addresses up, and adds those that the service
    reports.

    *store*
        The store: see `SuppressionStore`.
    *client*
        Looks up who got a mail if an event does not name its recipient; None to add nobody then.
    *unsubscribed*
        The stream of an event by which somebody unsubscribes, since the service knows no streams:
        ``"*"`` by default, every stream. Hard bounces and spam complaints are for every stream.

    Methods raise what the store raises.
    """

    def __init__(
        self,
        store: SuppressionStore,
        *,
        client: PowerEmail | None = None,
        unsubscribed: str = EVERY_STREAM,
    ) -> None:
        require_plain(store)
        self._store = store
        self._client = client
        if unsubscribed != EVERY_STREAM:
            check_stream("unsubscribed", unsubscribed)
        self._unsubscribed = unsubscribed

    def find(self, address: str) -> tuple[Suppression, ...]:
        """
        Return all entries of *address*, which may have a display name and any case.

        Raises `UsageError` if it is no address.
        """
        return find_entries(self._store, (lookup_form(address),))

    def add(self, *suppressions: Suppression) -> None:
        """Add entries. One that is there already stays as it is."""
        add: Any = self._store.add
        in_thread(_add, add, suppressions)

    def record_event(self, event: WebhookEvent) -> Suppression | None:
        """
        Add the recipient of *event* if it is a hard bounce, a spam complaint or an unsubscribe, and
        return the entry: the handler of a `WebhookReceiver`.

        Only the recipient whom the event names is added, never the others of the mail. If it names
        none, the client looks the mail up; without a client, a warning is logged.
        """
        try:
            entry = of_event(event, self._unsubscribed)
        except UsageError as error:
            # The service would post the event again, for ever.
            _log.warning("the event %r names no address: %s", event.id, error.reason)
            return None
        if entry is not None:
            self.add(entry)
        elif asks_for_entry(event):
            if self._client is None or event.unique_id is None:
                _log.warning("the event %r does not name its recipient: nobody is added", event.id)
            else:
                self.record_mails(self._client, [event.unique_id])
        return entry

    def record_mails(self, client: PowerEmail, unique_ids: Iterable[str]) -> int:
        """
        Look up the mails *unique_ids* by *client*, add the recipients that bounced hard, complained
        or unsubscribed, and return their number: for those who have no webhook.

        Raises what `get_message_info` raises. What was found before that is added.
        """
        count = 0
        source = each(unique_ids)
        try:
            for unique_id in source:
                for info in client.messages.iter_message_info(unique_id):
                    try:
                        entry = of_message_info(info, unique_id, self._unsubscribed)
                    except UsageError as error:
                        _log.warning("a record of mail %s names no address: %s", unique_id, error)
                        continue
                    if entry is not None:
                        self.add(entry)
                        count += 1
        finally:
            finish(source)
        return count


def _add(add: Callable[[Iterable[Suppression]], object], entries: Iterable[Suppression]) -> None:
    check_not_awaitable("add", add(entries))
