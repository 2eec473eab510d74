"""
The settings of the command, from flags, environment and file.

A value is taken from the first of these that has it: a flag; the profile that ``--profile`` names;
the environment; the profile that ``POWEREMAIL_PROFILE`` names; the top of the file. A profile that
was asked for on the command line goes before the environment because whoever says ``--profile
staging`` must not send with the token of production that the shell has exported.

``app_domain`` and ``base_url`` both say where the service is, so that either of them overrules both
of what comes after.
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

from poweremail._policy.settings import from_env
from poweremail._types.secret import Secret
from poweremail.errors import UsageError

__all__ = ["NAMES", "Setting", "Settings", "config_path", "resolve"]

NAMES = ("owner_id", "token", "app_domain", "base_url", "smtp_user_name")
_WHERE = {"app_domain", "base_url"}
_IN_FILE = (*NAMES, "token_file")
_FLAGS = {"smtp_user_name": "smtp_user"}


class Setting(NamedTuple):
    """
    A *value*, and the *source* that had it, in words.

    *secret_in* is the file that holds it where it is the token; its value is None until that file
    was read.
    """

    value: str | Secret | None
    source: str
    secret_in: Path | None = None


@attrs.frozen
class Settings:
    """What was found: each setting by its name, the *path* of the file and whether it was there."""

    found: Mapping[str, Setting]
    path: Path
    exists: bool

    def options(self) -> dict[str, Any]:
        """Return them as options of a client."""
        return {name: setting.value for name, setting in self.found.items()}

    def complete(self, *, sends: bool) -> Settings:
        """
        Return these settings. Raises `UsageError` where one is missing, saying how to give it; a
        mail needs an SMTP user.
        """
        needed = {"owner_id": "--owner-id", "token": "--token-file (or --ask-token)"}
        if _WHERE.isdisjoint(self.found):
            needed["app_domain"] = "--app-domain (or --base-url)"
        if sends:
            needed["smtp_user_name"] = "--smtp-user"
        flags = {name: flag for name, flag in needed.items() if name not in self.found}
        if not (missing := list(flags)):
            return self
        advice = "\n".join(
            (
                "give it in one of these ways"
                if len(missing) == 1
                else "give them in one of these ways",
                f"  flags        {', '.join(flags.values())}",
                f"  environment  {', '.join(f'POWEREMAIL_{name.upper()}' for name in missing)}",
                f"  file         {', '.join(missing)} in {self.path}",
                "to try it without an account, let `poweremail sandbox` stand in for the service",
            )
        )
        raise _usage(
            f"{_listed(missing)} {'is' if len(missing) == 1 else 'are'} missing", advice=advice
        )


def config_path(given: Path | None, environ: Mapping[str, str]) -> Path:
    """Return where the settings file is, whether it exists or not."""
    if given is not None:
        return given
    if named := environ.get("POWEREMAIL_CONFIG"):
        return Path(named)
    from platformdirs import user_config_path  # noqa: PLC0415  only where nobody says which file

    return user_config_path("poweremail", appauthor=False) / "config.toml"


def resolve(
    given: Mapping[str, Any], environ: Mapping[str, str], *, warn: Callable[[str], None]
) -> Settings:
    """
    Return the settings that hold: *given* are the flags. *warn* is called where others can read the
    file with the token.

    Raises `UsageError` for a file that cannot be read, for one that says what is no setting, and
    for a profile that is not in it.
    """
    path = config_path(given.get("config"), environ)
    content = _read(
        path, required=given.get("config") is not None or bool(environ.get("POWEREMAIL_CONFIG"))
    )
    profiles = content.pop("profile", {})
    named, by_environ = given.get("profile"), environ.get("POWEREMAIL_PROFILE")
    layers = (
        _flags(given),
        _profile(path, profiles, named),
        _environment(environ),
        _profile(path, profiles, by_environ if named is None else None),
        _file_settings(path, content, f"{path}"),
    )
    found: dict[str, Setting] = {}
    for layer in map(dict, layers):
        answered = set() if _WHERE.isdisjoint(found) else _WHERE
        found = {name: setting for name, setting in layer.items() if name not in answered} | found
    token = found.get("token")
    if token is not None and token.secret_in is not None:
        # Only the file that counts is read.
        found["token"] = (
            token if token.value is not None else token._replace(value=_token_from(token.secret_in))
        )
        _warn_of_readers(token.secret_in, warn)
    return Settings(found, path, path.exists())


def _flags(given: Mapping[str, Any]) -> Iterator[tuple[str, Setting]]:
    tokens = [name for name in ("token", "token_file", "ask_token") if given.get(name) is not None]
    if len(tokens) > 1:
        raise _usage(f"{_listed([_flag(name) for name in tokens])} exclude each other")
    for name in NAMES:
        flag = _FLAGS.get(name, name)
        if (value := given.get(flag)) is not None:
            yield name, Setting(value, f"flag, {_flag(flag)}")
    if path := given.get("token_file"):
        yield "token", Setting(None, f"flag, --token-file {path}", path)
    if given.get("ask_token"):
        yield "token", Setting(_asked_token(), "flag, --ask-token")


def _environment(environ: Mapping[str, str]) -> Iterator[tuple[str, Setting]]:
    for name, value in from_env(environ, {}).items():
        yield name, Setting(value, f"environment, POWEREMAIL_{name.upper()}")


def _profile(
    path: Path, profiles: Mapping[str, Any], name: str | None
) -> Iterator[tuple[str, Setting]]:
    if not name:
        return iter(())
    if not isinstance(profiles, Mapping) or not isinstance(profiles.get(name), Mapping):
        known = ", ".join(sorted(profiles)) if isinstance(profiles, Mapping) else ""
        there = f"it has {known}" if known else "it has none; one begins with [profile.NAME]"
        raise _usage(f"{path} has no profile {name!r}", advice=there)
    return _file_settings(path, profiles[name], f"{path} [profile.{name}]")


def _file_settings(
    path: Path, content: Mapping[str, Any], source: str
) -> Iterator[tuple[str, Setting]]:
    for name, value in content.items():
        if name not in _IN_FILE:
            raise _usage(
                f"{source}: {name!r} is not a setting",
                advice=f"there are {', '.join(_IN_FILE)}, and [profile.NAME]",
            )
        if not isinstance(value, str) or not value:
            raise _usage(f"{source}: {name} must be a string that is not empty")
    if {"token", "token_file"} <= content.keys():
        raise _usage(f"{source}: token and token_file exclude each other")
    for name, value in content.items():
        if name == "token":
            yield name, Setting(Secret(value), source, path)
        elif name == "token_file":
            # Beside the settings file, unless it says where.
            yield (
                "token",
                Setting(
                    None, f"{source}, token_file {value}", path.parent / Path(value).expanduser()
                ),
            )
        else:
            yield name, Setting(value, source)


def _read(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if required:
            raise _usage(f"there is no settings file {path}") from None
        return {}
    except OSError as error:
        raise _usage(f"the settings file {path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
    # Raised here, where no frame of the reader with the file's text is behind it.
    raise _usage(f"the settings file {path} is not TOML: {reason}")


def _token_from(path: Path) -> Secret:
    try:
        token = Secret(path.read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror or "") if isinstance(error, OSError) else "it is not UTF-8"
    else:
        if token:
            return token
        reason = "it is empty"
    raise _usage(f"the token file {path} cannot be read: {reason}")


def _asked_token() -> Secret:
    import getpass  # noqa: PLC0415
    import warnings  # noqa: PLC0415

    try:
        with warnings.catch_warnings():
            # Without a terminal it would read the token, visibly, from where the mail may come.
            warnings.simplefilter("error", getpass.GetPassWarning)
            token = Secret(getpass.getpass("Token: "))
    except KeyboardInterrupt:
        if sys.stderr.isatty():
            # What is told of it begins on a line of its own.
            sys.stderr.write("\n")
        raise
    except (getpass.GetPassWarning, EOFError):
        raise _usage("there is no terminal to ask for the token on") from None
    if not token:
        raise _usage("the token is empty")
    return token


def _warn_of_readers(path: Path, warn: Callable[[str], None]) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if os.name == "posix" and mode & 0o077:
        warn(f"{path} holds a token and others can read it (mode {mode:03o}); chmod 600 {path}")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _listed(names: list[str]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]


def _usage(reason: str, advice: str | None = None) -> UsageError:
    return UsageError(reason, mail_state=None, advice=advice)
