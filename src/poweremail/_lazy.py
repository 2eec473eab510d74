"""
Public names and packages that are loaded when they are first used (PEP 562), and what to install if
a package is missing.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from threading import Thread, current_thread, main_thread
from types import ModuleType

_EXTRAS = {
    "aiohttp": "aiohttp",
    "bcrypt": "sandbox",
    "celery": "celery",
    "django": "django",
    "fastapi": "sandbox",
    "httpx2": "httpx2",
    "inscriptis": "html",
    "jinja2": "sandbox",
    "opentelemetry": "opentelemetry",
    "procrastinate": "procrastinate",
    "psycopg": "postgresql",
    "pydantic": "sandbox",
    "sqlalchemy": "batch",
    "starlette": "sandbox",
    "taskiq": "taskiq",
    "uvicorn": "sandbox",
}
"""The extra that brings a package."""


def extra_of(error: ModuleNotFoundError, module: str = "") -> str | None:
    """
    Return the extra that brings the missing package; None if no extra does.

    *module*: the module that needs it. If it has the name of an extra, such as that of an engine,
    it is that extra, because it also brings the other packages that the module needs.
    """
    extra = _EXTRAS.get((error.name or "").partition(".")[0])
    own = module.rpartition(".")[2]
    return own if extra is not None and own in _EXTRAS.values() else extra


@contextmanager
def extras_needed(field: str = "") -> Iterator[None]:
    """
    Raise `ConfigurationError`, which says what to install, if a package of an extra is missing.

    *field*: the option that needs it, if there is one.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (extra := extra_of(error)) is None:
            raise
        # `import poweremail` loads this file, but not the errors and attrs.
        from poweremail.errors import ConfigurationError  # noqa: PLC0415

        raise ConfigurationError(
            f"{error.name} is not installed",
            field=field,
            advice=f"pip install 'poweremail[{extra}]'",
        ) from None


def import_undisturbed(name: str) -> ModuleType:
    """
    Import the module *name* so that no signal handler leaves half of it behind.

    Handlers run in the main thread. If one raises during an import, Python forgets the package but
    keeps its submodules, and every later import of it in this process can fail. So the import is
    made in a thread of its own, which goes on whatever happens to the one that waits for it.
    """
    if name not in sys.modules and current_thread() is main_thread():
        thread = Thread(target=_try_import, args=(name,))
        try:
            thread.start()
        except RuntimeError:  # the interpreter is ending, and starts no thread
            if thread.ident is not None:
                raise
        else:
            thread.join()
    return import_module(name)


def _try_import(name: str) -> None:
    with suppress(Exception):  # the import after it raises the same
        import_module(name)


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
        try:
            value = getattr(import_module(home[name]), name)
        except ModuleNotFoundError as error:
            if (extra := extra_of(error, home[name])) is not None:
                error.add_note(f"pip install 'poweremail[{extra}]'")
            raise
        setattr(sys.modules[module], name, value)
        return value

    def names() -> list[str]:
        # Without what the module itself imports, such as TYPE_CHECKING.
        present = vars(sys.modules[module])
        inner = {name for name in present if f"{module}.{name}" in sys.modules or name[:2] == "__"}
        return sorted(home.keys() | inner)

    return load, names
