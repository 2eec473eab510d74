"""
The options of commands, and the decorators that read them.

A command is a function whose first argument is a `Session`. Typer reads a command's options from
its signature, so a list of options that several commands share would have to be written in each.
Here such a list is a class, an *option group*: an attrs class whose fields are options. The
decorators put the fields of a command's option groups into its signature, and call it with an
instance of each group.

The shared groups may stand before the sub command as well as after it. If an option is given twice,
the one nearer to the end counts.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias, get_args, get_type_hints

import attrs
import typer

from poweremail._cli import exits
from poweremail._cli.session import Session
from poweremail._types.options import Timeouts
from poweremail._types.secret import Secret
from poweremail.errors import ConfigurationError
from poweremail.webhooks._signature import BRAND

_UNIT_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw]?)")

Command: TypeAlias = Callable[..., None]

_GIVEN = "poweremail.given"


def option(
    help: str, metavar: str | None = None, *flags: str, default: Any = None, **settings: Any
) -> Any:
    """
    Return the declaration of an option, as the default of a parameter or of a group's field.

    - *flags*: how it is written, if that does not follow from the name of the parameter.
    - *default*: ``...`` if it is required.
    - *settings*: further arguments of `typer.Option`.
    """
    return typer.Option(default, *flags, help=help, metavar=metavar, **settings)


def flag(help: str, *flags: str, **settings: Any) -> Any:
    """Return the declaration of an option without a value, True if it is given."""
    return option(help, None, *flags, default=False, **settings)


def argument(help: str, metavar: str, *, default: Any = ...) -> Any:
    """Return the declaration of an argument, which is required unless it has a *default*."""
    return typer.Argument(default, help=help, metavar=metavar)


_CONNECTION = "Connection"
_connection = functools.partial(option, rich_help_panel=_CONNECTION)
_output = functools.partial(flag, rich_help_panel="Output")


def brand_option() -> Any:
    """Return the declaration of ``--brand``."""
    return option(
        "The brand of your deployment: it is in the names of the signature's header and form "
        "field, and in the handshake.",
        "NAME",
        default=BRAND,
        envvar="POWEREMAIL_WEBHOOK_BRAND",
    )


@attrs.frozen
class ConnectionOptions:
    """Where the service is, and who calls it."""

    profile: str | None = _connection("Use this profile of the settings file.", "NAME")
    config: Path | None = _connection("Read this settings file.", "FILE")
    owner_id: str | None = _connection("The owner id of the account.", "ID")
    token_file: Path | None = _connection("Read the token from this file.", "FILE")
    ask_token: bool = flag("Prompt for the token.", "--ask-token", rich_help_panel=_CONNECTION)
    token: Secret | None = _connection(
        "The token. The list of processes shows it to others: prefer any other way.",
        "TOKEN",
        parser=Secret,
    )
    app_domain: str | None = _connection(
        "The domain of the service, such as tes.example.com.", "DOMAIN"
    )
    base_url: str | None = _connection("The URL of the service, such as that of a sandbox.", "URL")
    smtp_user: str | None = _connection("The SMTP user that sends.", "NAME")
    timeouts: float | None = _connection(
        f"Wait so long for more of a response; {Timeouts().read:g} unless given.",
        "SECONDS",
        "--timeout",
    )


@attrs.frozen
class OutputOptions:
    """How a command prints."""

    json: bool = _output("Print JSON, one object a line.", "--json")
    quiet: bool = _output("Print data and errors only.", "--quiet", "-q")


def _options_of(group: type) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(group)
    for field in attrs.fields(group):
        yield inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=hints[field.name],
        )


def _hidden(parameter: inspect.Parameter) -> inspect.Parameter:
    declared = copy(parameter.default)
    declared.hidden = True
    return parameter.replace(default=declared)


def _parameters_of(own: Iterable[inspect.Parameter]) -> list[inspect.Parameter]:
    """Return a command's *own* parameters by keyword, the fields of its groups one by one."""
    parameters: list[inspect.Parameter] = []
    for each in own:
        if attrs.has(each.annotation):
            parameters += _options_of(each.annotation)
        elif each.kind is not inspect.Parameter.VAR_KEYWORD:
            parameters.append(each.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    return parameters


def _variable_of(parameter: inspect.Parameter, prefix: str) -> str:
    flag = next(iter(parameter.default.param_decls or ()), parameter.name)
    return f"{prefix}{flag.strip('-').replace('-', '_').upper()}"


def variables_of(prefix: str, *groups: type) -> set[str]:
    """Return the environment variables of the options of *groups*, which begin with *prefix*."""
    return {_variable_of(each, prefix) for group in groups for each in _options_of(group)}


def _with_variable(parameter: inspect.Parameter, prefix: str) -> inspect.Parameter:
    """Return the option with an environment variable, beside one that it may have already."""
    declared = copy(parameter.default)
    name = _variable_of(parameter, prefix)
    if list[str] in get_args(parameter.annotation):
        # Typer would split the value at every space.
        declared.default = ...
        declared.default_factory = functools.partial(_values_of, name)
        declared.show_default = False
        declared.help = f"{declared.help} \\[env var: {name}]"
    else:
        declared.envvar = [name, declared.envvar] if declared.envvar else name
    return parameter.replace(default=declared)


def _values_of(variable: str) -> list[str]:
    text = os.environ.get(variable, "")
    # JSON has commas of its own.
    values = text.splitlines() if text.lstrip().startswith("{") else re.split("[\n,]", text)
    return [value.strip() for value in values if value.strip()]


def command(
    *shared: type,
    fields: Iterable[type] = (),
    hidden: bool = False,
    interrupted: int = exits.INTERRUPTED,
    variables: str | None = None,
) -> Callable[[Command], Command]:
    """
    Return a decorator that makes a function a command and calls it with a `Session`.

    - *shared*: option groups from which the session is made, beside those that the function names.
    - *fields*: option groups whose fields the function gets one by one, by keyword.
    - *hidden*: leave the shared options out of ``--help``.
    - *interrupted*: the exit status after a signal.
    - *variables*: each own option can also be set by an environment variable, whose name is this
      prefix and that of the option. Several values are separated by line ends or, unless they are
      JSON, by commas.

    If the function is that of a command with sub commands, it runs only if none of them is named.
    """
    shared_options = [
        _hidden(each) if hidden else each for group in shared for each in _options_of(group)
    ]

    def decorate(function: Command) -> Command:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        groups = {each.name: each.annotation for each in own if attrs.has(each.annotation)}

        @functools.wraps(function)
        def run(context: typer.Context, **values: Any) -> None:
            given = context.meta.setdefault(_GIVEN, {})
            for each in shared_options:
                value = values.pop(each.name)
                if value is not None and value is not False:
                    given[each.name] = value
            if context.invoked_subcommand is not None:
                return
            for name, group in groups.items():
                values[name] = group(
                    **{field.name: values.pop(field.name) for field in attrs.fields(group)}
                )
            Session(given, _flags_given(context), interrupted).run(function, **values)

        parameters = _parameters_of(own)
        if variables is not None:
            parameters = [_with_variable(each, variables) for each in parameters]
        context = inspect.Parameter(
            "context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context
        )
        parameters.insert(0, context)
        parameters += chain(*map(_options_of, fields), shared_options)
        typed: Any = run
        # Typer reads the signature, and then the type hints, of the function that it is given.
        typed.__signature__ = inspect.Signature(parameters)
        typed.__annotations__ = {each.name: each.annotation for each in parameters}
        del typed.__wrapped__
        return run

    return decorate


connecting = functools.partial(command, ConnectionOptions, OutputOptions)
connected = connecting()
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


def comma_separated(text: str | None) -> list[str]:
    """Return the names in *text*, between which there are commas."""
    return [name for each in (text or "").split(",") if (name := each.strip())]


def seconds(age: str, field: str) -> float:
    """Read an age such as ``90d``, of the option *field*. Raises `ConfigurationError`."""
    match = _AGE.fullmatch(age.strip().lower())
    if match is None:
        raise ConfigurationError(f"must be an age such as 90d, not {age!r}", field=field)
    return float(match[1]) * _UNIT_SECONDS[match[2]]
