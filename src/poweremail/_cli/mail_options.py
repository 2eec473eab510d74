"""The options of the commands that send a mail, in groups that they share."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Literal, TypeAlias

import attrs

from poweremail._cli.options import flag, option
from poweremail._messages.envelope import Tracking
from poweremail._policy.outcome import OnUnknown, UnknownPolicy

_Strings: TypeAlias = list[str] | None

_envelope = functools.partial(option, rich_help_panel="Envelope")
_CONTENT = "Content"
_content = functools.partial(option, rich_help_panel=_CONTENT)
_tracking = functools.partial(option, rich_help_panel="Tracking")
_bulk = functools.partial(option, rich_help_panel="Bulk mail")
_service = functools.partial(option, rich_help_panel="What the service does")
_unknown = functools.partial(option, rich_help_panel="If it is unknown whether it was sent")

ASCII_DOMAINS = flag("Write international domains as DNS has them (IDNA).", "--ascii-domains")
ATTACH = (
    "A file to attach; can be repeated. Its MIME type follows from its name, or is given as in "
    "'invite.ics;type=text/calendar; method=REQUEST'."
)
STREAM = "The kind of mail, such as newsletter: who is suppressed for it gets none."


@attrs.frozen
class EnvelopeOptions:
    """From whom to whom, and the headers."""

    from_email: str | None = _envelope(
        'The sender, such as "Ada <ada@example.com>".', "ADDRESS", "--from"
    )
    to: _Strings = _envelope("A recipient; can be repeated, as the next three can.", "ADDRESS")
    cc: _Strings = _envelope("A recipient of a copy.", "ADDRESS")
    bcc: _Strings = _envelope("A recipient that the others do not see.", "ADDRESS")
    reply_to: _Strings = _envelope("Where replies go.", "ADDRESS")
    subject: str | None = _envelope("The subject.", "TEXT", "--subject", "-s")
    headers: _Strings = _envelope("A header; can be repeated.", "NAME:VALUE", "--header", "-H")
    unique_id: str | None = _envelope(
        "The X-Unique-Id, by which the mail is found; drawn unless given.", "ID"
    )


@attrs.frozen
class BodyOptions:
    """The text and the HTML of a mail, or a whole message."""

    text: str | None = _content(
        "The text; - reads it from standard input, @FILE from a file; @@ is an @.", "TEXT"
    )
    text_file: Path | None = _content("Read the text from this file.", "FILE")
    html: str | None = _content("The HTML, -, or @FILE.", "HTML")
    html_file: Path | None = _content("Read the HTML from this file.", "FILE")
    eml: Path | None = _content(
        "Send this whole message (RFC 5322); - reads it from standard input.", "FILE"
    )
    lossy: bool = flag(
        "With --eml: leave out what the service cannot carry.", "--lossy", rich_help_panel=_CONTENT
    )


@attrs.frozen
class ValueOptions:
    """The dynamic values of a template."""

    dynamic_value: _Strings = _content(
        "The value of a dynamic field; can be repeated.", "NAME=VALUE", "--value"
    )
    values_file: Path | None = _content(
        "Read such values from a JSON object; --value overrides them.", "FILE"
    )


@attrs.frozen
class FileOptions:
    """Attachments and inline images."""

    attachments: _Strings = _content(ATTACH, "FILE", "--attach", "-a")
    images: _Strings = _content(
        'An image for <img src="cid:CID">; can be repeated.', "CID=FILE", "--image"
    )


@attrs.frozen
class FieldOptions:
    """Options that are fields of a message."""

    def fields(self) -> dict[str, Any]:
        """Return the fields of a message that are given."""
        return attrs.asdict(self, filter=lambda _, value: value is not None)


@attrs.frozen
class TrackingOptions:
    """Counting of opens and clicks."""

    opens: bool | None = _tracking("Count opens.", None, "--track-opens/--no-track-opens")
    clicks: Literal["html", "text", "both", "no"] | None = _tracking(
        "Count clicks in html, text, both or no parts.", "PARTS", "--track-clicks"
    )
    domain: str | None = _tracking("The domain of tracked links.", "DOMAIN", "--tracking-domain")

    def tracking(self) -> Tracking | None:
        """Return the tracking, or None if no option was given."""
        given = attrs.asdict(self)
        return None if set(given.values()) == {None} else Tracking(**given)


@attrs.frozen
class ServiceOptions(FieldOptions):
    """Other requests to the service."""

    auto_text: bool | None = _service(
        "Let the service make the text from the HTML.", None, "--auto-text/--no-auto-text"
    )
    auto_html: bool | None = _service(
        "Let the service make the HTML from the text.", None, "--auto-html/--no-auto-html"
    )
    signing_domain: str | None = _service("The domain that signs the mail.", "DOMAIN")
    return_path_domain: str | None = _service("The domain to which bounces go.", "DOMAIN")


@attrs.frozen
class BulkOptions(FieldOptions):
    """Who does not want such a mail, and how to leave it."""

    stream: str | None = _bulk(STREAM, "NAME")
    unsubscribe: str | None = _bulk(
        "Where the recipient unsubscribes: an https URL that acts upon a POST, or mailto:ADDRESS.",
        "URL",
    )


@attrs.frozen(slots=False)  # beside another base, which has slots
class DeriveOptions:
    """What the command makes of a mail before it is sent."""

    text_from_html: bool = flag(
        "Make the text of a mail without one from its HTML (poweremail[html]).", "--text-from-html"
    )
    ascii_domains: bool = ASCII_DOMAINS

    def derive_options(self) -> dict[str, bool]:
        """Return the options as those of a client."""
        return {name: getattr(self, name) for name in ("text_from_html", "ascii_domains")}


@attrs.frozen
class UnknownOptions:
    """What to do if no trustworthy response came to a mail."""

    on_unknown: OnUnknown = _unknown(
        "raise: exit with status 5; reconcile: find out by the unique id whether it was accepted; "
        "resend: send it again at once, which may deliver it twice.",
        "ACTION",
        default=UnknownPolicy().on_unknown,
    )
    visibility: float = _unknown(
        "With reconcile: wait so long for it to appear.",
        "SECONDS",
        default=UnknownPolicy().visibility,
    )
    resend_after: float | None = _unknown(
        "With reconcile: send it again if it has not appeared after so long.", "SECONDS"
    )

    def policy(self) -> dict[str, Any]:
        """Return the options as those of a client, checked. Raises `UsageError`."""
        options = attrs.asdict(self)
        UnknownPolicy(**options)
        return options
