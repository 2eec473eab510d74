"""The part that all mails have in common: addresses, subject, headers, files, options."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Self, TypeVar

import attrs

from poweremail._types import FrozenMapping
from poweremail._types.address import (
    AddressesLike,
    AddressLike,
    Recipient,
    is_domain,
    recipient,
    recipients,
)
from poweremail._types.address_forms import dns_domain
from poweremail._types.attachment import Attachment, Image
from poweremail._types.checks import header_text, required_text, string_mapping
from poweremail._types.suppression import check_stream
from poweremail._types.unsubscribe import (
    UNSUBSCRIBE_HEADERS,
    Unsubscribe,
    UnsubscribeLike,
    read_unsubscribe,
)
from poweremail.errors import UsageError

T = TypeVar("T")

# Header names of RFC 5322: printable US-ASCII without the colon.
HEADER_NAME = re.compile(r"[!-9;-~]+\Z")

UNIQUE_ID_HEADER = "X-Unique-Id"

OTHER_RECIPIENTS = ("resent-to", "resent-cc", "resent-bcc", "apparently-to")
"""Headers beside To, Cc and Bcc from which some mail servers take recipients."""


def names_others(headers: Iterable[object]) -> bool:
    """Return whether one of the names *headers* is among `OTHER_RECIPIENTS`."""
    return any(str(name).strip().lower() in OTHER_RECIPIENTS for name in headers)


OPTION_HEADERS = {
    "auto_text": "X-STes-Autotext",
    "auto_html": "X-STes-AutoHtml",
    "signing_domain": "X-STes-SigningDomain",
    "return_path_domain": "X-STes-ReturnPathDomain",
}
"""The headers of the fields of `Envelope` that are requests to the service."""

_YES_NO: dict[object, str] = {True: "yes", False: "no"}

_NO_OPTIONS = (None,) * len(OPTION_HEADERS)
_SWITCHES = ("auto_text", "auto_html")
_DOMAINS = ("signing_domain", "return_path_domain")

# Headers that are fields of a message. Given as headers, too, they could add a recipient or
# contradict the mail.
_FIELDS_OF_HEADERS = {
    **{name: name for name in ("subject", "to", "cc", "bcc")},
    **dict.fromkeys(("from", "sender"), "from_email"),
    **dict.fromkeys(("content-type", "content-transfer-encoding", "mime-version"), "html and text"),
}


@attrs.frozen(kw_only=True)
class Tracking:
    """
    The events that the service counts of a mail. None leaves the choice to the account's settings.

    *opens*: count opens.
    *clicks*: count clicks in the ``"html"``, the ``"text"`` or ``"both"`` parts, or ``"no"``.
    *domain*: the tracking domain that links lead through.

    Sent as ``X-STes-TrackOpen``, ``X-STes-TrackClick`` and ``X-STes-TrackingDomain``.
    """

    opens: bool | None = None
    clicks: Literal["html", "text", "both", "no"] | None = None
    domain: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.opens not in (None, True, False):
            raise UsageError(
                f"must be True, False or None, not {self.opens!r}", field="tracking.opens"
            )
        if self.clicks not in (None, "html", "text", "both", "no"):
            raise UsageError(
                f"must be 'html', 'text', 'both', 'no' or None, not {self.clicks!r}",
                field="tracking.clicks",
            )
        if self.domain is not None:
            required_text("tracking.domain", self.domain)

    def headers(self) -> dict[str, str]:
        """The headers that request it from the service."""
        values = {
            "X-STes-TrackOpen": self.opens,
            "X-STes-TrackClick": self.clicks,
            "X-STes-TrackingDomain": self.domain,
        }
        return _written(values)


def _written(options: Mapping[str, str | bool | None]) -> dict[str, str]:
    """Return *options* as headers; None is left out."""
    return {
        name: _YES_NO.get(value) or str(value)
        for name, value in options.items()
        if value is not None
    }


def _from_email(value: AddressLike) -> Recipient:
    return recipient("from_email", value)


def _to(value: AddressesLike) -> tuple[Recipient, ...]:
    return recipients("to", value)


def _cc(value: AddressesLike) -> tuple[Recipient, ...]:
    return recipients("cc", value)


def _bcc(value: AddressesLike) -> tuple[Recipient, ...]:
    return recipients("bcc", value)


def _reply_to(value: AddressesLike | None) -> tuple[Recipient, ...]:
    return () if value is None else recipients("reply_to", value)


def _unsubscribe(value: UnsubscribeLike | None) -> Any:
    return read_unsubscribe(value)


def _headers(value: Mapping[str, str]) -> FrozenMapping[str]:
    return string_mapping("headers", value, header_text)


def _items(field: str, kind: type[T], value: object) -> tuple[T, ...]:
    values = (value,) if isinstance(value, kind) else value
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise UsageError(
            f"must be {kind.__name__} objects, not {type(value).__name__}", field=field
        )
    items = tuple(values)
    for index, item in enumerate(items):
        if not isinstance(item, kind):
            raise UsageError(
                f"must be an {kind.__name__}, not {type(item).__name__}", field=f"{field}[{index}]"
            )
    return items


def _attachments(value: Attachment | Iterable[Attachment]) -> tuple[Attachment, ...]:
    return _items("attachments", Attachment, value)


def _images(value: Image | Iterable[Image]) -> tuple[Image, ...]:
    return _items("images", Image, value)


@attrs.frozen(kw_only=True)
class Envelope:
    """
    The fields that `Message` and `TemplateMessage` have in common.

    *subject*: not empty.
    *from_email*, *to*, *cc*, *bcc*, *reply_to*: addresses, each ``"Ada <ada@example.com>"``, a pair
    ``("Ada", "ada@example.com")`` or a `Recipient`; all but *from_email* take one or many. At
    least one recipient is needed.
    *headers*: further headers, each name at most once. Reply-To, tracking and the unique id may be
    given here or in their own field.
    *attachments*, *images*: see `Attachment` and `Image`.
    *tracking*: see `Tracking`.
    *unique_id*: the ``X-Unique-Id`` by which the service finds the mail again; drawn for each send
    if it is None.
    *auto_text*, *auto_html*: whether the service makes the text of a mail from its HTML, or the
    HTML from its text, if the mail lacks it. None leaves the choice to the account's settings.
    *signing_domain*: the domain in whose name the service signs the mail (DKIM).
    *return_path_domain*: the domain to which bounces go.
    *stream*: the kind of mail, such as ``newsletter``: it selects the list of those who do not want
    it, if the client has a suppression store. It is not sent.
    *unsubscribe*: how the recipient unsubscribes: an `Unsubscribe`, an ``https://`` or ``mailto:``
    URL, or `poweremail.unsubscribe.UnsubscribeLinks`, which sign a link for the recipient and
    *stream*. A mail with a link that unsubscribes one recipient has exactly one.

    Raises `UsageError`, which names the field, if the service could not send it.
    """

    subject: str
    from_email: Recipient = attrs.field(converter=_from_email)
    to: tuple[Recipient, ...] = attrs.field(default=(), converter=_to)
    cc: tuple[Recipient, ...] = attrs.field(default=(), converter=_cc)
    bcc: tuple[Recipient, ...] = attrs.field(default=(), converter=_bcc)
    reply_to: tuple[Recipient, ...] = attrs.field(default=(), converter=_reply_to)
    headers: FrozenMapping[str] = attrs.field(default=FrozenMapping[str](), converter=_headers)
    attachments: tuple[Attachment, ...] = attrs.field(default=(), converter=_attachments)
    images: tuple[Image, ...] = attrs.field(default=(), converter=_images)
    tracking: Tracking | None = None
    unique_id: str | None = None
    auto_text: bool | None = None
    auto_html: bool | None = None
    signing_domain: str | None = None
    return_path_domain: str | None = None
    stream: str | None = None
    unsubscribe: Unsubscribe | None = attrs.field(default=None, converter=_unsubscribe)

    def __attrs_post_init__(self) -> None:
        required_text("subject", self.subject)
        if not (self.to or self.cc or self.bcc):
            raise UsageError("give at least one recipient in to, cc or bcc", field="to")
        if self.tracking is not None and not isinstance(self.tracking, Tracking):
            raise UsageError(
                f"must be a Tracking, not {type(self.tracking).__name__}", field="tracking"
            )
        if self.images:
            cids = [image.cid for image in self.images]
            if len(set(cids)) < len(cids):
                raise UsageError(f"two images have the same cid among {cids}", field="images")
        options = (self.auto_text, self.auto_html, self.signing_domain, self.return_path_domain)
        if options != _NO_OPTIONS:
            self._check_options()
        if self.stream is not None or self.unsubscribe is not None:
            self._check_unsubscribe()
        if self.headers:
            self._check_headers()
        if self.unique_id is not None:
            required_text("unique_id", self.unique_id)

    def _check_options(self) -> None:
        for field in _SWITCHES:
            if (value := getattr(self, field)) not in (None, True, False):
                raise UsageError(f"must be True, False or None, not {value!r}", field=field)
        for field in _DOMAINS:
            value = getattr(self, field)
            if value is not None and not is_domain(header_text(field, value)):
                raise UsageError(f"{value!r} is not a domain such as example.com", field=field)

    def _check_unsubscribe(self) -> None:
        if self.stream is not None:
            check_stream("stream", self.stream, mail_state="not_sent")
        if self.unsubscribe is None:
            return
        # What makes links stands here until the recipient is known.
        given: Any = self.unsubscribe
        is_made = isinstance(given, Unsubscribe)
        recipients = self.recipients
        if len(recipients) != 1 and not (is_made and not given.is_personal):
            raise UsageError(
                f"its link unsubscribes one recipient, and the mail has {len(recipients)}",
                field="unsubscribe",
                advice="send a mail to each recipient",
            )
        if not is_made:
            if self.stream is None:
                raise UsageError("name what the link unsubscribes from", field="stream")
            link = given.link(recipients[0], self.stream).made_for(recipients[0], self.stream)
            # As for the unique id: a frozen class sets its own fields in this way.
            object.__setattr__(self, "unsubscribe", link)
        elif given.is_personal and not given.fits(recipients[0], self.stream):
            # The message was copied with another recipient, who would unsubscribe the first one.
            raise UsageError(
                "its link was made for another recipient or stream",
                field="unsubscribe",
                advice="give the UnsubscribeLinks again when you copy a message",
            )

    def _check_headers(self) -> None:
        spoken_for = _FIELDS_OF_HEADERS | {
            **dict.fromkeys(
                map(str.lower, self.tracking.headers() if self.tracking else ()), "tracking"
            ),
            **{
                header.lower(): field
                for field, header in OPTION_HEADERS.items()
                if getattr(self, field) is not None
            },
        }
        if self.unsubscribe is not None:
            # Both: a hand-written second one would ask to post to a mailto.
            spoken_for |= dict.fromkeys(map(str.lower, UNSUBSCRIBE_HEADERS), "unsubscribe")
        if self.reply_to:
            spoken_for["reply-to"] = "reply_to"
        seen: set[str] = set()
        others: dict[str, str] = {}
        for name, value in self.headers.items():
            if not HEADER_NAME.match(name):
                raise UsageError(f"{name!r} is not a header name", field="headers")
            lower = name.lower()
            if lower in seen:
                raise UsageError(f"{name!r} is given twice", field="headers")
            if lower in spoken_for:
                raise UsageError(
                    f"{name!r} is said by {spoken_for[lower]} already", field="headers"
                )
            seen.add(lower)
            if lower != UNIQUE_ID_HEADER.lower():
                others[name] = value
            else:
                if self.unique_id not in (None, value):
                    raise UsageError(f"{name!r} differs from unique_id", field="headers")
                # From here on it stands in one place. A frozen class sets its own fields in this
                # way while it is initialised, says the documentation of attrs.
                object.__setattr__(self, "unique_id", value)
        object.__setattr__(self, "headers", FrozenMapping(others))

    def with_ascii_domains(self) -> Self:
        """
        Return this mail with its international domains as DNS has them (IDNA 2008, UTS 46):
        ``ada@xn--bcher-kva.example`` for ``ada@bücher.example``.

        The part before the @ stays. Raises `UsageError` if a domain is not valid in DNS.
        """

        def rewritten(field: str, given: Recipient) -> Recipient:
            local, at, domain = given.email.rpartition("@")
            email = f"{local}{at}{dns_domain(domain, field=field)}"
            return given if email == given.email else Recipient(email, given.name)

        changes: dict[str, Any] = {"from_email": rewritten("from_email", self.from_email)}
        for field in ("to", "cc", "bcc", "reply_to"):
            changes[field] = tuple(
                rewritten(f"{field}[{index}]", each)
                for index, each in enumerate(getattr(self, field))
            )
        for field in _DOMAINS:
            if (domain := getattr(self, field)) is not None:
                changes[field] = dns_domain(domain, field=field)
        if self.tracking is not None and self.tracking.domain is not None:
            domain = dns_domain(self.tracking.domain, field="tracking.domain")
            changes["tracking"] = attrs.evolve(self.tracking, domain=domain)
        changed = any(getattr(self, field) != value for field, value in changes.items())
        return attrs.evolve(self, **changes) if changed else self

    def option_headers(self) -> dict[str, str]:
        """The headers of *tracking*, the other requests to the service, and *unsubscribe*."""
        options = _written({header: getattr(self, name) for name, header in OPTION_HEADERS.items()})
        tracking = {} if self.tracking is None else self.tracking.headers()
        unsubscribe = {} if self.unsubscribe is None else self.unsubscribe.headers()
        return {**tracking, **options, **unsubscribe}

    @property
    def recipients(self) -> tuple[str, ...]:
        """The address of every recipient: to, cc, then bcc."""
        return tuple([recipient.email for recipient in (*self.to, *self.cc, *self.bcc)])
