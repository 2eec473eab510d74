"""
Hosts in network namespaces, each with a name of its own: one can be cut off from the database, and
from nothing else.

The process that makes them is in namespaces of its own, which end with it: nothing is left behind.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

DATABASE = "10.1.0.1"
OTHERS = "10.2.0.1"
"""The addresses at which hosts reach the database, and all other servers."""

_INSIDE = "ENGINES_NAMESPACES"
_ENTER = ("unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")


def lack() -> str:
    """Return why there can be no namespaces on this machine; an empty text if there can."""
    if os.geteuid() != 0:
        return "only root may make network namespaces"
    if missing := [each for each in ("ip", "unshare", "nsenter") if shutil.which(each) is None]:
        return f"{', '.join(missing)} is not installed"
    tried = subprocess.run(
        [*_ENTER, "ip", "link", "add", "tried", "type", "bridge"],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if tried.returncode == 0 else f"no network namespaces: {tried.stderr.strip()}"


def is_inside() -> bool:
    """Whether this process was started by `entering`."""
    return _INSIDE in os.environ


def entering(module: str, arguments: Sequence[str]) -> int:
    """Run *module* again, in namespaces of its own, and return what it returned."""
    command = [*_ENTER, sys.executable, "-m", module, *arguments]
    return subprocess.run(command, env=os.environ | {_INSIDE: "1"}, check=False).returncode


class Network:
    """A switch before the database, another one before the other servers, and hosts on both."""

    def __init__(self) -> None:
        _ip("link set lo up")
        for switch, address in (("database", DATABASE), ("others", OTHERS)):
            _ip(f"link add {switch} type bridge")
            _ip(f"addr add {address}/24 dev {switch}")
            _ip(f"link set {switch} up")
        self._holders: dict[str, subprocess.Popen] = {}

    def add(self, name: str) -> tuple[str, ...]:
        """Add a host, and return the command that runs another command on it."""
        holder = subprocess.Popen(
            [*("unshare", "--net", "--uts", "sh", "-c"), f"hostname {name}; echo; exec sleep inf"],
            stdout=subprocess.PIPE,
        )
        holder.stdout.readline()  # its namespaces are made
        self._holders[name] = holder
        enter = ("nsenter", "--target", str(holder.pid), "--net", "--uts")
        number = len(self._holders) + 1
        for switch, network in (("database", "10.1.0"), ("others", "10.2.0")):
            _ip(f"link add {switch}-{name} type veth peer name {switch} netns {holder.pid}")
            _ip(f"link set {switch}-{name} master {switch} up")
            _ip(f"addr add {network}.{number}/24 dev {switch}", enter)
            _ip(f"link set {switch} up", enter)
        _ip("link set lo up", enter)
        return enter

    def cut(self, name: str, *, requests_arrive: bool) -> None:
        """
        Let all packets between host *name* and the database vanish; if *requests_arrive*, only
        those from the database.
        """
        if requests_arrive:
            _ip(f"route add blackhole {self._address(name)}/32")
        else:
            _ip(f"link set database-{name} down")

    def mend(self, name: str) -> None:
        _ip(f"link set database-{name} up")
        if _ip(f"route show {self._address(name)}/32"):
            _ip(f"route del blackhole {self._address(name)}/32")

    def close(self) -> None:
        for holder in self._holders.values():
            holder.kill()
            holder.wait()
            holder.stdout.close()

    def _address(self, name: str) -> str:
        return f"10.1.0.{list(self._holders).index(name) + 2}"


def _ip(command: str, prefix: Sequence[str] = ()) -> str:
    done = subprocess.run(
        [*prefix, "ip", *command.split()], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"ip {command}: {done.stderr}"
    return done.stdout
