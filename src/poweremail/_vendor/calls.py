"""The common base of the parts of the client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from poweremail._sync.client import PowerEmail as Client
from poweremail._types.secret import Secret
from poweremail._vendor.errors import errors_of_the_page

Dict = dict[str, Any]


class Calls:
    """
    Calls of the API by *client*.

    *owner*: closes the connections when nobody refers to it any more, so a part refers to it.
    """

    def __init__(self, client: Client, owner: object = None) -> None:
        self._client = client
        self._owner = owner

    def call(self, path: str, params: Mapping[str, Any] | None = None) -> Dict:
        """
        Make the call at *path*, such as ``settings/listSmtp``, and return the service's response.
        """
        with errors_of_the_page():
            return {
                name: _plain(value) for name, value in self._client.call(path, params).data.items()
            }


def _plain(value: Any) -> Any:
    """Return *value* as the service wrote it: users of this spelling expect plain secrets."""
    match value:
        case Secret():
            return value.reveal()
        case Mapping():
            return {name: _plain(item) for name, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case _:
            return value
