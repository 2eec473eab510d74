"""``poweremail webhook``: the sub commands and their options; a module for each does the work."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import attrs
import typer

from poweremail._cli.options import DEFAULT_BRAND, Brand, printing
from poweremail._cli.output import is_terminal
from poweremail._cli.session import Session
from poweremail._types.event import EVENT_NAMES
from poweremail._types.secret import Secret
from poweremail.errors import ConfigurationError
from poweremail.webhooks._signature import SCHEMES, check_brand, check_keys, find_scheme

__all__ = ["app"]

app = typer.Typer(
    help="Receive the service's events on this machine, make events, and find out how requests are "
    "signed.",
    no_args_is_help=True,
)

_KEY_VARIABLE = "POWEREMAIL_WEBHOOK_KEY"

_url = typer.Option(
    metavar="URL",
    help="The URL exactly as it was registered with the service.",
    envvar="POWEREMAIL_WEBHOOK_URL",
)
Scheme = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help=f"The scheme of the signature: {', '.join(SCHEMES)}.",
        envvar="POWEREMAIL_WEBHOOK_SCHEME",
    ),
]


@attrs.frozen
class KeyOptions:
    """The keys of a webhook, and the brand in the names of its header."""

    key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=f"A file with a key on each line; without it, {_KEY_VARIABLE} has the keys, with "
            "commas between.",
        ),
    ] = None
    key: Annotated[
        Secret | None, typer.Option(envvar=_KEY_VARIABLE, parser=Secret, hidden=True)
    ] = None
    brand: Brand = DEFAULT_BRAND

    def keys(self, *, needed: bool = True) -> tuple[Secret, ...]:
        """
        Return the keys: from the file, the environment or a prompt, never from an argument that the
        list of processes would show.
        """
        if self.key_file is not None:
            keys = _keys_in(self.key_file)
        elif self.key:
            keys = tuple(Secret(key) for key in self.key.reveal().split(",") if key.strip())
        elif needed and is_terminal(sys.stdin):
            prompt = "The webhook's key"
            keys = (typer.prompt(prompt, hide_input=True, value_proc=Secret, err=True),)
        else:
            keys = ()
        if needed and not keys:
            raise ConfigurationError(
                f"there is no key: set {_KEY_VARIABLE}, or name a file", field="--key-file"
            )
        return check_keys(keys)


@app.command()
@printing
def listen(
    session: Session,
    scheme: Scheme,
    options: KeyOptions,
    *,
    url: Annotated[str | None, _url] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="The port to listen on; 0 for a free one.", min=0, max=65535)
    ] = 8026,
    forward: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Forward requests with a valid signature to this URL, unchanged, and respond with "
            "its response.",
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="DIRECTORY",
            help="Save each request in this directory for `diagnose`, whoever it came from.",
        ),
    ] = None,
) -> None:
    """
    Print the events that the service posts to this machine, until Ctrl-C.

    Without --url, its own address counts as the registered one. Without a key it completes the
    handshake of a registration and rejects every event.
    """
    from poweremail._cli.webhook_listen import listen as run  # noqa: PLC0415  it loads uvicorn

    run(
        session.out,
        scheme=find_scheme(scheme),
        url=url,
        host=host,
        port=port,
        forward=forward,
        save=save,
        keys=options.keys(needed=False),
        brand=options.brand,
    )


@app.command()
@printing
def trigger(
    session: Session,
    event: Annotated[
        str, typer.Argument(help=f"The kind of event: {', '.join(EVENT_NAMES)}.", metavar="EVENT")
    ],
    scheme: Scheme,
    options: KeyOptions,
    *,
    to_url: Annotated[str, typer.Option(help="The URL to post to.", metavar="URL")],
    url: Annotated[str | None, _url] = None,
    unique_id: Annotated[
        str | None,
        typer.Option(metavar="ID", help="The X-Unique-Id of the mail; drawn unless given."),
    ] = None,
    recipient: Annotated[
        str, typer.Option(metavar="ADDRESS", help="The recipient of the mail.")
    ] = "ada@example.com",
    count: Annotated[
        int, typer.Option(help="Post so many events in one request.", min=1, max=10_000)
    ] = 1,
    body_format: Annotated[
        str, typer.Option(help="The format of the body: form or json.", metavar="FORMAT")
    ] = "form",
) -> None:
    """
    Post signed events to a webhook of yours, as the service would.

    The signature is made with the first key for --url, or if that is not given for --to-url. Exit
    status: 0 if the response is 2xx, 3 if it is another, 4 if the request did not arrive, 5 if no
    response came.
    """
    from poweremail._cli.webhook_trigger import trigger as run  # noqa: PLC0415  it loads httpx

    raise typer.Exit(
        run(
            session.out,
            event,
            to_url=to_url,
            url=url or to_url,
            scheme=find_scheme(scheme),
            key=options.keys()[0],
            unique_id=unique_id,
            recipient=recipient,
            count=count,
            body_format=body_format,
            brand=check_brand(options.brand),
        )
    )


@app.command()
@printing
def diagnose(
    session: Session,
    options: KeyOptions,
    *,
    file: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="A request as it came: headers, an empty line, body; - is standard input.",
        ),
    ],
    url: Annotated[str, _url],
) -> None:
    """
    Find the scheme by which a captured request is signed, or what comes close to it.

    Capture one with `listen --save`, or behind your own server. Exit status: 0 if a scheme fits
    these settings as they are, 1 if not.
    """
    from poweremail._cli.webhook_diagnose import diagnose as run  # noqa: PLC0415  seldom needed

    try:
        captured = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{str(file)!r} cannot be read: {error.strerror}", field="--file"
        ) from None
    raise typer.Exit(run(session.out, captured, url=url, keys=options.keys(), brand=options.brand))


def _keys_in(file: Path) -> tuple[Secret, ...]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except UnicodeError:
        reason = "is not UTF-8"
    else:
        if keys := tuple(Secret(line) for line in lines if line.strip()):
            return keys
        reason = "has no key"
    # Raised here: the decoder's error, in the chain, quotes what it could not decode, a key.
    raise ConfigurationError(f"{str(file)!r} {reason}", field="--key-file")
