"""
Compares what the sandbox caught with what the ledger says, and with what the workers noted.

A mail is *in work* from the moment its worker begins to send it until a commit after its
response. An unknown mail is explained if its worker was killed, or the database was lost, while it
was in work.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import psycopg

from poweremail.sandbox import Sandbox
from support.engines.site import Site

SHORTLY_SECONDS = 20.0

_ROW = re.compile(r"(sending|response for) row (\d+)")
_UNKNOWN = """
SELECT id, key FROM poweremail_messages WHERE looks > 0 OR state = 'unknown'
"""


@attrs.define
class InWork:
    """A mail in the hands of a *slice* of *process*; *steps* have begun since its response."""

    row: int
    process: str
    slice: str
    began: float
    answered: bool = False
    steps: int = 0
    ended: float = float("inf")


@attrs.define
class Slice:
    """A slice of work of *process*: when it began its first and its last mail."""

    process: str
    first: float
    last: float
    is_over: bool = False


class Trace:
    """
    What the workers, the web application and the faults have noted in the files of *folder*.

    ``keys`` has the keys of the outbox by what became of their transaction: *offered* for all,
    *committed* and *rolled_back*.
    """

    def __init__(self, folder: Path) -> None:
        self.lost: dict[str, list[float]] = defaultdict(list)
        self.in_work: dict[int, list[InWork]] = defaultdict(list)
        self.looked_up: dict[int, float] = {}
        self.slices: dict[str, Slice] = {}
        self._lost_at_work: list[float] = []
        self._in_slices: dict[str, set[str]] = defaultdict(set)
        self.keys: dict[str, set[str]] = defaultdict(set)
        self._working: dict[str, dict[int, InWork]] = defaultdict(dict)
        for time, process, kind, words in sorted(_lines(folder)):
            if kind == "lost":
                self._note_loss(time, words)
            elif kind == "begin":
                self._in_slices[process].add(words[0])
            elif kind == "end":
                self._in_slices[process].discard(words[0])
                self._end(process, time, lambda each, name=words[0]: each.slice == name)
            elif kind == "log":
                self._note_log(time, process, words[0], " ".join(words[1:]))
            elif kind in ("offered", "committed", "rolled_back"):
                self.keys[kind].add(words[0])

    def _note_loss(self, time: float, lost: list[str]) -> None:
        for each in lost:
            self.lost[each].append(time)
        for each in self.slices.values():
            each.is_over = each.is_over or each.process in lost
        if any(self._in_slices[each] for each in lost) or "database" in lost:
            self._lost_at_work.append(time)

    def _end(self, process: str, time: float, has_ended: Callable[[InWork], bool]) -> None:
        working = self._working[process]
        for each in [each for each in working.values() if has_ended(each)]:
            working.pop(each.row).ended = time

    def _note_log(self, time: float, process: str, name: str, text: str) -> None:
        working = self._working[process]
        if text.startswith("looking up row"):
            self.looked_up.setdefault(int(text.rsplit(maxsplit=1)[-1]), time)
        if found := _ROW.match(text):
            row = int(found[2])
            if found[1] == "sending":
                working[row] = InWork(row, process, name, time)
                self.in_work[row].append(working[row])
                current = self.slices.setdefault(name, Slice(process, time, time))
                # What was taken before its worker stood still is no sign that it has a lane.
                current.last = current.last if current.is_over else time
            elif row in working:
                working[row].answered = True
        elif text == "step":
            for each in working.values():
                each.steps += each.answered and each.slice == name
        elif text == "committed":
            # A step that begins at once after a response may come too early for it.
            self._end(process, time, lambda each: each.slice == name and each.steps > 1)

    def most_at_once(self) -> int:
        """Return the largest number of slices that began mails at the same time."""
        changes = [(each.first, 1) for each in self.slices.values()]
        changes += [(each.last, -1) for each in self.slices.values()]
        most = now = 0
        for _, change in sorted(changes):
            now += change
            most = max(most, now)
        return most

    def explains(self, row: int) -> bool:
        """
        Whether *row* was in work when its worker or the database was lost.

        Nobody noted who had taken a row that was lost before it was begun: then any loss of a
        worker at work, shortly before it was looked up, explains it.
        """
        if row in self.in_work:
            return any(
                each.began <= lost <= each.ended
                for each in self.in_work[row]
                for lost in (*self.lost[each.process], *self.lost["database"])
            )
        looked_up = self.looked_up.get(row, float("inf"))
        return any(0 <= looked_up - lost <= SHORTLY_SECONDS for lost in self._lost_at_work)


def _lines(folder: Path) -> Iterator[tuple[float, str, str, list[str]]]:
    for path in folder.glob("*.trace"):
        for line in path.read_text().splitlines():
            time, process, kind, *words = line.split(" ")
            yield float(time), process, kind, words


def judge(site: Site, figures: Counter[str], *, runners: int) -> list[str]:
    """Return the problems that are found, and add to *figures*."""
    trace = Trace(site.folder)
    with Sandbox(site.caught) as sandbox:
        got = Counter(recipient.email for mail in sandbox.outbox for recipient in mail.recipients)
    with psycopg.connect(site.database.url) as connection:
        states = dict(connection.execute("SELECT key, state FROM poweremail_messages").fetchall())
        unknown = connection.execute(_UNKNOWN).fetchall()
    figures |= Counter(f"reported {state}" for state in states.values())
    problems = {
        "doubled": [address for address, count in got.items() if count > 1],
        "missing": [
            key
            for key, state in states.items()
            if state == "accepted" and f"{key}@example.com" not in got
        ],
        "caught and not reported accepted": [
            address for address in got if states.get(address.partition("@")[0]) != "accepted"
        ],
        "neither accepted nor unknown": [
            key for key, state in states.items() if state not in ("accepted", "unknown")
        ],
        "unknown without a loss": [key for row, key in unknown if not trace.explains(row)],
        "committed and not in the ledger": list(trace.keys["committed"] - states.keys()),
        "rolled back and sent": list(trace.keys["rolled_back"] & states.keys()),
    }
    figures["caught"] = got.total()
    figures["unknown for a time"] = len(unknown)
    figures["unknown, lost before they were begun"] = sum(
        row not in trace.in_work for row, *_ in unknown
    )
    figures["committed by the web application"] = len(trace.keys["committed"])
    figures["rolled back by the web application"] = len(trace.keys["rolled_back"])
    figures["slices"] = len(trace.slices)
    figures["most slices at once"] = trace.most_at_once()
    figures.update({name: len(found) for name, found in problems.items()})
    found = [f"{name}: {each}" for name, keys in problems.items() for each in keys]
    if figures["most slices at once"] > runners:
        found.append(f"{figures['most slices at once']} lanes of {runners}")
    return found
