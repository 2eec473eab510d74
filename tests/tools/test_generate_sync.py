"""The generator of the sync trees: what it rewrites, what it refuses, and what its check sees."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "generate_sync.py"
SOURCES = Path("src/poweremail/_async")
GENERATED = Path("src/poweremail/_sync")
HEADER = "# Generated from src/poweremail/_async/module.py; do not edit.\n"


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_sync", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate_sync = load_script()


class Checkout:
    """A tree in a temporary folder, and the generator that works on it."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self._capsys = capsys

    def write(self, path: Path, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")

    def read(self, path: Path) -> str:
        return (self.root / path).read_bytes().decode()

    def run(self, *arguments: str, rules: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Return the exit code and what was written to stderr."""
        code = generate_sync.main(
            [*arguments, "--root", str(self.root)], {} if rules is None else rules
        )
        return code, self._capsys.readouterr().err

    def generated(self, source: str, rules: Mapping[str, str] | None = None) -> str:
        """Return the sync text of *source*, without its header."""
        self.write(SOURCES / "module.py", source)
        assert self.run(rules=rules)[0] == 0
        text = self.read(GENERATED / "module.py")
        assert text.startswith(HEADER)
        return text.removeprefix(HEADER).removeprefix("\n").removesuffix("\n")

    def problem(self, source: str, rules: Mapping[str, str] | None = None) -> str:
        """Return the complaint about *source*, of which nothing may be written."""
        self.write(SOURCES / "module.py", source)
        code, complaint = self.run(rules=rules)
        assert code == 1
        assert not (self.root / GENERATED).exists()
        return complaint


@pytest.fixture
def checkout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Checkout:
    return Checkout(tmp_path, capsys)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("async def f(): ...", "def f(): ...", id="def"),
        pytest.param("def f(): await g(1)", "def f():\n    g(1)", id="await"),
        pytest.param(
            "x = [await g(y) async for y in z]", "x = [g(y) for y in z]", id="comprehension"
        ),
        pytest.param("x = [y async for y in z]", "x = list(z)", id="copy"),
        pytest.param(
            "async def f():\n    async with a as b:\n        g(b)",
            "def f():\n    with a as b:\n        g(b)",
            id="with",
        ),
        pytest.param(
            "async def f():\n    async for a in b:\n        g(a)",
            "def f():\n    for a in b:\n        g(a)",
            id="for",
        ),
        pytest.param(
            "class A:\n    def __aenter__(self): ...",
            "class A:\n    def __enter__(self): ...",
            id="aenter",
        ),
        pytest.param(
            "class A:\n    def __aexit__(self): ...",
            "class A:\n    def __exit__(self): ...",
            id="aexit",
        ),
        pytest.param(
            "class A:\n    def __aiter__(self): ...",
            "class A:\n    def __iter__(self): ...",
            id="aiter",
        ),
        pytest.param(
            "class A:\n    def __anext__(self): ...",
            "class A:\n    def __next__(self): ...",
            id="anext",
        ),
        pytest.param(
            "client = AsyncPowerEmail(retry=AsyncRetrying())",
            "client = PowerEmail(retry=Retrying())",
            id="prefix of a class",
        ),
        pytest.param(
            "x = sandbox.async_client()", "x = sandbox.client()", id="prefix of a function"
        ),
        pytest.param(
            "x = 'an AsyncPowerEmail, to await it'", 'x = "a PowerEmail, to it"', id="string"
        ),
        pytest.param("x = f'{await f(y)!r:>{await z}}'", 'x = f"{f(y)!r:>{z}}"', id="f-string"),
        pytest.param(
            '"""An async client, an AsyncIterator."""',
            '"""A client, an Iterator."""',
            id="docstring",
        ),
        pytest.param("x = 1  # the AsyncClient's", "x = 1  # the Client's", id="comment"),
        pytest.param(
            "x = (await f(g(h(1)), y)).status",
            "x = f(g(h(1)), y).status",
            id="parentheses before an attribute",
        ),
        pytest.param("x = (await f)[0]", "x = f[0]", id="parentheses before an index"),
        pytest.param("x = f((await g)[0])", "x = f(g[0])", id="parentheses in a call"),
        pytest.param("x = f(await g).y", "x = f(g).y", id="parentheses of a call stay"),
        pytest.param(
            "x: Awaitable[dict[str, list[int]]]", "x: dict[str, list[int]]", id="awaitable"
        ),
        pytest.param(
            "x: Callable[[Awaitable[int]], Awaitable[Awaitable[str]]]",
            "x: Callable[[int], str]",
            id="nested awaitables",
        ),
        pytest.param(
            "x: AsyncIterable[int] | Iterable[int] | None",
            "x: Iterable[int] | None",
            id="union in an annotation",
        ),
        pytest.param(
            "x = isinstance(y, AsyncIterable | Iterable)",
            "x = isinstance(y, Iterable)",
            id="union in an expression",
        ),
        pytest.param("x = 1  # async only\ny = 2\n", "y = 2", id="async only"),
        pytest.param(
            "x = f(  # async only\n    1,\n    2,\n)\ny = 2", "y = 2", id="async only, a first line"
        ),
        pytest.param(
            "x = f(\n    1,\n    2,\n)  # async only\ny = 2", "y = 2", id="async only, a last line"
        ),
        pytest.param(
            "x = [\n    1,\n    f(  # async only\n        2,\n    ),\n    3,\n]",
            "x = [\n    1,\n    3,\n]",
            id="async only, an element by its first line",
        ),
        pytest.param(
            "x = [\n    1,\n    f(\n        2,\n    ),  # async only\n    3,\n]",
            "x = [\n    1,\n    3,\n]",
            id="async only, an element by its last line",
        ),
        pytest.param(
            "x = f(\n    a=1,\n    b=g(  # async only\n        2,\n    ),\n    c=3,\n)",
            "x = f(\n    a=1,\n    c=3,\n)",
            id="async only, a keyword",
        ),
        pytest.param(
            "def f(\n    a,\n    b: int = 1,  # async only\n    c=2,\n):\n    return a, c",
            "def f(\n    a,\n    c=2,\n):\n    return a, c",
            id="async only, a parameter",
        ),
        pytest.param(
            'x = {\n    "a": 1,\n    "b": f(  # async only\n        2,\n    ),\n    "c": 3,\n}',
            'x = {\n    "a": 1,\n    "c": 3,\n}',
            id="async only, an entry of a dict",
        ),
        pytest.param(
            "x = 1\n\n\n@a\n@b(\n    1,\n)\nasync def f():  # async only\n    g()\n",
            "x = 1",
            id="async only, a function with its decorators",
        ),
        pytest.param(
            "@a\n@b(  # async only\n    1,\n)\ndef f():\n    return 1",
            "@a\ndef f():\n    return 1",
            id="async only, a decorator",
        ),
        pytest.param(
            "def f():\n    g()\n    return h(\n        'é',\n        2,\n    )  # async only",
            "def f():\n    g()",
            id="async only, the last statement of a function",
        ),
        pytest.param(
            "match x:\n    case 1:  # async only\n        f()\n        g()\n"
            "    case _:\n        h()",
            "match x:\n    case _:\n        h()",
            id="async only, a case",
        ),
        pytest.param(
            "from a import (\n    b,\n    c as d,  # async only\n)\n\nx = b",
            "from a import (\n    b,\n)\n\nx = b",
            id="async only, an imported name",
        ),
        pytest.param(
            "if x:\n    y = 1\n    # sync only: y = 2",
            "if x:\n    y = 1\n    y = 2",
            id="sync only",
        ),
        pytest.param(
            "if x:\n    # sync only: for y in x:\n    # sync only:     f(y)",
            "if x:\n    for y in x:\n        f(y)",
            id="sync only, a block",
        ),
        pytest.param(
            "awaited = asynchronous = x_async = 1  # async only\nx = y",
            "x = y",
            id="no part of a word",
        ),
    ],
)
def test_async_code_is_rewritten(checkout: Checkout, source: str, expected: str) -> None:
    assert checkout.generated(source) == expected


def test_a_file_marked_async_only_has_no_twin(checkout: Checkout) -> None:
    checkout.write(
        SOURCES / "other.py", "# async only: there is no other side\nasync def f(): ...\n"
    )
    checkout.generated("x = 1")
    assert not (checkout.root / GENERATED).with_name("other.py").exists()


def test_imports_are_merged_sorted_and_pruned(checkout: Checkout) -> None:
    source = """
        from __future__ import annotations
        from collections.abc import AsyncIterable, Awaitable, Iterable, Callable
        from contextlib import AsyncExitStack
        from contextlib import ExitStack
        __all__ = ["AsyncZebra", "Cat"]
        x: Callable[[AsyncIterable[int]], Awaitable[Iterable[int]]] = f(ExitStack, AsyncExitStack)
    """
    lines = [
        line
        for line in checkout.generated("\n".join(map(str.strip, source.splitlines()))).splitlines()
        if line
    ]
    assert lines == [
        "from __future__ import annotations",
        "from collections.abc import Callable, Iterable",
        "from contextlib import ExitStack",
        '__all__ = ["Cat", "Zebra"]',
        "x: Callable[[Iterable[int]], Iterable[int]] = f(ExitStack, ExitStack)",
    ]


def test_rules_match_whole_words_and_phrases_the_longest_first(checkout: Checkout) -> None:
    rules = {
        "aclose": "close",
        "aclose twice": "close once",
        '"async"': '"sync"',
        "_async": "_sync",
    }
    source = 'x = poweremail._async.aclose  # aclose twice\ny = ("async", acloser)\n'
    expected = 'x = poweremail._sync.close  # close once\ny = ("sync", acloser)'
    assert checkout.generated(source, rules) == expected


def test_the_table_does_what_the_names_of_the_libraries_need(checkout: Checkout) -> None:
    sources = "\n".join(f"x = y.{word}" for word in generate_sync.RULES)
    expected = "\n".join(f"x = y.{replacement}" for replacement in generate_sync.RULES.values())
    assert checkout.generated(sources, generate_sync.RULES) == expected


def test_lint_marks_that_are_no_longer_needed_go(checkout: Checkout) -> None:
    source = "async def f(timeout): ...  # noqa: ASYNC109"
    assert checkout.generated(source) == "def f(timeout): ..."


def test_trees_of_sources_and_of_tests(checkout: Checkout) -> None:
    checkout.write(SOURCES / "transports/base.py", "x = 1\n")
    sandbox = Path("src/poweremail/sandbox/_client/_async/transport.py")
    checkout.write(sandbox, "x = 1\n")
    checkout.write(Path("tests/_async/test_client.py"), "async def test(): ...\n")
    assert checkout.run() == (
        0,
        "missing: src/poweremail/_sync/transports/base.py\n"
        "missing: src/poweremail/sandbox/_client/_sync/transport.py\n"
        "missing: tests/_sync/test_client.py\n",
    )
    assert checkout.read(Path("tests/_sync/test_client.py")).endswith("\ndef test(): ...\n")
    assert checkout.run("--check") == (0, "")


def test_the_output_is_formatted_by_the_settings_of_the_project(checkout: Checkout) -> None:
    long_line = f"x = f({', '.join(f'arg_{number}' for number in range(12))})"
    assert 88 < len(long_line) <= 100
    assert checkout.generated(long_line) == long_line


def test_writing_removes_orphans_and_leaves_alone_what_is_right(checkout: Checkout) -> None:
    checkout.write(SOURCES / "a.py", "x = 1\n")
    checkout.write(SOURCES / "b.py", "x = 1\n")
    checkout.run()
    before = (checkout.root / GENERATED / "a.py").stat().st_mtime_ns
    (checkout.root / SOURCES / "b.py").unlink()
    assert checkout.run() == (0, "extra: src/poweremail/_sync/b.py\n")
    assert not (checkout.root / GENERATED / "b.py").exists()
    assert (checkout.root / GENERATED / "a.py").stat().st_mtime_ns == before


class TestCheck:
    @pytest.fixture(autouse=True)
    def _generated(self, checkout: Checkout) -> None:
        checkout.generated("async def f():\n    return 1\n")

    def test_check_passes_on_generated_files_and_ignores_pycache(self, checkout: Checkout) -> None:
        checkout.write(GENERATED / "__pycache__/module.cpython-311.pyc", "")
        assert checkout.run("--check") == (0, "")

    def test_check_reports_a_changed_source(self, checkout: Checkout) -> None:
        checkout.write(SOURCES / "module.py", "async def f():\n    return 2\n")
        self.fails(checkout, "stale: src/poweremail/_sync/module.py")

    def test_check_reports_a_missing_file(self, checkout: Checkout) -> None:
        checkout.write(SOURCES / "other.py", "x = 1\n")
        self.fails(checkout, "missing: src/poweremail/_sync/other.py")

    @pytest.mark.parametrize("name", ["orphan.py", "sub/orphan.py", "notes.txt"])
    def test_check_reports_a_file_without_source(self, checkout: Checkout, name: str) -> None:
        checkout.write(GENERATED / name, "")
        self.fails(checkout, f"extra: src/poweremail/_sync/{name}")

    def test_check_reports_the_tree_of_a_removed_source_tree(self, checkout: Checkout) -> None:
        checkout.write(Path("tests/_sync/test_client.py"), "")
        self.fails(checkout, "extra: tests/_sync/test_client.py")

    @pytest.mark.parametrize("appended", ["x = 1\n", "# a comment\n", "\n", " "])
    def test_check_reports_appended_text(self, checkout: Checkout, appended: str) -> None:
        checkout.write(GENERATED / "module.py", checkout.read(GENERATED / "module.py") + appended)
        self.fails(checkout, "stale: src/poweremail/_sync/module.py")

    def test_check_reports_a_truncated_file(self, checkout: Checkout) -> None:
        checkout.write(GENERATED / "module.py", checkout.read(GENERATED / "module.py")[:-1])
        self.fails(checkout, "stale: src/poweremail/_sync/module.py")

    @pytest.mark.parametrize(
        ("old", "new"), [("return 1", "return (1)"), ("    ", "  "), ("\n", "\r\n")]
    )
    def test_check_reports_reformatted_text(self, checkout: Checkout, old: str, new: str) -> None:
        text = checkout.read(GENERATED / "module.py").replace(old, new)
        (checkout.root / GENERATED / "module.py").write_bytes(text.encode())
        self.fails(checkout, "stale: src/poweremail/_sync/module.py")

    def fails(self, checkout: Checkout, complaint: str) -> None:
        """
        Check that each run says *complaint* and no more, and that nothing is mended on the way.
        """
        for _ in range(2):
            code, said = checkout.run("--check")
            assert (code, said.splitlines()) == (
                1,
                [complaint, "run tools/generate_sync.py and commit what it writes"],
            )


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("x = 1  # unlike in async/await code", "async"),
        ("x = 'on anyio'", "anyio"),
        ("x = 'asyncio'", "asyncio"),
        ("x = 'Trio'", "Trio"),
        ("x = MyAsyncClient()", "MyAsyncClient"),
        ("x = is_async(y)", "is_async"),
        ("x.aclose()", "aclose"),
        ("x = 'a Coroutine'", "Coroutine"),
        ("x = 'one event loop'", "event loop"),
        ("x = 'Await the answer'", "Await"),
        ("x = 'what is awaited'", "awaited"),
    ],
)
def test_async_words_that_remain_are_errors(checkout: Checkout, line: str, word: str) -> None:
    complaint = checkout.problem(f'"""A module."""\n\n{line}\n')
    assert complaint.startswith(f"src/poweremail/_sync/module.py:4: {word!r} is left in: x")


def test_every_leftover_of_every_file_is_named(checkout: Checkout) -> None:
    checkout.write(SOURCES / "other.py", "x = 'anyio and trio'")
    assert len(checkout.problem("x = 'asyncio'").splitlines()) == 3


def test_a_rule_that_never_fires_is_an_error(checkout: Checkout) -> None:
    assert (
        checkout.problem("x = aread()", {"aread": "read", "afoo": "foo"})
        == "the rule 'afoo' never fired: remove it from RULES\n"
    )


def test_a_rule_that_shadows_another_is_noticed(checkout: Checkout) -> None:
    assert "'aread'" in checkout.problem("x = y.aread()", {"y.aread": "y.read", "aread": "read"})


def test_output_that_does_not_parse_is_an_error(checkout: Checkout) -> None:
    complaint = checkout.problem("if x:\n    y = 1  # async only\nz = 1\n")
    assert complaint.startswith(
        "src/poweremail/_async/module.py: no valid code after rewriting: expected an indented block"
    )


def test_a_source_that_does_not_parse_is_an_error(checkout: Checkout) -> None:
    complaint = checkout.problem("x = (  # async only\n")
    assert complaint.startswith("src/poweremail/_async/module.py: no valid code after rewriting")


def test_missing_sources_are_an_error(checkout: Checkout) -> None:
    code, complaint = checkout.run("--check")
    assert code == 1
    assert complaint.startswith("nothing to generate from")


def test_a_failure_of_ruff_is_an_error(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate_sync, "REPOSITORY", checkout.root)
    checkout.write(Path("pyproject.toml"), "[tool.ruff]\nunknown = 1\n")
    assert checkout.problem("x = 1").startswith(
        "src/poweremail/_sync/module.py: ruff check failed: "
    )


def test_a_missing_ruff_is_an_error(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(checkout.root / "python"))
    monkeypatch.setenv("PATH", "")
    assert checkout.problem("x = 1").startswith("ruff is not installed")
