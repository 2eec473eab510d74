"""``poweremail call``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

import poweremail
from poweremail._cli.options import connected
from poweremail._cli.session import Session
from poweremail._wire.json import loads_text

__all__ = ["EXAMPLES", "call"]

EXAMPLES = """
Examples:

poweremail call settings/listSmtp

poweremail call settings/editSmtp smtp_user_name=smtp12345 hourly_limit:=500
"""


@connected()
def call(
    session: Session,
    path: Annotated[
        str, typer.Argument(help="The call, such as settings/listSmtp.", metavar="PATH")
    ],
    members: Annotated[
        list[str] | None,
        typer.Argument(
            help="NAME=TEXT for a string, NAME:=JSON for anything else.",
            metavar="[MEMBER=VALUE]...",
        ),
    ] = None,
    *,
    show_secrets: Annotated[
        bool, typer.Option("--show-secrets", help="Print passwords and keys, in place of ***.")
    ] = False,
) -> None:
    """Make any call of the API and print the answer as JSON."""
    with session.client() as client:
        result = client.call(path, dict(map(_member, members or ())))
    session.out.json(
        result.data, indent=None if session.out.as_json else 2, show_secrets=show_secrets
    )


def _member(text: str) -> tuple[str, Any]:
    name, found, value = text.partition("=")
    if not found or not name.rstrip(":"):
        raise poweremail.UsageError(
            f"a member is NAME=TEXT or NAME:=JSON, not {text!r}", mail_state=None
        )
    if not name.endswith(":"):
        return name, value
    try:
        return name[:-1], loads_text(value)
    except ValueError as error:
        raise poweremail.UsageError(
            f"{name[:-1]}: {value!r} is not JSON: {error}", mail_state=None
        ) from None
