"""Public names that are loaded when they are first used (PEP 562)."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

__all__ = ["lazily"]


def lazily(
    module: str, homes: Mapping[str, Sequence[str]], renamed: Mapping[str, str] | None = None
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """
    Return ``__getattr__`` and ``__dir__`` for the public module *module*.

    - *homes*: the names that each module of the library defines, by its name without
      ``poweremail.``.
    - *renamed*: old names and the public names (``module:name``) that replace them. The old ones
      still work, and warn.
    """
    home = {name: f"poweremail.{inner}" for inner, names in homes.items() for name in names}
    renamed = renamed or {}

    def load(name: str) -> object:
        if name in renamed:
            new_module, _, new_name = renamed[name].partition(":")
            warnings.warn(
                f"{module}.{name} is now {new_module}.{new_name}; 0.3.0 removes the old name",
                DeprecationWarning,
                stacklevel=2,
            )
            return getattr(import_module(new_module), new_name)
        if name not in home:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        value = getattr(import_module(home[name]), name)
        setattr(sys.modules[module], name, value)
        return value

    def names() -> list[str]:
        return sorted({*home, *vars(sys.modules[module])})

    return load, names
