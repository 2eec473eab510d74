"""
The settings of the command, from flags, environment and file.

Each setting comes from the first of these that has it:

1. a flag;
2. the profile that ``--profile`` names: it goes before the environment, so that ``--profile
   staging`` cannot send with the production token that the shell has exported;
3. the environment;
4. the profile that ``POWEREMAIL_PROFILE`` names;
5. the top of the file.

``app_domain`` and ``base_url`` both say where the service is: the first source that has one of them
overrules both of the later ones.
"""

from __future__ import annotations

import os
import stat
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import attrs

from poweremail._cli.files import exists, read_text
from poweremail._policy.variables import CONNECTION, from_env, variable_of
from poweremail._types.secret import Secret
from poweremail.errors import ConfigurationError

_PLACES = {"app_domain", "base_url"}
_IN_FILE = (*CONNECTION, "token_file")
_PARAMETERS = {"smtp_user_name": "smtp_user"}
_NEEDED = {
    "owner_id": "--owner-id",
    "token": "--token-file (or --ask-token)",
    "app_domain": "--app-domain (or --base-url)",
    "smtp_user_name": "--smtp-user",
}


class _Setting(NamedTuple):
    """
    One setting.

    - *value*: None if it is a token that has not been read from its file yet.
    - *source*: where it was found, for people.
    - *secret_in*: the file that holds it, if it is a token.
    """

    value: str | Secret | None
    source: str
    secret_in: Path | None = None


@attrs.frozen
class Settings:
    """
    The settings of a command.

    - *found*: each setting by its name.
    - *path*: the settings file.
    - *exists*: whether there is such a file.
    """

    found: Mapping[str, _Setting]
    path: Path
    exists: bool

    def options(self) -> dict[str, Any]:
        """Return them as options of a client."""
        return {name: setting.value for name, setting in self.found.items()}

    def complete(self, *, sends: bool) -> Settings:
        """
        Return these settings, if a client needs no others; *sends* says that it sends mail.

        Raises `ConfigurationError` with all that are missing and the ways to give them.
        """
        needless = set() if sends else {"smtp_user_name"}
        if not _PLACES.isdisjoint(self.found):
            needless |= _PLACES
        missing = [name for name in _NEEDED if name not in {*self.found, *needless}]
        if not missing:
            return self
        verb, them = ("is", "it") if len(missing) == 1 else ("are", "them")
        raise ConfigurationError(
            f"{_listed(missing)} {verb} missing",
            advice=f"give {them} in one of these ways\n"
            f"  flags        {', '.join(_NEEDED[name] for name in missing)}\n"
            f"  environment  {', '.join(map(variable_of, missing))}\n"
            f"  file         {', '.join(missing)} in {self.path}\n"
            "to try it without an account, let `poweremail sandbox` stand in for the service",
        )


def resolve(
    given: Mapping[str, Any], environ: Mapping[str, str], *, warn: Callable[[str], None]
) -> Settings:
    """
    Return the settings that hold.

    - *given*: the flags.
    - *warn*: called if others can read the file that holds the token.

    Raises `ConfigurationError` if the file cannot be read or has unknown settings, or if there is
    no such profile.
    """
    path = _path(given.get("config"), environ)
    content = _read(path, required="config" in given or bool(environ.get("POWEREMAIL_CONFIG")))
    profiles = content.pop("profile", {})
    named, from_environ = given.get("profile"), environ.get("POWEREMAIL_PROFILE")
    layers = (
        _from_flags(given),
        _from_profile(path, profiles, named),
        _from_environment(environ),
        _from_profile(path, profiles, from_environ if named is None else None),
        _from_file(path, content, f"{path}"),
    )
    found: dict[str, _Setting] = {}
    for layer in map(dict, layers):
        overruled = set() if _PLACES.isdisjoint(found) else _PLACES
        found = {name: each for name, each in layer.items() if name not in overruled} | found
    token = found.get("token")
    if token is not None and token.secret_in is not None:
        # A token file is read only if no earlier source has a token.
        if token.value is None:
            found["token"] = token._replace(value=_token_from(token.secret_in))
        _warn_of_readers(token.secret_in, warn)
    return Settings(found, path, path.exists())


def _path(given: Path | None, environ: Mapping[str, str]) -> Path:
    if given is not None:
        return given
    if named := environ.get("POWEREMAIL_CONFIG"):
        return Path(named)
    from platformdirs import user_config_path  # noqa: PLC0415  seldom needed

    return user_config_path("poweremail", appauthor=False) / "config.toml"


def _from_flags(given: Mapping[str, Any]) -> Iterator[tuple[str, _Setting]]:
    tokens = [name for name in ("token", "token_file", "ask_token") if name in given]
    if len(tokens) > 1:
        raise ConfigurationError(f"{_listed(list(map(_flag, tokens)))} exclude each other")
    for name in CONNECTION:
        parameter = _PARAMETERS.get(name, name)
        if parameter in given:
            yield name, _Setting(given[parameter], f"flag, {_flag(parameter)}")
    if path := given.get("token_file"):
        yield "token", _Setting(None, f"flag, --token-file {path}", path)
    if "ask_token" in given:
        yield "token", _Setting(_prompted_token(), "flag, --ask-token")


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, _Setting]]:
    for name, value in from_env(environ, {}).items():
        yield name, _Setting(value, f"environment, {variable_of(name)}")


def _from_profile(
    path: Path, profiles: Mapping[str, Any], name: str | None
) -> Iterator[tuple[str, _Setting]]:
    if not name:
        return iter(())
    if not isinstance(profiles, Mapping) or not isinstance(profiles.get(name), Mapping):
        known = ", ".join(sorted(profiles)) if isinstance(profiles, Mapping) else ""
        advice = f"it has {known}" if known else "it has none; one begins with [profile.NAME]"
        raise ConfigurationError(f"{path} has no profile {name!r}", advice=advice)
    return _from_file(path, profiles[name], f"{path} [profile.{name}]")


def _from_file(
    path: Path, content: Mapping[str, Any], source: str
) -> Iterator[tuple[str, _Setting]]:
    for name, value in content.items():
        if name not in _IN_FILE:
            raise ConfigurationError(
                f"{source}: {name!r} is not a setting",
                advice=f"the settings are {', '.join(_IN_FILE)}, and [profile.NAME]",
            )
        if not isinstance(value, str) or not value:
            raise ConfigurationError(f"{source}: {name} must be a string that is not empty")
    if {"token", "token_file"} <= content.keys():
        raise ConfigurationError(f"{source}: token and token_file exclude each other")
    for name, value in content.items():
        if name == "token":
            yield name, _Setting(Secret(value), source, path)
        elif name == "token_file":
            # A relative path starts from the folder of the settings file.
            file = path.parent / Path(value).expanduser()
            yield "token", _Setting(None, f"{source}, token_file {value}", file)
        else:
            yield name, _Setting(value, source)


def _read(path: Path, *, required: bool) -> dict[str, Any]:
    if not exists(path, "config"):
        if required:
            raise ConfigurationError(f"there is no settings file {path}")
        return {}
    text = read_text(path, "config")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason = str(error)
    # Raised here: a frame of the TOML reader, in the chain, would hold the file's text.
    raise ConfigurationError(f"the settings file {path} is not TOML: {reason}")


def _token_from(path: Path) -> Secret:
    if token := Secret(read_text(path, "token_file").strip()):
        return token
    raise ConfigurationError(f"{path} cannot be read: it is empty", field="token_file")


def _prompted_token() -> Secret:
    import getpass  # noqa: PLC0415  seldom needed
    import warnings  # noqa: PLC0415

    try:
        with warnings.catch_warnings():
            # Without a terminal getpass would echo, and read the standard input meant for the mail.
            warnings.simplefilter("error", getpass.GetPassWarning)
            token = Secret(getpass.getpass("Token: "))
    except KeyboardInterrupt:
        # End the line of the prompt.
        if sys.stderr is not None and sys.stderr.isatty():
            sys.stderr.write("\n")
        raise
    except (getpass.GetPassWarning, EOFError):
        raise ConfigurationError("there is no terminal to ask for the token on") from None
    if not token:
        raise ConfigurationError("the token is empty")
    return token


def _warn_of_readers(path: Path, warn: Callable[[str], None]) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if os.name == "posix" and mode & 0o077:
        warn(f"{path} holds a token and others can read it (mode {mode:03o}); chmod 600 {path}")


def _flag(parameter: str) -> str:
    return f"--{parameter.replace('_', '-')}"


def _listed(names: list[str]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]
