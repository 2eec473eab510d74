"""Clients of a sandbox, without a socket between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from poweremail._types.secret import Secret
from poweremail.sandbox._service import Service

if TYPE_CHECKING:
    from poweremail import AsyncPowerEmail, PowerEmail

__all__ = ["Clients"]


class Clients:
    """
    Makes clients of *service*.

    *owner_id*, *token*
        The credentials that the service accepts; None if it accepts any.
    """

    def __init__(self, service: Service, owner_id: str | None, token: Secret | None) -> None:
        self._service = service
        self._owner_id = owner_id or "sandbox"
        self._token = token or Secret("sandbox-token")

    def make(self, options: dict[str, Any]) -> PowerEmail:
        """Return a client with these *options*."""
        # A sandbox behind a server needs no client, and loads none.
        from poweremail import PowerEmail  # noqa: PLC0415
        from poweremail.sandbox._client._sync.transport import SandboxTransport  # noqa: PLC0415

        return PowerEmail(**self._options(SandboxTransport(self._service), options))

    def make_async(self, options: dict[str, Any]) -> AsyncPowerEmail:
        """Return an async client with these *options*."""
        from poweremail import AsyncPowerEmail  # noqa: PLC0415
        from poweremail.sandbox._client._async.transport import (  # noqa: PLC0415
            AsyncSandboxTransport,
        )

        return AsyncPowerEmail(**self._options(AsyncSandboxTransport(self._service), options))

    def _options(self, transport: object, options: dict[str, Any]) -> dict[str, Any]:
        if "token" in options:
            # This dict is a local variable of the frames above, which may fail.
            options["token"] = Secret.of(options["token"])
        defaults = {
            "owner_id": self._owner_id,
            "token": self._token,
            "smtp_user_name": "smtp12345",
            "transport": transport,
        }
        if "base_url" not in options:
            defaults["app_domain"] = "sandbox.invalid"
        return defaults | options
