"""The examples for service managers and containers; their own programs read them, if installed."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
import yaml

from poweremail import Timeouts
from poweremail._cli.app import app
from support.command import Runner

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
UNIT = EXAMPLES / "poweremail-worker@.service"
CONTAINERFILE = EXAMPLES.parents[1] / "Containerfile"
MANIFEST = EXAMPLES / "poweremail-workers.yaml"


def unit() -> dict[str, str]:
    lines = (line for line in UNIT.read_text().splitlines() if line[:1] not in ("", "#", "["))
    return dict(line.split("=", 1) for line in lines)


def manifest() -> dict:
    return yaml.safe_load(MANIFEST.read_text())


def parses(words: list[str]) -> None:
    assert Path(words[0]).name == "poweremail"
    typer.main.get_command(app).make_context("poweremail", words[1:]).close()
    work = typer.main.get_command(app).commands["batch"].commands["work"]
    assert words[1:3] == ["batch", "work"]
    work.make_context("work", words[3:]).close()


def test_the_unit_starts_a_worker():
    parses(shlex.split(unit()["ExecStart"]))


def test_the_unit_waits_for_the_longest_request():
    assert float(unit()["TimeoutStopSec"]) > Timeouts().response
    assert float(unit()["WatchdogSec"]) > Timeouts().response + 20.0
    spec = manifest()["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] > Timeouts().response


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_accepts_the_unit(tmp_path):
    text = UNIT.read_text().replace("/opt/poweremail/bin/poweremail", sys.executable)
    place = tmp_path / UNIT.name
    place.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", str(place)], capture_output=True, text=True, check=False
    )
    # It also reports on other units of this machine.
    assert [line for line in done.stderr.splitlines() if UNIT.name in line] == []


def test_the_manifest_starts_a_worker_and_looks_at_its_file():
    (container,) = manifest()["spec"]["template"]["spec"]["containers"]
    parses(container["command"])
    ready = container["command"][-1]
    assert container["readinessProbe"]["exec"]["command"] == ["test", "-f", ready]
    assert ready in container["livenessProbe"]["exec"]["command"][-1]


@pytest.mark.parametrize(("minutes", "lives"), [(None, True), (0, True), (10, False)])
def test_the_probe_of_the_manifest_finds_a_stuck_worker(tmp_path, minutes, lives):
    (container,) = manifest()["spec"]["template"]["spec"]["containers"]
    ready = tmp_path / "ready"
    command = [
        word.replace("/tmp/ready", str(ready))
        for word in container["livenessProbe"]["exec"]["command"]
    ]
    if minutes is not None:
        subprocess.run(["touch", "-d", f"{minutes} minutes ago", str(ready)], check=True)
    assert (subprocess.run(command, check=False).returncode == 0) == lives


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")
def test_kubernetes_reads_the_manifest():
    """Only a server checks it whole; without one its client reads it into the kind's own type."""
    done = subprocess.run(
        ["kubectl", "label", "--local", "-f", str(MANIFEST), "a=b", "-o", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    assert read["spec"]["replicas"] == 4
    spec = read["spec"]["template"]["spec"]
    assert (
        spec["containers"][0]["command"]
        == manifest()["spec"]["template"]["spec"]["containers"][0]["command"]
    )


def test_the_containerfile_passes_its_linter():
    if not shutil.which("hadolint"):
        pytest.skip("hadolint is not installed")
    done = subprocess.run(["hadolint", CONTAINERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_container_gets_all_that_a_build_reads():
    copied = [
        word
        for line in CONTAINERFILE.read_text().splitlines()
        for word in line.split()[1:-1]
        if line.startswith("COPY ") and not word.startswith("--")
    ]
    project = tomllib.loads((CONTAINERFILE.parent / "pyproject.toml").read_text())
    build = project["tool"]["hatch"]
    needed = [
        "pyproject.toml",
        "README.md",
        *project["project"]["license-files"],
        build["version"]["path"],
        build["metadata"]["hooks"]["custom"]["path"],
        *build["build"]["targets"]["wheel"]["only-include"],
    ]
    assert [
        path for path in needed if not any(f"{path}/".startswith(f"{each}/") for each in copied)
    ] == []


def test_variables_of_the_sandbox_in_examples_exist():
    known = Runner().invoke(app, ["sandbox", "--help"], env={"COLUMNS": "300"}).stdout
    compose = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())
    names = set(compose["services"]["sandbox"]["environment"])
    for text in (CONTAINERFILE.read_text(), (EXAMPLES.parent / "share-sandbox.md").read_text()):
        names |= set(re.findall(r"POWEREMAIL_SANDBOX_[A-Z_]+[A-Z]", text))
    assert len(names) > 5
    assert [name for name in sorted(names) if f"{name}]" not in known] == []


def test_the_page_has_the_example_for_compose():
    page = (EXAMPLES.parent / "share-sandbox.md").read_text()
    assert (EXAMPLES / "compose.yaml").read_text() in page
