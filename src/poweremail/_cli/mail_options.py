"""The options of the commands that send, by the panels in which ``--help`` shows them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

_ADDRESS = "ADDRESS"
_FILE = "FILE"
_SECONDS = "SECONDS"
_SENDER = 'The sender, such as "Ada <ada@example.com>".'

_Strings: TypeAlias = list[str] | None
_Paths: TypeAlias = list[Path] | None

_who = functools.partial(typer.Option, rich_help_panel="Who and what")
_content = functools.partial(typer.Option, rich_help_panel="Content")
_tracking = functools.partial(typer.Option, rich_help_panel="Tracking")
_unknown = functools.partial(
    typer.Option, rich_help_panel="Where nobody knows whether it was sent", show_default=False
)

From = Annotated[str, _who("--from", metavar=_ADDRESS, help=_SENDER)]
OptionalFrom = Annotated[str | None, _who("--from", metavar=_ADDRESS, help=_SENDER)]
To = Annotated[
    _Strings,
    _who("--to", metavar=_ADDRESS, help="A recipient; can be repeated, as the next three."),
]
Cc = Annotated[_Strings, _who("--cc", metavar=_ADDRESS, help="A recipient of a copy.")]
Bcc = Annotated[
    _Strings, _who("--bcc", metavar=_ADDRESS, help="A recipient whom the others do not see.")
]
ReplyTo = Annotated[_Strings, _who("--reply-to", metavar=_ADDRESS, help="Where answers go.")]
Subject = Annotated[str, _who("--subject", "-s", metavar="TEXT", help="The subject.")]
OptionalSubject = Annotated[
    str | None, _who("--subject", "-s", metavar="TEXT", help="The subject.")
]
Header = Annotated[
    _Strings,
    _who("--header", "-H", metavar="NAME:VALUE", help="A further header; can be repeated."),
]
UniqueId = Annotated[
    str | None,
    _who(
        "--unique-id", metavar="ID", help="The X-Unique-Id to find the mail by; drawn unless given."
    ),
]

Text = Annotated[
    str | None,
    _content(
        "--text",
        metavar="TEXT",
        help="The text; @FILE reads it from a file, @- from standard input, @@ is an @.",
    ),
]
TextFile = Annotated[
    Path | None, _content("--text-file", metavar=_FILE, help="Read the text from this file.")
]
Html = Annotated[str | None, _content("--html", metavar="HTML", help="The HTML, or @FILE.")]
HtmlFile = Annotated[
    Path | None, _content("--html-file", metavar=_FILE, help="Read the HTML from this file.")
]
Attach = Annotated[
    _Paths, _content("--attach", "-a", metavar=_FILE, help="A file to attach; can be repeated.")
]
Images = Annotated[
    _Strings,
    _content(
        "--image", metavar="CID=FILE", help='A picture for <img src="cid:CID">; can be repeated.'
    ),
]
Eml = Annotated[
    Path | None,
    _content(
        "--eml",
        metavar=_FILE,
        help="Send this whole message (RFC 5322); - reads it from standard input.",
    ),
]
Lossy = Annotated[
    bool, _content("--lossy", help="With --eml: leave out what the service cannot take.")
]
Values = Annotated[
    _Strings,
    _content(
        "--value",
        metavar="NAME=VALUE",
        help="What a dynamic field is replaced by; can be repeated.",
    ),
]
ValuesFile = Annotated[
    Path | None,
    _content(
        "--values-file",
        metavar=_FILE,
        help="Read such values from a JSON object; those of --value go first.",
    ),
]

TrackOpens = Annotated[
    bool | None, _tracking("--track-opens/--no-track-opens", help="Count opens.")
]
TrackClicks = Annotated[
    Literal["html", "text", "both", "no"] | None,
    _tracking(
        "--track-clicks", metavar="PARTS", help="Count clicks in html, text, both or no parts."
    ),
]
TrackingDomain = Annotated[
    str | None,
    _tracking("--tracking-domain", metavar="DOMAIN", help="The domain that links lead through."),
]

OnUnknown = Annotated[
    Literal["raise", "reconcile", "resend"],
    _unknown(
        "--on-unknown",
        metavar="WHAT",
        help="raise ends with status 5, as without this option; reconcile looks it up by its "
        "unique id first; "
        "resend sends it again at once, which may deliver it twice.",
    ),
]
Visibility = Annotated[
    float,
    _unknown(
        "--visibility",
        metavar=_SECONDS,
        help="With reconcile: how long to look for it; 30 unless given.",
    ),
]
ResendAfter = Annotated[
    float | None,
    _unknown(
        "--resend-after",
        metavar=_SECONDS,
        help="With reconcile: send it again if not seen after so long.",
    ),
]

DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", "-n", help="Check the mail and print what would be sent; send nothing."
    ),
]
HttpGet = Annotated[
    bool,
    typer.Option(
        "--http-get", help="Send it by a GET request, which carries one recipient and no unique id."
    ),
]
