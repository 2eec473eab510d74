"""
The calls about what becomes of mails: the script, what is posted to webhooks, and the release of a
mail.
"""

from __future__ import annotations

from functools import partial
from typing import Any, get_args

import anyio.to_thread

from poweremail.errors import UsageError
from poweremail.sandbox._server.control.operations import Asked
from poweremail.sandbox._service import Service
from poweremail.sandbox._webhooks.deliveries import Attempt, Delivery, DeliveryState
from poweremail.sandbox._webhooks.script import PlacedRule

__all__ = ["DELIVERIES_A_PAGE", "Happenings"]

DELIVERIES_A_PAGE = 50
_MOST_A_PAGE = 1_000
_LAST = 2**62


class Happenings:
    """Each method answers one operation: see `poweremail.sandbox._server.control`."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def rules(self, _: Asked) -> dict[str, Any]:
        """Return the script."""
        return {"event_rules": [_rule(placed) for placed in self._service.script.rules]}

    async def add_rule(self, asked: Asked) -> dict[str, Any]:
        """Add a rule to the script."""
        return _rule(self._service.script.add(asked.members("rule").get("rule", "")))

    async def forget_rule(self, asked: Asked) -> dict[str, Any]:
        """Remove a rule."""
        self._service.script.remove(asked.number("number", 0))
        return {}

    async def forget_rules(self, _: Asked) -> dict[str, Any]:
        """Remove all rules."""
        self._service.script.clear()
        return {}

    async def deliveries(self, asked: Asked) -> dict[str, Any]:
        """Return a page of deliveries."""
        self._service.recorder.record_due()
        state = asked.text("state")
        if state is not None and state not in get_args(DeliveryState):
            raise UsageError(
                f"must be one of {', '.join(get_args(DeliveryState))}",
                field="state",
                mail_state=None,
            )
        limit = asked.number("limit", DELIVERIES_A_PAGE, most=_MOST_A_PAGE)
        before = asked.number("before", _LAST)
        found = self._service.deliveries.page(
            limit + 1, before=before, webhook_id=asked.text("webhook_id"), state=state
        )
        return {
            "deliveries": [_summary(delivery) for delivery in found[:limit]],
            "more": len(found) > limit,
        }

    async def delivery(self, asked: Asked) -> dict[str, Any]:
        """Return one delivery, with its bytes."""
        return _whole(self._service.deliveries.find(asked.number("number", 0)))

    async def replay(self, asked: Asked) -> dict[str, Any]:
        """Post one again."""
        number = asked.number("number", 0)
        # It waits for the receiver, which may be waiting for this server.
        return _whole(await anyio.to_thread.run_sync(self._service.deliverer.replay, number))

    async def smtp_server(self, _: Asked) -> dict[str, Any]:
        """Return where mails can be released to."""
        server = self._service.smtp_server
        if server is None:
            return {"server": None, "allow": []}
        return {"server": f"{server.host}:{server.port}", "allow": list(server.allow)}

    async def release(self, asked: Asked) -> dict[str, Any]:
        """Hand one mail on."""
        to = asked.members("to").get("to")
        if not (
            to is None
            or isinstance(to, str)
            or (isinstance(to, list) and all(isinstance(each, str) for each in to))
        ):
            raise UsageError(
                "must be an address or a list of addresses", field="to", mail_state=None
            )
        released = await anyio.to_thread.run_sync(
            partial(self._service.release, asked.number("number", 0), to=to)
        )
        return {"recipients": list(released.recipients), "refused": dict(released.refused)}


def _rule(placed: PlacedRule) -> dict[str, Any]:
    rule = placed.rule
    return {
        "number": placed.number,
        "rule": str(rule),
        "event": rule.event,
        "share": rule.share,
        "within": rule.within,
    }


def _summary(delivery: Delivery) -> dict[str, Any]:
    return {
        "number": delivery.number,
        "webhook_id": delivery.webhook_id,
        "url": delivery.url,
        "message": delivery.mail,
        "events": list(delivery.events),
        "created": delivery.created.isoformat(),
        "state": delivery.state,
        "next_attempt": None
        if delivery.next_attempt is None
        else delivery.next_attempt.isoformat(),
        "attempts": [_attempt(attempt) for attempt in delivery.attempts],
    }


def _whole(delivery: Delivery) -> dict[str, Any]:
    # The body is a form, which is ASCII.
    return {
        **_summary(delivery),
        "headers": dict(delivery.headers),
        "body": delivery.body.decode("latin-1"),
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {"at": attempt.at.isoformat(), "status": attempt.status, "answer": attempt.answer}
