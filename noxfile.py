"""
The checks of a change: ``nox`` runs them, ``nox -s NAME`` one, ``nox -l`` lists them.

In continuous integration, where the variable CI is set, ``nox`` also measures the coverage, follows
the pages, and runs the tests on each Python. It skips an interpreter that is not installed: .ci/run
makes sure that every installed one ran.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import nox

# Keep bytecode, even where the machine forbids it: the tests start hundreds of processes, and each
# of them would compile every module that it imports.
os.environ["PYTHONDONTWRITEBYTECODE"] = ""
os.environ["PYTHONPYCACHEPREFIX"] = str(Path(__file__).with_name(".nox") / "pycache")

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)

# The newest installed Python tests the wheel, the others the checkout; a single one tests both.
INSTALLED = [version for version in PYTHONS if shutil.which(f"python{version}")]
NEWEST = INSTALLED[-1] if INSTALLED else f"{sys.version_info.major}.{sys.version_info.minor}"
OTHERS = [version for version in PYTHONS if version != NEWEST] if len(INSTALLED) > 1 else PYTHONS
FIRST = INSTALLED[0] if INSTALLED else OTHERS[0]

IN_CI = bool(os.environ.get("CI"))
nox.options.sessions = [
    "lint",
    "sync",
    "types",
    "docs",
    *(("pages", *(f"tests-{each}" for each in OTHERS), "wheel") if IN_CI else (f"tests-{FIRST}",)),
]

PARALLEL = ("-n", str(2 * (os.cpu_count() or 1)), "--dist", "worksteal")
"""
More workers than processors: much of the suite waits for processes, disks and timeouts. Each worker
begins with neighbouring tests, which share a browser or a server.
"""

AGAIN = "--hypothesis-profile=again"
"""Fewer examples, on each Python but the first, and outside of continuous integration."""

ON_THE_FIRST = (
    "tests/batch/test_crash.py",
    "tests/batch/test_outbox_tables.py",
    "tests/batch/test_processes.py",
    "tests/docs",
    "tests/engines/test_proof.py",
    "tests/tools",
    *("tests/ui/test_daily.py", "tests/ui/test_hostile.py", "tests/ui/test_proxy.py"),
)
"""
Tests of databases, killed processes, brokers, browsers and pages: they do not depend on the Python
version.
"""

WITH_OTHERS = (
    "tests/contrib/test_django_project.py",
    "tests/engines/test_pages.py",
    "tests/runtime/test_instrumented.py",
)
"""
Programs of other libraries that use this one: they depend on the versions of those, so that the
session `lowest` runs them again.
"""

NOT_BETWEEN = (
    *(*ON_THE_FIRST, *WITH_OTHERS),
    *("tests/_sync", "tests/batch", "tests/cli", "tests/contrib", "tests/engines"),
    *("tests/pytest_plugin", "tests/sandbox", "tests/ui"),
)
"""
What the oldest and the newest Python test, and those between them need not: what stands on the
core, and passes on both, has nothing of its own that could fail between them. The generated tests
and those on trio are left out for the same reason.
"""

PAGES = "tests/docs/test_pages.py"
"""The session `pages` runs it, in environments of its own."""

MAKES_RELEASES = (
    "build",
    "check-wheel-contents",
    "cyclonedx-bom>=7",
    "twine>=6",
    "uv",
    *PROJECT["build-system"]["requires"],
)

NEEDED_BY_TESTS = (
    "tests",
    "tools",
    "docs",
    "benchmarks",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "Containerfile",
    "pyproject.toml",
    "noxfile.py",
)
"""The files that the tests read; the package itself must come from the wheel."""

NEED_NEWER = ("opentelemetry-distro", "opentelemetry-instrumentation", "pytest-httpx")
"""Tools of the tests that work with no old version of OpenTelemetry and httpx."""

NEED_NO_NEWER = tuple(
    f"tests/{world}/test_{name}.py"
    for world in ("_async", "_sync")
    for name in ("contract", "telemetry")
)
"""The tests of OpenTelemetry and httpx that use none of those tools."""

BENCHMARK_PEERS = ("requests", "resend", "uvloop; sys_platform != 'win32'")
"""
The library that the vendor's own client sends with, a popular mail library, a fast event loop.
"""

WORKER_PEERS = ("django-post_office",)
"""What else sends queued mail, for the benchmark of many workers."""

IS_INSTALLED = """
import PowerEmail, poweremail, sysconfig
for module in (PowerEmail, poweremail):
    assert module.__file__.startswith(sysconfig.get_path("purelib")), module.__file__
    print(module.__file__)
"""

IS_LOWEST = """
import tomllib
from importlib.metadata import version
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
for text in sum(project["optional-dependencies"].values(), project["dependencies"]):
    requirement = Requirement(text)
    for bound in requirement.specifier:
        installed = version(requirement.name)
        if bound.operator == ">=" and installed not in SpecifierSet(f"=={bound.version}"):
            raise SystemExit(f"{text} is installed as {installed}")
"""
"""What is installed is what the metadata allows at the lowest, so each bound is tested."""


def group(*names: str) -> tuple[str, ...]:
    """Return the requirements of the dependency groups."""
    return nox.project.dependency_groups(PROJECT, *names)


def ignoring(*paths: str) -> tuple[str, ...]:
    """Return what tells pytest to leave out *paths*."""
    return tuple(f"--ignore={path}" for path in paths)


@nox.session
def lint(session: nox.Session) -> None:
    """Lint and check the format."""
    session.install(*group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def sync(session: nox.Session) -> None:
    """Check that the sync trees are what is generated from the async ones."""
    session.install(*group("lint"))
    session.run("python", "tools/generate_sync.py", "--check")


@nox.session
def generate(session: nox.Session) -> None:
    """Generate the sync trees."""
    session.install(*group("lint"))
    session.run("python", "tools/generate_sync.py")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types with mypy and pyright."""
    session.install("-e", ".[all]", *group("types", "test"))
    session.run("mypy")
    session.run("pyright")
    # The public names are typed wholly, for those who check their own code against them.
    session.run("pyright", "--verifytypes", "poweremail", "--ignoreexternal")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests against the checkout. Arguments after ``--`` go to pytest."""
    session.install("-e", ".[all]", *group("test"))
    part = ignoring(PAGES)
    if session.python != FIRST:
        part += (AGAIN, "-k", "not trio", *ignoring(*NOT_BETWEEN))
    elif IN_CI:  # what is covered is the same for every Python
        part += ("--cov", "--cov-report=term")
    else:
        part += (AGAIN,)
    # With arguments it is a part of the suite that runs, which need not cover everything.
    session.run("pytest", *(session.posargs or (*PARALLEL, *part)))


@nox.session
def docs(session: nox.Session) -> None:
    """
    Build the documentation into ``site``, where no link may lead nowhere, and look at it in a
    browser: its search, and the width of its code. ``-- serve`` shows it while it is written.
    """
    session.install("-e", ".[all]", *group("docs", "test"))  # ruff formats the signatures
    command = session.posargs or ("build", "--strict")
    session.run("mkdocs", *command, "-f", "tools/mkdocs.yml", env={"NO_MKDOCS_2_WARNING": "1"})
    if not session.posargs:
        site = {"POWEREMAIL_SITE": str(ROOT / "site")}
        session.run("pytest", "tests/docs/test_built_site.py", env=site)


@nox.session(python=NEWEST, requires=["build"])
def pages(session: nox.Session) -> None:
    """
    Follow each page of the documentation in a new environment, in which nothing is installed but
    what the page says.
    """
    (built,) = (ROOT / "dist").glob("*.whl")
    session.install(f"poweremail[all] @ {built.as_uri()}", *group("test"), "uv")
    wheel = {"POWEREMAIL_PAGES": str(built)}
    session.run("pytest", *(session.posargs or (*PARALLEL, PAGES)), env=wheel)


@nox.session
def build(session: nox.Session) -> None:
    """Build the sdist, and from it the wheel, into ``dist``."""
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    session.install("build", *PROJECT["build-system"]["requires"])
    build_into(session, ROOT, ROOT / "dist")


def build_into(session: nox.Session, source: Path, place: Path) -> None:
    """Build the sdist of *source*, and from it the wheel, with the times of the last commit."""
    time = session.run(
        *("git", "-C", ROOT, "log", "-1", "--format=%ct"),
        external=True,
        silent=True,
        success_codes=[0, 128],  # 128 where there is no repository
    )
    epoch = {"SOURCE_DATE_EPOCH": time.strip()} if time and time.strip().isdigit() else {}
    session.run(*("python", "-m", "build", "--no-isolation", "--outdir", place, source), env=epoch)


@nox.session(python=NEWEST, requires=["build"])
def wheel(session: nox.Session) -> None:
    """Run the tests against the wheel, out of reach of the checkout's sources."""
    (built,) = (ROOT / "dist").glob("*.whl")
    # First with the core's dependencies alone: no extra may be needed to import and to name the
    # client.
    session.install(str(built))
    session.run(
        "python", "-I", "-c", "import poweremail; poweremail.AsyncPowerEmail, poweremail.PowerEmail"
    )
    session.run(
        "python",
        "-I",
        "-c",
        "import PowerEmail; PowerEmail.PowerEmail('owner_id', 'token', 'tes.example.com')",
    )

    session.install(f"poweremail[all] @ {built.as_uri()}", *group("test"))
    with tempfile.TemporaryDirectory() as folder:
        for name in NEEDED_BY_TESTS:
            if (ROOT / name).is_dir():
                shutil.copytree(
                    ROOT / name, Path(folder, name), ignore=shutil.ignore_patterns("__pycache__")
                )
            elif (ROOT / name).exists():
                shutil.copy2(ROOT / name, folder)
        with session.chdir(folder):
            session.run("python", "-c", IS_INSTALLED)
            # What is in the wheel for the browser is looked at in the browser again.
            once = () if FIRST == NEWEST else (AGAIN, *ignoring(*ON_THE_FIRST, *WITH_OTHERS))
            session.run("pytest", *(session.posargs or (*PARALLEL, *once, *ignoring(PAGES))))
            if FIRST != NEWEST and not session.posargs:
                # The newest Django needs a newer Python than the oldest one.
                session.run("pytest", "tests/docs/test_django_shop.py")


@nox.session(python=FIRST)
def lowest(session: nox.Session) -> None:
    """
    Run the tests with the lowest versions of all dependencies that the metadata allows. The other
    sessions have the newest.
    """
    # What is old uses what Python and newer libraries warn about.
    old = ("-W", "default::DeprecationWarning", "-W", "default::PendingDeprecationWarning")
    lowest = ("--resolution", "lowest-direct", "-e", ".[all]")
    session.install(*lowest, *(each for each in group("test") if not each.startswith(NEED_NEWER)))
    session.run("python", "-c", IS_LOWEST)
    if not session.posargs:
        session.run("pytest", *old, *PARALLEL, AGAIN, *NEED_NO_NEWER)
    session.install(*lowest, *group("test"))
    left_out = ignoring("tests/ui", "tests/docs", *ON_THE_FIRST)
    session.run("pytest", *old, *(session.posargs or (*PARALLEL, AGAIN, *left_out)))


@nox.session(requires=["build", "lowest", "pages"])
def release(session: nox.Session) -> None:
    """
    Make sure that ``dist`` can be released: built again it is the same byte for byte, its metadata
    and contents are right, the sdist can be installed and tested, the tests pass with the lowest
    dependencies, and the pages run with the wheel. Write the list of dependencies (SBOM) beside it.
    """
    session.install(*MAKES_RELEASES)
    built = sorted(str(path) for path in (ROOT / "dist").glob("poweremail-*[lz]"))
    session.run("twine", "check", "--strict", *built)
    session.run("check-wheel-contents", *(path for path in built if path.endswith(".whl")))
    (sdist,) = (path for path in built if path.endswith(".tar.gz"))

    with tempfile.TemporaryDirectory() as folder:
        shutil.unpack_archive(sdist, folder, filter="data")
        (unpacked,) = Path(folder).iterdir()
        build_into(session, unpacked, Path(folder, "again"))
        for path in built:
            again = Path(folder, "again", Path(path).name)
            if again.read_bytes() != Path(path).read_bytes():
                session.error(f"{again.name} is not the same when it is built again")
        write_sbom(session, Path(folder, "installed"), sdist)
        session.install(f"{unpacked}[all]", *group("test"))
        with session.chdir(unpacked):
            rooms = (f"tests/{room}" for room in ("wire", "mime", "messages", "policy", "sandbox"))
            session.run("pytest", *PARALLEL, "tests/test_architecture.py", *rooms)


def write_sbom(session: nox.Session, place: Path, sdist: str) -> None:
    """
    Write beside *sdist* what it depends on with all extras (CycloneDX), from an environment that is
    made at *place*.
    """
    session.run("uv", "venv", "-q", place)
    session.run("uv", "pip", "install", "-q", "--python", place, f"{sdist}[all]")
    base = sdist.removesuffix(".tar.gz")
    written = Path(f"{base}.cdx.json")
    session.run(
        *("cyclonedx-py", "environment", place, "--pyproject", "pyproject.toml"),
        *("--mc-type", "library", "--output-reproducible", "-o", written),
    )
    # The project file leaves the version to the build.
    content = json.loads(written.read_text())
    content["metadata"]["component"]["version"] = Path(base).name.removeprefix("poweremail-")
    written.write_text(json.dumps(content, indent=2))


@nox.session
def proof(session: nox.Session) -> None:
    """
    Try whether outcomes and reality agree, with other scripts than the tests, and print the
    figures.

    ``-- 5000`` draws so many for each way to the service and each world, 1,000 without; what
    follows goes to pytest. Servers that close their connections get 600 sends in each of six ways.
    """
    session.install("-e", ".[all]", *group("test"))
    scripts, *arguments = session.posargs or ("1000",)
    tests = (
        f"tests/{world}/test_{name}.py"
        for world in ("_async", "_sync")
        for name in ("agreement", "stale")
    )
    env = {"POWEREMAIL_PROOF": scripts, "PYTHONPATH": "tests"}
    unhurried = ("-o", "faulthandler_timeout=0")
    session.run(
        "pytest",
        "-n",
        "2",
        "-p",
        "support.agreement_figures",
        *unhurried,
        *tests,
        *arguments,
        env=env,
    )


@nox.session
def crash(session: nox.Session) -> None:
    """
    Kill a batch again and again, and compare what the sandbox got with what is reported; print the
    figures.

    On SQLite, and on PostgreSQL where its programs are installed. Arguments after ``--`` go to it:
    ``--kills 50 --mails 1000``.
    """
    session.install("-e", ".[all]", *group("test"))
    env = {"PYTHONPATH": "tests"}
    session.run("python", "-m", "support.crash", *session.posargs, env=env)
    if shutil.which("initdb") or list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        session.run("python", "-m", "support.crash", "--postgresql", *session.posargs, env=env)


@nox.session
def engines(session: nox.Session) -> None:
    """
    Kill the workers of task queues, their broker and their database again and again, and compare
    what the sandbox got with what is reported; print the figures.

    Arguments after ``--`` go to it: ``--kills 50 celery``, ``--folder F`` to go on after a stop.
    """
    session.install("-e", ".[all]", *group("test"))
    session.run("python", "-m", "support.engines", *session.posargs, env={"PYTHONPATH": "tests"})


@nox.session
def demo(session: nox.Session) -> None:
    """Run the demo of the checkout. Arguments after ``--`` go to it."""
    session.install(".[all]")
    session.run("poweremail", "demo", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """
    Measure the library against what it is made of. Arguments after ``--`` go to it: ``--quick``,
    ``--against WHEEL`` (another build instead), ``--json FILE``, parts.
    """
    session.install(".[fast,httpx2,aiohttp,trio]", *BENCHMARK_PEERS)
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def bench_workers(session: nox.Session) -> None:
    """
    Measure many workers on one batch beside a naive task of Celery and django-post_office. It needs
    PostgreSQL and Redis. Arguments after ``--`` go to it: ``--quick``, ``--old 1400000``.
    """
    session.install("-e", ".[all]", *group("test"), *WORKER_PEERS)
    session.run("python", "-m", "benchmarks.workers", *session.posargs)
