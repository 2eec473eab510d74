"""The option of the commands that deal with webhooks: under which name the service runs."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["Brand"]

Brand = Annotated[
    str,
    typer.Option(
        help="The brand in the names of header and form field, and in the handshake.",
        envvar="POWEREMAIL_WEBHOOK_BRAND",
        metavar="NAME",
    ),
]
