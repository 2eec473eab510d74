"""Public names that are loaded when they are first used (PEP 562)."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

__all__ = ["lazily"]


def lazily(
    module: str,
    homes: Mapping[str, Sequence[str]],
    renamed: Mapping[str, str] | None = None,
    removed: Mapping[str, str] | None = None,
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """
    Return ``__getattr__`` and ``__dir__`` for the public module *module*.

    - *homes*: the names that each module of the library defines, by its name without
      ``poweremail.``.
    - *renamed*: old names and the public names (``module:name``) that replace them. The old ones
      still work, and warn.
    - *removed*: names that are gone, and why. They raise ImportError, whose text a
      ``from module import name`` shows; it would replace that of an AttributeError.
    """
    home = {name: f"poweremail.{inner}" for inner, names in homes.items() for name in names}
    renamed, removed = renamed or {}, removed or {}

    def load(name: str) -> object:
        if name in renamed:
            new_module, _, new_name = renamed[name].partition(":")
            warnings.warn(
                f"{module}.{name} is now {new_module}.{new_name}; 0.3.0 removes the old name",
                DeprecationWarning,
                stacklevel=2,
            )
            return getattr(import_module(new_module), new_name)
        if name in removed:
            raise ImportError(f"{module}.{name} was removed: {removed[name]}")
        if name not in home:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        value = getattr(import_module(home[name]), name)
        setattr(sys.modules[module], name, value)
        return value

    def names() -> list[str]:
        return sorted({*home, *vars(sys.modules[module])})

    return load, names
