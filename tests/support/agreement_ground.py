"""
The ground on which a script is played: a sandbox that notes what arrives at it and what it does,
in-process or with a server.

Each attempt of the client carries a number in its query, which the service does not look at, so
that what the client saw and what the sandbox did can be put side by side.
"""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

import attrs

from poweremail import PowerEmailError
from poweremail._types.secret import Secret
from poweremail.sandbox import Sandbox
from poweremail.sandbox._api.call import Call, Reply
from poweremail.sandbox._faults.rules import Arrival, Faults
from poweremail.transports import Request, Response
from support.agreement_scripts import Script

__all__ = ["Attempt", "Ground", "Handling", "Log"]

_SUBJECT = re.compile(rb'"subject":"(mail \d+)"')
_UNIQUE_ID = re.compile(rb'"x_unique_id":"([^"]+)"')
_PATIENCE = 20.0
"""Seconds until a server that does not come to rest is an error."""


@attrs.define
class Attempt:
    """
    One request as the client saw it: of the mail with this *subject*, or a look for this
    *unique_id*.

    *small* says that it leaves in one piece, *got* what came of it; the times are those of
    `time.monotonic`.
    """

    number: int
    operation: str
    subject: str | None
    unique_id: str | None
    small: bool
    started: float
    got: Response | PowerEmailError | None = None
    ended: float = 0.0


@attrs.frozen
class Handling:
    """
    What the sandbox did with one request: the faults that hit it, the *reply*, how many mails it
    *stored*, and when.

    *read* is False where the connection broke before the body was read.
    """

    arrival: Arrival
    read: bool
    reply: Reply
    stored: int
    at: float

    @property
    def shown(self) -> frozenset[str]:
        """The recipients that an answer of getMessageInfo shows."""
        body = self.reply.response.body if self.reply.response is not None else b""
        try:
            records = json.loads(body)["message_data"]
        except (ValueError, LookupError, TypeError):
            return frozenset()
        return frozenset(record["email"].lower() for record in records)


@attrs.define
class Log:
    """Every attempt of a script, and what was done with each, by its number."""

    attempts: list[Attempt] = attrs.field(factory=list)
    handlings: dict[int, list[Handling]] = attrs.field(factory=dict)
    arrived: int = 0
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    def begin(self, request: Request) -> tuple[Request, Attempt]:
        """Note that *request* goes out; return it with its number in it."""
        with self._lock:
            attempt = Attempt(
                len(self.attempts),
                request.operation.path,
                *_about(request),
                started=time.monotonic(),
            )
            self.attempts.append(attempt)
        query = (
            f"attempt={attempt.number}"
            if request.query is None
            else f"{request.query.reveal()}&attempt={attempt.number}"
        )
        return attrs.evolve(request, query=Secret(query)), attempt

    def of(self, subject: str) -> list[Attempt]:
        """The attempts of one mail."""
        return [attempt for attempt in self.attempts if attempt.subject == subject]

    def handling(self, attempt: Attempt) -> Handling | None:
        """What was done with *attempt*."""
        return next(iter(self.handlings.get(attempt.number, ())), None)


class Ground:
    """
    A sandbox, to be used as a context manager; *served* says that it is reached by HTTP, at
    ``url``.
    """

    def __init__(self, *, served: bool) -> None:
        self.sandbox = Sandbox()
        self.served = served
        self.url = "http://127.0.0.1"
        self._lock = threading.Lock()
        self._service = self.sandbox.service
        self._handle_really, self._service.handle = self._service.handle, self._handle
        self._server = self.sandbox.server() if served else None

    def __enter__(self) -> Self:
        if self._server is not None:
            self.url = self._server.__enter__().url
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.__exit__(kind, error, trace)
        self.sandbox.close()

    def __repr__(self) -> str:
        return f"Ground(served={self.served})"

    def clear(self, script: Script) -> Log:
        """
        Forget everything, make ready for *script*, and return the log that it is going to fill.
        """
        self.sandbox.clear()
        self.sandbox.add_template("t1", text="Dear {{NAME}}")
        if script.per_minute is not None:
            self.sandbox.add_smtp_user("smtp1", per_minute=script.per_minute)
        log = Log()
        self._service.faults = _NotingFaults(script.seed, log)
        return log

    def settle(self) -> None:
        """
        Wait until nothing is under way any more, all clients being closed.

        A mail that a client gave up may still lie in a socket. A listening socket hands its
        connections over in the order in which they were made, so once a request on a new one is
        answered, the server knows all before it; one that it has forgotten was read to its end, and
        what was read of it is a task until it is answered.
        """
        if self._server is None:
            return
        self._fence()
        state = self._server._server.server_state
        waits_until = time.monotonic() + _PATIENCE
        while state.connections or state.tasks:
            if time.monotonic() > waits_until:
                raise AssertionError(
                    f"the server does not come to rest: {state.connections}, {state.tasks}"
                )
            time.sleep(0.0005)

    def _fence(self) -> None:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=_PATIENCE)
        try:
            connection.request("GET", "/_sandbox/health", headers={"Connection": "close"})
            assert connection.getresponse().read()
        finally:
            connection.close()

    def _handle(self, call: Call, arrival: Arrival) -> Reply:
        with self._lock:
            faults, mails = self._service.faults, self._service.mails
            faults.arrival = arrival
            before = mails.count()
            reply = self._handle_really(call, arrival)
            handling = Handling(
                faults.arrival,
                not arrival.effect.before_body,
                reply,
                mails.count() - before,
                time.monotonic(),
            )
            number = int(parse_qs(call.query)["attempt"][0])
            faults.log.handlings.setdefault(number, []).append(handling)
        return reply


class _NotingFaults(Faults):
    """
    Counts requests, and keeps the arrival of the one that is being handled, with all that hit it.
    """

    def __init__(self, seed: int, log: Log) -> None:
        super().__init__(seed)
        self.log = log
        self.arrival: Arrival | None = None

    def at_head(self, call: str | None) -> Arrival:
        self.log.arrived += 1
        return super().at_head(call)

    def at_body(self, arrival: Arrival, recipients) -> Arrival:
        self.arrival = super().at_body(arrival, recipients)
        return self.arrival


def _about(request: Request) -> tuple[str | None, str | None, bool]:
    """The subject, the unique id that is looked for, and whether it is small."""
    if request.body is None:
        return parse_qs(request.query.reveal())["subject"][0], None, True
    first, *rest = request.body.pieces()
    subject, unique_id = _SUBJECT.search(first), _UNIQUE_ID.search(first)
    return subject and subject[1].decode(), unique_id and unique_id[1].decode(), not rest
