"""
``poweremail webhook``: its commands and their options; what they do stands in a module of their
name.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from poweremail._cli import failures
from poweremail._cli.brand import Brand
from poweremail._cli.options import names_given
from poweremail._cli.output import Output
from poweremail._types.event import EVENT_NAMES
from poweremail._types.secret import Secret
from poweremail.errors import UsageError
from poweremail.webhooks._signature import BRAND, SCHEMES, check_keys, find_scheme

__all__ = ["app"]

app = typer.Typer(
    help="Receive the service's events on this machine, make some, and find out how they are "
    "signed.",
    no_args_is_help=True,
)

_KEYS = "POWEREMAIL_WEBHOOK_KEY"


Url = Annotated[
    str | None,
    typer.Option(
        help="The URL exactly as it was registered with the service.",
        envvar="POWEREMAIL_WEBHOOK_URL",
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        help=f"A file with a key on each line. Otherwise {_KEYS} has them, with commas between."
    ),
]
Scheme = Annotated[
    str,
    typer.Option(
        help=f"What is signed: {', '.join(SCHEMES)}.",
        envvar="POWEREMAIL_WEBHOOK_SCHEME",
        metavar="NAME",
    ),
]
KeyVariable = Annotated[Secret | None, typer.Option(envvar=_KEYS, parser=Secret, hidden=True)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, an object on each line.")]


@app.command()
def listen(
    context: typer.Context,
    scheme: Scheme,
    url: Url = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="The port to listen on; 0 for a free one.", min=0, max=65535)
    ] = 8026,
    forward: Annotated[
        str | None,
        typer.Option(
            help="Send what is rightly signed on to this URL as it came, and answer what it "
            "answers.",
            metavar="URL",
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            help="Keep each request in this directory, for `diagnose`. It may be made by anybody."
        ),
    ] = None,
    key_file: KeyFile = None,
    key: KeyVariable = None,
    brand: Brand = BRAND,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """
    Print the events that the service posts to this machine, until Ctrl-C.

    Without --url it takes its own address for the registered one. Without a key it answers the
    service's question on registration, and refuses every event.
    """
    from poweremail._cli.webhook_listen import run  # noqa: PLC0415  uvicorn and httpx only for those who serve

    with _told(context, as_json=as_json):
        status = run(
            scheme=find_scheme(scheme),
            url=url,
            host=host,
            port=port,
            forward=forward,
            save=save,
            keys=_keys(key, key_file, needed=False),
            brand=brand,
            as_json=as_json,
        )
    raise typer.Exit(status)


@app.command()
def trigger(
    context: typer.Context,
    event: Annotated[
        str, typer.Argument(help=f"The kind of event: {', '.join(EVENT_NAMES)}.", metavar="EVENT")
    ],
    to_url: Annotated[str, typer.Option(help="Where to post it.", metavar="URL")],
    scheme: Scheme,
    url: Url = None,
    unique_id: Annotated[
        str | None, typer.Option(help="The X-Unique-Id of the mail; drawn where not given.")
    ] = None,
    recipient: Annotated[
        str, typer.Option(help="The address that the mail went to.")
    ] = "ada@example.com",
    count: Annotated[
        int, typer.Option(help="How many events the one POST brings.", min=1, max=10_000)
    ] = 1,
    body_format: Annotated[
        str, typer.Option(help="How the body is written: form or json.", metavar="FORMAT")
    ] = "form",
    key_file: KeyFile = None,
    key: KeyVariable = None,
    brand: Brand = BRAND,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """
    Post signed events to a webhook of yours, as the service would.

    It is signed with the first key for --url, or else for the URL that it is posted to. The exit
    status is 0 where it was answered 2xx, 3 where it was refused, 4 where it did not get there, and
    5 where no answer came.
    """
    from poweremail._cli.webhook_trigger import run  # noqa: PLC0415

    with _told(context, as_json=as_json):
        status = run(
            event,
            to_url=to_url,
            url=url or to_url,
            scheme=find_scheme(scheme),
            key=_keys(key, key_file)[0],
            unique_id=unique_id,
            recipient=recipient,
            count=count,
            body_format=body_format,
            brand=brand,
            as_json=as_json,
        )
    raise typer.Exit(status)


@app.command()
def diagnose(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Option(
            help="A request as it came: headers, an empty line, body; - for standard input.",
            metavar="FILE",
        ),
    ],
    url: Annotated[
        str,
        typer.Option(help="The URL exactly as it was registered.", envvar="POWEREMAIL_WEBHOOK_URL"),
    ],
    key_file: KeyFile = None,
    key: KeyVariable = None,
    brand: Brand = BRAND,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """
    Say which scheme a captured request is signed by, or what comes close to it.

    Capture one with `listen --save`, or behind your own server. The exit status is 0 where a scheme
    fits these settings as they are.
    """
    from poweremail._cli.webhook_diagnose import run  # noqa: PLC0415

    with _told(context, as_json=as_json):
        status = run(
            _captured(file), url=url, keys=_keys(key, key_file), brand=brand, as_json=as_json
        )
    raise typer.Exit(status)


def _captured(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{str(file)!r} cannot be read: {error.strerror}", field="--file", mail_state=None
        ) from None


def _keys(given: Secret | None, file: Path | None, *, needed: bool = True) -> tuple[Secret, ...]:
    """
    The keys from *file*, from the environment, or from whoever sits at the terminal: never from the
    list of processes.
    """
    if file is not None:
        try:
            keys = tuple(
                Secret(line)
                for line in file.read_text(encoding="utf-8").splitlines()
                if line.strip()
            )
        except (OSError, ValueError) as error:
            raise UsageError(_reason(error), field="--key-file", mail_state=None) from None
        if not keys:
            raise UsageError("has no key", field="--key-file", mail_state=None)
    elif given:
        keys = tuple(Secret(key) for key in given.reveal().split(",") if key.strip())
    elif needed and sys.stdin.isatty():
        keys = (typer.prompt("The webhook's key", hide_input=True, value_proc=Secret, err=True),)
    else:
        keys = ()
    if needed and not keys:
        raise UsageError(
            f"there is no key: set {_KEYS}, or name a file", field="--key-file", mail_state=None
        )
    return check_keys(keys)


def _reason(error: Exception) -> str:
    # The text of a decoding error quotes what it could not decode, and that is a key.
    return "is not UTF-8" if isinstance(error, UnicodeError) else str(error)


@contextmanager
def _told(context: typer.Context, *, as_json: bool) -> Iterator[None]:
    """Tell of what cannot be meant, as the other commands do, and exit with the status for it."""
    try:
        yield
    except (UsageError, OSError) as error:
        wrong = error if isinstance(error, UsageError) else UsageError(str(error), mail_state=None)
        raise typer.Exit(
            failures.tell(Output(as_json=as_json, quiet=False), wrong, names_given(context))
        ) from None
