"""The clients of this process: one for each set of options. They outlive threads and forks."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from typing import Any

from poweremail import ConfigurationError, Failover, PowerEmail, Secret
from poweremail._policy.variables import REHEARSAL, variable_of
from poweremail.contrib.django._settings import CLIENT_OPTIONS, read_settings

_clients: dict[Hashable, PowerEmail] = {}
_failovers: dict[Hashable, Failover] = {}


def get_client(**overrides: Any) -> PowerEmail:
    """
    Return the client of this process, made of ``settings.POWEREMAIL`` and, for what that leaves
    out, of the environment: see `PowerEmail.from_env`.

    *overrides* are options of `PowerEmail` that replace those of the settings. *redirect_to*,
    *allow* and *dry_run* apply in addition to them. The client is shared by all threads: do not
    close it. Raises `ConfigurationError` if an option is invalid or missing.
    """
    if "token" in overrides:
        overrides["token"] = Secret.of(overrides["token"])
    rehearsal = {name: overrides.pop(name) for name in REHEARSAL if name in overrides}
    chosen = {name: value for name, value in read_settings().items() if name in CLIENT_OPTIONS}
    client = _shared(chosen | overrides)
    return client.with_options(**rehearsal) if rehearsal else client


def get_failover(**overrides: Any) -> Failover | None:
    """
    Return the failover of this process over ``main``, which is `get_client` of *overrides*, and the
    targets of ``POWEREMAIL["FAILOVER"]``, whose options replace those of ``main``; None if there
    are none.
    """
    given = read_settings()
    targets: Mapping[str, Mapping[str, Any]] = given.get("failover", {})
    if not targets:
        return None
    chosen = {name: value for name, value in given.items() if name in CLIENT_OPTIONS}
    options = {"main": overrides, **{name: {**overrides, **of} for name, of in targets.items()}}
    key = (_key(chosen), *((name, _key(of)) for name, of in options.items()))
    failover = _failovers.get(key)
    if failover is None:
        # As below. One that does not stay needs no closing, since the clients are shared.
        made = Failover({name: get_client(**of) for name, of in options.items()})
        failover = _failovers.setdefault(key, made)
    return failover


def _key(options: Mapping[str, Any]) -> Hashable:
    return tuple(sorted((name, _hashable(name, value)) for name, value in options.items()))


def _shared(chosen: Mapping[str, Any]) -> PowerEmail:
    key = _key(chosen)
    client = _clients.get(key)
    if client is None:
        # Without a lock, which a fork could leave locked: of two that are made at once, one stays.
        made = PowerEmail.from_env(**chosen)
        client = _clients.setdefault(key, made)
        if client is not made:
            made.close()
    return client


def _hashable(name: str, value: Any) -> Hashable:
    if isinstance(value, list | set):
        value = tuple(value)
    try:
        return hash(value), value
    except TypeError:
        raise ConfigurationError(
            f"{type(value).__name__} cannot be an option", field=f"POWEREMAIL[{name.upper()!r}]"
        ) from None


def rehearses(overrides: Mapping[str, Any]) -> bool:
    """Return whether a client with these *overrides* keeps mail from some recipients."""
    given = {**read_settings(), **{name: v for name, v in overrides.items() if v}}
    return any(given.get(name) or os.environ.get(variable_of(name)) for name in REHEARSAL)


def close_clients() -> None:
    """Close all clients. The next `get_client` makes new ones."""
    _failovers.clear()
    while _clients:
        _, client = _clients.popitem()
        client.close()
