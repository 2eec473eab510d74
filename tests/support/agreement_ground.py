"""
The ground on which a script runs: a sandbox, in-process or with a server, that logs each request
and its handling.

Each attempt of the client carries a number in its query, which the service ignores, so that the
judge can compare the client's view of an attempt with the sandbox's.
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

from poweremail import PowerEmailError, Secret
from poweremail.sandbox import Call, Faults, Reply, Sandbox
from poweremail.sandbox._faults.rules import Arrival
from poweremail.transports import Request, Response
from support.agreement_scripts import Script

__all__ = ["Attempt", "Ground", "Handling", "Log"]

_SUBJECT = re.compile(rb'"subject":"(mail \d+)"')
_UNIQUE_ID = re.compile(rb'"x_unique_id":"([^"]+)"')
_SETTLE_TIMEOUT_SECONDS = 20.0
"""A server that is still busy after this time is an error."""


@attrs.define
class Attempt:
    """
    One request as the client saw it: of the mail with this *subject*, or a lookup of this
    *unique_id*.

    *small*: whether it leaves in one piece.
    *got*: the response or the error.
    *started*, *ended*: times of `time.monotonic`.
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
    One request as the sandbox handled it.

    *arrival*: the faults that hit it.
    *read*: False if the connection broke before the body was read.
    *stored*: the number of mails that it stored.
    *at*: the time of `time.monotonic`.
    """

    arrival: Arrival
    read: bool
    reply: Reply
    stored: int
    at: float

    @property
    def shown(self) -> frozenset[str]:
        """The recipients in a response to getMessageInfo."""
        body = self.reply.response.body if self.reply.response is not None else b""
        try:
            records = json.loads(body)["message_data"]
        except (ValueError, LookupError, TypeError):
            return frozenset()
        return frozenset(record["email"].lower() for record in records)


@attrs.define
class Log:
    """Every attempt of a script, and its handlings by its number, None if it has none."""

    attempts: list[Attempt] = attrs.field(factory=list)
    handlings: dict[int | None, list[Handling]] = attrs.field(factory=dict)
    arrived: int = 0
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    def begin(self, request: Request) -> tuple[Request, Attempt]:
        """Record that *request* is sent; return it with its number in the query."""
        with self._lock:
            attempt = Attempt(
                len(self.attempts),
                request.operation.path,
                *_about(request),
                started=time.monotonic(),
            )
            self.attempts.append(attempt)
        number = f"attempt={attempt.number}"
        if request.query is not None:
            query = Secret(f"{request.query.reveal()}&{number}")
            return attrs.evolve(request, query=query), attempt
        # A POST has no query of its own, so the transports send the URL without one.
        operation = attrs.evolve(request.operation, path=f"{request.operation.path}?{number}")
        return attrs.evolve(request, operation=operation), attempt

    def of(self, subject: str) -> list[Attempt]:
        """The attempts of one mail."""
        return [attempt for attempt in self.attempts if attempt.subject == subject]

    def handling(self, attempt: Attempt) -> Handling | None:
        """Return the handling of *attempt*, or None if it never arrived."""
        return next(iter(self.handlings.get(attempt.number, ())), None)


class Ground:
    """
    A sandbox, used as a context manager. If it is *served*, clients reach it by HTTP at ``url``.
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
        Delete everything, set up the sandbox for *script*, and return the log that it will fill.
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
        Wait until the server is idle. All clients must be closed.

        A request that a client gave up may still be in a socket. A listening socket accepts
        connections in the order in which they were made, so once a request on a new connection has
        its response, the server knows all earlier connections. It drops a connection only after it
        has read everything, and a request is one of its tasks until it has its response.
        """
        if self._server is None:
            return
        self._fence()
        state = self._server._running[0].server_state
        deadline = time.monotonic() + _SETTLE_TIMEOUT_SECONDS
        while state.connections or state.tasks:
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"the server does not come to rest: {state.connections}, {state.tasks}"
                )
            time.sleep(0.0005)

    def _fence(self) -> None:
        connection = http.client.HTTPConnection(
            urlsplit(self.url).netloc, timeout=_SETTLE_TIMEOUT_SECONDS
        )
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
            numbers = parse_qs(call.query).get("attempt", ())
            faults.log.handlings.setdefault(next(map(int, numbers), None), []).append(handling)
        return reply


class _NotingFaults(Faults):
    """
    Counts requests, and keeps the arrival of the current one, with the faults that hit it.
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
