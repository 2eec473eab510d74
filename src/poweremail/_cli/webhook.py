"""``poweremail webhook``: the sub commands and their options; a module for each does the work."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import attrs
import typer

from poweremail._cli.files import STDIN, read_bytes, read_stdin, read_text
from poweremail._cli.options import argument, brand_option, option, printing
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


@attrs.frozen
class KeyOptions:
    """The keys of a webhook, and the brand in the names of its header."""

    key_file: Path | None = option(
        f"A file with a key on each line; without it, {_KEY_VARIABLE} has the keys, with commas "
        "between.",
        "FILE",
    )
    key: Secret | None = option("", envvar=_KEY_VARIABLE, parser=Secret, hidden=True)
    brand: str = brand_option()

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


_SCHEME = option(
    f"The scheme of the signature: {', '.join(SCHEMES)}.",
    "NAME",
    default=...,
    envvar="POWEREMAIL_WEBHOOK_SCHEME",
)
_url = functools.partial(
    option,
    "The URL exactly as it was registered with the service.",
    "URL",
    envvar="POWEREMAIL_WEBHOOK_URL",
)


@attrs.frozen
class ListenOptions:
    """Where a listener receives requests, and what it does with them."""

    url: str | None = _url()
    host: str = option("The address to listen on.", "ADDRESS", default="127.0.0.1")
    port: int = option(
        "The port to listen on; 0 for a free one.", "PORT", default=8026, min=0, max=65535
    )
    forward: str | None = option(
        "Forward requests with a valid signature to this URL, unchanged, and respond with its "
        "response.",
        "URL",
    )
    save: Path | None = option(
        "Save each request in this directory for `diagnose`, whoever it came from.", "DIRECTORY"
    )


@app.command()
@printing
def listen(
    session: Session, *, scheme: str = _SCHEME, options: ListenOptions, keys: KeyOptions
) -> None:
    """
    Print the events that the service posts to this machine, until Ctrl-C.

    Without --url, its own address counts as the registered one. Without a key it completes the
    handshake of a registration and rejects every event.
    """
    from poweremail._cli.webhook_listen import listen as run  # noqa: PLC0415  it loads uvicorn

    run(
        session.out,
        options,
        scheme=find_scheme(scheme),
        keys=keys.keys(needed=False),
        brand=keys.brand,
    )


@attrs.frozen
class EventOptions:
    """The events to post, and where."""

    event: str = argument(f"The kind of event: {', '.join(EVENT_NAMES)}.", "EVENT")
    to_url: str = option("The URL to post to.", "URL", default=...)
    url: str | None = _url()
    unique_id: str | None = option("The X-Unique-Id of the mail; drawn unless given.", "ID")
    recipient: str = option("The recipient of the mail.", "ADDRESS", default="ada@example.com")
    count: int = option(
        "Post so many events in one request.", "EVENTS", default=1, min=1, max=10_000
    )
    body_format: str = option("The format of the body: form or json.", "FORMAT", default="form")


@app.command()
@printing
def trigger(
    session: Session, *, scheme: str = _SCHEME, options: EventOptions, keys: KeyOptions
) -> None:
    """
    Post signed events to a webhook of yours, as the service would.

    The signature is made with the first key for --url, or if that is not given for --to-url. Exit
    status: 0 if the response is 2xx, 3 if it is another, 4 if the request did not arrive, 5 if no
    response came.
    """
    from poweremail._cli.webhook_trigger import trigger as run  # noqa: PLC0415  it loads httpx

    status = run(
        session.out,
        options,
        scheme=find_scheme(scheme),
        key=keys.keys()[0],
        brand=check_brand(keys.brand),
    )
    raise typer.Exit(status)


@app.command()
@printing
def diagnose(
    session: Session,
    keys: KeyOptions,
    *,
    file: Path = option(
        "A request as it came: headers, an empty line, body; - is standard input.",
        "FILE",
        default=...,
    ),
    url: str = _url(default=...),
) -> None:
    """
    Find the scheme by which a captured request is signed, or what comes close to it.

    Capture one with `listen --save`, or behind your own server. Exit status: 0 if a scheme fits
    these settings as they are, 1 if not.
    """
    from poweremail._cli.webhook_diagnose import diagnose as run  # noqa: PLC0415  seldom needed

    captured = read_stdin("--file") if str(file) == STDIN else read_bytes(file, "--file")
    raise typer.Exit(run(session.out, captured, url=url, keys=keys.keys(), brand=keys.brand))


def _keys_in(file: Path) -> tuple[Secret, ...]:
    lines = read_text(file, "--key-file").splitlines()
    if keys := tuple(Secret(line) for line in lines if line.strip()):
        return keys
    raise ConfigurationError(f"{file} has no key", field="--key-file")
