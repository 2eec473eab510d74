"""
``client.settings`` and ``client.account``.

The vendor's page has the message calls only. These are named, and take their arguments, as in the
vendor's library for the same product under another name.
"""

from __future__ import annotations

from typing import Any, Literal

from poweremail._vendor import members
from poweremail._vendor.calls import Calls, Dict
from poweremail._vendor.errors import errors_of_the_page

Switch = Literal["Enable", "Disable"]


class Settings(Calls):
    """
    SMTP users, domains and webhooks.

    An argument that is None is not sent. A dict can replace the arguments that it contains:
    ``addWebhook({"url": ..., "event": ...})``. The calls about SMTP users have two names: that of
    their path, and a longer one.
    """

    def addSmtp(self, total_limit: int | Dict, hourly_limit: int | None = None) -> Dict:
        """
        Add an SMTP user that may send *total_limit* mails in all and *hourly_limit* an hour. The
        response has its name and its password.
        """
        return self._set("addSmtp", 2, total_limit=total_limit, hourly_limit=hourly_limit)

    def editSmtp(
        self,
        smtp_user_name: str,
        total_limit: int | Dict | None = None,
        hourly_limit: int | None = None,
        status: Switch | None = None,
    ) -> Dict:
        """Change an SMTP user."""
        limits = {"total_limit": total_limit, "hourly_limit": hourly_limit}
        return self._set("editSmtp", 1, smtp_user_name=smtp_user_name, **limits, status=status)

    def resetSmtpPassword(self, smtp_user_name: str) -> Dict:
        """Replace the password of an SMTP user; the response has the new one."""
        return self._set("resetSmtpPassword", 1, smtp_user_name=smtp_user_name)

    def listSmtp(self) -> Dict:
        """List the SMTP users."""
        return self._set("listSmtp")

    addSmtpUser = addSmtp
    editSmtpUser = editSmtp
    resetSmtpUserPassword = resetSmtpPassword
    listSmtpUser = listSmtp

    def addSendingDomain(self, domain: str) -> Dict:
        """Add a domain to send from."""
        return self._set("addSendingDomain", 1, domain=domain)

    def checkSendingDomain(self, domain: str) -> Dict:
        """Check the DNS records of a domain to send from."""
        return self._set("checkSendingDomain", 1, domain=domain)

    def verifySendingDomain(self, domain: str, mailbox: str) -> Dict:
        """Have instructions sent to *mailbox* at *domain*."""
        return self._set("verifySendingDomain", 2, domain=domain, mailbox=mailbox)

    def deleteSendingDomain(self, domain: str) -> Dict:
        """Delete a domain to send from."""
        return self._set("deleteSendingDomain", 1, domain=domain)

    def listSendingDomain(self) -> Dict:
        """List the domains to send from."""
        return self._set("listSendingDomain")

    def addTrackingDomain(self, domain: str) -> Dict:
        """Add a domain that links lead through."""
        return self._set("addTrackingDomain", 1, domain=domain)

    def checkTrackingDomain(self, domain: str) -> Dict:
        """Check the DNS record of a tracking domain."""
        return self._set("checkTrackingDomain", 1, domain=domain)

    def deleteTrackingDomain(self, domain: str) -> Dict:
        """Delete a tracking domain."""
        return self._set("deleteTrackingDomain", 1, domain=domain)

    def listTrackingDomain(self) -> Dict:
        """List the tracking domains."""
        return self._set("listTrackingDomain")

    def addWebhook(
        self,
        url: str | Dict,
        event: str | None = None,
        description: str | None = None,
        store_log: Switch | None = None,
    ) -> Dict:
        """
        Let the service post events to *url*. *event* names them, separated by commas:
        ``"open,click"``.
        """
        return self._set(
            "addWebhook", 1, url=url, event=event, description=description, store_log=store_log
        )

    def editWebhook(
        self,
        webhook_id: str | Dict,
        url: str | Dict | None = None,
        event: str | None = None,
        description: str | None = None,
        store_log: Switch | None = None,
    ) -> Dict:
        """Change a webhook."""
        others = {"url": url, "event": event, "description": description, "store_log": store_log}
        return self._set("editWebhook", 1, webhook_id=webhook_id, **others)

    def deleteWebhook(self, webhook_id: str) -> Dict:
        """Delete a webhook."""
        return self._set("deleteWebhook", 1, webhook_id=webhook_id)

    def keyResetWebhook(self, webhook_id: str) -> Dict:
        """Replace the key of a webhook; the response has the new one. It takes effect at once."""
        return self._set("keyResetWebhook", 1, webhook_id=webhook_id)

    def listWebhook(self) -> Dict:
        """List the webhooks."""
        return self._set("listWebhook")

    def getWebhookInfo(self, webhook_id: str) -> Dict:
        """Return one webhook."""
        return self._set("getWebhookInfo", 1, webhook_id=webhook_id)

    def _set(self, name: str, needed: int = 0, **given: Any) -> Dict:
        """Make the call *name* with the arguments *given*; the first *needed* are required."""
        with errors_of_the_page():
            params = members.settings(given, tuple(given)[:needed])
        return self.call(f"settings/{name}", params)


class Account(Calls):
    """The account."""

    def viewUserDetail(self) -> Dict:
        """Return its owner, how fast it may send, and its reputation."""
        return self.call("account/viewUserDetail")
