"""``poweremail smtp-users``."""

from __future__ import annotations

from typing import Annotated

import typer

import poweremail
from poweremail._cli.groups import group
from poweremail._cli.options import connected
from poweremail._cli.session import Session

__all__ = ["app"]

Name = Annotated[str, typer.Argument(help="The SMTP user.", metavar="NAME")]


@connected()
def _list(session: Session) -> None:
    """List the SMTP users: who may send."""
    with session.client() as client:
        session.out.table(
            client.settings.list_smtp(),
            ("smtp_user_name", "enabled", "hourly_limit", "total_limit"),
        )


app = group(_list)


@app.command()
@connected()
def add(
    session: Session,
    *,
    hourly_limit: Annotated[
        int, typer.Option(metavar="MAILS", help="How many mails it may send an hour.")
    ],
    total_limit: Annotated[
        int, typer.Option(metavar="MAILS", help="How many mails it may send in all.")
    ],
) -> None:
    """
    Add an SMTP user, and print its name and password: the service tells the password here only.
    """
    with session.client() as client:
        _print_password(
            session, client.settings.add_smtp(total_limit=total_limit, hourly_limit=hourly_limit)
        )


@app.command()
@connected()
def edit(
    session: Session,
    name: Name,
    *,
    hourly_limit: Annotated[
        int | None, typer.Option(metavar="MAILS", help="How many mails it may send an hour.")
    ] = None,
    total_limit: Annotated[
        int | None, typer.Option(metavar="MAILS", help="How many mails it may send in all.")
    ] = None,
    enable: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Whether it may send.")
    ] = None,
) -> None:
    """Change the limits of an SMTP user, or whether it may send."""
    with session.client() as client:
        told = client.settings.edit_smtp(
            name, total_limit=total_limit, hourly_limit=hourly_limit, enabled=enable
        )
    session.out.done(told.message)


@app.command("reset-password")
@connected()
def reset_password(session: Session, name: Name) -> None:
    """Let the service draw a password anew, and print it. The old one ends at once."""
    with session.client() as client:
        _print_password(session, client.settings.reset_smtp_password(name))


def _print_password(session: Session, user: poweremail.SmtpUser) -> None:
    session.out.record(
        {
            "smtp_user_name": user.smtp_user_name,
            "smtp_password": None if user.password is None else user.password.reveal(),
        }
    )
