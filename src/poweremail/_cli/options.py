"""
The options that every command has which talks to the service, declared once.

typer reads a command's options from its signature, so `connected` adds these to it. They may stand
before the sub command as well as after it; what stands nearer to the end goes first.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection
from copy import copy
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec, get_args

import typer

from poweremail._cli.session import Session
from poweremail._types.secret import Secret

__all__ = ["connected", "names_given"]

P = ParamSpec("P")

_KEY = "poweremail.given"
_connection = functools.partial(typer.Option, rich_help_panel="Connection")
_output = functools.partial(typer.Option, rich_help_panel="Output")


def _shared(
    *,
    profile: Annotated[
        str | None, _connection(metavar="NAME", help="Use this profile of the settings file.")
    ] = None,
    config: Annotated[
        Path | None, _connection(metavar="FILE", help="Read this settings file.")
    ] = None,
    owner_id: Annotated[str | None, _connection(metavar="ID", help="Who is calling.")] = None,
    token_file: Annotated[
        Path | None, _connection(metavar="FILE", help="Read the token from this file.")
    ] = None,
    ask_token: Annotated[bool, _connection("--ask-token", help="Ask for the token.")] = False,
    token: Annotated[
        Secret | None,
        _connection(
            parser=Secret,
            metavar="TOKEN",
            help="The token. Others can see it in the list of processes: prefer any other way.",
        ),
    ] = None,
    app_domain: Annotated[
        str | None,
        _connection(metavar="DOMAIN", help="Where the service is, such as tes.example.com."),
    ] = None,
    base_url: Annotated[
        str | None, _connection(metavar="URL", help="The same as a URL, such as that of a sandbox.")
    ] = None,
    smtp_user: Annotated[
        str | None, _connection(metavar="NAME", help="The SMTP user that sends.")
    ] = None,
    timeout: Annotated[
        float | None,
        _connection(metavar="SECONDS", help="How long to wait for an answer; 60 unless given."),
    ] = None,
    json: Annotated[
        bool, _output("--json", help="Print JSON: an object on a line for each thing.")
    ] = False,
    quiet: Annotated[bool, _output("--quiet", "-q", help="Print data and errors only.")] = False,
) -> None:
    """Carry the declarations; `connected` reads them."""


_SHARED = inspect.signature(_shared, eval_str=True).parameters
_CONTEXT = inspect.Parameter(
    "context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
)


def connected(
    *, hidden: bool = False
) -> Callable[[Callable[Concatenate[Session, P], None]], Callable[..., None]]:
    """
    Give a command the shared options, and a `Session` made of them as its first argument.

    A command with sub commands runs when none of them was named. *hidden* leaves the shared options
    out of ``--help``.
    """

    def decorate(command: Callable[Concatenate[Session, P], None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(context: typer.Context, *args: P.args, **values: P.kwargs) -> None:
            given = context.meta.setdefault(_KEY, {})
            for name in _SHARED:
                value = values.pop(name)
                if value is not None and value is not False:
                    given[name] = value
            if context.invoked_subcommand is None:
                Session(given, names_given(context, given)).run(command, *args, **values)

        own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
        shared = (_hidden(parameter) if hidden else parameter for parameter in _SHARED.values())
        parameters = [_CONTEXT, *own, *shared]
        typed: Any = run
        typed.__signature__ = inspect.Signature(parameters)
        typed.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        del typed.__wrapped__
        return run

    return decorate


def names_given(context: typer.Context, given: Collection[str] = ()) -> dict[str, str]:
    """
    Return what was given on the command line, by the names of the parameters: how its user has
    spelt it.

    *given* are the names of those that stood before the sub command.
    """
    names: dict[str, str] = {}
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if name in given or (source is not None and source.name == "COMMANDLINE"):
            is_option = parameter.param_type_name == "option"
            names[name] = (
                parameter.opts[0]
                if is_option
                else str(getattr(parameter, "metavar", None) or name.upper())
            )
    return names


def _hidden(parameter: inspect.Parameter) -> inspect.Parameter:
    kind, option = get_args(parameter.annotation)
    option = copy(option)
    option.hidden = True
    return parameter.replace(annotation=Annotated[kind, option])
