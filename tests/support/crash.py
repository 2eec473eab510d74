"""
The crash test: the real command is killed again and again, and the sandbox counts the mails.

``python -m support.crash --kills 200 --mails 5000`` prints the figures. ``--ledger`` names a URL,
``--postgresql`` starts a server.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from poweremail.sandbox import Fault
from support.kill_at import STEPS
from support.served import ServedSandbox

LEASE = 2.0
RESEND_AFTER = 3.0
"""
Far longer than the sandbox needs to accept or to drop a mail that a killed process was sending.
"""

_HERE = Path(__file__).parent
_REJECTED = 7
_PLAIN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("POWEREMAIL_", "FORCE_COLOR"))
}


class Crash:
    """
    One batch of *mails* in *ledger*: its runs are killed *kills* times, and the last one is not.
    """

    def __init__(
        self,
        folder: Path,
        ledger: str,
        *,
        mails: int,
        kills: int,
        processes: int = 1,
        seed: int = 1,
    ) -> None:
        self.folder = folder
        self.mails = mails
        self.kills = kills
        self.processes = processes
        self.figures: Counter[str] = Counter()
        self._chance = random.Random(seed)
        self._ledger = ledger

    def run(self) -> list[str]:
        """Run the test and return the problems that were found."""
        with ServedSandbox(seed=1) as sandbox, sandbox.server() as server:
            self._environ = _PLAIN | {
                "POWEREMAIL_OWNER_ID": "me",
                "POWEREMAIL_TOKEN": "token",
                "POWEREMAIL_BASE_URL": server.url,
                "POWEREMAIL_SMTP_USER_NAME": "smtp1",
                "POWEREMAIL_LEDGER": self._ledger,
                "PYTHONPATH": os.pathsep.join(
                    filter(None, (str(_HERE.parent), os.environ.get("PYTHONPATH")))
                ),
            }
            sandbox.add_template("welcome", text="Welcome, {{NAME}}!")
            self._add_faults(sandbox)
            self._create()
            self._kill_runs(sandbox)
            # The last run is not killed, and the sandbox loses nothing any more.
            sandbox.faults.clear()
            done = self._command("batch", "run", "news", *self._options())
            self.figures["the last run's status"] = done.returncode
            return self._compare(sandbox)

    def _add_faults(self, sandbox: ServedSandbox) -> None:
        for number in range(_REJECTED):
            sandbox.faults.add(
                Fault.error("ValidationError", "no such address"),
                recipient=f"user{number * 13}@example.com",
            )
        for fault in (
            Fault.reset_before_acceptance(),
            Fault.reset_after_acceptance(),
            Fault.html(),
            Fault.status(502),
        ):
            sandbox.faults.add(fault, call="sendTemplate", chance=0.004)

    def _create(self) -> None:
        source = self.folder / "readers.csv"
        with source.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["email", "NAME"])
            rows.writerows(
                [f"user{number}@example.com", f"User {number}"] for number in range(self.mails)
            )
        arguments = (
            "batch",
            "create",
            "news",
            source,
            "--template",
            "welcome",
            "--subject",
            "News",
            "--from",
            "me@example.com",
        )
        # `create` is killed as well: to add the same source again completes it.
        process = subprocess.Popen(
            self._python("-m", "poweremail", *arguments),
            env=self._environ,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(self._chance.uniform(0.3, 1.0))
        process.kill()
        process.wait()
        done = self._command(*arguments)
        assert done.returncode == 0, done.stderr

    def _kill_runs(self, sandbox: ServedSandbox) -> None:
        # Each run gets its share of the mails, so that the kills are spread over the batch.
        share = max(2, 4 * self.mails // (self.kills + 1))
        while self.figures["kills"] < self.kills:
            before = self.figures["kills"]
            running = [self._start(share) for _ in range(self.processes)]
            for process, how in running:
                try:
                    process.wait(
                        timeout=self._chance.uniform(0.8, 2.0) if how == "at random" else 8
                    )
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                if process.returncode == -signal.SIGKILL:
                    self.figures["kills"] += 1
                    self.figures[f"killed {how}"] += 1
            self.figures["in the sandbox after half of the kills"] = self.figures[
                "in the sandbox after half of the kills"
            ] or (self.figures["kills"] >= self.kills / 2) * len(sandbox.outbox)
            if self.figures["kills"] == before:
                self.figures["runs that came to their end"] += 1
                if self.figures["runs that came to their end"] > self.kills:
                    return

    def _start(self, share: int) -> tuple[subprocess.Popen, str]:
        step = self._chance.choice((*STEPS, "at random", "at random"))
        options = ("batch", "run", "news", *self._options())
        if step == "at random":
            command = self._python("-m", "poweremail", *options)
        else:
            nth = self._chance.randint(1, share if step.endswith("row") else max(2, share // 4))
            command = self._python(
                _HERE / "kill_at.py", step, 1 + nth % 3 if "look" in step else nth, *options
            )
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        name = step if step == "at random" else f"at {step!r}"
        return subprocess.Popen(command, env=self._environ, **quiet), name

    def _options(self) -> tuple[object, ...]:
        # The rows of a killed process are looked up after its lease. A mail that is not visible
        # then was never accepted.
        return (
            "--lease",
            LEASE,
            "--resend-after",
            RESEND_AFTER,
            "--concurrency",
            8,
            "--errors-in-a-row",
            1000,
        )

    def _compare(self, sandbox: ServedSandbox) -> list[str]:
        got = Counter(recipient.email for mail in sandbox.outbox for recipient in mail.recipients)
        reported = {
            row["recipient"]: row["state"]
            for row in csv.DictReader(io.StringIO(self._command("batch", "report", "news").stdout))
        }
        self.figures |= Counter(
            {f"reported {state}": count for state, count in Counter(reported.values()).items()}
        )
        self.figures["in the sandbox"] = got.total()
        wanted = {f"user{number}@example.com" for number in range(self.mails)}
        problems = [f"{address} got {count}" for address, count in got.items() if count > 1]
        self.figures["doubled"] = len(problems)
        missing = [
            address
            for address in wanted
            if address not in got and reported.get(address) != "rejected"
        ]
        self.figures["missing"] = len(missing)
        problems += [
            f"{address} got none and is reported {reported.get(address)}" for address in missing
        ]
        disagreeing = [
            address
            for address in wanted
            if (reported.get(address) == "accepted") != (address in got)
        ]
        self.figures["reported otherwise"] = len(disagreeing)
        problems += [f"{address} is reported {reported.get(address)}" for address in disagreeing]
        if reported.keys() != wanted:
            problems.append(f"the report has {len(reported)} recipients")
        return problems

    def _command(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = self._python("-m", "poweremail", *arguments)
        return subprocess.run(
            command, env=self._environ, capture_output=True, text=True, check=False
        )

    @staticmethod
    def _python(*arguments: object) -> list[str]:
        return [sys.executable, *map(str, arguments)]


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Kill a batch again and again, and count what the sandbox got."
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--mails", type=int, default=5000)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--ledger")
    place.add_argument("--postgresql", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        effort = {name: getattr(options, name) for name in ("kills", "mails", "processes", "seed")}
        if options.postgresql:
            from support.postgresql import server

            with server() as url:
                return report(Crash(Path(folder), url, **effort), options)
        return report(
            Crash(Path(folder), options.ledger or str(Path(folder, "ledger.db")), **effort), options
        )


def report(crash: Crash, options: argparse.Namespace) -> int:
    began = time.monotonic()
    problems = crash.run()
    print(
        f"seed {options.seed}, {options.processes} process(es) at once, "
        f"{time.monotonic() - began:.0f} s"
    )
    for name, number in sorted(crash.figures.items()):
        print(f"{number:8,}  {name}")
    print(*problems[:20], sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
