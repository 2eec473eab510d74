"""
The states of a message in a batch, and which may follow which.

=========
===================================================================================================================
state      meaning =========
===================================================================================================================
invalid    the row of the source is no message; it is listed with its line, and nothing is sent
planned    to be sent, now or from a moment on sending    a worker has it under a lease; its request
may be on the way. Written, and on the disk, before the request begins accepted   the service took
it: by its answer, or because getMessageInfo shows it rejected   the service answered that it does
not take it not_sent   provably never taken, and not tried any more unknown    it may or may not
have been taken; looked up by its unique id, and never sent again unless the user says so =========
===================================================================================================================
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["RETRIED", "SETTLED", "TRANSITIONS", "State"]


class State(StrEnum):
    """Where a message of a batch is."""

    INVALID = "invalid"
    PLANNED = "planned"
    SENDING = "sending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.INVALID: frozenset(),
    State.PLANNED: frozenset({State.SENDING}),
    # Back to planned: the request provably never arrived, was answered with 429, or was never
    # begun. To unknown: no trustworthy answer came, or the lease ran out.
    State.SENDING: frozenset(
        {State.ACCEPTED, State.REJECTED, State.NOT_SENT, State.UNKNOWN, State.PLANNED}
    ),
    # To planned: by `retry`; because the user said after how many seconds a mail that is not
    # visible was never taken; or because its rehearsal lets nobody send it.
    State.UNKNOWN: frozenset({State.ACCEPTED, State.UNKNOWN, State.PLANNED}),
    State.REJECTED: frozenset({State.PLANNED}),
    State.NOT_SENT: frozenset({State.PLANNED}),
    State.ACCEPTED: frozenset(),
}
"""What may follow each state; what is not here is refused before it is written."""

SETTLED = frozenset({State.ACCEPTED, State.REJECTED, State.NOT_SENT, State.INVALID})
"""Nothing more happens to these by itself."""

RETRIED = (State.NOT_SENT, State.REJECTED, State.UNKNOWN)
"""What can be planned again by hand."""
