"""
The table of calls.

The vendor's page "Messages Calls" documents the calls about messages. The others are publicly known
from the same product under other brands. Every call is a POST with a JSON body, except one.

To add a call, add an `Operation`; its flags decide whether the call may be repeated.
"""

from __future__ import annotations

from typing import Literal

import attrs


@attrs.frozen
class Operation:
    """
    One call of the API.

    *path*: relative to the base URL.
    *method*: of the HTTP request.
    *sends*: the call sends a mail, so its outcome is that of the mail, and a repetition can be a
    second mail.
    *reads*: the call changes nothing at the service.
    *repeatable*: a repetition leaves the service as the first call did and gets the same response,
    as with every call that reads.
    *returns_secrets*: the response may have a password or a key; calls about messages have none.
    """

    path: str
    method: Literal["GET", "POST"] = "POST"
    sends: bool = False
    reads: bool = False
    repeatable: bool = attrs.field(default=attrs.Factory(lambda self: self.reads, takes_self=True))
    returns_secrets: bool = attrs.field(
        init=False,
        default=attrs.Factory(
            lambda self: not self.path.lower().startswith("messages/"), takes_self=True
        ),
    )

    @property
    def may_mail(self) -> bool:
        """
        Whether the call may make the service send a mail whose recipients it does not show: a
        verification, and one that is not known and whose path says so.
        """
        if self.reads or self.sends:
            return False
        words = self.path.lower().split("/")
        return words[0] == "messages" or words[-1].startswith(_MAILING)


_MAILING = ("send", "resend", "verify", "test")
"""How the names of calls begin that may send a mail."""

SEND_MAIL = Operation("messages/sendMail", sends=True)
SEND_TEMPLATE = Operation("messages/sendTemplate", sends=True)
SEND_TEMPLATE_HTTP_GET = Operation("messages/sendTemplateHTTPGet", method="GET", sends=True)
SEND_RAW = Operation("messages/sendRaw", sends=True)
GET_MESSAGE_INFO = Operation("messages/getMessageInfo", reads=True)

# Of the calls that change something, only an edit may be repeated: it sets values, so the second
# one changes nothing. A call that adds or generates something would do so again. A second delete
# would report that there is no such thing, which would turn a success into an error. A verification
# sends a mail.
ADD_SMTP = Operation("settings/addSmtp")
EDIT_SMTP = Operation("settings/editSmtp", repeatable=True)
RESET_SMTP_PASSWORD = Operation("settings/resetSmtpPassword")
LIST_SMTP = Operation("settings/listSmtp", reads=True)

ADD_SENDING_DOMAIN = Operation("settings/addSendingDomain")
DELETE_SENDING_DOMAIN = Operation("settings/deleteSendingDomain")
CHECK_SENDING_DOMAIN = Operation("settings/checkSendingDomain", reads=True)
VERIFY_SENDING_DOMAIN = Operation("settings/verifySendingDomain")
LIST_SENDING_DOMAIN = Operation("settings/listSendingDomain", reads=True)

ADD_TRACKING_DOMAIN = Operation("settings/addTrackingDomain")
DELETE_TRACKING_DOMAIN = Operation("settings/deleteTrackingDomain")
CHECK_TRACKING_DOMAIN = Operation("settings/checkTrackingDomain", reads=True)
LIST_TRACKING_DOMAIN = Operation("settings/listTrackingDomain", reads=True)

ADD_WEBHOOK = Operation("settings/addWebhook")
EDIT_WEBHOOK = Operation("settings/editWebhook", repeatable=True)
DELETE_WEBHOOK = Operation("settings/deleteWebhook")
KEY_RESET_WEBHOOK = Operation("settings/keyResetWebhook")
LIST_WEBHOOK = Operation("settings/listWebhook", reads=True)
GET_WEBHOOK_INFO = Operation("settings/getWebhookInfo", reads=True)

VIEW_USER_DETAIL = Operation("account/viewUserDetail", reads=True)

_KNOWN = {
    operation.path.lower(): operation
    for operation in (
        *[operation for operation in globals().values() if isinstance(operation, Operation)],
        # The other spellings that deployments have of two calls.
        attrs.evolve(SEND_RAW, path="messages/senRaw"),
        attrs.evolve(VIEW_USER_DETAIL, path="accounts/userDetails"),
        # ``client.call`` POSTs it.
        attrs.evolve(SEND_TEMPLATE_HTTP_GET, method="POST"),
    )
}
"""Every operation above, by its path."""


def operation_at(path: str) -> Operation:
    """
    Return the POST operation at *path*. An unknown one counts as a change that must not be
    repeated.
    """
    return _KNOWN.get(path.lower()) or Operation(path)
