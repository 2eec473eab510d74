"""``client.messages``, and the client itself: the calls of the page "Messages Calls"."""

from __future__ import annotations

from poweremail._vendor import members
from poweremail._vendor.calls import Calls, Dict
from poweremail._vendor.errors import errors_of_the_page
from poweremail._wire.decode import call_result_of_send
from poweremail._wire.encode import check_lookup


class Messages(Calls):
    """
    Send mails, and query their fate.

    A *message* is sent unchanged, and nothing is added to it. It needs ``subject``, ``from_email``,
    ``to``, and ``html`` or ``text`` (`sendMail`) or ``template_id`` (`sendTemplate`). With an
    ``X-Unique-Id`` among its ``headers``, `getMessageInfo` finds it again, even if its outcome is
    unknown.
    """

    def sendMail(self, smtp_user_name: str, message: Dict) -> Dict:
        """Send *message*."""
        with errors_of_the_page():
            members.check_mail(smtp_user_name, message)
        return self.call(
            "messages/sendMail", {"smtp_user_name": smtp_user_name, "message": message}
        )

    def sendTemplate(self, smtp_user_name: str, message: Dict) -> Dict:
        """Send *message*, which names a template."""
        with errors_of_the_page():
            members.check_template(smtp_user_name, message)
        return self.call(
            "messages/sendTemplate", {"smtp_user_name": smtp_user_name, "message": message}
        )

    def sendTemplateHTTPGet(self, smtp_user_name: str, message: Dict) -> Dict:
        """
        Send *message*, which names a template, by a GET request.

        It has ``template_id``, ``subject``, ``from_email``, ``to`` (one address) and the dynamic
        values: as a dict under ``dynamic_value``, or each under ``dynamic_value[NAME]``.
        """
        with errors_of_the_page():
            template = members.read_get(message)
            result = self._client.messages.send_template_http_get(
                template, smtp_user_name=smtp_user_name
            )
            return dict(call_result_of_send(result).data)

    def sendRaw(self, smtp_user_name: str, raw_message: str) -> Dict:
        """Send *raw_message*, a whole RFC 5322 message."""
        return self._send_raw("messages/sendRaw", smtp_user_name, raw_message)

    def senRaw(self, smtp_user_name: str, raw_message: str) -> Dict:
        """Send *raw_message* as `sendRaw` does, to a deployment that spells the path so."""
        return self._send_raw("messages/senRaw", smtp_user_name, raw_message)

    def getMessageInfo(self, x_unique_id: str, skip_page: int = 0) -> Dict:
        """
        Return page *skip_page* (from 0) of the records of the mails with *x_unique_id*: 100 a page,
        one for each recipient.
        """
        with errors_of_the_page():
            check_lookup("x_unique_id", x_unique_id, skip_page)
        return self.call(
            "messages/getMessageInfo", {"x_unique_id": x_unique_id, "skip_page": skip_page}
        )

    def _send_raw(self, path: str, smtp_user_name: str, raw_message: str) -> Dict:
        with errors_of_the_page():
            members.check_raw(smtp_user_name, raw_message)
        return self.call(path, {"smtp_user_name": smtp_user_name, "raw_message": raw_message})
