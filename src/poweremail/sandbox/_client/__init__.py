"""
Clients of the library that reach the sandbox of this process without a socket.

The transport is in ``_async``; ``_sync`` beside it is generated from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from poweremail._types.secret import Secret
from poweremail.sandbox._service import Service

if TYPE_CHECKING:
    from poweremail import AsyncPowerEmail, PowerEmail


def make_client(service: Service, options: dict[str, Any]) -> PowerEmail:
    """Return a client of *service* with these *options*."""
    # A sandbox behind a server needs no client, and loads none.
    from poweremail import PowerEmail  # noqa: PLC0415
    from poweremail.sandbox._client._sync import SandboxTransport  # noqa: PLC0415

    return PowerEmail(**_options(service, SandboxTransport(service), options))


def make_async_client(service: Service, options: dict[str, Any]) -> AsyncPowerEmail:
    """Return an async client of *service* with these *options*."""
    from poweremail import AsyncPowerEmail  # noqa: PLC0415
    from poweremail.sandbox._client._async import AsyncSandboxTransport  # noqa: PLC0415

    return AsyncPowerEmail(**_options(service, AsyncSandboxTransport(service), options))


def _options(service: Service, transport: object, options: dict[str, Any]) -> dict[str, Any]:
    if "token" in options:
        # This dict is a local variable of the frames above, which may fail.
        options["token"] = Secret.of(options["token"])
    accepted = service.requests
    defaults = {
        "owner_id": accepted.owner_id.reveal() if accepted.owner_id else "sandbox",
        "token": accepted.token or Secret("sandbox-token"),
        "smtp_user_name": "smtp12345",
        "transport": transport,
    }
    if "base_url" not in options:
        defaults["app_domain"] = "sandbox.invalid"
    return defaults | options
