"""The options of the commands about webhooks, in groups that they share."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import attrs
import typer

from poweremail._cli.files import read_text
from poweremail._cli.options import argument, brand_option, option
from poweremail._cli.output import is_terminal
from poweremail._types.event import EVENT_NAMES
from poweremail._types.secret import Secret
from poweremail.errors import ConfigurationError
from poweremail.webhooks._signature import SCHEMES, check_keys

_KEY_VARIABLE = "POWEREMAIL_WEBHOOK_KEY"

url_option = functools.partial(
    option,
    "The URL exactly as it was registered with the service.",
    "URL",
    envvar="POWEREMAIL_WEBHOOK_URL",
)


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


@attrs.frozen
class _SchemeOptions:
    scheme: str = option(
        f"The scheme of the signature: {', '.join(SCHEMES)}.",
        "NAME",
        default=...,
        envvar="POWEREMAIL_WEBHOOK_SCHEME",
    )


@attrs.frozen
class ListenOptions(_SchemeOptions):
    """Where a listener receives requests, and what it does with them."""

    url: str | None = url_option()
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


@attrs.frozen
class EventOptions(_SchemeOptions):
    """The events to post, and where."""

    event: str = argument(f"The kind of event: {', '.join(EVENT_NAMES)}.", "EVENT")
    to_url: str = option("The URL to post to.", "URL", default=...)
    url: str | None = url_option()
    unique_id: str | None = option("The X-Unique-Id of the mail; drawn unless given.", "ID")
    recipient: str = option("The recipient of the mail.", "ADDRESS", default="ada@example.com")
    count: int = option(
        "Post so many events in one request.", "EVENTS", default=1, min=1, max=10_000
    )
    body_format: str = option("The format of the body: form or json.", "FORMAT", default="form")


def _keys_in(file: Path) -> tuple[Secret, ...]:
    lines = read_text(file, "--key-file").splitlines()
    if keys := tuple(Secret(line) for line in lines if line.strip()):
        return keys
    raise ConfigurationError(f"{file} has no key", field="--key-file")
