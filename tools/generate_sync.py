"""
Generate every ``_sync`` tree from its hand-written ``_async`` twin.

``python tools/generate_sync.py`` writes the trees; ``--check`` writes nothing and names every file
that differs by a byte.

The text is rewritten word by word, code, strings and comments alike, so that the result does not
depend on the Python that runs this file. `RULES` holds the words that no pattern covers, and a rule
that changes nothing is an error: the table never outlives its need. Two marks in a source say what
no word can:

- a line that ends with ``# async only`` is left out;
- a line ``# sync only: code`` becomes ``code`` at the same indentation.

A file whose first line begins with ``# async only`` has no twin.
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

REPOSITORY = Path(__file__).resolve().parent.parent

TREES = {
    "src/poweremail/_async": "src/poweremail/_sync",
    "src/poweremail/sandbox/_client/_async": "src/poweremail/sandbox/_client/_sync",
    "tests/_async": "tests/_sync",
}
"""Each source tree and the tree that is generated from it, as seen from the root."""

RULES = {
    "_async": "_sync",
    "_async_many": "_sync_many",
    "_async_slots": "_sync_slots",
    "aclose": "close",
    "aiter_raw": "iter_raw",
    "aread": "read",
    "asynccontextmanager": "contextmanager",
    "handle_async_request": "handle_request",
    "enter_async_context": "enter_context",
    "anext": "next",
    # what httpx calls its two interfaces; its ByteStream is something else
    "AsyncByteStream": "SyncByteStream",
    "StopAsyncIteration": "StopIteration",
}
"""
Whole words, or whole phrases, and what replaces them. They go before `PATTERNS`, the longest first.
"""

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
"""What is always so, whether or not a source needs it today; applied in this order."""

LEFTOVERS = re.compile(
    r"\w*async\w*|\bawait\w*|\banyio\w*|\btrio\b|\baclose\b|__a(?:enter|exit|iter|next)__"
    r"|\bcoroutine\w*|\bevent[ -]loops?\b",
    re.IGNORECASE,
)
"""What has no place in the sync world, not even in a comment."""

FIXED = "C416,F401,F811,I001,PYI016,RUF022,RUF100,UP034"
"""
What the renaming leaves behind: names that are now unused, twice there or in the wrong order,
needless marks and copies.
"""

_CONSIDERED_SAFE = (
    "lint.extend-safe-fixes=['C416']"  # [x async for x in y] is list(y) in the sync world
)


class GenerationError(Exception):
    """The sources cannot be turned into sync code; each of *problems* is one line of text."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Rewriter:
    """
    Turns async source into sync source by *rules*, and counts in `fired` how often each of them was
    of use.
    """

    def __init__(self, rules: Mapping[str, str]) -> None:
        self.fired: Counter[str] = Counter()
        self._rules = rules
        words = "|".join(re.escape(word) for word in sorted(rules, key=len, reverse=True))
        self._words = re.compile(rf"(?<!\w)(?:{words})(?!\w)" if words else r"(?!)")

    def rewrite(self, source: str) -> str:
        """Return *source* without its async words; it is neither sorted nor formatted."""
        text = re.sub(r"^.*# async only *\n", "", source, flags=re.MULTILINE)
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
    return text  # the parser says what is wrong with it


def generate(root: Path, rules: Mapping[str, str] = RULES) -> dict[Path, bytes]:
    """
    Return what each generated file below *root* must hold, by its path as seen from *root*.

    Raises `GenerationError` where a source leads to no valid code or leaves async words behind, and
    where a rule is not needed.
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
            draft = f"{_header(source)}\n{rewriter.rewrite(text)}"
            try:
                ast.parse(draft)
            except SyntaxError as error:
                # The lines are counted in the draft: a dropped line shifts those of the source.
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
    with (
        ThreadPoolExecutor() as pool
    ):  # ruff is started twice for each file, which is what this program spends its time on
        texts = pool.map(lambda item: _tidy(root, *item), drafts.items())
        generated = dict(zip(drafts, texts, strict=True))
    if problems := [
        problem for path, text in generated.items() for problem in _leftovers(path, text)
    ]:
        raise GenerationError(problems)
    return {path: text.encode() for path, text in generated.items()}


def _header(source: Path) -> str:
    return f"# Generated from {source.as_posix()}; do not edit."


def _tidy(root: Path, path: Path, text: str) -> str:
    """
    Sort the imports, remove what the renaming made superfluous, and format, by the project's own
    settings.
    """
    text = _ruff(
        root,
        [
            "check",
            "--fix-only",
            "--quiet",
            "--no-cache",
            f"--fixable={FIXED}",
            "--config",
            _CONSIDERED_SAFE,
        ],
        path,
        text,
    )
    return _ruff(root, ["format", "--quiet", "--no-cache"], path, text)


def _ruff(root: Path, command: Sequence[str], path: Path, text: str) -> str:
    # The one beside this Python is the pinned one; another version may format otherwise.
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
    """Everything in the generated trees, apart from what Python and the linters cache there."""
    files = (
        file
        for tree in TREES.values()
        for file in sorted((root / tree).rglob("*"))
        if file.is_file()
    )
    return {
        file.relative_to(root): file.read_bytes()
        for file in files
        if "__pycache__" not in file.parts
    }


def differences(generated: Mapping[Path, bytes], on_disk: Mapping[Path, bytes]) -> dict[Path, str]:
    """
    Say of each file whether it is "missing", "stale" or "extra"; those that are right are left out.
    """
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
