"""The calls about the account: ``client.account``."""

from __future__ import annotations

from poweremail._async.exchange import AsyncExchange
from poweremail._policy.outcome import NO_MAIL
from poweremail._types.account import AccountDetail
from poweremail._wire import decode_settings as decode
from poweremail._wire import encode_settings as encode
from poweremail._wire.http import Endpoint

__all__ = ["AsyncAccountCalls"]


class AsyncAccountCalls:
    """Ask about the account. It changes nothing, and is repeated on anything temporary."""

    def __init__(self, endpoint: Endpoint, exchange: AsyncExchange) -> None:
        self._endpoint = endpoint
        self._exchange = exchange

    async def view_user_detail(self) -> AccountDetail:
        """
        Return who the account belongs to, and how much it may send (``account/viewUserDetail``).
        """
        response = await self._exchange.run(encode.user_detail(self._endpoint), NO_MAIL)
        return decode.one(decode.account_detail, response, "user_data", "user_details")
