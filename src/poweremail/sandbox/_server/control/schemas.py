"""The forms of what the control API answers, as JSON schemas."""

from __future__ import annotations

from typing import Any

__all__ = ["SCHEMAS"]

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_MAYBE: Schema = {"type": ["string", "null"]}
_NUMBER: Schema = {"type": "integer"}
_MAYBE_NUMBER: Schema = {"type": ["integer", "null"]}
_SECONDS: Schema = {"type": "number"}
_FLAG: Schema = {"type": "boolean"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_STRINGS: Schema = {"type": "object", "additionalProperties": _TEXT}
_LIMITS = ("per_minute", "per_hour", "per_day", "hourly_limit", "total_limit")


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_FIRST: dict[str, Schema] = {
    "number": _NUMBER,
    "received": _TIME,
    "operation": _TEXT,
    "smtp_user_name": _TEXT,
    "unique_id": _MAYBE,
    "subject": _TEXT,
    "from_email": _TEXT,
    "from_name": _MAYBE,
    "template_id": _MAYBE,
    "mail_size": _NUMBER,
}
_RECIPIENT: dict[str, Schema] = {"type": _TEXT, "email": _TEXT, "name": _MAYBE, "status": _TEXT}
_DELIVERY: dict[str, Schema] = {
    "number": _NUMBER,
    "webhook_id": _TEXT,
    "url": _TEXT,
    "message": _NUMBER,
    "events": _list(_TEXT),
    "created": _TIME,
    "state": _TEXT,
    "next_attempt": {**_MAYBE, "format": "date-time"},
    "attempts": _list(_ref("Attempt")),
}

SCHEMAS: dict[str, Schema] = {
    "Nothing": _object(),
    "Error": _object(error=_TEXT),
    "Summary": _object(
        **_FIRST,
        recipients=_list(_object(**_RECIPIENT)),
        recipient_count=_NUMBER,
        statuses={"type": "object", "additionalProperties": _NUMBER},
        attachment_count=_NUMBER,
    ),
    "Page": _object(messages=_list(_ref("Summary")), more=_FLAG, total=_NUMBER),
    "File": _object(name=_TEXT, type=_TEXT, size=_NUMBER),
    "Event": _object(
        number=_NUMBER, kind=_TEXT, email=_TEXT, at=_TIME, ip=_TEXT, user_agent=_TEXT, url=_MAYBE
    ),
    "Events": _object(events=_list(_ref("Event"))),
    "Message": _object(
        **_FIRST,
        attachment_size=_NUMBER,
        headers=_STRINGS,
        dynamic_value=_STRINGS,
        html=_MAYBE,
        text=_MAYBE,
        recipients=_list(_object(**_RECIPIENT, open=_NUMBER, click=_NUMBER)),
        attachments=_list(_ref("File")),
        images=_list(_ref("File")),
        events=_list(_ref("Event")),
        links=_list(_TEXT),
    ),
    "Raw": {"type": "object"},
    "Forgotten": _object(forgotten=_NUMBER),
    "SmtpUsers": _object(
        smtp_users=_list(
            _object(
                name=_TEXT,
                enabled=_FLAG,
                limits=_object(**dict.fromkeys(_LIMITS, _MAYBE_NUMBER)),
                used=_object(**dict.fromkeys(_LIMITS, _NUMBER)),
            )
        )
    ),
    "Templates": _object(
        templates=_list(_object(template_id=_TEXT, subject=_MAYBE, html=_MAYBE, text=_MAYBE))
    ),
    "Domain": _object(domain=_TEXT, created=_TIME, valid=_FLAG),
    "SendingDomains": _object(sending_domains=_list(_ref("Domain"))),
    "TrackingDomains": _object(tracking_domains=_list(_ref("Domain"))),
    "Webhooks": _object(
        webhooks=_list(
            _object(
                webhook_id=_TEXT,
                url=_TEXT,
                events=_list(_TEXT),
                store_log=_FLAG,
                description=_TEXT,
                created=_TIME,
                last_success={**_MAYBE, "format": "date-time"},
                total_event=_NUMBER,
            )
        )
    ),
    "Fault": _object(
        fault={"type": "object"},
        call=_MAYBE,
        recipient=_MAYBE,
        nth=_MAYBE_NUMBER,
        times=_MAYBE_NUMBER,
        chance=_SECONDS,
        number=_NUMBER,
        seen=_NUMBER,
        hit=_NUMBER,
    ),
    "Faults": _object(faults=_list(_ref("Fault"))),
    "EventRule": _object(number=_NUMBER, rule=_TEXT, event=_TEXT, share=_SECONDS, within=_SECONDS),
    "EventRules": _object(event_rules=_list(_ref("EventRule"))),
    "Attempt": _object(at=_TIME, status=_MAYBE_NUMBER, answer=_TEXT),
    "Delivery": _object(**_DELIVERY),
    "Deliveries": _object(deliveries=_list(_ref("Delivery")), more=_FLAG),
    "WholeDelivery": _object(**_DELIVERY, headers=_STRINGS, body=_TEXT),
    "SmtpServer": _object(server=_MAYBE, allow=_list(_TEXT)),
    "Released": _object(recipients=_list(_TEXT), refused=_STRINGS),
    "Clock": _object(now=_SECONDS, advanced=_SECONDS),
    "Health": _object(status=_TEXT, version=_TEXT, messages=_NUMBER),
}
"""By name; what stands in one can be relied on."""
