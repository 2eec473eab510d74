"""Clients of a sandbox, without a socket between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from poweremail._types.secret import Secret
from poweremail.sandbox._service import Service

if TYPE_CHECKING:
    from poweremail import AsyncPowerEmail, PowerEmail

__all__ = ["Clients"]

_OWNER_ID = "sandbox"
_TOKEN = Secret("sandbox-token")  # any token will do
_SMTP_USER_NAME = "smtp12345"


class Clients:
    """Makes clients of *service*, with its *owner_id* and *token* where it wants them."""

    def __init__(self, service: Service, owner_id: str | None, token: Secret | None) -> None:
        self._service = service
        self._owner_id = owner_id or _OWNER_ID
        self._token = token or _TOKEN

    def make(self, options: dict[str, Any]) -> PowerEmail:
        """Make one with these *options*."""
        from poweremail import PowerEmail  # noqa: PLC0415 - the clients stand above; who brings another needs none
        from poweremail.transports import SandboxTransport  # noqa: PLC0415

        return PowerEmail(**self._options(SandboxTransport(self._service), options))

    def make_async(self, options: dict[str, Any]) -> AsyncPowerEmail:
        """Make one with these *options*."""
        from poweremail import AsyncPowerEmail  # noqa: PLC0415
        from poweremail.transports import AsyncSandboxTransport  # noqa: PLC0415

        return AsyncPowerEmail(**self._options(AsyncSandboxTransport(self._service), options))

    def _options(self, transport: object, options: dict[str, Any]) -> dict[str, Any]:
        defaults = {
            "owner_id": self._owner_id,
            "token": self._token,
            "smtp_user_name": _SMTP_USER_NAME,
            "transport": transport,
        }
        if "token" in options:
            # This dict is a local variable of the frames above, too.
            options["token"] = Secret.of(options["token"])
        if "base_url" not in options:
            defaults["app_domain"] = "sandbox.invalid"
        return defaults | options
