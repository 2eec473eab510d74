"""What the parts of the client have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from poweremail._sync.client import PowerEmail as Client
from poweremail._types.secret import Secret
from poweremail._vendor.errors import errors_of_the_page

__all__ = ["Calls", "Dict"]

Dict = dict[str, Any]


class Calls:
    """Calls of the API by *client*, whose connections are open as long as its *owner* is in use."""

    def __init__(self, client: Client, owner: object = None) -> None:
        self._client = client
        self._owner = owner

    def call(self, path: str, params: Mapping[str, Any] | None = None) -> Dict:
        """
        Make the call at *path*, such as ``settings/listSmtp``, and return the service's answer.
        """
        with errors_of_the_page():
            return {
                name: _plain(value) for name, value in self._client.call(path, params).data.items()
            }


def _plain(value: Any) -> Any:
    """
    Return *value* as the service wrote it: whoever spells as the vendor does expects passwords and
    keys as plain strings.
    """
    match value:
        case Secret():
            return value.reveal()
        case Mapping():
            return {name: _plain(item) for name, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case _:
            return value
