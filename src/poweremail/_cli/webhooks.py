"""``poweremail webhooks``: which URLs the service tells of events."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from poweremail._cli.groups import group
from poweremail._cli.options import connected
from poweremail._cli.session import Session

__all__ = ["app"]

Id = Annotated[
    str, typer.Argument(help="The webhook's id, as the list has it.", metavar="WEBHOOK_ID")
]
Events = Annotated[
    list[str] | None,
    typer.Option(
        "--event",
        metavar="EVENT",
        help="send, open, click, soft_bounce, hard_bounce or spam; all unless given; can be "
        "repeated, or have commas between.",
    ),
]
Description = Annotated[str | None, typer.Option(metavar="TEXT", help="What it is for.")]
StoreLog = Annotated[
    bool | None,
    typer.Option("--store-log/--no-store-log", help="Let the service keep what it posts."),
]


@connected()
def _list(session: Session) -> None:
    """List the webhooks: the URLs that the service tells of events."""
    with session.client() as client:
        session.out.table(
            client.settings.list_webhook(), ("webhook_id", "url", "events", "description")
        )


app = group(_list)


@app.command()
@connected()
def add(
    session: Session,
    url: Annotated[
        str,
        typer.Argument(
            help="What is to be told; it must answer the service's handshake.", metavar="URL"
        ),
    ],
    *,
    event: Events = None,
    description: Description = None,
    store_log: StoreLog = None,
) -> None:
    """Let the service tell a URL of events."""
    options = _options(event, description, store_log)
    with session.client() as client:
        session.out.done(client.settings.add_webhook(url, **options).message)


@app.command()
@connected()
def edit(
    session: Session,
    webhook_id: Id,
    *,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="What is to be told; as before unless given.")
    ] = None,
    event: Events = None,
    description: Description = None,
    store_log: StoreLog = None,
) -> None:
    """Change a webhook."""
    options = _options(event, description, store_log)
    with session.client() as client:
        # The service wants the URL in any case.
        url = client.settings.get_webhook_info(webhook_id).url or "" if url is None else url
        session.out.done(client.settings.edit_webhook(webhook_id, url, **options).message)


@app.command()
@connected()
def delete(session: Session, webhook_id: Id) -> None:
    """Remove a webhook."""
    with session.client() as client:
        session.out.done(client.settings.delete_webhook(webhook_id).message)


@app.command()
@connected()
def info(session: Session, webhook_id: Id) -> None:
    """Show one webhook, and how it fares."""
    with session.client() as client:
        session.out.record(client.settings.get_webhook_info(webhook_id))


@app.command("reset-key")
@connected()
def reset_key(session: Session, webhook_id: Id) -> None:
    """Let the service draw a key anew, and print it. It signs with it at once."""
    with session.client() as client:
        webhook = client.settings.key_reset_webhook(webhook_id)
    session.out.record(
        {
            "webhook_id": webhook.webhook_id,
            "key": None if webhook.key is None else webhook.key.reveal(),
        }
    )


def _options(
    events: list[str] | None,
    description: str | None,
    store_log: bool | None,  # noqa: FBT001
) -> dict[str, Any]:
    # The API writes them with commas between, and so do those who read its pages.
    names = (
        None if events is None else [name.strip() for given in events for name in given.split(",")]
    )
    return {"events": names, "description": description, "store_log": store_log}
