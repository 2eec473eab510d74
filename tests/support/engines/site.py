"""The servers and the hosts of the proof, each program a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import psycopg
from redis import Redis

from support import postgresql, redis
from support.engines import network
from support.engines.proxy import Proxy
from support.engines.settings import LATENCY_SECONDS, PER_MINUTE, SMTP_USERS

_TESTS = Path(__file__).parents[2]
_PLAIN = {name: value for name, value in os.environ.items() if not name.startswith("POWEREMAIL_")}

WORKERS = {
    # A SIGTERM ends a worker of Celery and of procrastinate after the tasks in work.
    "celery": "celery -A support.engines.celery_app worker -c 2 -Q mail -l WARNING "
    "--without-gossip --without-mingle -n {host}@%h",
    "taskiq": "taskiq worker support.engines.taskiq_app:broker -w 2 --max-async-tasks 2",
    "procrastinate": "procrastinate -a support.engines.procrastinate_app.app worker -q mail -c 4 "
    "--fetch-job-polling-interval 1",
}
"""The workers of one host: four kicks at once, as long as nobody caps them."""

BEATS = {
    "celery": "celery -A support.engines.celery_app beat -l WARNING -s {folder}/beat "
    "--max-interval 1",
    "taskiq": "taskiq scheduler support.engines.taskiq_app:scheduler --update-interval 1",
}
"""What makes the beats where the workers do not."""


def descendants(process: int) -> list[int]:
    """The process and all that it started, itself first."""
    found = [process]
    for each in found:
        with suppress(OSError):
            tasks = Path(f"/proc/{each}/task").iterdir()
            found += [
                int(child) for task in tasks for child in (task / "children").read_text().split()
            ]
    return found


class Host:
    """
    A host with one worker of *engine*, which is started again whenever it ends, as systemd does.
    """

    def __init__(
        self,
        name: str,
        command: str,
        environ: dict[str, str],
        folder: Path,
        enter: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        words = command.format(host=name, folder=folder).split()
        self._command = [*enter, sys.executable, "-m", *words]
        self._trace = folder / f"{name}.trace"
        self._traced = 0
        self._environ = environ | {"ENGINES_HOST": name, "ENGINES_TRACE": str(self._trace)}
        self._log = folder / f"{name}.log"
        self._process: subprocess.Popen | None = None

    @property
    def processes(self) -> list[int]:
        """The processes of the worker, its main process first; empty if it has ended."""
        if self._process is None or self._process.poll() is not None:
            return []
        return descendants(self._process.pid)

    @property
    def is_working(self) -> bool:
        """Whether the worker has worked on a batch since it was started."""
        return bool(self.processes) and self._trace_size() > self._traced

    @property
    def last_end(self) -> float:
        """When a slice of work ended last; 0.0 if none did."""
        return max(self.times(" end "), default=0.0)

    def times(self, words: str) -> list[float]:
        """When the worker noted *words*."""
        lines = self._trace.read_text().splitlines()
        return [float(line.partition(" ")[0]) for line in lines if words in line]

    def _trace_size(self) -> int:
        return self._trace.stat().st_size if self._trace.exists() else 0

    def keep_up(self) -> None:
        """Start the worker unless it runs."""
        if not self.processes:
            self._traced = self._trace_size()
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command,
                    cwd=_TESTS,
                    env=self._environ,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )

    def wait(self, seconds: float) -> bool:
        """Wait for the end of the worker; return False if it has not ended."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def signal(self, number: int) -> None:
        """Send a signal to the main process of the worker, as systemd does."""
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, number)

    def signal_all(self, number: int) -> list[int]:
        """Send a signal to all processes of the worker, and return them."""
        processes = self.processes
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, number)
        return processes

    def end(self) -> None:
        self.signal_all(signal.SIGCONT)
        self.signal_all(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()


class Site:
    """
    Redis, PostgreSQL, the sandbox, hosts, a beat and a web application for *engine*.

    Inside of namespaces there are three hosts, each in one of its own; otherwise there are two, and
    the second one reaches PostgreSQL through a proxy.
    """

    def __init__(self, engine: str, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.network = network.Network() if network.is_inside() else None
        self.proxy: Proxy | None = None
        if self.network is None:
            self.database = postgresql.Server(folder / "postgresql")
            self.proxy = Proxy(self.database.port)
        else:
            self.database = postgresql.Server(folder / "postgresql", address=network.DATABASE)
        address = None if self.network is None else network.OTHERS
        self.redis = None if engine == "procrastinate" else redis.Server(folder, address=address)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.caught = folder / "sandbox.db"

    def start(self) -> None:
        self.database.start()
        if self.redis is not None:
            self.redis.start()
        faults = (
            {"fault": {"kind": "latency", "seconds": LATENCY_SECONDS}, "call": "sendMail"},
            {"fault": {"kind": "latency", "seconds": 2.0}, "call": "sendMail", "chance": 0.01},
        )
        command = [sys.executable, "-m", "poweremail", "sandbox", "--file", str(self.caught)]
        command += ["--port", str(self._port), "--per-minute", str(PER_MINUTE)]
        if self.network is not None:
            command += ["--host", "0.0.0.0"]
        for fault in faults:
            command += ["--fault", json.dumps(fault)]
        with (self.folder / "sandbox.log").open("ab") as log:
            self._sandbox = subprocess.Popen(command, stdout=log, stderr=log, env=_PLAIN)
        self._wait_for_sandbox()
        self.environ = _PLAIN | {
            "POWEREMAIL_OWNER_ID": "me",
            "POWEREMAIL_TOKEN": "token",
            "POWEREMAIL_BASE_URL": f"http://127.0.0.1:{self._port}",
            "POWEREMAIL_SMTP_USER_NAME": SMTP_USERS[0],
            "ENGINES_ENGINE": self.engine,
            "PYTHONPATH": os.pathsep.join(
                filter(None, (str(_TESTS), os.environ.get("PYTHONPATH")))
            ),
        }
        self.hosts = [self._worker(name) for name in ("a", "b", "c")[: 3 if self.network else 2]]
        self.others = [self._host("web", "support.engines.web", self.database.url)]
        if self.engine in BEATS:
            self.others.append(self._host("beat", BEATS[self.engine], self.database.url))

    def keep_up(self) -> None:
        for host in (*self.hosts, *self.others):
            host.keep_up()

    def stop(self) -> None:
        for host in (*self.hosts, *self.others):
            host.end()
        self._sandbox.terminate()
        self._sandbox.wait()
        if self.redis is not None:
            self.redis.stop()
        if self.proxy is not None:
            self.proxy.close()
        self.database.stop()
        if self.network is not None:
            self.network.close()

    def queued(self) -> int:
        """Return the number of kicks and beats that no worker has finished."""
        if self.redis is None:
            with psycopg.connect(self.database.url) as connection:
                todo = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo'"
                with suppress(psycopg.errors.UndefinedTable):
                    return connection.execute(todo).fetchone()[0]
                return 0
        with Redis.from_url(self.redis.url) as client:
            if self.engine == "celery":
                return client.llen("mail") + client.hlen("unacked")
            groups = client.xinfo_groups("mail") if client.exists("mail") else ()
            return sum(group["pending"] + (group["lag"] or 0) for group in groups)

    def _worker(self, name: str) -> Host:
        command = WORKERS[self.engine]
        if self.network is not None:
            enter = self.network.add(name)
            ledger = self.database.url.replace("127.0.0.1", network.DATABASE)
            return self._host(name, command, ledger, enter)
        port = self.proxy.port if name == "b" else self.database.port
        return self._host(
            name, command, self.database.url.replace(str(self.database.port), str(port))
        )

    def _host(self, name: str, command: str, ledger: str, enter: tuple[str, ...] = ()) -> Host:
        broker = ledger if self.redis is None else self.redis.url
        environ = self.environ | {"ENGINES_LEDGER": ledger, "ENGINES_BROKER": broker}
        if enter:
            for variable in ("ENGINES_BROKER", "POWEREMAIL_BASE_URL"):
                environ[variable] = environ[variable].replace("127.0.0.1", network.OTHERS)
        return Host(name, command, environ, self.folder, enter)

    def _wait_for_sandbox(self) -> None:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self._port}/", timeout=5).close()
            except OSError:
                assert self._sandbox.poll() is None, "the sandbox has ended"
                time.sleep(0.05)
            else:
                return
