"""The client in the vendor's spelling."""

from __future__ import annotations

import weakref
from typing import Any, Self

from poweremail._sync.client import PowerEmail as Client
from poweremail._types.secret import Secret
from poweremail._vendor.errors import errors_of_the_page
from poweremail._vendor.messages import Messages
from poweremail._vendor.settings import Account, Settings


class PowerEmail(Messages):
    """
    A client: ``PowerEmail("owner_id", "token", "PowerEmailTES_APP_DOMAIN")``.

    *base_url*: replaces *app_domain*, for a sandbox or plain http.
    *options*: those of `poweremail.PowerEmail`, such as ``timeouts``, ``retry`` or ``on_unknown``.

    The calls about messages are its own methods and those of ``messages``; the others are in
    ``settings`` and ``account``. Several threads may use it. It is closed when nobody refers to it
    any more.
    """

    def __init__(
        self,
        owner_id: str,
        token: str,
        app_domain: str | None = None,
        *,
        base_url: str | None = None,
        **options: Any,
    ) -> None:
        # Secrets: docs/design.md.
        secret = Secret.of(token)
        del token
        with errors_of_the_page():
            client = Client(owner_id, secret, app_domain, base_url=base_url, **options)
        super().__init__(client)
        self._close = weakref.finalize(self, client.close)

    @property
    def messages(self) -> Messages:
        """The calls about messages."""
        return Messages(self._client, self)

    @property
    def settings(self) -> Settings:
        """The calls about SMTP users, domains and webhooks."""
        return Settings(self._client, self)

    @property
    def account(self) -> Account:
        """The call about the account."""
        return Account(self._client, self)

    def close(self) -> None:
        """Close the connections; a further call raises `Error`."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        # A traceback may show a client whose __init__ failed.
        return (
            f"<PowerEmail.{repr(self._client)[1:]}"
            if hasattr(self, "_client")
            else "<PowerEmail.PowerEmail>"
        )
