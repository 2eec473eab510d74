"""
The house has one way down: this file reads every import of the library and fails on one that runs
up.

To add a module, give it a room in `ROOMS`; to use another library, give it a place in `LIBRARIES`.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest


def both(name: str) -> tuple[str, str]:
    """The async module of this name and its generated sync twin."""
    return f"poweremail._async.{name}", f"poweremail._sync.{name}"


ITSELF_ONLY = (
    "poweremail._async",
    "poweremail._sync",
    "poweremail.batch",
    "poweremail.engines",
    "poweremail.sandbox",
    "poweremail",
)
"""
Packages of which only the ``__init__`` has the room given below, while each module in them needs
one of its own.
"""

SANDBOX_ROOMS = (
    "_store",
    "_api",
    "_faults",
    "_webhooks",
    "_release",
    "_service",
    "_client",
    "_server",
    "_outbox",
    "_sandbox",
)
"""The rooms of the sandbox, from the ground up."""

ENGINES = ("celery", "taskiq", "procrastinate")
"""The task queues; none knows another one."""

ROOMS = (
    (
        "poweremail._response",
        "poweremail._version",
        "poweremail._async",
        "poweremail._sync",
    ),
    ("poweremail.errors",),
    ("poweremail._lazy",),
    ("poweremail._types",),
    ("poweremail._mime",),
    ("poweremail._messages",),
    ("poweremail._wire",),
    ("poweremail._policy",),
    ("poweremail._runtime",),
    ("poweremail._ledger",),
    both("transports"),
    both("limiter"),
    both("exchange"),
    (*both("message_infos"), *both("send_many")),
    both("send"),
    both("suppression_check"),
    (*both("messages"), *both("settings")),
    both("client"),
    both("suppressions"),
    both("failover_rounds"),
    both("failover"),
    (
        "poweremail.batch._options",
        "poweremail.batch._slice",
        "poweremail.batch._report",
        "poweremail.batch._files",
    ),
    ("poweremail.batch._rows",),
    ("poweremail.batch._sources",),
    both("durable"),
    ("poweremail._vendor",),
    # The public names; of what is inside, only the rooms above them know.
    ("poweremail", "poweremail.transports", "poweremail.types", "poweremail.batch"),
    ("poweremail.engines._async", "poweremail.engines._sync"),
    *((f"poweremail.engines.{name}",) for name in ENGINES),
    ("poweremail.engines",),
    ("poweremail.suppression",),
    ("poweremail.webhooks",),
    ("poweremail.unsubscribe",),
    *((f"poweremail.sandbox.{name}",) for name in SANDBOX_ROOMS),
    ("poweremail.sandbox",),
    ("poweremail._mocking",),
    ("poweremail._cli", "poweremail.pytest_plugin"),
    ("poweremail.contrib",),
    ("poweremail.__main__",),
)
"""
From the ground up. A package stands for all that is in it; a module imports from below and from its
own package.
"""

SANDBOX_API = ("poweremail.sandbox._api",)
"""The calls of the sandbox's API."""

SANDBOX_API_MAY_IMPORT = (
    *SANDBOX_API,
    "poweremail.sandbox._store",
    "poweremail._response",
    "poweremail.errors",
    "poweremail._types",
    "poweremail._mime",
    "poweremail._wire",
)
"""The API of the service is values in, values out: it knows no client and no webhook."""

ANY = ("poweremail",)
AIOHTTP_MODULES = tuple(
    f"poweremail._async.transports.{name}"
    for name in ("aiohttp", "aiohttp_body", "aiohttp_direct", "aiohttp_head")
)
ASYNC_MODULES = (
    "poweremail._runtime._async",
    "poweremail._runtime._async_many",
    "poweremail._runtime._async_slots",
    *AIOHTTP_MODULES,
    "poweremail.engines.taskiq",
    "poweremail.sandbox._server",
    "poweremail._cli",
)

LIBRARIES = {
    "aiohttp": AIOHTTP_MODULES,
    "anyio": (*ASYNC_MODULES, "poweremail.webhooks", "poweremail.unsubscribe"),
    "asyncio": ASYNC_MODULES,
    "attrs": ANY,
    "cattrs": (
        "poweremail._wire",
        "poweremail._ledger.payload",
        "poweremail.sandbox._store.database",
    ),
    "celery": ("poweremail.engines.celery",),
    "django": (
        "poweremail._ledger.callers",
        "poweremail._ledger.place",
        "poweremail.contrib.django",
    ),
    "fastapi": ("poweremail.sandbox._server.control",),
    "httpcore": both("transports.httpcore"),
    "httpx": (
        *both("transports.httpx"),
        "poweremail.sandbox._webhooks.posting",
        "poweremail._runtime._time_limit",
        "poweremail.sandbox._release.link_check",
        "poweremail._cli",
    ),
    "httpx2": both("transports.httpx"),
    "idna": ("poweremail._types.address_forms",),
    "inscriptis": ("poweremail._messages.html_text",),
    "lxml": ("poweremail._messages.html_text",),
    "bcrypt": ("poweremail.sandbox._server.auth",),
    "jinja2": ("poweremail.sandbox._server.ui",),
    "opentelemetry": ("poweremail.contrib.opentelemetry",),
    "orjson": ("poweremail._wire.json",),
    "platformdirs": ("poweremail._cli",),
    "procrastinate": ("poweremail.engines.procrastinate",),
    "psycopg": ("poweremail.engines.procrastinate",),  # its connections carry jobs
    "pydantic": ("poweremail.sandbox._server.control",),
    "pytest": ("poweremail.pytest_plugin",),
    "rich": ("poweremail._cli",),
    "sqlalchemy": (
        "poweremail._ledger",
        *both("durable.outbox"),
        "poweremail.contrib.django",
        "poweremail.engines.procrastinate",
    ),
    "starlette": ("poweremail.sandbox._server",),
    "taskiq": ("poweremail.engines.taskiq",),
    "tenacity": both("exchange"),
    "trio": ASYNC_MODULES,
    "typer": ("poweremail._cli",),
    "uvicorn": ("poweremail.sandbox._server", "poweremail._cli"),
    "yarl": AIOHTTP_MODULES,  # the URLs of aiohttp
}
"""The modules that may import each library; the standard library is free but for these names."""

NOT_AT_IMPORT = {
    "aiohttp",
    "anyio",
    "asyncio",
    "cattrs",
    "celery",
    "django",
    "fastapi",
    "httpcore",
    "httpx",
    "httpx2",
    "idna",
    "inscriptis",
    "jinja2",
    "lxml",
    "opentelemetry",
    "orjson",
    "platformdirs",
    "procrastinate",
    "psycopg",
    "pydantic",
    "rich",
    "sqlalchemy",
    "starlette",
    "taskiq",
    "tenacity",
    "trio",
    "typer",
    "uvicorn",
}
"""What ``import poweremail`` must not load: it is paid for on first use."""


@cache
def package_root() -> Path:
    """The folder of the package under test: the checkout's, or the installed wheel's."""
    spec = importlib.util.find_spec("poweremail")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(next(iter(spec.submodule_search_locations)))


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the library, parsed."""
    root = package_root()
    return {
        module_name(path.relative_to(root)): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(root.rglob("*.py"))
    }


def module_name(path: Path) -> str:
    return ".".join(("poweremail", *path.with_suffix("").parts)).removesuffix(".__init__")


def is_package(name: str) -> bool:
    return Path(package_root(), *name.split(".")[1:], "__init__.py").exists()


def imports(importer: str) -> Iterator[str]:
    """
    Return what *importer* imports anywhere in the file, also in functions and for type checkers.

    Each is the full name of a module: ``from poweremail._wire import http`` imports
    ``poweremail._wire.http``.
    """
    for node in ast.walk(modules()[importer]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = importer.split(".") if is_package(importer) else importer.split(".")[:-1]
                base = ".".join((*parents[: len(parents) - node.level + 1], *filter(None, [base])))
            for alias in node.names:
                yield name if (name := f"{base}.{alias.name}") in modules() else base
        elif (
            isinstance(node, ast.Call)
            and getattr(node.func, "attr", getattr(node.func, "id", "")) == "import_module"
        ):
            yield from (
                argument.value for argument in node.args[:1] if isinstance(argument, ast.Constant)
            )


def arrows() -> Iterator[tuple[str, str]]:
    """Every pair of importer and imported module of the library."""
    for importer in modules():
        yield from ((importer, imported) for imported in imports(importer) if within(imported, ANY))


def within(module: str, places: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


def room(module: str) -> tuple[int, str] | None:
    """
    The height of the room that *module* is in, and the name that gave it the room; the longest
    wins.
    """
    found = [
        (len(name), height, name)
        for height, names in enumerate(ROOMS)
        for name in names
        if module == name or (name not in ITSELF_ONLY and within(module, (name,)))
    ]
    return max(found)[1:] if found else None


def runs_up(importer: str, imported: str) -> bool:
    """Whether *importer* stands below *imported* or in the same room, or may not know it."""
    if within(importer, SANDBOX_API) and not within(imported, SANDBOX_API_MAY_IMPORT):
        return True
    (own_height, own_name), (height, name) = (
        room(importer) or (-1, ""),
        room(imported) or (len(ROOMS), ""),
    )
    return height >= own_height and name != own_name


def test_every_module_has_a_room() -> None:
    assert [module for module in modules() if room(module) is None] == []


def test_imports_run_down() -> None:
    assert [f"{a} imports {b}" for a, b in arrows() if runs_up(a, b)] == []


@pytest.mark.parametrize(
    ("importer", "imported", "expected"),
    [
        ("poweremail._wire.decode", "poweremail._types.result", False),
        ("poweremail._wire.decode", "poweremail._wire.http", False),
        ("poweremail._wire.decode", "poweremail._policy.retry", True),
        ("poweremail._wire.decode", "poweremail", True),
        ("poweremail._version", "poweremail._response", True),
        ("poweremail._async.message_infos", "poweremail._async.send_many", True),
        ("poweremail._async.send_many", "poweremail._async.send_many", False),
        ("poweremail._async.exchange", "poweremail._async.client", True),
        ("poweremail._async.client", "poweremail._async.unheard_of", True),
        ("poweremail._sync.client", "poweremail._sync.transports.httpx", False),
        ("poweremail.sandbox", "poweremail._async.client", False),
        ("poweremail.sandbox._api.messages", "poweremail._wire.http", False),
        ("poweremail.sandbox._api.messages", "poweremail.sandbox._store.database", False),
        ("poweremail.sandbox._api.messages", "poweremail._async.client", True),
        ("poweremail.sandbox._server.app", "poweremail.sandbox._service", False),
        ("poweremail.sandbox._server.app", "poweremail._async.client", False),
        ("poweremail.sandbox._store.mails", "poweremail.sandbox._api", True),
        ("poweremail.sandbox._api.messages", "poweremail.webhooks._signature", True),
        ("poweremail.sandbox._service", "poweremail.sandbox._server.app", True),
        ("poweremail.sandbox._client._async", "poweremail.sandbox._service", False),
        ("poweremail._async.client", "poweremail.sandbox._client._async", True),
        ("poweremail.transports", "poweremail.sandbox", True),
        ("poweremail.webhooks", "poweremail.contrib.django.signals", True),
    ],
)
def test_imports_that_run_up_are_recognized(importer: str, imported: str, expected: bool) -> None:
    assert runs_up(importer, imported) is expected


def test_async_and_sync_modules_do_not_mix() -> None:
    trees = {"_async": "_sync", "_sync": "_async"}
    mixed = [
        (a, b)
        for a, b in arrows()
        for tree, other in trees.items()
        if tree in a.split(".") and other in b.split(".")
    ]
    assert mixed == []


def test_libraries_are_imported_in_their_places_only() -> None:
    astray = [
        f"{importer} imports {imported}"
        for importer in modules()
        for imported in imports(importer)
        if (library := imported.partition(".")[0]) in LIBRARIES
        or library not in {*sys.stdlib_module_names, "poweremail"}
        if not within(importer, LIBRARIES.get(library, ()))
    ]
    assert astray == []


def test_types_need_attrs_idna_and_the_standard_library_only() -> None:
    allowed = {*sys.stdlib_module_names, "attrs", "idna"}
    below = ("poweremail._types", "poweremail.errors", "poweremail._response")
    of_types = {
        name
        for module in modules()
        if within(module, ("poweremail._types",))
        for name in imports(module)
    }
    assert [
        name
        for name in of_types
        if name.partition(".")[0] not in allowed and not within(name, below)
    ] == []


def in_sync(name: str) -> str:
    return re.sub(
        r"^__a(?=(enter|exit|iter|next)__$)|^a(?=close$)",
        lambda found: found[0].removesuffix("a"),
        name,
    )


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """
    The names of the parameters, each with the kind that it has for callers, and whether it may be
    left out.
    """
    given = function.args
    optional = len(given.posonlyargs) + len(given.args) - len(given.defaults)
    positional = [("/", argument) for argument in given.posonlyargs] + [
        ("", argument) for argument in given.args
    ]
    found = [
        f"{kind}{argument.arg}{'=' * (index >= optional)}"
        for index, (kind, argument) in enumerate(positional)
    ]
    found += [
        f"*, {argument.arg}{'=' * (default is not None)}"
        for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)
    ]
    return found + [
        f"{stars}{argument.arg}"
        for stars, argument in (("*", given.vararg), ("**", given.kwarg))
        if argument
    ]


def surface(body: list[ast.stmt], prefix: str = "") -> dict[str, list[str]]:
    """
    The public classes and functions of a module or class, by their sync name, with
    their parameters.
    """
    found: dict[str, list[str]] = {}
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            # A class without an __init__ is called like one whose __init__ takes nothing.
            found |= {f"{prefix}{node.name}.__init__": ["self"]} | surface(
                node.body, f"{prefix}{node.name}."
            )
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not re.match(
            r"_(?!_)", node.name
        ):
            found[prefix + in_sync(node.name)] = parameters(node)
    return found


def public_names(module: ast.Module) -> list[str]:
    return next(
        ast.literal_eval(node.value)
        for node in module.body
        if isinstance(node, ast.Assign)
        and [getattr(target, "id", "") for target in node.targets] == ["__all__"]
    )


@pytest.mark.parametrize("twins", ["", "_many"])
def test_the_twins_of_the_runtime_have_one_surface(twins: str) -> None:
    a, b = (
        modules()[f"poweremail._runtime._async{twins}"],
        modules()[f"poweremail._runtime._sync{twins}"],
    )
    assert public_names(a) == public_names(b)
    assert surface(a.body) == surface(b.body)
    defined = {name.partition(".")[0] for name in surface(a.body)}
    assert defined | (assigned(a) & assigned(b)) == set(public_names(a))


def assigned(module: ast.Module) -> set[str]:
    """The public names that the module assigns: functions of the standard library, for example."""
    names = {
        getattr(target, "id", "_")
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
    }
    return {name for name in names if not name.startswith("_") and not TYPE_VARIABLE.match(name)}


TYPE_VARIABLE = re.compile(r"[A-Z]\w*$")


def test_the_slots_of_the_runtime_have_one_surface() -> None:
    """The async slots also offer their waiters, to `BoundedMap`, and their alarm, to aiohttp."""
    a, b = (modules()[f"poweremail._runtime._{kind}_slots"] for kind in ("async", "sync"))
    assert {
        name: parameters
        for name, parameters in surface(a.body).items()
        if not name.lower().startswith(("waiter", "alarm"))
    } == surface(b.body)


@pytest.mark.parametrize(
    ("asynchronous", "synchronous", "same"),
    [
        ("async def f(a, *, b=1): ...", "def f(a, *, b=2): ...", True),
        ("async def f(a): ...", "def f(b): ...", False),
        ("async def f(a): ...", "def f(a=1): ...", False),
        ("async def f(a): ...", "def f(*, a): ...", False),
        ("async def f(*a): ...", "def f(**a): ...", False),
        ("def f(): ...", "def f(): ...\ndef g(): ...", False),
        ("def f(): ...\ndef _g(): ...", "def f(): ...", True),
        ("class A:\n async def __aenter__(self): ...", "class A:\n def __enter__(self): ...", True),
        ("class A:\n async def aclose(self): ...", "class A:\n def close(self): ...", True),
        ("class A:\n x = 1", "class A:\n def __init__(self): ...", True),
        ("class A:\n x = 1", "class A:\n def __init__(self, x): ...", False),
    ],
)
def test_surfaces_are_compared(asynchronous: str, synchronous: str, same: bool) -> None:
    assert (surface(ast.parse(asynchronous).body) == surface(ast.parse(synchronous).body)) is same


def run_python(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


FACES = (
    "poweremail",
    "poweremail.types",
    "poweremail.transports",
    "poweremail.batch",
    "poweremail.engines",
    "poweremail.suppression",
    "poweremail.unsubscribe",
    "poweremail.webhooks",
)
"""The public modules whose import loads no library."""


@pytest.mark.parametrize("face", [*FACES, "PowerEmail"])
def test_the_public_modules_load_no_library(face: str) -> None:
    code = (
        f"import sys; before = set(sys.modules); import {face}; print(*sys.modules.keys() - before)"
    )
    assert {name.partition(".")[0] for name in run_python(code).split()}.isdisjoint(NOT_AT_IMPORT)


def test_imports_form_no_circle() -> None:
    """Imports in functions and for the type checker count, so each module can come first."""
    imported_by: dict[str, set[str]] = {}
    for importer, imported in arrows():
        if importer != imported:
            imported_by.setdefault(importer, set()).add(imported)
    TopologicalSorter(imported_by).prepare()  # raises CycleError, which shows the circle


@pytest.mark.parametrize("face", FACES)
def test_the_public_names_are_there_and_no_others(face: str) -> None:
    module = importlib.import_module(face)
    assert set(module.__all__) <= set(dir(module))
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match=f"module '{face}' has no attribute 'nothing'"):
        _ = module.nothing


def test_the_sandbox_has_at_most_16_children() -> None:
    folder = package_root() / "sandbox"
    assert sum(child.name != "__pycache__" for child in folder.iterdir()) <= 16


def test_few_files_are_small() -> None:
    """
    A file below 45 lines is a concept, the head of a room, or prescribed by Python or Django.
    Anything else belongs into the file that uses it.
    """
    small = [
        str(path.relative_to(package_root()))
        for path in package_root().rglob("*.py")
        if "_sync" not in path.parts and len(path.read_text(encoding="utf-8").splitlines()) < 45
    ]
    assert len(small) <= 20, sorted(small)
