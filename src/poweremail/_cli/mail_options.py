"""The options of the commands that send a mail, in groups that they share."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import attrs
import typer

from poweremail._messages.envelope import Tracking
from poweremail._policy.outcome import OnUnknown, UnknownPolicy

__all__ = [
    "BodyOptions",
    "DryRun",
    "EnvelopeOptions",
    "FileOptions",
    "HttpGet",
    "TrackingOptions",
    "UnknownOptions",
    "ValueOptions",
]

_Strings: TypeAlias = list[str] | None

_envelope = functools.partial(typer.Option, rich_help_panel="Envelope")
_content = functools.partial(typer.Option, rich_help_panel="Content")
_tracking = functools.partial(typer.Option, rich_help_panel="Tracking")
_unknown = functools.partial(typer.Option, rich_help_panel="If it is unknown whether it was sent")

DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", "-n", help="Check the mail and print what would be sent; send nothing."
    ),
]
HttpGet = Annotated[
    bool,
    typer.Option(
        "--http-get", help="Send by a GET request, which carries one recipient and no unique id."
    ),
]


@attrs.frozen
class EnvelopeOptions:
    """From whom to whom, and the headers."""

    from_email: Annotated[
        str | None,
        _envelope("--from", metavar="ADDRESS", help='The sender, such as "Ada <ada@example.com>".'),
    ] = None
    to: Annotated[
        _Strings,
        _envelope(metavar="ADDRESS", help="A recipient; can be repeated, as the next three can."),
    ] = None
    cc: Annotated[_Strings, _envelope(metavar="ADDRESS", help="A recipient of a copy.")] = None
    bcc: Annotated[
        _Strings, _envelope(metavar="ADDRESS", help="A recipient that the others do not see.")
    ] = None
    reply_to: Annotated[_Strings, _envelope(metavar="ADDRESS", help="Where replies go.")] = None
    subject: Annotated[
        str | None, _envelope("--subject", "-s", metavar="TEXT", help="The subject.")
    ] = None
    header: Annotated[
        _Strings,
        _envelope("--header", "-H", metavar="NAME:VALUE", help="A header; can be repeated."),
    ] = None
    unique_id: Annotated[
        str | None,
        _envelope(
            metavar="ID", help="The X-Unique-Id, by which the mail is found; drawn unless given."
        ),
    ] = None


@attrs.frozen
class BodyOptions:
    """The text and the HTML of a mail, or a whole message."""

    text: Annotated[
        str | None,
        _content(
            metavar="TEXT",
            help="The text; - reads it from standard input, @FILE from a file; @@ is an @.",
        ),
    ] = None
    text_file: Annotated[
        Path | None, _content(metavar="FILE", help="Read the text from this file.")
    ] = None
    html: Annotated[str | None, _content(metavar="HTML", help="The HTML, -, or @FILE.")] = None
    html_file: Annotated[
        Path | None, _content(metavar="FILE", help="Read the HTML from this file.")
    ] = None
    eml: Annotated[
        Path | None,
        _content(
            metavar="FILE",
            help="Send this whole message (RFC 5322); - reads it from standard input.",
        ),
    ] = None
    lossy: Annotated[
        bool, _content("--lossy", help="With --eml: leave out what the service cannot carry.")
    ] = False


@attrs.frozen
class ValueOptions:
    """The dynamic values of a template."""

    value: Annotated[
        _Strings,
        _content(metavar="NAME=VALUE", help="The value of a dynamic field; can be repeated."),
    ] = None
    values_file: Annotated[
        Path | None,
        _content(
            metavar="FILE", help="Read such values from a JSON object; --value overrides them."
        ),
    ] = None


@attrs.frozen
class FileOptions:
    """Attachments and inline images."""

    attach: Annotated[
        list[Path] | None,
        _content("--attach", "-a", metavar="FILE", help="A file to attach; can be repeated."),
    ] = None
    image: Annotated[
        _Strings,
        _content(metavar="CID=FILE", help='An image for <img src="cid:CID">; can be repeated.'),
    ] = None


@attrs.frozen
class TrackingOptions:
    """Whether opens and clicks are counted."""

    track_opens: Annotated[
        bool | None, _tracking("--track-opens/--no-track-opens", help="Count opens.")
    ] = None
    track_clicks: Annotated[
        Literal["html", "text", "both", "no"] | None,
        _tracking(metavar="PARTS", help="Count clicks in html, text, both or no parts."),
    ] = None
    tracking_domain: Annotated[
        str | None, _tracking(metavar="DOMAIN", help="The domain of tracked links.")
    ] = None

    def tracking(self) -> Tracking | None:
        """Return the tracking, or None if no option was given."""
        if attrs.astuple(self) == (None, None, None):
            return None
        return Tracking(
            opens=self.track_opens, clicks=self.track_clicks, domain=self.tracking_domain
        )


@attrs.frozen
class UnknownOptions:
    """What to do if no trustworthy response came to a mail."""

    on_unknown: Annotated[
        OnUnknown,
        _unknown(
            metavar="ACTION",
            help="raise: exit with status 5; reconcile: look the mail up by its unique id; "
            "resend: send it again at once, which may deliver it twice.",
        ),
    ] = UnknownPolicy().on_unknown
    visibility: Annotated[
        float, _unknown(metavar="SECONDS", help="With reconcile: look it up for so long.")
    ] = UnknownPolicy().visibility
    resend_after: Annotated[
        float | None,
        _unknown(
            metavar="SECONDS",
            help="With reconcile: send it again if it is not seen after so long.",
        ),
    ] = None

    def policy(self) -> dict[str, Any]:
        """Return the options as those of a client, checked. Raises `UsageError`."""
        options = attrs.asdict(self)
        UnknownPolicy(**options)
        return options
