"""``poweremail info`` and ``poweremail reconcile``."""

from __future__ import annotations

from typing import Annotated

import typer

from poweremail._cli.options import connected
from poweremail._cli.session import Session

__all__ = ["info", "reconcile"]

UniqueId = Annotated[
    str,
    typer.Argument(
        help="The mail's unique id, as it was printed when it was sent.", metavar="UNIQUE_ID"
    ),
]


@connected()
def info(
    session: Session,
    unique_id: UniqueId,
    *,
    skip_page: Annotated[
        int, typer.Option(help="Leave out so many pages of 100 recipients.", min=0, metavar="PAGES")
    ] = 0,
) -> None:
    """Tell what became of a mail, recipient by recipient."""
    with session.client() as client:
        records = client.messages.iter_message_info(unique_id, skip_page=skip_page)
        if not session.out.table(
            records, ("email", "status", "time", "open_count", "click_count", "subject")
        ):
            session.out.say(
                "The service shows no mail with this unique id; a new one may take a while to "
                "appear."
            )


@connected()
def reconcile(
    session: Session,
    unique_id: UniqueId,
    *,
    to: Annotated[
        list[str] | None,
        typer.Option(
            help="A recipient to look for, where several mails share the id.", metavar="ADDRESS"
        ),
    ] = None,
    visibility: Annotated[
        float, typer.Option(help="Look for so many seconds.", metavar="SECONDS")
    ] = 30.0,
) -> None:
    """
    Find out whether a mail of unknown fate was accepted: status 0 if it was, 5 while nobody can
    know.
    """
    with session.client() as client:
        result = client.messages.reconcile(unique_id, recipients=to or (), visibility=visibility)
    if session.out.as_json:
        session.out.json(
            {
                "state": "accepted",
                "unique_id": result.unique_id,
                "recipients": result.recipients,
                "reconciled": True,
            }
        )
    else:
        session.out.say("accepted: the service shows the mail")
        session.out.data(result.unique_id)
