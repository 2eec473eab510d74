"""
Generate every ``_sync`` tree from its hand-written ``_async`` twin.

``python tools/generate_sync.py`` writes the trees; ``--check`` writes nothing and names every file
that differs by a byte.

*Problem.* The library has an async and a sync client with the same behaviour. Two hand-written
trees drift apart: a clock here, a forgotten argument there. So one is written, with its tests, and
the other is derived from it, without a line that a person would have to keep in step.

*How it works.* The text is rewritten word by word: `RULES` has the words that no pattern covers,
`PATTERNS` the rest (``await``, ``async with``, ``AsyncClient``). Then ruff removes what became
superfluous, sorts the imports and formats. Two marks in a source say what no word can:

- ``# async only`` at the end of a line leaves out the statement, list element, argument, parameter,
  decorator or ``case`` that begins on this line, with all of its lines; if none begins there, the
  one that ends there;
- a line ``# sync only: code`` becomes ``code`` at the same indentation.

A file whose first line begins with ``# async only`` has no twin.

*Why text, not a syntax tree.* Comments, docstrings and messages have to change as well: "an
`AsyncClient` that awaits" is no sync documentation. A tree has no comments, and its printer would
depend on the Python that runs this file. The syntax tree only finds the extent of a mark.

*What keeps it honest.*

- The output has to parse, and no async word may be left in it, not even in a comment (`LEFTOVERS`).
- A rule that changes nothing is an error, so that the table never outlives its need.
- ``--check`` compares whole trees by bytes: a file that is missing, stale or extra fails, in CI and
  before every release.
- Both trees have the same tests, since these are generated, too. tests/tools/test_generate_sync.py
  tests every pattern and every complaint.
"""

from __future__ import annotations

import argparse
import ast
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent

TREES = {
    "src/poweremail/_async": "src/poweremail/_sync",
    "src/poweremail/sandbox/_client/_async": "src/poweremail/sandbox/_client/_sync",
    "src/poweremail/engines/_async": "src/poweremail/engines/_sync",
    "tests/_async": "tests/_sync",
}
"""Each source tree and its generated twin, relative to the root."""

RULES = {
    "_async": "_sync",
    "_async_many": "_sync_many",
    "_async_slots": "_sync_slots",
    "aclose": "close",
    "aiter_bytes": "iter_bytes",
    "aiter_raw": "iter_raw",
    "aread": "read",
    "asynccontextmanager": "contextmanager",
    "handle_async_request": "handle_request",
    "enter_async_context": "enter_context",
    "push_async_callback": "callback",
    "anext": "next",
    # the names of httpx's two interfaces; its ByteStream is something else
    "AsyncByteStream": "SyncByteStream",
    "StopAsyncIteration": "StopIteration",
}
"""Whole words or phrases and their replacements. They come before `PATTERNS`, longest first."""

_MARK = re.compile(r"# async only\s*$")

_ARGUMENTS = r"\([^()]*\)"
for _ in range(3):  # parentheses in parentheses, as deep as a line of code goes
    _ARGUMENTS = rf"\((?:[^()]|{_ARGUMENTS})*\)"

PATTERNS = (
    # (await x()).y: the parentheses were there for the keyword.
    (rf"(?<![\w)\]])\(await ((?:[\w.]|{_ARGUMENTS})+)\)(?=[.\[(])", r"\1"),
    # "an async client", "an `AsyncClient`": the article goes with the word after it.
    (r"\b([Aa])n (?=[`*.~]*[Aa]sync[ _]?[^\WAEIOUaeiou])", r"\1 "),
    (r"\b(?:async|await) (?=\S)", ""),
    (r"\bAsync(?=[A-Z])", ""),
    (r"\basync_(?=\w)", ""),
    (r"\b__a(?=(?:enter|exit|iter|next)__)", "__"),
    # AsyncIterable | Iterable, where it is no annotation: ruff sees to those.
    (r"(?<![\w.])([\w.]+)(?: \| \1)+(?![\w.\[(])", r"\1"),
)
"""Rewritings that hold whether or not a source needs them today, in the order of application."""

LEFTOVERS = re.compile(
    r"\w*async\w*|\bawait\w*|\banyio\w*|\btrio\b|\baclose\b|__a(?:enter|exit|iter|next)__"
    r"|\bcoroutine\w*|\bevent[ -]loops?\b",
    re.IGNORECASE,
)
"""Words that no generated file may have, not even in a comment."""

FIXED = "C416,F401,F811,I001,PYI016,RUF022,RUF100,UP034"
"""
The rules of ruff for the traces of renaming: names that are now unused, doubled or in the wrong
order, needless marks and copies.
"""

_CONSIDERED_SAFE = (
    "lint.extend-safe-fixes=['C416']"  # [x async for x in y] is list(y) in the sync world
)


class GenerationError(Exception):
    """The sources cannot be turned into sync code. Each of *problems* is one line of text."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Rewriter:
    """Turns async source into sync source by *rules*, and counts in `fired` the uses of each."""

    def __init__(self, rules: Mapping[str, str]) -> None:
        self.fired: Counter[str] = Counter()
        self._rules = rules
        words = "|".join(re.escape(word) for word in sorted(rules, key=len, reverse=True))
        self._words = re.compile(rf"(?<!\w)(?:{words})(?!\w)" if words else r"(?!)")

    def rewrite(self, source: str) -> str:
        """
        Return *source* without its async words, neither sorted nor formatted.

        Raises SyntaxError if it is no Python.
        """
        text = _without_marked(source)
        text = re.sub(r"^( *)# sync only: ", r"\1", text, flags=re.MULTILINE)
        text = _unwrap_awaitables(text)
        text = self._words.sub(self._replace, text)
        for pattern, replacement in PATTERNS:
            text = re.sub(pattern, replacement, text)
        return text

    def unused(self) -> list[str]:
        """The rules that never fired."""
        return [word for word in self._rules if not self.fired[word]]

    def _replace(self, match: re.Match[str]) -> str:
        self.fired[match[0]] += 1
        return self._rules[match[0]]


def _without_marked(source: str) -> str:
    """Remove the lines of everything that is marked ``# async only``."""
    lines = source.splitlines(keepends=True)
    marked = {number for number, line in enumerate(lines, 1) if _MARK.search(line)}
    if not marked:
        return source
    removed = set(marked)
    extents = list(_extents(ast.parse(source), lines))
    for mark in marked:
        # The outermost of those that begin here, or else the innermost of those that end here.
        begin = [(start, end) for anchor, start, end in extents if anchor == mark]
        until = [(start, end) for _, start, end in extents if end == mark]
        chosen = max(begin, key=_length, default=None) or min(until, key=_length, default=None)
        if chosen:
            removed.update(range(chosen[0], chosen[1] + 1))
    return "".join(line for number, line in enumerate(lines, 1) if number not in removed)


def _length(extent: tuple[int, int]) -> int:
    return extent[1] - extent[0]


def _extents(tree: ast.AST, lines: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """
    Yield the extent of each node that has its lines to itself: anchor, first and last line.

    The anchor is the line for the mark: the first one, but of a decorated definition the one with
    its name, because a mark on a decorator concerns the decorator.
    """

    def alone(first: ast.expr | ast.stmt | ast.arg | ast.keyword | ast.alias, last: Any) -> bool:
        # ast counts columns in bytes.
        before = lines[first.lineno - 1].encode()[: first.col_offset].strip()
        after = lines[last.end_lineno - 1].encode()[last.end_col_offset :]
        return before in (b"", b"@") and re.fullmatch(rb",?\s*(#.*)?", after.rstrip()) is not None

    for node in ast.walk(tree):
        if isinstance(node, ast.match_case):  # it has no position of its own
            yield node.pattern.lineno, node.pattern.lineno, node.body[-1].end_lineno or 0
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if key is not None and alone(key, value):
                    yield key.lineno, key.lineno, value.end_lineno or 0
        if isinstance(node, ast.stmt | ast.expr | ast.arg | ast.keyword | ast.alias) and alone(
            node, node
        ):
            decorators = getattr(node, "decorator_list", [])
            start = min((each.lineno for each in decorators), default=node.lineno)
            yield node.lineno, start, node.end_lineno or 0


def _unwrap_awaitables(text: str) -> str:
    """Replace ``Awaitable[X]`` by ``X``, whatever brackets X holds."""
    head, found, rest = text.partition("Awaitable[")
    if not found:
        return text
    depth = 1
    for end, character in enumerate(rest):
        depth += (character == "[") - (character == "]")
        if not depth:
            return head + _unwrap_awaitables(rest[:end] + rest[end + 1 :])
    return text  # the parser reports it


def generate(root: Path, rules: Mapping[str, str] = RULES) -> dict[Path, bytes]:
    """
    Return the content of each generated file, by its path relative to *root*.

    Raises `GenerationError` if the result of a source is no valid code or has async words left, or
    if a rule is not needed.
    """
    rewriter = Rewriter(rules)
    drafts: dict[Path, str] = {}
    problems: list[str] = []
    for source_tree, target_tree in TREES.items():
        for path in sorted((root / source_tree).rglob("*.py")):
            source = path.relative_to(root)
            text = path.read_text(encoding="utf-8")
            if text.startswith("# async only"):
                continue
            draft = ""
            try:
                draft = (
                    f"# Generated from {source.as_posix()}; do not edit.\n{rewriter.rewrite(text)}"
                )
                ast.parse(draft)
            except SyntaxError as error:
                # No line number: it would be one of the draft, which has other lines.
                problems.append(
                    f"{source}: no valid code after rewriting: {error.msg}: "
                    f"{(error.text or '').strip()}"
                )
            drafts[Path(target_tree, path.relative_to(root / source_tree))] = draft
    if not drafts:
        raise GenerationError([f"nothing to generate from: no Python file in {' or '.join(TREES)}"])
    problems += [
        f"the rule {word!r} never fired: remove it from RULES" for word in rewriter.unused()
    ]
    if problems:
        raise GenerationError(problems)
    with ThreadPoolExecutor() as pool:  # nearly all of the time goes to starting ruff
        texts = pool.map(lambda item: _tidy(root, *item), drafts.items())
        generated = dict(zip(drafts, texts, strict=True))
    if problems := [
        problem for path, text in generated.items() for problem in _leftovers(path, text)
    ]:
        raise GenerationError(problems)
    return {path: text.encode() for path, text in generated.items()}


def _tidy(root: Path, path: Path, text: str) -> str:
    """Remove the traces of renaming, and format, by the project's own settings."""
    fixes = (f"--fixable={FIXED}", "--config", _CONSIDERED_SAFE)
    text = _ruff(root, ["check", "--fix-only", "--quiet", "--no-cache", *fixes], path, text)
    return _ruff(root, ["format", "--quiet", "--no-cache"], path, text)


def _ruff(root: Path, command: Sequence[str], path: Path, text: str) -> str:
    # The ruff beside this Python has the pinned version; another one may format otherwise.
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent)) or shutil.which("ruff")
    if ruff is None:
        raise GenerationError(["ruff is not installed: pip install --group lint"])
    arguments = [
        ruff,
        *command,
        f"--config={REPOSITORY / 'pyproject.toml'}",
        "--stdin-filename",
        path.as_posix(),
        "-",
    ]
    done = subprocess.run(
        arguments, cwd=root, input=text.encode(), capture_output=True, check=False
    )
    if done.returncode:
        raise GenerationError(
            [f"{path.as_posix()}: ruff {command[0]} failed: {done.stderr.decode().strip()}"]
        )
    return done.stdout.decode()


def _leftovers(path: Path, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        if number > 1:  # the header names the source
            for match in LEFTOVERS.finditer(line):
                yield f"{path.as_posix()}:{number}: {match[0]!r} is left in: {line.strip()}"


def _files_on_disk(root: Path) -> dict[Path, bytes]:
    """Every file in the generated trees but those that Python caches there."""
    return {
        file.relative_to(root): file.read_bytes()
        for tree in TREES.values()
        for file in sorted((root / tree).rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    }


def differences(generated: Mapping[Path, bytes], on_disk: Mapping[Path, bytes]) -> dict[Path, str]:
    """Return the files that are wrong, each with "missing", "stale" or "extra"."""
    found = {
        path: "stale" if path in on_disk else "missing"
        for path in generated
        if on_disk.get(path) != generated[path]
    }
    return found | {path: "extra" for path in on_disk if path not in generated}


def main(arguments: Sequence[str] | None = None, rules: Mapping[str, str] = RULES) -> int:
    """Write or check the trees; return the exit code."""
    parser = argparse.ArgumentParser(description="Generate every _sync tree from its _async twin.")
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; fail where a file is not what would be generated",
    )
    parser.add_argument(
        "--root",
        type=Path,
        default=REPOSITORY,
        metavar="DIR",
        help="the checkout to work in (default: this one)",
    )
    options = parser.parse_args(arguments)
    root: Path = options.root.resolve()

    try:
        generated = generate(root, rules)
    except GenerationError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        return 1
    differing = differences(generated, _files_on_disk(root))
    for path, state in differing.items():
        print(f"{state}: {path.as_posix()}", file=sys.stderr)
        if options.check:
            continue
        if state == "extra":
            (root / path).unlink()
        else:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(generated[path])
    if options.check and differing:
        print("run tools/generate_sync.py and commit what it writes", file=sys.stderr)
        return 1
    print(
        f"{len(generated)} generated files, {len(differing)} "
        f"{'differ' if options.check else 'written or removed'}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
