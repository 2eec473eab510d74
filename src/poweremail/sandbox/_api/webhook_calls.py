"""``settings/addWebhook`` and its siblings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from poweremail._types.event import EVENT_NAMES
from poweremail._wire import arguments, readers
from poweremail.errors import UsageError
from poweremail.sandbox._api.account import Account, epoch_seconds, read_switch, read_text
from poweremail.sandbox._api.responses import Refusal
from poweremail.sandbox._store.accounts import RegisteredWebhook
from poweremail.webhooks._signature import handshake_answer

__all__ = ["add", "delete", "edit", "info", "listing", "read_events", "reset_key"]


def add(account: Account, members: Mapping[str, Any]) -> dict[str, Any]:
    """
    Add a webhook. Where no event is named it is told of all: what the service chooses is published
    nowhere.
    """
    url, options = _url(members), _options(members)
    _shake_hands(account, url)
    account.registry.add_webhook(
        url,
        options.get("events", EVENT_NAMES),
        now=account.now,
        store_log=options.get("store_log", False),
        description=options.get("description", ""),
    )
    return {"message": "webhook added"}


def edit(account: Account, members: Mapping[str, Any]) -> dict[str, Any]:
    """Change a webhook; its URL has to answer again."""
    webhook_id = _find(account, members).webhook_id
    if not members.keys() - {"webhook_id"}:
        raise Refusal("No update field given !!")
    url, options = _url(members), _options(members)
    _shake_hands(account, url)
    if not account.registry.edit_webhook(webhook_id, url=url, **options):
        raise Refusal("Invalid Webhook Id")
    return {"message": "webhook updated"}


def delete(account: Account, members: Mapping[str, Any]) -> dict[str, Any]:
    """Forget a webhook."""
    account.registry.delete_webhook(_find(account, members).webhook_id)
    return {"message": "webhook deleted"}


def reset_key(account: Account, members: Mapping[str, Any]) -> dict[str, Any]:
    """Draw a webhook's key anew."""
    webhook = account.registry.reset_webhook_key(_find(account, members).webhook_id)
    if webhook is None:  # pragma: no cover - forgotten by another request since
        raise Refusal("Invalid Webhook Id")
    return {
        "message": "webhook key reset",
        "webhook_id": webhook.webhook_id,
        "key": webhook.key.reveal(),
    }


def listing(account: Account, _: Mapping[str, Any]) -> dict[str, Any]:
    """List the webhooks."""
    return {"webhook_list": [_entry(webhook) for webhook in account.registry.webhooks()]}


def info(account: Account, members: Mapping[str, Any]) -> dict[str, Any]:
    """One webhook, and how it fares."""
    webhook = _find(account, members)
    last_success = None if webhook.last_success is None else epoch_seconds(webhook.last_success)
    return {
        "webhook_data": {
            **_entry(webhook),
            "last_success": last_success,
            "total_event": webhook.total_event,
        }
    }


def read_events(given: Any) -> tuple[str, ...] | None:
    """
    Read events, with commas between them or as a list; None where none is given. Raises `Refusal`
    for one that is not known.
    """
    names = readers.words(given)
    if names is None and given is not None:
        raise Refusal(f"Invalid event: it must be some of {','.join(EVENT_NAMES)}")
    if not names:
        return None
    for name in names:
        if name not in EVENT_NAMES:
            raise Refusal(f"Invalid event {name}: it must be one of {','.join(EVENT_NAMES)}")
    return tuple(dict.fromkeys(names))


def _entry(webhook: RegisteredWebhook) -> dict[str, Any]:
    return {
        "webhook_id": webhook.webhook_id,
        "url": webhook.url,
        "event": ",".join(webhook.events),
        "key": webhook.key.reveal(),
        "store_log": "Enable" if webhook.store_log else "Disable",
        "description": webhook.description,
        "create_date": epoch_seconds(webhook.created),
    }


def _find(account: Account, members: Mapping[str, Any]) -> RegisteredWebhook:
    given = readers.text(members.get("webhook_id"))
    webhook = account.registry.webhook(given) if given else None
    if webhook is None:
        raise Refusal("Invalid Webhook Id")
    return webhook


def _url(members: Mapping[str, Any]) -> str:
    try:
        return arguments.url("url", read_text(members, "url"))
    except UsageError as error:
        raise Refusal(f"Invalid {error.explanation}") from None


def _options(members: Mapping[str, Any]) -> dict[str, Any]:
    """What is given beside the URL, by the names of the store."""
    description = members.get("description")
    if not isinstance(description, str | None):
        raise Refusal("Invalid description: it must be a string")
    options = {
        "events": read_events(members.get("event")),
        "store_log": read_switch(members, "store_log"),
        "description": description,
    }
    return {name: value for name, value in options.items() if value is not None}


def _shake_hands(account: Account, url: str) -> None:
    if account.verify_webhook is not None and not account.verify_webhook(url):
        raise Refusal(f"Invalid url: it must answer {handshake_answer(account.brand)}")
