"""How a recipient unsubscribes: the links in the headers of a mail."""

from __future__ import annotations

import re
from typing import Protocol, Self
from urllib.parse import urlsplit

import attrs

from poweremail._types.address import recipient
from poweremail._types.address_forms import fold_address
from poweremail._types.checks import body_text, is_loopback
from poweremail.errors import UsageError

ONE_CLICK = ("List-Unsubscribe", "One-Click")
"""The name and the value that a mail service posts to a one-click link (RFC 8058, 3.1)."""

UNSUBSCRIBE_HEADERS = ("List-Unsubscribe", "List-Unsubscribe-Post")

# A line of a mail has at most 998 bytes, and the header is folded between its links only.
_MAX_LINK_CHARS = 900
# A comma or an angle bracket would end the link (RFC 2369, 2).
_LINK = re.compile(r"[!-~]+\Z")
_NOT_IN_LINK = re.compile(r"[<>,\"\\]")


def _check_link(field: str, link: str) -> str:
    if not _LINK.match(link) or _NOT_IN_LINK.search(link):
        raise UsageError(
            "must be ASCII without spaces, commas, quotation marks and angle brackets",
            field=field,
            advice="write other characters as %xx",
        )
    if len(link) > _MAX_LINK_CHARS:
        raise UsageError(
            f"has {len(link)} characters, and a header carries {_MAX_LINK_CHARS}", field=field
        )
    return link


def _url(value: str | None) -> str | None:
    if value is None:
        return None
    field = "unsubscribe.url"
    _check_link(field, body_text(field, value))
    try:
        parts = urlsplit(value)
        host = parts.hostname or ""
    except ValueError as error:
        raise UsageError(f"is not a URL: {error}", field=field) from None
    is_secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    if not is_secure or not host or parts.fragment:
        raise UsageError(f"must be an https:// URL without a fragment, not {value!r}", field=field)
    if parts.username is not None:
        # Everybody who gets the mail can read it.
        raise UsageError("must not have a user or a password", field=field)
    return value


def _mailto(value: str | None) -> str | None:
    if value is None:
        return None
    field = "unsubscribe.mailto"
    link = body_text(field, value)
    if not link.lower().startswith("mailto:"):
        link = f"mailto:{link}"
    recipient(field, link[len("mailto:") :].partition("?")[0])
    return _check_link(field, link)


@attrs.frozen
class Unsubscribe:
    """
    How the recipient of a mail unsubscribes (RFC 2369, RFC 8058).

    *url*: an ``https://`` URL that unsubscribes upon a POST, without a further question. It says
    who is unsubscribed, so a mail with one has exactly one recipient.
    *mailto*: an address, or a URL such as ``mailto:leave@example.com?subject=42``, that takes mails
    in which people unsubscribe.
    *one_click*: False if *url* only leads to a page, which Gmail and Yahoo do not accept of bulk
    senders.

    Sent as ``List-Unsubscribe`` and ``List-Unsubscribe-Post``. Raises `UsageError` if neither is
    given, or one is invalid.
    """

    url: str | None = attrs.field(default=None, converter=_url)
    mailto: str | None = attrs.field(default=None, converter=_mailto, kw_only=True)
    one_click: bool = attrs.field(default=True, kw_only=True)
    _made_for: tuple[str, str | None] | None = attrs.field(
        init=False, default=None, repr=False, eq=False
    )

    def __attrs_post_init__(self) -> None:
        if self.url is self.mailto is None:
            raise UsageError("give a url, a mailto or both", field="unsubscribe")

    @property
    def is_personal(self) -> bool:
        """True if its link unsubscribes one recipient."""
        return self.url is not None and self.one_click

    def made_for(self, address: str, stream: str | None) -> Self:
        """Return the same links, which remember that only *address* may get them for *stream*."""
        made = attrs.evolve(self)
        # The way of attrs to set a field of a frozen class.
        object.__setattr__(made, "_made_for", (fold_address(address), stream))
        return made

    def fits(self, address: str, stream: str | None) -> bool:
        """Return whether they were made for *address* and *stream*, or for nobody in particular."""
        return self._made_for in (None, (fold_address(address), stream))

    def headers(self) -> dict[str, str]:
        """The headers that carry it."""
        links = [f"<{link}>" for link in (self.url, self.mailto) if link is not None]
        headers = {UNSUBSCRIBE_HEADERS[0]: ", ".join(links)}
        if self.is_personal:
            headers[UNSUBSCRIBE_HEADERS[1]] = "=".join(ONE_CLICK)
        return headers


class UnsubscribeMaker(Protocol):
    """Makes the links of a mail, such as `poweremail.unsubscribe.UnsubscribeLinks`."""

    def link(self, address: str, stream: str) -> Unsubscribe:
        """Return the links by which *address* unsubscribes from *stream*."""
        ...


UnsubscribeLike = Unsubscribe | UnsubscribeMaker | str
"""The links themselves, what makes them, or one URL: ``https://...`` or ``mailto:...``."""


def read_unsubscribe(value: UnsubscribeLike | None) -> Unsubscribe | UnsubscribeMaker | None:
    """Read the ``unsubscribe`` of a message. Raises `UsageError` if it is none."""
    if isinstance(value, str):
        is_mail = value.lower().startswith("mailto:")
        return Unsubscribe(mailto=value) if is_mail else Unsubscribe(value)
    if value is None or isinstance(value, Unsubscribe) or hasattr(value, "link"):
        return value
    raise UsageError(
        f"must be an Unsubscribe, UnsubscribeLinks or a URL, not {type(value).__name__}",
        field="unsubscribe",
    )
