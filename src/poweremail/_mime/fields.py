"""From the headers of a message to the fields of ours."""

from __future__ import annotations

from collections.abc import Iterable
from email.errors import InvalidHeaderDefect
from email.headerregistry import AddressHeader, BaseHeader
from typing import Any

from poweremail._messages.message import HEADER_NAME, UNIQUE_ID_HEADER, Tracking
from poweremail._mime.mailboxes import Mailbox, read_mailboxes
from poweremail._mime.part import HeaderLine, shown
from poweremail._types.address import Recipient
from poweremail._types.text import header_text
from poweremail.errors import UsageError

__all__ = ["NOT_CARRIED", "read_fields"]

NOT_CARRIED = frozenset(
    (
        # The service writes its own; two of them in a mail get it refused by some receivers.
        *("mime-version", "date", "message-id"),
        # How this copy of the message came here, which is not true of the mail that is sent.
        *(
            "received",
            "return-path",
            "delivered-to",
            "x-original-to",
            "x-received",
            "received-spf",
            "authentication-results",
        ),
        *(
            "dkim-signature",
            "domainkey-signature",
            "arc-seal",
            "arc-message-signature",
            "arc-authentication-results",
        ),
    )
)
"""
Headers that are no loss. ``Content-Language`` apart, those that begin with ``Content-`` describe
the body, and go with it.
"""

_ADDRESSES = {"from": "from_email", "to": "to", "cc": "cc", "bcc": "bcc", "reply-to": "reply_to"}
_CLICKS = ("html", "text", "both", "no")


def read_fields(lines: Iterable[HeaderLine], losses: list[str]) -> dict[str, Any]:
    """
    Return the arguments of a message that *lines* give: none is missing, though *from_email* may be
    None and *subject* empty.

    What cannot be carried is added to *losses*.
    """
    mailboxes: dict[str, list[Recipient]] = {field: [] for field in _ADDRESSES.values()}
    senders: list[Recipient] = []
    texts: dict[str, tuple[str, str]] = {}
    resent: list[str] = []
    for line in lines:
        lower = line.name.lower()
        if lower in NOT_CARRIED or (lower.startswith("content-") and lower != "content-language"):
            continue
        if lower.startswith("resent-"):
            resent.append(line.name)
        elif lower == "sender":
            senders += _mailboxes(line, losses)
        elif lower in _ADDRESSES:
            mailboxes[_ADDRESSES[lower]] += _mailboxes(line, losses)
        else:
            _add_text(texts, line, losses)
    if resent:
        losses.append(
            f"{', '.join(dict.fromkeys(resent))}: a mail that is sent again is sent as a new one"
        )
    from_email = _from_email(mailboxes.pop("from_email"), senders, losses)
    _, subject = texts.pop("subject", ("", ""))
    _, unique_id = texts.pop(UNIQUE_ID_HEADER.lower(), ("", ""))
    return {
        "from_email": from_email,
        **mailboxes,
        "subject": subject,
        "unique_id": unique_id.strip() or None,
        "tracking": _tracking(texts),
        "headers": dict(texts.values()),
    }


def _from_email(
    authors: list[Recipient], senders: list[Recipient], losses: list[str]
) -> Recipient | None:
    authors = list(dict.fromkeys(authors))
    author = authors[0] if authors else None
    losses += [f"From {other}: the service takes one sender" for other in authors[1:]]
    losses += [
        f"Sender {sender}: the service has no sender beside From"
        for sender in dict.fromkeys(senders)
        if author is None or sender.email != author.email
    ]
    return author


def _mailboxes(line: HeaderLine, losses: list[str]) -> list[Recipient]:
    garbled: UnicodeError | None = None
    try:
        try:
            mailboxes = list(_addresses(line))
        except UnicodeError as error:
            garbled, mailboxes = error, read_mailboxes(line.text, errors="replace")
    except ValueError as error:
        losses.append(f"{line.name} {shown(line.text)}: {error}")
        return []
    losses += [
        f"{line.name}: the name of the group {shown(group)}, whose members are addressed one by one"
        for group in dict.fromkeys(
            mailbox.group for mailbox in mailboxes if mailbox.group is not None
        )
    ]
    if garbled is not None:
        losses.append(f"{line.name} {shown(line.text)}: {garbled}")
    found: list[Recipient] = []
    for mailbox in mailboxes:
        if garbled is not None and "\ufffd" in mailbox.address:
            # Named above. A name may be shown with a character too few; a mail must not go to an
            # address that is a guess.
            continue
        try:
            found.append(Recipient(mailbox.address, mailbox.name or None))
        except UsageError as error:
            losses.append(f"{line.name} {shown(mailbox.address)}: {error.reason}")
    return found


def _addresses(line: HeaderLine) -> Iterable[Mailbox]:
    if line.garbled:
        raise UnicodeError("its bytes are not ASCII or UTF-8")
    if not (isinstance(line.value, AddressHeader) and isinstance(line.value, BaseHeader)):
        return read_mailboxes(line.text)
    if any(isinstance(defect, InvalidHeaderDefect) for defect in line.value.defects):
        # What was wrong was passed over or guessed at; the text as it was given is kept only here.
        return read_mailboxes(str(getattr(line.value, "_parse_tree", line.value)))
    groups = line.value.groups
    return [
        Mailbox(address.display_name, address.addr_spec, group.display_name)
        for group in groups
        for address in group.addresses
    ]


def _add_text(texts: dict[str, tuple[str, str]], line: HeaderLine, losses: list[str]) -> None:
    try:
        text = line.decode()
    except UnicodeError as error:
        losses.append(f"{line.name} {shown(line.text)}: cannot be decoded ({error})")
        text = line.decode(errors="replace")
    lower = line.name.lower()
    if lower in texts:
        if texts[lower][1] != text:
            losses.append(f"{line.name} {shown(text)}: the service takes a header once")
        return
    if not HEADER_NAME.match(line.name):
        losses.append(f"{shown(line.name)}: is not a header name")
        return
    try:
        texts[lower] = (line.name, header_text("", text))
    except UsageError as error:
        losses.append(f"{line.name} {shown(text)}: {error.reason}")
        if lower == "subject":
            texts[lower] = (
                line.name,
                "".join(character if character.isprintable() else " " for character in text),
            )


def _tracking(texts: dict[str, tuple[str, str]]) -> Tracking | None:
    """Take what `Tracking` can say out of *texts*; another value stays a header."""
    opens, clicks, domain = (
        texts.get(f"x-stes-{name}", ("", ""))[1].strip()
        for name in ("trackopen", "trackclick", "trackingdomain")
    )
    says: dict[str, Any] = {}
    if opens.lower() in {"yes", "no"}:
        says["opens"] = opens.lower() == "yes"
        del texts["x-stes-trackopen"]
    if clicks.lower() in _CLICKS:
        says["clicks"] = clicks.lower()
        del texts["x-stes-trackclick"]
    if domain:
        says["domain"] = domain
        del texts["x-stes-trackingdomain"]
    return Tracking(**says) if says else None
