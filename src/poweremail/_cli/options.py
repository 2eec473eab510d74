"""
The options of commands, and the decorators that read them.

A command is a function whose first argument is a `Session`. Typer reads a command's options from
its signature, so a list of options that several commands share would have to be written in each.
Here such a list is a class, an *option group*: an attrs class whose fields are annotated as typer's
parameters are. The decorators put the fields of a command's option groups into its signature, and
call it with an instance of each group.

The shared groups may stand before the sub command as well as after it. If an option is given twice,
the one nearer to the end counts.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from copy import copy
from pathlib import Path
from typing import Annotated, Any, TypeAlias, get_args, get_type_hints

import attrs
import typer

from poweremail._cli.session import Session
from poweremail._types.options import Timeouts
from poweremail._types.secret import Secret
from poweremail.webhooks._signature import BRAND

__all__ = [
    "DEFAULT_BRAND",
    "Brand",
    "ConnectionOptions",
    "OutputOptions",
    "command",
    "connected",
    "printing",
    "sub_commands",
]

Command: TypeAlias = Callable[..., None]

_GIVEN = "poweremail.given"
_connection = functools.partial(typer.Option, rich_help_panel="Connection")
_output = functools.partial(typer.Option, rich_help_panel="Output")

Brand = Annotated[
    str,
    typer.Option(
        help="The brand of your deployment: it is in the names of the signature's header and form "
        "field, and in the handshake.",
        envvar="POWEREMAIL_WEBHOOK_BRAND",
        metavar="NAME",
    ),
]
DEFAULT_BRAND = BRAND


@attrs.frozen
class ConnectionOptions:
    """Where the service is, and who calls it."""

    profile: Annotated[
        str | None, _connection(metavar="NAME", help="Use this profile of the settings file.")
    ] = None
    config: Annotated[Path | None, _connection(metavar="FILE", help="Read this settings file.")] = (
        None
    )
    owner_id: Annotated[
        str | None, _connection(metavar="ID", help="The owner id of the account.")
    ] = None
    token_file: Annotated[
        Path | None, _connection(metavar="FILE", help="Read the token from this file.")
    ] = None
    ask_token: Annotated[bool, _connection("--ask-token", help="Prompt for the token.")] = False
    token: Annotated[
        Secret | None,
        _connection(
            parser=Secret,
            metavar="TOKEN",
            help="The token. The list of processes shows it to others: prefer any other way.",
        ),
    ] = None
    app_domain: Annotated[
        str | None,
        _connection(metavar="DOMAIN", help="The domain of the service, such as tes.example.com."),
    ] = None
    base_url: Annotated[
        str | None,
        _connection(metavar="URL", help="The URL of the service, such as that of a sandbox."),
    ] = None
    smtp_user: Annotated[
        str | None, _connection(metavar="NAME", help="The SMTP user that sends.")
    ] = None
    timeout: Annotated[
        float | None,
        _connection(
            metavar="SECONDS",
            help=f"Wait so long for more of a response; {Timeouts().read:g} unless given.",
        ),
    ] = None


@attrs.frozen
class OutputOptions:
    """How a command prints."""

    json: Annotated[bool, _output("--json", help="Print JSON, one object a line.")] = False
    quiet: Annotated[bool, _output("--quiet", "-q", help="Print data and errors only.")] = False


def _is_group(annotation: object) -> bool:
    return isinstance(annotation, type) and attrs.has(annotation)


def _options_of(group: type) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    for field in attrs.fields(group):
        default = inspect.Parameter.empty if field.default is attrs.NOTHING else field.default
        yield inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=default,
            annotation=hints[field.name],
        )


def _keyword(parameter: inspect.Parameter) -> inspect.Parameter:
    return parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)


def _hidden(parameter: inspect.Parameter) -> inspect.Parameter:
    kind, option = get_args(parameter.annotation)
    option = copy(option)
    option.hidden = True
    return parameter.replace(annotation=Annotated[kind, option])


def command(*shared: type, hidden: bool = False) -> Callable[[Command], Command]:
    """
    Return a decorator that makes a function a command and calls it with a `Session`.

    - *shared*: option groups from which the session is made, beside those that the function names.
    - *hidden*: leave the shared options out of ``--help``.

    If the function is that of a command with sub commands, it runs only if none of them is named.
    """
    shared_options = [
        _hidden(option) if hidden else option for group in shared for option in _options_of(group)
    ]

    def decorate(function: Command) -> Command:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        groups = {option.name: option.annotation for option in own if _is_group(option.annotation)}

        @functools.wraps(function)
        def run(context: typer.Context, **values: Any) -> None:
            given = context.meta.setdefault(_GIVEN, {})
            for option in shared_options:
                value = values.pop(option.name)
                if value is not None and value is not False:
                    given[option.name] = value
            if context.invoked_subcommand is not None:
                return
            for name, group in groups.items():
                values[name] = group(
                    **{field.name: values.pop(field.name) for field in attrs.fields(group)}
                )
            Session(given, _flags_given(context)).run(function, **values)

        parameters = [
            inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
        ]
        for option in own:
            parameters += (
                _options_of(option.annotation) if option.name in groups else [_keyword(option)]
            )
        parameters += shared_options
        typed: Any = run
        # Typer reads the signature, and then the type hints, of the function that it is given.
        typed.__signature__ = inspect.Signature(parameters)
        typed.__annotations__ = {each.name: each.annotation for each in parameters}
        del typed.__wrapped__
        return run

    return decorate


connected = command(ConnectionOptions, OutputOptions)
"""Make a function a command that calls the service."""

printing = command(OutputOptions)
"""Make a function a command that prints, and calls no service."""


def sub_commands(listing: Command) -> typer.Typer:
    """Return a group of commands that runs *listing* for ``list``, and if none is named."""
    app = typer.Typer(help=listing.__doc__)
    app.callback(invoke_without_command=True)(listing)
    app.command("list")(listing)
    return app


def _flags_given(context: typer.Context) -> dict[str, str]:
    """
    Return the flags (of arguments, the metavars) that were given, by the names of the parameters.

    Values from the environment or a default are not among them: an error about one of those must
    not name a flag that nobody gave.
    """
    given = context.meta[_GIVEN]
    flags: dict[str, str] = {}
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if name in given or (source is not None and source.name == "COMMANDLINE"):
            is_option = parameter.param_type_name == "option"
            metavar = getattr(parameter, "metavar", None) or name.upper()
            flags[name] = parameter.opts[0] if is_option else str(metavar)
    return flags
