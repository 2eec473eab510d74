"""
The calls about settings and the account: which function answers which.

The words of most refusals are the sandbox's own: what the service says there is published nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from poweremail._response import Response
from poweremail.sandbox._api import domain_calls, smtp_calls, webhook_calls
from poweremail.sandbox._api.account import Account
from poweremail.sandbox._api.responses import answer

__all__ = ["PATHS", "answer_call"]

_REPUTATION = "100%"
_ACCOUNT_SINCE = 1_458_034_022
"""Epoch seconds: the time of the vendor's own example."""


def _view_user_detail(account: Account, _: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "user_data": {
            "name": "Sandbox",
            "email": "sandbox@example.com",
            "mobile": "0000000000",
            "create_date": _ACCOUNT_SINCE,
            "allowed_speed": account.limits.per_hour or 3_600,
            "reputation": _REPUTATION,
        }
    }


def _user_details(account: Account, members: Mapping[str, Any]) -> dict[str, Any]:
    return {"user_details": _view_user_detail(account, members)["user_data"]}


_CALLS: dict[str, Callable[[Account, Mapping[str, Any]], dict[str, Any]]] = {
    "/settings/addSmtp": smtp_calls.add,
    "/settings/editSmtp": smtp_calls.edit,
    "/settings/resetSmtpPassword": smtp_calls.reset_password,
    "/settings/listSmtp": smtp_calls.listing,
    "/settings/addSendingDomain": partial(domain_calls.add, "sending"),
    "/settings/deleteSendingDomain": partial(domain_calls.delete, "sending"),
    "/settings/checkSendingDomain": partial(domain_calls.check, "sending"),
    "/settings/verifySendingDomain": domain_calls.verify_sending,
    "/settings/listSendingDomain": partial(domain_calls.listing, "sending"),
    "/settings/addTrackingDomain": partial(domain_calls.add, "tracking"),
    "/settings/deleteTrackingDomain": partial(domain_calls.delete, "tracking"),
    "/settings/checkTrackingDomain": partial(domain_calls.check, "tracking"),
    "/settings/listTrackingDomain": partial(domain_calls.listing, "tracking"),
    "/settings/addWebhook": webhook_calls.add,
    "/settings/editWebhook": webhook_calls.edit,
    "/settings/deleteWebhook": webhook_calls.delete,
    "/settings/keyResetWebhook": webhook_calls.reset_key,
    "/settings/listWebhook": webhook_calls.listing,
    "/settings/getWebhookInfo": webhook_calls.info,
    "/account/viewUserDetail": _view_user_detail,
    # As one deployment has it.
    "/accounts/userDetails": _user_details,
}

PATHS = {path: path.rpartition("/")[2] for path in _CALLS}
"""The path of each call, and the name under which the sandbox knows it."""

_BY_NAME = {name: _CALLS[path] for path, name in PATHS.items()}


def answer_call(name: str, account: Account, members: Mapping[str, Any]) -> Response:
    """Carry out the call *name*, and answer it. Raises `Refusal`."""
    return answer(status="success", **_BY_NAME[name](account, members))
